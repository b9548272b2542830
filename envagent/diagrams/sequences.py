"""Sequences: who asks whom for what, from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from envagent.diagrams.canvas import LINE_HEIGHT, Canvas, width_of

STEP = 26.0


@dataclass(frozen=True)
class Message:
    """One arrow of a sequence.

    Attributes:
        section: what it belongs to; a note is drawn where this changes.
        repeated: whether it is sent again until the answer is there.
    """

    source: str
    target: str
    text: str
    section: str = ""
    repeated: bool = False
    reply: bool = False


@dataclass(frozen=True)
class Sequence:
    """A sequence diagram; parties are given by id with their names."""

    title: str
    parties: dict[str, str]
    messages: tuple[Message, ...]

    def mermaid(self) -> str:
        """Write it as Mermaid."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "sequenceDiagram"
        for party, name in self.parties.items():
            yield f"  participant {party} as {name}"
        section, first, last = "", *(list(self.parties)[one] for one in (0, -1))
        for message in self.messages:
            if message.section != section:
                section = message.section
                yield f"  Note over {first},{last}: {section}"
            arrow = "-->>" if message.reply else "->>"
            if message.repeated:
                yield "  loop repeated"
            yield f"  {'  ' if message.repeated else ''}{message.source}{arrow}{message.target}: {message.text}"
            if message.repeated:
                yield "  end"

    def svg(self) -> str:
        """Draw it as SVG."""
        canvas = Canvas()
        wide = max(110.0, max(map(width_of, self.parties.values())) + 24)
        texts = max(width_of(self._text(one)) for one in self.messages) * 0.62
        step = max(wide, texts) + 16
        left = 190.0
        at = {party: left + step * number for number, party in enumerate(self.parties)}
        sections = len({one.section for one in self.messages})
        bottom = 70 + STEP * len(self.messages) + 12 * sections + 20
        for party in self.parties:
            canvas.path(f"M{at[party]:.1f} 52V{bottom:.1f}", arrow=False, dashed=True)
        section, y = "", 70.0
        for message in self.messages:
            if message.section != section:
                section = message.section
                canvas.path(f"M20 {y - 2:.1f}H{at[list(at)[-1]] + wide / 2:.1f}", arrow=False, dashed=True)
                y += 12
                canvas.text(20, y + 6, section, anchor="start", bold=True)
            self._message(canvas, message, at[message.source], at[message.target], y)
            y += STEP
        for party, name in self.parties.items():
            kind = {"user": "person", "ai": "ai", "envagent": "box"}.get(party, "outside")
            canvas.box(at[party] - wide / 2, 20, wide, 32, kind)
            canvas.text(at[party], 36, name)
        return canvas.svg(self.title)

    def _message(self, canvas: Canvas, message: Message, start: float, end: float, y: float) -> None:
        canvas.path(f"M{start:.1f} {y + 14:.1f}H{end:.1f}", dashed=message.reply)
        text = self._text(message)
        # The text stands at the end of the arrow that is not envagent's, where no other line crosses it.
        middle = end - (40 if end > start else -40) if abs(end - start) > 300 else (start + end) / 2
        half = width_of(text) / 2
        middle = end - half - 14 if end > start and abs(end - start) > 300 else middle
        canvas.label(middle, y + 14 - LINE_HEIGHT / 2 - 1, text)

    def _text(self, message: Message) -> str:
        return f"{message.text} (repeated)" if message.repeated else message.text
