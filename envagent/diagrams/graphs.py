"""Graphs: boxes in groups, and arrows between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["box", "state", "ai", "person", "outside", "end", "start"]

SHAPES = {
    "box": '["{}"]',
    "state": '("{}")',
    "ai": '{{{{"{}"}}}}',
    "person": '(["{}"])',
    "outside": '[["{}"]]',
    "end": '(("{}"))',
    "start": '(("{}"))',
}
"""How Mermaid draws each kind of box."""


@dataclass(frozen=True)
class Node:
    """A box."""

    id: str
    label: str
    kind: Kind = "box"


@dataclass(frozen=True)
class Edge:
    """An arrow."""

    source: str
    target: str
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class Graph:
    """A picture of boxes and arrows.

    Attributes:
        title: what it shows.
        groups: the boxes by group, in order.
        arrows: between boxes.
        arrangement: `bands` puts groups below each other, `columns` next to each other; `lanes` gives each group a
            row, in which the arrows lead from left to right; `machines` lays out each group for itself.
    """

    title: str
    groups: dict[str, tuple[Node, ...]]
    arrows: tuple[Edge, ...]
    arrangement: Literal["bands", "columns", "lanes", "machines"]

    @property
    def nodes(self) -> dict[str, Node]:
        """All boxes by their ids."""
        return {node.id: node for group in self.groups.values() for node in group}

    def mermaid(self) -> str:
        """Write it as Mermaid."""
        return "\n".join(self._states() if self.arrangement == "machines" else self._flowchart()) + "\n"

    def svg(self) -> str:
        """Draw it as SVG."""
        from envagent.diagrams.graph_layout import draw

        return draw(self)

    def _flowchart(self) -> Iterator[str]:
        yield f"flowchart {'TD' if self.arrangement == 'bands' else 'LR'}"
        for number, (name, group) in enumerate(self.groups.items()):
            yield f'  subgraph group{number}["{name}"]'
            for node in group:
                yield f"    {node.id}{SHAPES[node.kind].format(_line(node.label))}"
            yield "  end"
        for arrow in self.arrows:
            label = f'|"{_line(arrow.label)}"|' if arrow.label else ""
            yield f"  {arrow.source} {'-.->' if arrow.dashed else '-->'}{label} {arrow.target}"

    def _states(self) -> Iterator[str]:
        yield "stateDiagram-v2"
        for name, group in self.groups.items():
            ids = {node.id: node for node in group}
            yield f"  state {name} {{"
            for node in group:
                if node.kind != "start":
                    yield f'    state "{node.label}" as {node.id}'
            for arrow in self.arrows:
                if arrow.source in ids:
                    source = "[*]" if ids[arrow.source].kind == "start" else arrow.source
                    label = arrow.label.translate({ord(":"): ",", ord(";"): ","})  # they would end it
                    yield f"    {source} --> {arrow.target}{': ' if label else ''}{label}"
            yield "  }"


def _line(label: str) -> str:
    return label.replace("\n", "<br/>").replace('"', "'")
