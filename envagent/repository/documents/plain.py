"""Plain text, AsciiDoc and Org, line by line.

Owns: the headings, lists, tables and code of formats without a parser of their own. Must not: order the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from envagent.repository.documents.sentence import (
    HEADING_WORDS,
    MAX_LINE,
    MAX_PARAGRAPH,
    MINOR,
    Block,
    clean,
    is_bold_heading,
    reads_as_prose,
    row,
    unescape,
    without_emphasis,
    without_links,
)

_MAX_NESTING = 12

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>")
_RST_LINK = re.compile(r"`([^`<>]{1,200}) <[^<>`]{1,300}>`_{1,2}")
_ROLE = re.compile(r":[\w:+.-]{1,40}:`([^`]{1,200})`")
_UNDERLINE = re.compile(r"([=\-~^\"'+*#.:_])\1{2,}")
_RULE = re.compile(r"([^\w\s|])\1{3,}")
_ATX = re.compile(r"(#{1,6})\s+(.*?)\s*#*")
_BULLET = re.compile(r"(\s{0,40})(?:[-*+•–·o]|#\.|\d{1,2}[.)]|[a-z]\))\s+(?:\[[ xX]\]\s+)?(.*)")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_DIRECTIVE = re.compile(r"\s*\.\. [\w|-][\w| :-]{0,60}::")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.? {1,4}[A-Z][\w ,/()-]{2,60}")
_BOLD = re.compile(r"(?:\*\*|__|\*)([^*_]{1,80})(?:\*\*|__|\*):?")

_ADOC_HEADING = re.compile(r"(={1,6}|#{1,6})\s+(.*)")
_ADOC_BULLET = re.compile(r"\s*(\*{1,5}|-|\.{1,5}|\d{1,2}\.)\s+(?:\[[ xX*]\]\s+)?(.*)")
_ADOC_TERM = re.compile(r"\s*([^:|\s][^:|]{0,100}?)(?:::+)(?:\s+(.*))?")
_ADOC_LINK = re.compile(r"(?:link:|xref:|https?://|mailto:)[^\s\[\]]{1,500}\[([^\[\]]{0,300})\]|<<[^<>,]{1,200}(?:,\s*([^<>]{1,200}))?>>")  # fmt: skip  # noqa: E501
_ADOC_IMAGE = re.compile(r"image::?[^\s\[\]]{1,500}\[[^\[\]]{0,500}\]")
_ADOC_ADMONITION = re.compile(r"(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION):\s+")
_ADOC_DROP = re.compile(r"\s*(?:\[[^\[\]]{0,300}\]|//.*|:[!\w][^:]{0,80}:.*|(?:include|toc|ifdef|ifndef|endif)::.*|\+|'''|<<<|\*\*\*\*+|====+|____+)")  # fmt: skip  # noqa: E501
_ADOC_CODE = re.compile(r"(-{4,}|\.{4,}|`{3,})[\w-]{0,20}")
_ADOC_TABLE = re.compile(r"[|,:!]={3,}")
_ADOC_ATTRIBUTE = re.compile(r"\[(?:cols|options|%header|%autowidth|width)")
_ADOC_CELL = re.compile(r"(?:\d{0,2}(?:\.\d{1,2})?[+*])?[<^>]{0,2}[aehlmsv]?\|")

_ORG_HEADING = re.compile(r"(\*{1,8})\s+(?:(?:TODO|DONE)\s+)?(.*?)(?:\s+:[\w:@]{1,60}:)?\s*")
_ORG_TITLE = re.compile(r"#\+title:\s*(.*)", re.IGNORECASE)
_ORG_BEGIN = re.compile(r"\s*#\+begin_(src|example|comment|export)", re.IGNORECASE)
_ORG_END = re.compile(r"\s*#\+end_", re.IGNORECASE)
_ORG_LINK = re.compile(r"\[\[[^\[\]]{1,500}\](?:\[([^\[\]]{1,300})\])?\]")
_ORG_MARKS = re.compile(r"(?<!\w)[*/_=~+](?=\S)|(?<=\S)[*/_=~+](?!\w)")
_ORG_DRAWER = re.compile(r"\s*:[A-Za-z_]{2,20}:\s*")
_ORG_TERM = re.compile(r"(.{1,100}?)\s+::\s+")


@dataclass
class _Page:
    """The paragraph, list and table that are open."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    size: int = 0
    bullet: bool = False
    indents: list[int] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    in_table: bool = False

    def close(self) -> Iterator[Block]:
        """End the paragraph."""
        lines, self.lines, self.size = self.lines, [], 0
        if lines and any(text for _, text in lines):
            yield Block("bullet" if self.bullet else "prose", tuple(lines), nesting=len(self.indents))
        self.bullet = False

    def add(self, line: int, text: str) -> Iterator[Block]:
        """Continue the paragraph; one that never ends is cut."""
        if self.size > MAX_PARAGRAPH or len(self.lines) > 200:
            yield from self.close()
        self._append(line, text)

    def _append(self, line: int, text: str) -> None:
        self.lines.append((line, text))
        self.size += len(text)

    def head(self, line: int, level: int, words: str) -> Iterator[Block]:
        yield from self.close()
        self.indents, self.in_table = [], False
        if words:
            yield Block("heading", ((line, words),), level=level)

    def item(self, line: int, indent: int, text: str) -> Iterator[Block]:
        """Begin a bullet."""
        yield from self.close()
        self.outdent(indent)
        if len(self.indents) < _MAX_NESTING:
            self.indents.append(indent)
        self.bullet = True
        self._append(line, text)

    def outdent(self, indent: int) -> None:
        """Leave the list items that what has this indentation does not belong to."""
        while self.indents and self.indents[-1] >= indent:
            self.indents.pop()

    def row(self, line: int, cells: list[str]) -> Iterator[Block]:
        """Yield a row of a table, of which the first is the header."""
        yield from self.close()
        if not self.in_table:
            self.in_table, self.header = True, []
        if block := row(line, self.header, cells):
            yield block
        if not self.header:
            self.header = cells

    def code(self, line: int, text: str) -> Iterator[Block]:
        yield from self.close()
        yield Block("code", ((line, text.strip()),), nesting=len(self.indents))


def _plain(text: str) -> str:
    text = _ROLE.sub(r"\1", _RST_LINK.sub(r"\1", without_links(text)))
    return clean(unescape(without_emphasis(_TAG.sub(" ", text)))).strip()


def blocks(text: str) -> Iterator[Block]:
    """Read plain text in the habits of Markdown and reStructuredText."""
    page = _Page()
    lines = [line[:MAX_LINE].rstrip() for line in text.split("\n")]
    fence = ""
    code_indent: int | None = None
    after_blank = True
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if fence:
            if stripped.startswith(fence):
                fence = ""
            elif stripped:
                yield from page.code(number, line)
            continue
        if found := _FENCE.match(line):
            yield from page.close()
            fence = found[1][:3]
            continue
        if not stripped:
            yield from page.close()
            after_blank, page.in_table = True, False
            continue
        if code_indent is not None and indent > code_indent:
            yield from page.code(number, line)
            continue
        code_indent = None
        if _DIRECTIVE.match(line) or _UNDERLINE.fullmatch(stripped) or _RULE.fullmatch(stripped):
            after_blank = True
            continue
        following = lines[number].strip() if number < len(lines) else ""
        if title := _title(line, following, after_blank):
            yield from page.head(number, *title)
        elif stripped.startswith("|") or stripped.count(" | ") >= 2:
            if not re.fullmatch(r"[\s|:+=-]*", stripped):
                yield from page.row(number, [_plain(cell) for cell in stripped.strip("|").split("|")])
        elif stripped.startswith("+") and re.fullmatch(r"[+=-]*", stripped):
            continue
        elif bullet := _BULLET.fullmatch(line):
            yield from page.item(number, len(bullet[1]), _plain(bullet[2]))
        elif after_blank and indent >= 4 and not page.indents and not reads_as_prose(" ".join(_run(lines, number - 1))):
            yield from page.code(number, line)
            continue
        else:
            if after_blank:
                yield from page.close()
                page.outdent(indent)
            yield from page.add(number, _plain(line))
        if stripped.endswith("::"):
            code_indent = indent
        after_blank = False
    yield from page.close()


def _run(lines: list[str], at: int) -> Iterator[str]:
    """Yield the lines of the paragraph that begins at a line, as many as are looked at."""
    for line in lines[at : at + 8]:
        if not line.strip():
            return
        yield line.strip()


def _title(line: str, following: str, after_blank: bool) -> tuple[int, str] | None:
    """Return level and words if the line is a heading."""
    if atx := _ATX.fullmatch(line):
        return len(atx[1]), _plain(atx[2])
    words = line.strip()
    if line.startswith((" ", "\t", "|", "+")) or len(words.split()) > HEADING_WORDS:
        return None
    if _UNDERLINE.fullmatch(following) and len(following) >= max(3, len(words) * 0.6):
        return "=-~^\"'+*#.:_".index(following[0]) + 1, _plain(words)
    if after_blank and not following:
        if numbered := _NUMBERED.fullmatch(words):
            return 2 + numbered[1].count("."), words
        if words.isupper() and len(words) > 3 and words.isascii() and not words.endswith((".", "!")):
            return 2, words
        if (bold := _BOLD.fullmatch(words)) and is_bold_heading(bold[1]):
            return MINOR, bold[1]
    return None


def asciidoc_blocks(text: str) -> Iterator[Block]:
    """Read AsciiDoc."""
    page = _Page()
    fence = ""
    cells: list[str] = []
    columns = 0
    table_line = 0
    in_table = False
    after_blank = True
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw[:MAX_LINE].rstrip()
        stripped = line.strip()
        if fence:
            if stripped == fence:
                fence = ""
            elif stripped:
                yield from page.code(number, line)
            continue
        if _ADOC_TABLE.fullmatch(stripped):
            yield from page.close()
            if in_table and cells:
                yield from page.row(table_line, cells)
            in_table, page.in_table, cells, columns = not in_table, False, [], 0
            continue
        if in_table:
            if not stripped:
                if cells and not columns:
                    columns = len(cells)
                    yield from page.row(table_line, cells)
                    cells = []
                continue
            parts = [_asciidoc(cell) for cell in _ADOC_CELL.split(stripped)]
            if stripped.startswith("|") or _ADOC_CELL.match(stripped):
                table_line = table_line if cells else number
                cells += parts[1:]
                if not columns and len(parts) > 2:
                    columns = len(parts) - 1
            elif cells:
                cells[-1] = f"{cells[-1]} {stripped}"
            while columns and len(cells) >= columns:
                yield from page.row(table_line, cells[:columns])
                cells = cells[columns:]
            continue
        if found := _ADOC_CODE.fullmatch(stripped):
            yield from page.close()
            fence = found[1]
            continue
        if not stripped:
            yield from page.close()
            after_blank = True
            continue
        if _ADOC_DROP.fullmatch(line):
            yield from page.close()
            after_blank = after_blank or stripped != "+"
            continue
        if found := _ADOC_HEADING.fullmatch(line):
            yield from page.head(number, len(found[1]), _asciidoc(found[2]))
        elif re.fullmatch(r"\.[A-Z].{0,100}", line):
            yield from page.head(number, MINOR, _asciidoc(line[1:]))
        elif found := _ADOC_BULLET.fullmatch(line):
            yield from page.item(number, len(found[1]) if found[1][0] in "*." else 1, _asciidoc(found[2]))
        elif (found := _ADOC_TERM.fullmatch(line)) and "http" not in found[1]:
            yield from page.item(number, 1, _asciidoc(f"{found[1]}: {found[2] or ''}".strip()))
        elif after_blank and line.startswith(" ") and not page.indents:
            yield from page.code(number, line)
        else:
            if after_blank:
                page.indents = []
            yield from page.add(number, _asciidoc(_ADOC_ADMONITION.sub("", stripped)))
        after_blank = False
    yield from page.close()


def _asciidoc(text: str) -> str:
    text = _ADOC_LINK.sub(lambda found: found[1] or found[2] or "", _ADOC_IMAGE.sub("", text))
    text = text.removesuffix(" +")
    return clean(unescape(without_emphasis(_TAG.sub(" ", text)))).replace("#", "").strip()


def org_blocks(text: str) -> Iterator[Block]:
    """Read an Org file."""
    page = _Page()
    inside = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw[:MAX_LINE].rstrip()
        stripped = line.strip()
        if inside:
            if _ORG_END.match(line):
                inside = ""
            elif stripped and inside in ("src", "example"):
                yield from page.code(number, line)
        elif found := _ORG_BEGIN.match(line):
            yield from page.close()
            inside = found[1].lower()
        elif not stripped:
            yield from page.close()
            page.in_table = False
        elif found := _ORG_HEADING.fullmatch(line):
            yield from page.head(number, len(found[1]) + 1, _org(found[2]))
        elif found := _ORG_TITLE.fullmatch(stripped):
            yield from page.head(number, 1, _org(found[1]))
        elif stripped.startswith("#+") or re.match(r"#(?:\s|$)", stripped) or _ORG_DRAWER.fullmatch(line):
            yield from page.close()
        elif stripped.startswith(": "):
            yield from page.code(number, stripped[2:])
        elif stripped.startswith("|"):
            if not re.fullmatch(r"[|+-]*", stripped):
                yield from page.row(number, [_org(cell) for cell in stripped.strip("|").split("|")])
        elif bullet := _BULLET.fullmatch(line):
            yield from page.item(number, len(bullet[1]), _org(_ORG_TERM.sub(r"\1: ", bullet[2], count=1)))
        else:
            if not page.lines:
                page.outdent(len(line) - len(line.lstrip()))
            yield from page.add(number, _org(stripped))
    yield from page.close()


def _org(text: str) -> str:
    text = _ORG_LINK.sub(lambda found: found[1] or "", text)
    return clean(unescape(_ORG_MARKS.sub("", text))).strip()
