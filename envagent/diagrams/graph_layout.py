"""Where the boxes of a graph go, and how its arrows are led around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from envagent.diagrams.canvas import FONT, LINE_HEIGHT, Canvas, width_of
from envagent.diagrams.graphs import Edge, Graph, Node

GAP, HIGH, MARGIN = 34.0, 30.0, 20.0
BAND_GAP = 46.0


@dataclass
class Place:
    """Where a box is: its middle and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """Its left side."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Its right side."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """Its upper side."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.height / 2


def draw(graph: Graph) -> str:
    """Draw a graph as SVG."""
    canvas = Canvas()
    {"bands": _bands, "columns": _columns, "lanes": _lanes, "machines": _machines}[graph.arrangement](canvas, graph)
    return canvas.svg(graph.title)


def _size(node: Node) -> tuple[float, float]:
    if node.kind == "start":
        return 12.0, 12.0
    return width_of(node.label) + 20, max(HIGH, LINE_HEIGHT * (node.label.count("\n") + 1) + 12)


def _node(canvas: Canvas, node: Node, place: Place) -> None:
    if node.kind == "start":
        canvas.dot(place.x, place.y)
        return
    radius = {"state": 12.0, "person": 14.0, "ai": 2.0}.get(node.kind, 4.0)
    canvas.box(place.left, place.top, place.width, place.height, node.kind, radius=radius)
    canvas.text(place.x, place.y - LINE_HEIGHT * node.label.count("\n") / 2, node.label)


def _bands(canvas: Canvas, graph: Graph) -> None:
    """Put each group into a band, one below the other; arrows run down."""
    titles = max(map(width_of, graph.groups)) + 24
    widths = {name: sum(_size(one)[0] + GAP for one in group) - GAP for name, group in graph.groups.items()}
    widest = max(widths.values()) + 2 * GAP
    places: dict[str, Place] = {}
    row = {node.id: number for number, group in enumerate(graph.groups.values()) for node in group}
    y = MARGIN
    for name, group in graph.groups.items():
        high = max(_size(one)[1] for one in group) + 34
        canvas.box(MARGIN, y, titles + widest, high, "band")
        canvas.text(MARGIN + 12, y + high / 2, name, anchor="start", bold=True)
        x = MARGIN + titles + (widest - widths[name]) / 2
        for node in group:
            width, height = _size(node)
            places[node.id] = Place(x + width / 2, y + high / 2, width, height)
            x += width + GAP
        y += high + BAND_GAP
    side = MARGIN + titles + widest - 10
    for arrow in graph.arrows:
        source, target = places[arrow.source], places[arrow.target]
        if abs(row[arrow.source] - row[arrow.target]) > 1:  # around the bands between; such boxes stand last in theirs
            canvas.path(
                f"M{source.right:.1f} {source.y:.1f}H{side:.1f}V{target.y:.1f}H{target.right:.1f}", dashed=arrow.dashed
            )
            side -= 8
        else:
            _falling(canvas, arrow, source, target)
    for node in graph.nodes.values():
        _node(canvas, node, places[node.id])


def _falling(canvas: Canvas, arrow: Edge, source: Place, target: Place) -> None:
    """Draw an arrow between bands, or a flat arc within one."""
    if abs(source.y - target.y) < 1:
        away = 12 + 0.03 * abs(source.x - target.x)
        canvas.path(
            f"M{source.x:.1f} {source.top:.1f}C{source.x:.1f} {source.top - away * 1.4:.1f} "
            f"{target.x:.1f} {target.top - away * 1.4:.1f} {target.x:.1f} {target.top:.1f}",
            dashed=arrow.dashed,
        )
        return
    down = target.y > source.y
    start, end = (source.bottom, target.top) if down else (source.top, target.bottom)
    bend = (end - start) / 2
    canvas.path(
        f"M{source.x:.1f} {start:.1f}C{source.x:.1f} {start + bend:.1f} "
        f"{target.x:.1f} {end - bend:.1f} {target.x:.1f} {end:.1f}",
        dashed=arrow.dashed,
    )
    if arrow.label:
        canvas.label((source.x + target.x) / 2, (start + end) / 2, arrow.label)


def _columns(canvas: Canvas, graph: Graph) -> None:
    """Put each group into a column; arrows run from left to right, and those back below them."""
    sizes = {one.id: _size(one) for one in graph.nodes.values()}
    labels = [width_of(arrow.label) for arrow in graph.arrows]
    between = max(labels, default=0.0) + 60
    rows = max(map(len, graph.groups.values()))
    lines = max((arrow.label.count("\n") + 1 for arrow in graph.arrows), default=1)
    step = max(max(height for _, height in sizes.values()) + GAP, LINE_HEIGHT * lines + GAP)
    places: dict[str, Place] = {}
    x = MARGIN
    for name, group in graph.groups.items():
        wide = max(max(sizes[one.id][0] for one in group), width_of(name))
        canvas.text(x + wide / 2, MARGIN + 6, name, bold=True)
        for number, node in enumerate(group):
            y = MARGIN + 60 + step * ((rows - len(group)) / 2 + number)
            places[node.id] = Place(x + wide / 2, y, wide, sizes[node.id][1])
        x += wide + between
    for arrow in graph.arrows:
        _across(canvas, arrow, places[arrow.source], places[arrow.target])
    for arrow in graph.arrows:
        if arrow.label:
            canvas.label(*_label_place(graph, arrow, places[arrow.source], places[arrow.target]), arrow.label)
    for node in graph.nodes.values():
        _node(canvas, node, places[node.id])


def _across(canvas: Canvas, arrow: Edge, source: Place, target: Place) -> None:
    """Draw an arrow between columns, or straight up or down within one."""
    if abs(source.x - target.x) < 1:
        start, end = (source.bottom, target.top) if target.y > source.y else (source.top, target.bottom)
        canvas.path(f"M{source.x:.1f} {start:.1f}V{end:.1f}", dashed=arrow.dashed)
        return
    bend = (target.left - source.right) / 2
    canvas.path(
        f"M{source.right:.1f} {source.y:.1f}C{source.right + bend:.1f} {source.y:.1f} "
        f"{target.left - bend:.1f} {target.y:.1f} {target.left:.1f} {target.y:.1f}",
        dashed=arrow.dashed,
    )


def _label_place(graph: Graph, arrow: Edge, source: Place, target: Place) -> tuple[float, float]:
    """Put a label at that end of its arrow where no other arrow is, else in the middle."""
    half = width_of(arrow.label) / 2 + 14
    if abs(source.x - target.x) < 1:
        return source.x, (source.y + target.y) / 2
    if sum(one.source == arrow.source and one.label != "" for one in graph.arrows) > 3:
        return target.left - half, target.y
    if sum(one.target == arrow.target for one in graph.arrows) > 1:
        return source.right + half, source.y
    return (source.right + target.left) / 2, (source.y + target.y) / 2


def ranks(ids: Sequence[str], arrows: Sequence[Edge]) -> dict[str, int]:
    """Count the arrows of the longest way to each box; the arrows form no cycle."""
    before: dict[str, list[str]] = defaultdict(list)
    for arrow in arrows:
        before[arrow.target].append(arrow.source)
    known: dict[str, int] = {}

    def rank(one: str) -> int:
        if one not in known:
            known[one] = max((rank(other) + 1 for other in before[one]), default=0)
        return known[one]

    for one in ids:
        rank(one)
    return known


def _lanes(canvas: Canvas, graph: Graph) -> None:
    """Give each group a row; a box stands right of all boxes that lead to it."""
    nodes = graph.nodes
    column = ranks(list(nodes), graph.arrows)
    widths: dict[int, float] = defaultdict(float)
    for node in nodes.values():
        widths[column[node.id]] = max(widths[column[node.id]], _size(node)[0])
    titles = max(map(width_of, graph.groups)) + 30
    lefts, x = {}, MARGIN + titles
    for number in sorted(widths):
        lefts[number] = x
        x += widths[number] + GAP
    high = max(_size(node)[1] for node in nodes.values())
    places: dict[str, Place] = {}
    y = MARGIN
    for name, group in graph.groups.items():
        canvas.box(MARGIN, y, x - MARGIN, high + 20, "band")
        canvas.text(MARGIN + 12, y + high / 2 + 10, name, anchor="start", bold=True)
        for node in group:
            number = column[node.id]
            width, height = _size(node)
            places[node.id] = Place(lefts[number] + width / 2, y + high / 2 + 10, width, height)
        y += high + 28
    for arrow in graph.arrows:
        _elbow(canvas, places[arrow.source], places[arrow.target], lefts[column[arrow.target]] - GAP / 2)
    for node in nodes.values():
        _node(canvas, node, places[node.id])


def _elbow(canvas: Canvas, source: Place, target: Place, turn: float) -> None:
    """Draw an arrow that goes right, up or down just before its target, and right again."""
    if abs(source.y - target.y) < 1:
        canvas.path(f"M{source.right:.1f} {source.y:.1f}H{target.left:.1f}")
        return
    down = 1 if target.y > source.y else -1
    canvas.path(
        f"M{source.right:.1f} {source.y:.1f}H{turn - 6:.1f}q6 0 6 {6 * down}V{target.y - 6 * down:.1f}"
        f"q0 {6 * down} 6 {6 * down}H{target.left:.1f}"
    )


def _machines(canvas: Canvas, graph: Graph) -> None:
    """Lay out each group for itself, one below the other: its states from left to right."""
    y = MARGIN
    for name, group in graph.groups.items():
        ids = [node.id for node in group]
        arrows = [arrow for arrow in graph.arrows if arrow.source in ids]
        y = _machine(canvas, name, group, arrows, y) + 26


def _machine(canvas: Canvas, name: str, group: Sequence[Node], arrows: Sequence[Edge], top: float) -> float:
    """Draw one machine below `top`; return where it ends."""
    position = {node.id: number for number, node in enumerate(group)}
    gaps = [GAP + 6] * len(group)
    for arrow in arrows:
        number = position[arrow.source]
        if position[arrow.target] == number + 1:
            gaps[number] = max(gaps[number], width_of(arrow.label) + 34)
    levels = _levels(arrows, position)
    above = max([-level for level in levels.values()] + [0]) * 26
    below = max([*levels.values(), 0]) * 26
    canvas.text(MARGIN, top + 8, name, anchor="start", bold=True)
    y, x = top + 34 + above + HIGH / 2, MARGIN
    places: dict[str, Place] = {}
    for number, node in enumerate(group):
        width, height = _size(node)
        places[node.id] = Place(x + width / 2, y, width, height)
        x += width + gaps[number]
    for arrow in arrows:
        _between_states(canvas, arrow, places[arrow.source], places[arrow.target], levels[arrow])
    for node in group:
        _node(canvas, node, places[node.id])
    return y + HIGH / 2 + below + FONT


def _levels(arrows: Sequence[Edge], position: dict[str, int]) -> dict[Edge, int]:
    """Choose how far above (negative) or below (positive) the states each arrow runs; 0 is straight to the next.

    Arrows that overlap get different levels, short ones the nearest.
    """
    levels: dict[Edge, int] = {}
    taken: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for arrow in sorted(arrows, key=lambda one: abs(position[one.target] - position[one.source])):
        start, end = position[arrow.source], position[arrow.target]
        if end == start + 1:
            levels[arrow] = 0
            continue
        sign = -1 if end > start else 1
        low, high = min(start, end), max(start, end)
        level = sign
        while any((low < right and left < high) or low == high == left for left, right in taken[level]):
            level += sign
        taken[level].append((low, high))
        levels[arrow] = level
    return levels


def _between_states(canvas: Canvas, arrow: Edge, source: Place, target: Place, level: int) -> None:
    if level == 0:
        canvas.path(f"M{source.right:.1f} {source.y:.1f}H{target.left:.1f}", dashed=arrow.dashed)
        if arrow.label:
            canvas.label((source.right + target.left) / 2 - 3, source.y, arrow.label)
        return
    side = (source.y + HIGH / 2) if level > 0 else (source.y - HIGH / 2)
    along = side + level * 26
    shift = min(abs(level) * 7.0, source.width / 2 - 6)
    forward = 1 if target.x >= source.x else -1
    start = source.x + shift * forward
    end = target.x - shift * forward if source is not target else target.x - shift
    if source is target:
        start, end = source.x + source.width / 4, source.x - source.width / 4
    canvas.path(
        f"M{start:.1f} {side:.1f}V{along:.1f}H{end:.1f}V{side:.1f}",
        dashed=arrow.dashed,
        reach=(max(start, end), along),
    )
    if arrow.label:
        canvas.label((start + end) / 2, along, arrow.label)
