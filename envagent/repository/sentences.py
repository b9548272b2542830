"""Split the prose of a repository into sentences that know their heading and their line.

Owns: Markdown, reStructuredText and plain text as far as headings, bullets, tables and code go, and skipping text that
addresses automated readers. Must not: understand hardware.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from envagent.repository.injection import gives_orders, is_suspect

SentenceKind = Literal["heading", "prose", "bullet", "table", "code"]
_MAX_LINE = 1500
_MAX_SENTENCE = 700

_HTML_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>")
_LINK = re.compile(
    r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,500}(?:\s\"[^\"]{0,100}\")?\)|!?\[([^\[\]]{0,300})\]\[[^\[\]]{0,100}\]"
)
_RST_LINK = re.compile(r"`([^`<>]{1,200}) <[^<>`]{1,300}>`_{1,2}")
_HTML_ROW = re.compile(r"<tr\b[^<>]{0,200}>((?:(?!</?tr\b).){0,5000})</tr>", re.DOTALL | re.IGNORECASE)
_HTML_CELL = re.compile(r"<t[dh]\b[^<>]{0,200}>", re.IGNORECASE)
_ADMONITION = re.compile(r"\s*\.\. (?:note|warning|important|attention|caution|hint|tip|danger)::", re.IGNORECASE)
_STRUCK = re.compile(r"~~[^~]{1,300}~~")
_EMPHASIS = re.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)|`")
_ATX = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_HTML_HEADING = re.compile(r"<h([1-6])[^<>]{0,200}>(.*?)(</h\1>|$)", re.IGNORECASE)
_UNDERLINE = re.compile(r"([=\-~^\"'+*#.:_])\1{2,}\s*$")
_BULLET = re.compile(r"\s{0,12}(?:[-*+•–]|#\.|\d{1,2}[.)])\s+(?:\[[ xX]\]\s+)?(.*)")
# A bullet may begin with a fence; with another one on the same line it is inline code.
_FENCE = re.compile(r"\s*(?:[-*+]\s{1,4})?(```+(?=[^`]*$)|~~~+)")
_CODE_INDENT = re.compile(r"(?: {4}|\t)\s*\S")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[A-Z0-9À-ÞА-Я])|(?<=[。！？；])")
_HEADING_WORDS = 14
# Chinese, Japanese and Korean put no spaces around Latin words and digits, which patterns match as words.
_EAST = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_GLUED = re.compile(rf"(?<={_EAST})(?=[A-Za-z0-9])|(?<=[A-Za-z0-9+])(?={_EAST})")


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
    """The paragraph above the table or list that contains it."""

    @property
    def heading(self) -> str:
        """The nearest heading, or an empty string."""
        return self.headings[-1] if self.headings else ""


@dataclass(frozen=True)
class _Block:
    kind: SentenceKind
    lines: tuple[tuple[int, str], ...]
    headings: tuple[str, ...]


def sentences(path: str, text: str) -> tuple[list[Sentence], list[int]]:
    """Split a document.

    Returns:
        Its sentences without those that address automated readers, and the lines of the sections skipped for that.
    """
    text = _HTML_COMMENT.sub(lambda m: "\n" * m[0].count("\n"), text)
    text = _without_admonitions(_HTML_ROW.sub(_row, text))
    blocks = list(_blocks(text))
    refused, spots = _addressed(blocks)
    found: list[Sentence] = []
    lead = ""
    for number, block in enumerate(blocks):
        if any(number >= since and block.headings[: len(section)] == section for section, since in refused.items()):
            continue
        if block.kind != "code" and gives_orders(_joined(block)):
            continue
        around = _joined(block)[:2000]
        if block.kind == "prose" or (block.kind == "bullet" and around.rstrip().endswith(":")):
            lead = around[-300:]
        elif block.kind in ("heading", "code"):
            lead = ""
        for line, piece in _pieces(block):
            if not is_suspect(piece):
                found.append(Sentence(path, line, piece, block.kind, block.headings, len(found), around, lead))
    return found, spots


def _addressed(blocks: list[_Block]) -> tuple[dict[tuple[str, ...], int], list[int]]:
    """Find the sections to skip, each from a block on, and the lines that gave them away.

    Text above an order in its section is kept, or one line could hide honest requirements.
    """
    refused: dict[tuple[str, ...], int] = {}
    spots: list[int] = []
    for number, block in enumerate(blocks):
        if gives_orders(_joined(block)):
            spots.append(block.lines[0][0])
            # The title's section is the whole document: only the block is skipped there.
            if len(block.headings) > 1 or (block.kind == "heading" and block.headings):
                refused.setdefault(block.headings, number)
    return refused, spots


def _joined(block: _Block) -> str:
    return " ".join(line for _, line in block.lines)


def _blocks(text: str) -> Iterator[_Block]:
    trail: list[tuple[int, str]] = []
    lines = text.split("\n")
    open_lines: list[tuple[int, str]] = []
    open_kind: SentenceKind = "prose"
    fence: str | None = None
    rst_code: int | None = None
    table_head = ""

    def headings() -> tuple[str, ...]:
        return tuple(title for _, title in trail)

    def close() -> Iterator[_Block]:
        nonlocal open_lines, open_kind
        if open_lines:
            yield _Block(open_kind, tuple(open_lines), headings())
        open_lines, open_kind = [], "prose"

    for number, raw in enumerate(lines, 1):
        line = raw[:_MAX_LINE].rstrip()
        if fence is not None:
            if line.strip().startswith(fence):
                fence = None
            elif line.strip():
                yield _Block("code", ((number, line.strip()),), headings())
            continue
        if opening := _FENCE.match(line):
            yield from close()
            fence = opening[1][:3]
            continue
        indent = len(line) - len(line.lstrip())
        if rst_code is not None and line.strip():
            if indent > rst_code:
                yield _Block("code", ((number, line.strip()),), headings())
                continue
            rst_code = None
        if not line.strip():
            yield from close()
            table_head = ""
            continue
        if title := _title(lines, number - 1):
            yield from close()
            level, words = title
            while trail and trail[-1][0] >= level:
                trail.pop()
            trail.append((level, words.lower()[:120]))
            yield _Block("heading", ((number, words),), headings())
            continue
        if _UNDERLINE.fullmatch(line.strip()) and len(line.strip()) >= 3:
            continue
        if line.lstrip().startswith(".. code") or line.rstrip().endswith("::"):
            rst_code = indent
        stripped = line.lstrip()
        if stripped.startswith("|") or stripped.count(" | ") >= 2:
            yield from close()
            cells = _plain(stripped.strip("|").replace("|", " | "))
            if re.fullmatch(r"[\s|:+-]*", cells):
                continue
            yield _Block("table", ((number, f"{table_head} :: {cells}" if table_head else cells),), headings())
            table_head = table_head or cells[:200]
        elif bullet := _BULLET.fullmatch(line):
            yield from close()
            open_kind = "bullet"
            open_lines.append((number, _plain(bullet[1])))
        elif _CODE_INDENT.match(line) and not open_lines:
            yield _Block("code", ((number, line.strip()),), headings())
        else:
            open_lines.append((number, _plain(line)))
    yield from close()


def _without_admonitions(text: str) -> str:
    """Turn the bodies of reStructuredText admonitions into plain paragraphs, line for line."""
    if ".. " not in text:
        return text
    lines: list[str] = []
    inside: int | None = None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and indent <= inside:
            inside = None
        if inside is not None:
            line = line.strip()
        elif opening := _ADMONITION.match(line):
            inside = indent
            line = line[opening.end() :].strip()
        lines.append(line)
    return "\n".join(lines)


def _row(found: re.Match[str]) -> str:
    """Convert a row of an HTML table to a line of a Markdown table, keeping the number of lines."""
    cells = [_TAG.sub(" ", cell).replace("\n", " ").strip() for cell in _HTML_CELL.split(found[1])[1:]]
    return f"| {' | '.join(cells)} |" + "\n|" * found[0].count("\n")


def _title(lines: list[str], index: int) -> tuple[int, str] | None:
    """Return level and words if the line at `index` is a heading."""
    line = lines[index][:_MAX_LINE]
    if atx := _ATX.match(line):
        return len(atx[1]), _plain(atx[2])
    if tag := _HTML_HEADING.search(line):
        return int(tag[1]), _plain(tag[2])
    following = lines[index + 1].strip()[:_MAX_LINE] if index + 1 < len(lines) else ""
    words = line.strip()
    if (
        words
        and not line.startswith((" ", "\t", "-", "*", "|", "+"))
        and len(words.split()) <= _HEADING_WORDS
        and _UNDERLINE.fullmatch(following)
        and len(following) >= max(3, len(words) * 0.6)
    ):
        return ("=-~^\"'+*#.:_".index(following[0]) + 1), _plain(words)
    return None


def _pieces(block: _Block) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a block, each with the line it begins on."""
    starts: list[tuple[int, int]] = []
    joined = ""
    for number, line in block.lines:
        starts.append((len(joined), number))
        joined += line + " "
    at = 0
    for piece in _SENTENCE_END.split(joined):
        begin = joined.find(piece, at)
        at = begin + len(piece)
        if piece.strip():
            lead = begin + len(piece) - len(piece.lstrip())
            start = max((number for offset, number in starts if offset <= lead), default=block.lines[0][0])
            yield start, piece.strip()[:_MAX_SENTENCE]


def _plain(text: str) -> str:
    """Strip links, tags, emphasis, entities and struck-out text."""
    # Twice, because a badge is an image inside a link.
    for _ in range(2):
        text = _LINK.sub(lambda m: m[1] or m[2] or "", text)
    text = _RST_LINK.sub(r"\1", text)
    text = _STRUCK.sub("", text).replace("(s)", "s")
    text = _TAG.sub(" ", text)
    text = html.unescape(_EMPHASIS.sub("", text)).strip()
    return text if text.isascii() else _GLUED.sub(" ", text)
