"""What a document is split into.

Owns: a sentence with its place, and the block that a format's reader finds. Must not: know a format.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Literal

SentenceKind = Literal["heading", "prose", "bullet", "table", "code", "comment"]
Scope = Literal["", "open", "close"]

MAX_LINE = 4000
MAX_PARAGRAPH = 8000
HEADING_WORDS = 14
"""The words of a line that may still be a heading where only a line below it says so."""
MAX_CELLS = 40
MAX_CELL = 300
MINOR = 9
"""The level of a line that acts as a heading without being one: deeper than any heading."""

# Chinese, Japanese and Korean put no spaces around Latin words and digits, which patterns match as words.
_EAST = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_GLUED = re.compile(rf"(?<={_EAST})(?=[A-Za-z0-9])|(?<=[A-Za-z0-9+])(?={_EAST})")
_WIDE = re.compile(_EAST)
_BLANKS = re.compile(r"[^\S\n]+")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,500}(?:\s\"[^\"]{0,100}\")?\)")
_EMPHASIS = re.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)|`")
TYPED_BULLET = re.compile(r"(\s{0,12})[•●▪◦‣∙·][ \t\u00a0]{1,8}")
"""A bullet as a word processor sets it, which no format knows."""
_MINOR_HEADING = re.compile(r"[A-Z\u3040-\u9fff\uac00-\ud7af][^.!?,;。！？，；:：]{1,60}[:：]")
_MINOR_WORDS = 5
_MINOR_SIGNS = 24
_BOLD_WORDS = 8
_NO_HEADING = re.compile(r"[.!?,;。！？，；|]$")
_PROSE = re.compile(r"[A-Z][a-z']* (?:[\w,()'\"/.+-]+ ){3,60}[\w,()'\"/+-]+[.!?:]")


@dataclass(frozen=True)
class Sentence:
    """A sentence, a bullet, a table row or a line of code."""

    path: str
    line: int
    text: str
    kind: SentenceKind
    headings: tuple[str, ...]
    """The headings above it in lower case, outermost first."""
    order: int
    """Its position in the document, from 0."""
    block: str
    """The whole paragraph or bullet that contains it."""
    lead: str = ""
    """The paragraph above the table or list that contains it, and the bullets that contain its own."""
    header: tuple[str, ...] = ()
    """The column headers of a table row."""
    cells: tuple[str, ...] = ()
    """The cells of a table row; the first names the row."""
    depth: int = 0
    """How many lists contain the list it stands in."""

    @property
    def heading(self) -> str:
        """The nearest heading, or an empty string."""
        return self.headings[-1] if self.headings else ""


@dataclass(frozen=True)
class Block:
    """A paragraph, bullet, heading, table row or line of code, as the reader of its format found it."""

    kind: SentenceKind
    lines: tuple[tuple[int, str], ...]
    """Line numbers and plain text; a line ends with a line feed where the text breaks for the reader of the page."""
    level: int = 0
    """The level of a heading, from 1."""
    nesting: int = 0
    """How many list items contain it, a bullet its own item included."""
    header: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    scope: Scope = ""
    """Whether it opens or closes a part that folds."""

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return " ".join(text.strip() for _, text in self.lines)

    @property
    def line(self) -> int:
        """The line it begins on."""
        return self.lines[0][0] if self.lines else 1


def clean(text: str) -> str:
    """Collapse blanks, and set Latin words apart from those of languages without spaces."""
    text = _BLANKS.sub(" ", text).replace("(s)", "s")
    return text if text.isascii() else _GLUED.sub(" ", text)


def without_links(text: str) -> str:
    """Replace links of Markdown by their words, and drop its pictures."""
    return _LINK.sub(lambda found: "" if found[0].startswith("!") else found[1], text)


def without_emphasis(text: str) -> str:
    """Drop the signs around emphasized words and code."""
    return _EMPHASIS.sub("", text)


def cut(text: str, most: int) -> str:
    """Return the lines at the beginning of a text that are not longer than `most` together."""
    return text if len(text) <= most else text[: text.rfind("\n", 0, most) + 1 or most]


def unescape(text: str) -> str:
    """Decode entities."""
    return html.unescape(text) if "&" in text else text


def row(line: int, header: list[str], cells: list[str]) -> Block | None:
    """Make a block of a table row, or nothing of an empty one."""
    head = tuple(clean(cell).strip()[:MAX_CELL] for cell in header[:MAX_CELLS])
    kept = tuple(clean(cell).strip()[:MAX_CELL] for cell in cells[:MAX_CELLS])
    if not any(kept):
        return None
    text = " | ".join(kept)
    if any(head):
        text = f"{' | '.join(head)[:200]} :: {text}"
    return Block("table", ((line, text.replace("\n", " ")),), header=head, cells=kept)


def fill(cells: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    """Repeat the cells that hang down from rows above into the next columns.

    Args:
        cells: those of the row so far.
        hanging: for each column, the number of rows that its cell still spans, and its text.
    """
    while len(cells) < MAX_CELLS and (found := hanging.pop(len(cells), None)):
        left, text = found
        if left > 1:
            hanging[len(cells)] = left - 1, text
        cells.append(text)


def is_minor_heading(text: str) -> bool:
    """Return whether a line that stands alone introduces what follows it: `Requirements:`."""
    if _MINOR_HEADING.fullmatch(text) is None:
        return False
    return len(text.split()) <= _MINOR_WORDS if text.isascii() else len(_WIDE.sub("xx", text)) <= _MINOR_SIGNS


def is_bold_heading(text: str) -> bool:
    """Return whether a line that is bold as a whole reads as a heading, not as a statement."""
    words = text.split()
    return 0 < len(words) <= _BOLD_WORDS and len(text) <= 80 and _NO_HEADING.search(text) is None


def reads_as_prose(text: str) -> bool:
    """Return whether an indented text is a statement, not code."""
    return _PROSE.match(text[:600]) is not None
