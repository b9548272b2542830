"""Markdown, as GitHub shows it, and the additions of common site generators.

Owns: what the parser's tokens mean for a document. Must not: order the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from envagent.repository.documents import hypertext
from envagent.repository.documents.sentence import (
    HEADING_WORDS,
    MAX_LINE,
    MAX_PARAGRAPH,
    MINOR,
    TYPED_BULLET,
    Block,
    clean,
    cut,
    is_bold_heading,
    reads_as_prose,
    row,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MAX_DEPTH = 3
_TABLE_LINES = 400

_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:(?!---|\.\.\.).*\n){0,400}(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_ALERT = re.compile(r"\[!\w{1,20}\][ \t]*")
_TASK = re.compile(r"\[[ xX]\]\s+")
_ANCHOR = re.compile(r"\s*\{#[^{}]{1,80}\}$")
_CONTAINER = re.compile(r"[ \t]{0,12}:{3,}")
_TAB = re.compile(r"([ \t]{0,12})(?:!!!|\?\?\?\+?|===\+?)[ \t]+(?:([\w-]{1,30})[ \t]*)?(?:\"([^\"]{0,120})\")?[ \t]*")
_DIRECTIVE = re.compile(r"\{(?!code|eval|literalinclude|math|figure|image|toctree|include|raw)[\w:-]{1,40}\}")
_DEFINITION = re.compile(r"[ \t]{0,3}:[ \t]+")
_STRUCTURE = re.compile(r"</?(?:table|tr|td|th|h[1-6]|summary|details|li|ul|ol|dl|dt|dd|p|div|pre)\b", re.IGNORECASE)
_BELOW_TAG = re.compile(r"[ \t]{0,3}(?:\|.*\||[-*+] |\d{1,2}\. |#{1,6} |```|\*\*)")
_OPEN_TAG = re.compile(r"<(?:table|pre|ul|ol|script|style)\b", re.IGNORECASE)
_KEYED = re.compile(r"[A-Z][\w /()-]{0,30}: ")
_TAG_NAME = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")


def blocks(text: str) -> Iterator[Block]:
    """Read a document."""
    yield from _blocks(_prepared(text), 0, 0, 0)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # The text of each paragraph is parsed on its own, so that its length is bounded.
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("inline")


def _prepared(text: str) -> str:
    """Drop what does not belong to the document, and undo what would be misread, line for line."""
    if text.startswith("---") and (front := _FRONT_MATTER.match(text)):
        text = "\n" * front[0].count("\n") + text[front.end() :]
    # A comment of many lines becomes one of a line each, since a blank line in it would end the HTML around it.
    text = "".join(_without_comments(text))
    lines = [TYPED_BULLET.sub(r"\1- ", line[:MAX_LINE]) for line in text.split("\n")]
    return "\n".join(_joined_tables(_without_containers(lines)))


def _without_comments(text: str) -> Iterator[str]:
    at = 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin)) >= 0:
        yield text[at:begin]
        yield "<!-- -->" + "\n<!-- -->" * text.count("\n", begin, end)
        at = end + 3
    yield text[at:]


def _without_containers(lines: list[str]) -> Iterator[str]:
    """Make paragraphs of the bodies of `::: note`, `!!! note` and `=== "Tab"`."""
    inside: int | None = None
    fenced = False
    for number, line in enumerate(lines):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if inside is not None and line.strip() and len(line) - len(line.lstrip()) <= inside:
            inside = None
        if inside is not None:
            line = line[:inside] + line[inside + 4 :]
        elif not fenced and line.lstrip().startswith(("!!!", "???", "===")):
            following = lines[number + 1] if number + 1 < len(lines) else ""
            following = following or (lines[number + 2] if number + 2 < len(lines) else "")
            indent = len(line) - len(line.lstrip())
            found = _TAB.fullmatch(line)
            if found and (found[2] or found[3]) and following.startswith(" " * (indent + 4)):
                inside = indent
                line = f"{found[1]}**{found[3]}**" if found[3] else ""
        elif not fenced and _CONTAINER.match(line):
            line = ""
        yield line


def _joined_tables(lines: Iterator[str]) -> Iterator[str]:
    """Fill blank lines within HTML tables, which would end them for the parser."""
    kept = list(lines)
    at = 0
    while at < len(kept):
        if "<table" in kept[at].lower():
            end = next((n for n in range(at, min(len(kept), at + _TABLE_LINES)) if "</table" in kept[n].lower()), at)
            for number in range(at, end):
                yield kept[number] if kept[number].strip() else "<wbr>"
            at = max(end, at + (end == at) - 1)
            yield kept[at]
        else:
            yield kept[at]
        at += 1


def _blocks(text: str, offset: int, nesting: int, depth: int) -> Iterator[Block]:
    env: dict[str, object] = {}
    walk = _Walk(env, offset, nesting, depth)
    for token in _parser().parse(text, env):
        yield from walk.blocks(token)


class _Walk:
    """Turns tokens to blocks, one after the other."""

    def __init__(self, env: dict[str, object], offset: int, nesting: int, depth: int) -> None:
        self.env, self.offset, self.nesting, self.depth = env, offset, nesting, depth
        self.item_begins = False
        self.heading: Token | None = None
        self.header: list[str] = []
        self.cells: list[str] | None = None
        self.row_line = 1

    def blocks(self, token: Token) -> Iterator[Block]:
        kind = token.type
        first = token.map[0] + 1 + self.offset if token.map else self.row_line
        if kind == "inline":
            yield from self._text(token.content, first)
        elif kind == "heading_open":
            self.heading = token
        elif kind == "heading_close":
            self.heading = None
        elif kind == "list_item_open":
            self.nesting += 1
            self.item_begins = True
        elif kind == "list_item_close":
            self.nesting -= 1
            self.item_begins = False
        elif kind in ("fence", "code_block"):
            yield from self._code(token, first)
        elif kind == "html_block":
            yield from self._html(token.content, first)
        else:
            yield from self._table(kind, first)

    def _html(self, content: str, first: int) -> Iterator[Block]:
        """Read HTML, and the Markdown that begins right below a tag, where GitHub wants a blank line."""
        lines = content.split("\n")
        number = next((n for n, line in enumerate(lines) if n and _BELOW_TAG.match(line)), 0)
        above = "\n".join(lines[:number])
        mixed = number and self.depth < _MAX_DEPTH and above.rstrip().endswith(">") and not _OPEN_TAG.search(above)
        for block in hypertext.read(above if mixed else content, first - 1, self.nesting):
            yield self._begun(block)
        if mixed:
            text = "\n".join(lines[number:])
            yield from _blocks(text, first - 1 + number, self.nesting, self.depth + 1)

    def _table(self, kind: str, first: int) -> Iterator[Block]:
        if kind == "table_open":
            self.header = []
        elif kind == "tr_open":
            self.cells = []
            self.row_line = first
        elif kind == "tr_close" and self.cells is not None:
            if block := row(self.row_line, self.header, self.cells):
                yield block
            if not self.header:
                self.header = self.cells
            self.cells = None

    def _begun(self, block: Block) -> Block:
        """Make a bullet of the first paragraph of a list item."""
        if self.item_begins and block.kind == "prose" and block.lines:
            self.item_begins = False
            return Block("bullet", block.lines, nesting=block.nesting)
        return block

    def _code(self, token: Token, first: int) -> Iterator[Block]:
        self.item_begins = False
        if token.type == "fence" and self.depth < _MAX_DEPTH and _DIRECTIVE.match(token.info):
            yield from _blocks(token.content, first, self.nesting, self.depth + 1)
            return
        if token.type == "code_block" and reads_as_prose(" ".join(token.content.split())):
            yield from self._text(token.content.strip(), first)
            return
        begin = first + (token.type == "fence")
        for number, line in enumerate(token.content.split("\n"), begin):
            if line.strip():
                yield Block("code", ((number, line.strip()),), nesting=self.nesting)

    def _text(self, content: str, first: int) -> Iterator[Block]:
        if self.cells is not None:
            self.cells.append(
                " ".join(text for _, text in self._inline(content[:MAX_LINE], first)[0]).replace("\n", "; ")
            )
            return
        if "<" in content and _STRUCTURE.search(content):
            yield from (self._begun(block) for block in hypertext.read(content, first - 1, self.nesting))
            return
        content = _ALERT.sub("", content, count=1) if content.startswith("[!") else content
        lines: list[tuple[int, str]] = []
        bold = False
        line = first
        for part in _parts(content):
            found, bold_part = self._inline(part, line)
            bold = bold if lines else bold_part
            lines += found
            line += part.count("\n")
        if self.heading is not None:
            yield from self._headed(self.heading, lines or [(first, hypertext.picture(content))])
        else:
            yield from self._paragraph(lines, bold=bold)

    def _headed(self, heading: Token, lines: list[tuple[int, str]]) -> Iterator[Block]:
        words = " ".join(text.strip() for _, text in lines).strip()
        words = _ANCHOR.sub("", words)
        if not words:
            return
        # A line below a paragraph makes a heading of it, where most often a rule was meant.
        if heading.markup in ("-", "=") and (len(words.split()) > HEADING_WORDS or len(lines) > 2):
            yield from self._paragraph(lines, bold=False)
            return
        yield Block("heading", ((lines[0][0], words),), level=int(heading.tag[1]), nesting=self.nesting)

    def _paragraph(self, lines: list[tuple[int, str]], *, bold: bool) -> Iterator[Block]:
        """Yield a paragraph, whose first line may be bold as a whole."""
        if bold and not self.nesting and is_bold_heading(lines[0][1].strip(" :：\n")):
            yield Block("heading", ((lines[0][0], lines[0][1].strip()),), level=MINOR)
            lines = lines[1:]
        if len(lines) > 1 and all(_KEYED.match(text) for _, text in lines):
            lines = [(line, text if text.endswith("\n") else f"{text}\n") for line, text in lines]
        term = None
        for number, (_, text) in enumerate(lines):
            if number and _DEFINITION.match(text) and not self.nesting:
                term = number
                break
        if term is not None:
            yield Block("bullet", tuple(lines[:term]), nesting=1)
            yield Block("prose", tuple((line, _DEFINITION.sub("", text)) for line, text in lines[term:]), nesting=1)
            return
        if self.item_begins and lines:
            lines[0] = lines[0][0], _TASK.sub("", lines[0][1], count=1)
        if any(text.strip() for _, text in lines):
            yield self._begun(Block("prose", tuple(lines), nesting=self.nesting))

    def _inline(self, content: str, first: int) -> tuple[list[tuple[int, str]], bool]:
        """Return the lines of a text without its markup, and whether the first is bold as a whole."""
        children: list[Token] = []
        _parser().inline.parse(content, _parser(), self.env, children)
        return _Inline(content, first).read(children)


def _parts(content: str) -> Iterator[str]:
    """Cut a text that is too long for one paragraph at the ends of lines."""
    while content:
        part = cut(content, MAX_PARAGRAPH)
        yield part
        content = content[len(part) :]


class _Inline:
    """The text of inline tokens, line by line."""

    def __init__(self, content: str, first: int) -> None:
        self.flat = content.replace("\n", " ")
        self.content = content
        self.at = 0
        self.line = first
        self.lines: list[tuple[int, str]] = []
        self.open: list[str] = []
        self.struck = 0
        self.bold = 0
        self.plain = False
        """Whether the first line has text that is not bold."""

    def read(self, children: list[Token]) -> tuple[list[tuple[int, str]], bool]:
        link = ""
        for child in children:
            kind = child.type
            if kind in ("text", "text_special"):
                self._add(child.content)
            elif kind in ("softbreak", "hardbreak"):
                self._end("\n" if kind == "hardbreak" else "")
                self.line += 1
            elif kind == "code_inline":
                self._add(child.content)
                self._skip(child.content)
            elif kind == "html_inline":
                self._tag(child.content)
            elif kind == "image":
                self.line += child.content.count("\n")
            elif kind in ("s_open", "s_close"):
                self.struck += child.nesting
            elif kind in ("strong_open", "strong_close"):
                self.bold += child.nesting
            elif kind == "link_open":
                link = child.markup
            if link == "autolink" and kind == "text":
                # An address in angle brackets says nothing.
                self.open.pop()
                link = ""
        self._end("")
        return self.lines, bool(self.lines) and not self.plain

    def _add(self, text: str) -> None:
        if text and not self.struck:
            self.open.append(text)
            if not self.bold and not self.lines and text.strip(" :："):
                self.plain = True

    def _end(self, mark: str) -> None:
        text = clean("".join(self.open)).strip()
        if text or mark:
            self.lines.append((self.line, text + mark))
        elif not self.lines:
            self.plain = False
        self.open = []

    def _tag(self, tag: str) -> None:
        self.line += tag.count("\n")
        if (found := _TAG_NAME.match(tag)) is None:
            return
        step = -1 if found[1] else 1
        name = found[2].lower()
        if name == "br":
            self._end("\n")
        elif name in hypertext.STRUCK:
            self.struck = max(0, self.struck + step)
        elif name in hypertext.BOLD:
            self.bold = max(0, self.bold + step)
        elif name not in hypertext.INLINE and not self.struck:
            self.open.append(" ")

    def _skip(self, code: str) -> None:
        """Count the lines that a piece of code spans, which its token does not show."""
        if "\n" not in self.content:
            return
        begin = self.flat.find(code, self.at)
        if begin >= 0:
            self.at = begin + len(code)
            self.line += self.content.count("\n", begin, self.at)
