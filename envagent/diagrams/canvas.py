"""An SVG that grows as shapes are put on it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, SOFT, LINE = "#1f2933", "#6b7780", "#8a97a3"
FILLS = {
    "box": ("#eef4fb", "#5b8fc7"),
    "state": ("#eef4fb", "#5b8fc7"),
    "ai": ("#fdf1dc", "#d0902f"),
    "person": ("#e9f6ec", "#4f9d69"),
    "outside": ("#f3eefa", "#8f6fc1"),
    "end": ("#fbe9e9", "#c96464"),
    "band": ("#fafbfc", "#d5dce3"),
    "start": ("#1f2933", "#1f2933"),
}
"""Fill and border of each kind of shape."""
FONT = 13
LINE_HEIGHT = 17


def width_of(text: str) -> float:
    """Estimate how wide a text is; fonts differ, so it is a little too much."""
    return max((len(line) for line in text.split("\n")), default=0) * FONT * 0.6


class Canvas:
    """Shapes and texts in the order in which they are drawn."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._right = self._bottom = 0.0

    def box(self, x: float, y: float, width: float, height: float, kind: str, *, radius: float = 4) -> None:
        """Draw a rectangle with its upper left corner at (x, y)."""
        fill, border = FILLS[kind]
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
            f'fill="{fill}" stroke="{border}"/>'
        )
        self._reach(x + width, y + height)

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "middle", colour: str = INK, bold: bool = False
    ) -> None:
        """Write lines; (x, y) is the middle of the first one, at its anchor."""
        weight = ' font-weight="bold"' if bold else ""
        for number, line in enumerate(text.split("\n")):
            self._parts.append(
                f'<text x="{x:.1f}" y="{y + number * LINE_HEIGHT:.1f}" text-anchor="{anchor}" '
                f'dominant-baseline="central" fill="{colour}"{weight}>{escape(line)}</text>'
            )
        right = {"start": x + width_of(text), "middle": x + width_of(text) / 2, "end": x}[anchor]
        self._reach(right, y + LINE_HEIGHT * text.count("\n") + FONT)

    def label(self, x: float, y: float, text: str) -> None:
        """Write a label of an arrow, readable on top of it."""
        lines = text.split("\n")
        top = y - LINE_HEIGHT * (len(lines) - 1) / 2
        width = width_of(text) * 0.95
        self._parts.append(
            f'<rect x="{x - width / 2:.1f}" y="{top - FONT * 0.6:.1f}" width="{width:.1f}" '
            f'height="{LINE_HEIGHT * len(lines) - 2:.1f}" fill="white" fill-opacity="0.9"/>'
        )
        self.text(x, top, text, colour=SOFT)

    def path(self, commands: str, *, arrow: bool = True, dashed: bool = False, reach: Sequence[float] = ()) -> None:
        """Draw a line; `reach` is the lowest right point of a curve that leaves the area of the boxes."""
        end = ' marker-end="url(#arrow)"' if arrow else ""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<path d="{commands}" fill="none" stroke="{LINE}"{dash}{end}/>')
        if reach:
            self._reach(*reach)

    def dot(self, x: float, y: float) -> None:
        """Draw where a state machine starts."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{INK}"/>')

    def svg(self, title: str) -> str:
        """Return the document."""
        width, height = self._right + 20, self._bottom + 20
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="{FONT}">\n'
            f"<title>{escape(title)}</title>\n"
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="{LINE}"/></marker></defs>\n'
            '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )

    def _reach(self, right: float, bottom: float) -> None:
        self._right, self._bottom = max(self._right, right), max(self._bottom, bottom)
