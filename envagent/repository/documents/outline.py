"""The order of a document: which headings, lists and lead-in paragraphs each block stands under.

Owns: nesting of sections, of parts that fold, and of lists. Must not: know a format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from envagent.repository.documents.sentence import MINOR, Block, is_minor_heading

_LEAD = 300
_TITLE = 120
_DEEPEST = 12


@dataclass(frozen=True)
class Placed:
    """A block with what stands above it."""

    block: Block
    headings: tuple[str, ...]
    section: tuple[str, ...]
    """Its headings without lines that only act as such."""
    lead: str


def outline(blocks: Iterable[Block]) -> list[Placed]:
    """Place each block."""
    numbered = list(blocks)
    state = _State(_folded(numbered))
    placed = []
    for number, block in enumerate(numbered):
        # What stands before a command introduces that alone.
        before_code = number + 1 < len(numbered) and numbered[number + 1].kind == "code"
        if not before_code and _acts_as_heading(block):
            block = replace(block, kind="heading", level=MINOR)
        if found := state.place(number, block):
            placed.append(found)
    return placed


def _acts_as_heading(block: Block) -> bool:
    return block.kind == "prose" and not block.nesting and len(block.lines) == 1 and is_minor_heading(block.text)


def _folded(blocks: list[Block]) -> set[int]:
    """Return the blocks that open a part that is closed again."""
    stack: list[int] = []
    closed = set()
    for number, block in enumerate(blocks):
        if block.scope == "open":
            stack.append(number)
        elif block.scope == "close" and stack:
            closed.add(stack.pop())
    return closed


class _State:
    def __init__(self, folded: set[int]) -> None:
        self.folded = folded
        self.trail: list[tuple[int, str]] = []
        self.scopes: list[list[tuple[int, str]] | None] = []
        """The headings to return to behind each open part; nothing where it is never closed."""
        self.floor = 0
        self.above = ""
        self.items: list[str] = []
        """The text of each list item that is open, outermost first."""
        self.pending = ""
        """A bullet without items of its own that ends with a colon."""

    def place(self, number: int, block: Block) -> Placed | None:
        """Return the block with its place, or nothing for the end of a part."""
        if block.scope:
            self._fold(number, block)
        if not block.lines:
            return None
        if block.kind == "heading":
            return self._heading(block)
        lead = self._lead(block)
        return Placed(block, tuple(title for _, title in self.trail), self._section(), lead)

    def _section(self) -> tuple[str, ...]:
        return tuple(title for level, title in self.trail if level < MINOR)

    def _fold(self, number: int, block: Block) -> None:
        if block.scope == "open":
            deep = len(self.scopes) >= _DEEPEST
            self.scopes.append(list(self.trail) if number in self.folded and not deep else None)
        elif self.scopes and (outer := self.scopes.pop()) is not None:
            self.trail = outer
            self.above, self.items = "", []
        self.floor = max((len(outer) for outer in self.scopes[:_DEEPEST] if outer is not None), default=0)

    def _heading(self, block: Block) -> Placed:
        # What unfolds stands below its summary, whatever the levels of its own headings.
        summary = block.level == 0
        level = block.level
        if summary:
            level = 0 if any(outer is not None for outer in self.scopes[:_DEEPEST]) else MINOR
        while len(self.trail) > self.floor and self.trail[-1][0] >= level and not (summary and level == 0):
            self.trail.pop()
        if len(self.trail) < _DEEPEST:
            self.trail.append((level, block.text.strip(" :：").lower()[:_TITLE]))
        self.above = block.text[-_LEAD:] if level == MINOR else ""
        self.items, self.pending = [], ""
        return Placed(block, tuple(title for _, title in self.trail), self._section(), "")

    def _lead(self, block: Block) -> str:
        """Return what introduces the block, and remember what it introduces itself."""
        text = block.text[:2000]
        pending, self.pending = self.pending, ""
        if block.kind == "bullet":
            if pending and block.nesting <= len(self.items):
                self.above = pending
            del self.items[max(0, block.nesting - 1) :]
            lead = " ".join([self.above, *self.items]).strip()[-2 * _LEAD :]
            self.items.append(text[-_LEAD:])
            self.pending = text[-_LEAD:] if text.endswith((":", "：")) else ""
            return lead
        del self.items[block.nesting :]
        lead = " ".join([self.above, *self.items]).strip()[-2 * _LEAD :]
        if block.kind == "code":
            if not block.nesting and not self.above.rstrip().endswith((":", "：")):
                self.above = ""
        elif block.kind != "table":
            if self.items:
                self.items[-1] = f"{self.items[-1]} {text}"[-_LEAD:]
            else:
                self.above = text[-_LEAD:]
                return ""
        return lead
