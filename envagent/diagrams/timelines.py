"""Timelines: what took how long, one bar below the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from envagent.diagrams.canvas import Canvas, width_of

WIDE = 720.0


@dataclass(frozen=True)
class Bar:
    """One thing that took time; its times are in UTC."""

    name: str
    start: datetime
    end: datetime
    note: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Timeline:
    """Bars on one scale of time."""

    title: str
    bars: tuple[Bar, ...]

    def mermaid(self) -> str:
        """Write it as a Gantt chart of Mermaid."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "gantt"
        yield f"  title {_plain(self.title)}"
        yield "  dateFormat x"
        yield "  axisFormat %H:%M:%S"
        for bar in self.bars:
            state = "crit, " if bar.failed else ""
            yield f"  {_plain(bar.name)} :{state}{_millis(bar.start)}, {max(_millis(bar.end), _millis(bar.start) + 1)}"

    def svg(self) -> str:
        """Draw it as SVG."""
        canvas = Canvas()
        canvas.text(20, 24, self.title, anchor="start", bold=True)
        if not self.bars:
            return canvas.svg(self.title)
        left = 40 + max(width_of(bar.name) for bar in self.bars)
        start, end = min(bar.start for bar in self.bars), max(bar.end for bar in self.bars)
        whole = max((end - start).total_seconds(), 0.001)
        y = 48.0
        for bar in self.bars:
            x = left + WIDE * (bar.start - start).total_seconds() / whole
            width = max(2.0, WIDE * (bar.end - bar.start).total_seconds() / whole)
            canvas.text(20, y + 11, bar.name, anchor="start")
            canvas.box(x, y + 2, width, 18, "end" if bar.failed else "box", radius=2)
            canvas.text(x + width + 8, y + 11, bar.note, anchor="start")
            y += 26
        canvas.path(f"M{left:.1f} {y + 4:.1f}H{left + WIDE:.1f}", arrow=False)
        for part in range(5):
            moment = start + (end - start) * part / 4
            x = left + WIDE * part / 4
            canvas.path(f"M{x:.1f} {y:.1f}v8", arrow=False)
            shown = f"{moment.astimezone(UTC):%H:%M:%S.%f}"
            canvas.text(x, y + 18, shown[:-5] if whole < 30 else shown[:-7])
        return canvas.svg(self.title)


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _plain(text: str) -> str:
    """Leave out what Mermaid would read as syntax."""
    return re.sub(r"[:;#,\n]", " ", text)
