"""HTML, as documents of its own and as parts of Markdown.

Owns: what tags mean for a document. Must not: order the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from envagent.repository.documents.sentence import (
    MAX_CELLS,
    MAX_LINE,
    MINOR,
    Block,
    clean,
    fill,
    is_bold_heading,
    row,
    without_emphasis,
    without_links,
)

_MAX_SPAN = 40
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# A tag that ends; any other sign is text, so that no search for an end runs to the end of the file.
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]*(?:[\s/](?:[^<>\"']|\"[^\"<>]*+\"|'[^'<>]*+')*+)?>")
_SIGN = re.compile(r"<")
_ALT = re.compile(r"!\[([^\[\]]{1,200})\]|\balt=[\"']([^\"'<>]{1,200})[\"']")
STRUCK = frozenset(["del", "s", "strike"])
BOLD = frozenset(["b", "strong"])
_SILENT = frozenset(["script", "style", "svg", "button", "nav", "noscript", "template", "title", "iframe", "video"])
# Tags that stand inside a word or next to it.
INLINE = frozenset(["a", "b", "strong", "big", "code", "em", "font", "i", "kbd", "mark", "small", "span", "tt", "u", "wbr"])  # fmt: skip  # noqa: E501
_ITEMS = frozenset(["li", "dt", "dd"])
_LISTS = frozenset(["ul", "ol", "dl", "menu"])
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
_VOID = frozenset(["br", "img", "hr", "wbr", "input", "col", "meta", "link", "source"])


def blocks(text: str) -> Iterator[Block]:
    """Read a page."""
    yield from read("\n".join(line[:MAX_LINE] for line in text.split("\n")), 0, 0)


def read(text: str, offset: int, nesting: int) -> list[Block]:
    """Read HTML whose first line follows `offset` other lines, inside `nesting` list items."""
    reader = _Reader(offset, nesting)
    reader.feed(_sound(text))
    reader.close()
    reader.end()
    return reader.found


def picture(text: str) -> str:
    """Return the words in place of the first picture, in Markdown or HTML."""
    found = _ALT.search(text)
    return (found[1] or found[2]).strip() if found else ""


def _sound(text: str) -> str:
    """Escape every sign that begins no tag, and drop comments and declarations, keeping the number of lines."""
    text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    kept: list[str] = []
    at = 0
    for sign in _SIGN.finditer(text):
        if sign.start() < at:
            continue
        kept.append(text[at : sign.start()])
        tag = _TAG.match(text, sign.start())
        kept.append(tag[0] if tag else "&lt;")
        at = tag.end() if tag else sign.end()
    kept.append(text[at:])
    return "".join(kept)


def _plain(text: str) -> str:
    """Strip the marks of Markdown that stand in HTML."""
    return clean(without_emphasis(without_links(text)))


class _Table:
    """The rows of a table, with cells that span several of them."""

    def __init__(self) -> None:
        self.header: list[str] = []
        self.cells: list[str] = []
        self.heads = 0
        self.in_head = False
        self.line = 1
        self.rows = 0
        self.hanging: dict[int, tuple[int, str]] = {}

    def add(self, text: str, columns: int, rows: int, *, head: bool) -> None:
        fill(self.cells, self.hanging)
        self.heads += head
        for _ in range(min(columns, MAX_CELLS - len(self.cells))):
            if rows > 1:
                self.hanging[len(self.cells)] = rows - 1, text
            self.cells.append(text)

    def end_row(self) -> Block | None:
        if not self.cells:
            return None
        fill(self.cells, self.hanging)
        cells, self.cells = self.cells, []
        is_header = bool(cells) and (self.in_head or self.heads == len(cells) or not self.rows)
        self.heads = 0
        if not any(cells):
            return None
        # A first row of numbers is one of values, in a table without a header.
        if is_header and not self.in_head and any(_is_value(cell) for cell in cells[1:]):
            is_header = False
        self.rows += 1
        if is_header:
            self.header = cells
            return row(self.line, [], cells)
        return row(self.line, self.header, cells)


def _is_value(cell: str) -> bool:
    return re.match(r"\W{0,3}\d", cell) is not None


class _Reader(HTMLParser):
    def __init__(self, offset: int, nesting: int) -> None:
        super().__init__(convert_charrefs=True)
        self.before, self.nesting = offset, nesting
        self.found: list[Block] = []
        self.text: list[tuple[int, str]] = []
        self.heading: int | None = None
        self.alt = ""
        self.table: _Table | None = None
        """The table that is open; one inside a cell of it is text."""
        self.span = 1, 1
        self.in_cell = ""
        self.bullet = False
        self.items = 0
        self.bold = 0
        self.plain = False
        self.silent = ""
        self.silent_depth = 0
        self.struck = 0
        self.code = 0

    # The parser's own events.

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.silent:
            self.silent_depth += tag == self.silent
        elif tag in _SILENT:
            self.silent, self.silent_depth = tag, 1
        elif tag == "br":
            self.text.append((self.getpos()[0] + self.before, "\n"))
        elif tag == "img":
            self.alt = self.alt or next((value or "" for name, value in attrs if name == "alt"), "")[:200]
        elif tag in STRUCK:
            self.struck += 1
        elif tag in BOLD:
            self.bold += 1
        elif tag in ("table", "thead", "tr", "td", "th"):
            self._start_table(tag, dict(attrs))
        elif tag in _HEADINGS or tag in ("summary", "details", "pre", "p", "div", "hr", "blockquote"):
            self._start_block(tag)
        elif tag in _ITEMS:
            self._flush()
            self.bullet = tag != "dd"
            self.items = max(1, self.items)
        elif tag in _LISTS:
            self._flush()
            self.items = min(20, self.items + 1)
        elif tag not in INLINE:
            self._add(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self.handle_starttag(tag, attrs)
        elif tag not in INLINE:
            # A component, not HTML.
            self._add(" ")

    def handle_endtag(self, tag: str) -> None:
        if self.silent:
            self.silent_depth -= tag == self.silent
            if self.silent_depth <= 0:
                self.silent = ""
        elif tag in STRUCK:
            self.struck = max(0, self.struck - 1)
        elif tag in BOLD:
            self.bold = max(0, self.bold - 1)
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in ("tr", "thead", "table"):
            self._end_table(tag)
        elif tag == "details":
            self._flush()
            self.found.append(Block("heading", (), scope="close"))
        elif tag in _LISTS:
            self._flush()
            self.items = max(0, self.items - 1)
        elif tag in _HEADINGS or tag in _ITEMS or tag in ("summary", "pre", "p", "div", "blockquote"):
            self._flush()
            if tag == "pre":
                self.code = 0
        elif tag not in INLINE:
            self._add(" ")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self._add(data)

    def end(self) -> None:
        """Close what the text leaves open."""
        self._end_table("table")
        self._flush()

    # Blocks.

    def _start_block(self, tag: str) -> None:
        self._flush()
        if tag in _HEADINGS:
            self.heading = int(tag[1])
        elif tag == "summary":
            self.heading = 0
        elif tag == "details":
            self.found.append(Block("heading", (), scope="open"))
        elif tag == "pre":
            self.code = 1

    def _add(self, data: str) -> None:
        if self.struck:
            return
        line = self.getpos()[0] + self.before
        for number, piece in enumerate(data.split("\n")):
            if piece.strip() or (piece and self.text):
                self.text.append((line + number, piece if number == 0 else f" {piece}"))
            elif number and self.text:
                self.text.append((line + number, " "))
            if piece.strip(" :") and not self.bold:
                self.plain = True

    def _lines(self) -> list[tuple[int, str]]:
        """Join the pieces of text by their lines."""
        lines: list[tuple[int, str]] = []
        for line, piece in self.text:
            if piece == "\n":
                if lines and not lines[-1][1].endswith("\n"):
                    lines[-1] = lines[-1][0], f"{lines[-1][1].rstrip()}\n"
            elif lines and (lines[-1][0] == line and not lines[-1][1].endswith("\n")):
                lines[-1] = line, lines[-1][1] + piece
            else:
                lines.append((line, piece))
        kept = ((line, _plain(text).strip(" ") if text.strip() else "") for line, text in lines)
        return [(line, text) for line, text in kept if text.strip()]

    def _flush(self) -> None:
        """End the paragraph, or the line of a cell."""
        if self.table is not None:
            if self.text and self.in_cell:
                self.text.append((0, "\n"))
            return
        code = self.code
        raw = self.text
        lines = [] if code else self._lines()
        bold = not self.plain
        heading, self.heading = self.heading, None
        alt, self.alt = self.alt, self.alt if heading is None else ""
        self.text, self.plain = [], False
        if code:
            self._flush_code(raw)
            return
        nesting = self.nesting + self.items
        if heading is not None:
            words = " ".join(text.strip() for _, text in lines) or clean(alt).strip()
            if words:
                line = lines[0][0] if lines else self.getpos()[0] + self.before
                self.found.append(Block("heading", ((line, words),), level=heading, nesting=nesting))
        elif lines and len(lines) == 1 and bold and not nesting and is_bold_heading(lines[0][1].strip(" :：\n")):
            self.found.append(Block("heading", ((lines[0][0], lines[0][1].strip()),), level=MINOR))
        elif lines:
            self.found.append(Block("bullet" if self.bullet else "prose", tuple(lines), nesting=nesting))
            self.bullet = False

    def _flush_code(self, raw: list[tuple[int, str]]) -> None:
        joined: dict[int, str] = {}
        for line, piece in raw:
            joined[line] = joined.get(line, "") + piece
        for line, text in joined.items():
            if text.strip():
                self.found.append(Block("code", ((line, text.strip()),), nesting=self.nesting + self.items))

    # Tables.

    def _start_table(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "table":
            if self.table is None:
                self._flush()
                self.table = _Table()
            return
        table = self.table = self.table or _Table()
        self._end_cell()
        if tag == "thead":
            table.in_head = True
        elif tag == "tr":
            self._end_row(table)
            table.line = self.getpos()[0] + self.before
        else:
            self.in_cell = tag
            self.span = _number(attributes.get("colspan")), _number(attributes.get("rowspan"))
            if not table.cells:
                table.line = self.getpos()[0] + self.before

    def _end_cell(self) -> None:
        if self.table is None:
            return
        if self.in_cell:
            text = "; ".join(text.strip() for text in " ".join(t for _, t in self._lines()).split("\n") if text.strip())
            self.table.add(text, *self.span, head=self.in_cell == "th")
            self.in_cell = ""
        self.text = []

    def _end_row(self, table: _Table) -> None:
        if block := table.end_row():
            self.found.append(block)

    def _end_table(self, tag: str) -> None:
        if self.table is None:
            return
        self._end_cell()
        self._end_row(self.table)
        if tag == "thead":
            self.table.in_head = False
        elif tag == "table":
            self.table = None
            self.plain = False


def _number(text: str | None) -> int:
    return min(_MAX_SPAN, max(1, int(text))) if text and re.fullmatch(r"\d{1,4}", text) else 1
