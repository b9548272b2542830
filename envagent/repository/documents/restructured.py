"""reStructuredText, read with docutils, and the directives of Sphinx.

Owns: what the nodes of a parsed document mean, and settings under which a document includes, runs and sends nothing.
Must not: order the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from envagent.repository.documents import plain
from envagent.repository.documents.sentence import (
    MAX_LINE,
    MINOR,
    TYPED_BULLET,
    Block,
    clean,
    cut,
    fill,
    is_bold_heading,
    row,
)

if TYPE_CHECKING:
    from docutils import nodes

_MAX_TEXT = 200_000
_MAX_NESTING = 60
# Markup in one paragraph that docutils may search to its end for each sign.
_MAX_PARAGRAPH = 12_000
_MAX_SIGNS = 1500
_MAX_ALL_SIGNS = 16_000
_MAX_LINES = 6000
_MAX_COLUMNS = 80
_RULER = re.compile(r"\s*=[= ]{20,}|\s*[+][-=+]{20,}")
_SIGNS = re.compile(r"[*`|_\[]")
_ROLE = re.compile(
    r"(?<![\w:`]):(?:[\w+.-]{1,30}:){1,3}`(?:([^`<>\n]{1,200})\s<[^`<>\n]{1,300}>|[~!]?([^`\n]{1,300}))`"
)
_DIRECTIVE = re.compile(r"([ \t]*)\.\. ([A-Za-z][\w:.-]{0,40})::[ \t]*(.*)")
_OPTION = re.compile(r"[ \t]+:[\w -]{1,40}:")
_KNOWN = frozenset([
    "admonition", "attention", "caution", "class", "compound", "container", "contents",
    "csv-table", "danger", "epigraph", "error", "figure", "header", "footer", "highlights", "hint", "image",
    "important", "line-block", "list-table", "note", "parsed-literal", "pull-quote", "replace", "rubric", "sectnum",
    "sidebar", "table", "tip", "topic", "unicode", "warning",
])  # fmt: skip
# Their options are those of Sphinx.
_CODE = frozenset([
    "code", "code-block", "code-cell", "console", "ipython", "jupyter-execute", "prompt", "shell", "sourcecode",
    "terminal",
])  # fmt: skip
_TITLED = re.compile(r"(?:group-|c)?tab(?:-item)?|dropdown|collapse|card|details|toggle|grid-item-card")
_NO_TEXT = re.compile(
    r"toctree|auto\w+|raw|include|literalinclude|index|graphviz|mermaid|plot|bibliography|meta|date|role|default-role|"
    r"title|target-notes|highlight|currentmodule|module|math|image|video|youtube|uml|only-rendered|restructuredtext-\S+"
)
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "sectsubtitle_xform": False,
    "sectnum_xform": False,
    "smart_quotes": False,
    "syntax_highlight": "none",
    "line_length_limit": MAX_LINE,
    "warning_stream": False,
    "traceback": True,
}


def blocks(text: str) -> list[Block]:
    """Read a document; what docutils cannot read is read as plain text."""
    text = cut(text, _MAX_TEXT)
    lines = [
        TYPED_BULLET.sub(r"\1- ", line[:MAX_LINE]).expandtabs(8) for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]
    ]
    if _is_heavy(lines):
        return list(plain.blocks(text))
    try:
        lines = list(_with_known_directives(lines))
        walk = _Walk(lines)
        walk.children(_parse("\n".join(lines)), 0)
    # A document can break a parser in many ways.
    except Exception:
        return list(plain.blocks(text))
    return walk.found


def _parse(text: str) -> nodes.document:
    from docutils.core import publish_doctree

    return publish_doctree(text, settings_overrides=_SETTINGS)


def _is_heavy(lines: list[str]) -> bool:
    """Return whether a paragraph or table has so much markup that reading it takes long."""
    size = signs = total = 0
    for line in lines:
        if not line.strip():
            size = signs = 0
            continue
        size += len(line)
        found = len(_SIGNS.findall(line))
        signs += found
        total += found
        if (size > _MAX_PARAGRAPH and signs > _MAX_SIGNS) or total > _MAX_ALL_SIGNS:
            return True
        if _RULER.fullmatch(line) and line.count("-+") + line.count("=+") + line.count(" =") > _MAX_COLUMNS:
            return True
    return False


def _with_known_directives(lines: list[str]) -> Iterator[str]:
    """Make text of directives and roles that docutils does not know, line for line."""
    # The bodies that surround a line: the indentation of each directive, how far its body moves, and whether it stays.
    around: list[tuple[int, int, bool]] = []
    options = False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            yield ""
            options = False
            continue
        while around and indent <= around[-1][0]:
            around.pop()
        if options and _OPTION.match(line):
            yield ""
            continue
        options = False
        if around and not around[-1][2]:
            yield ""
            continue
        if around and around[-1][1] < 0:
            around[-1] = around[-1][0], indent - around[-1][0], True
        shift = sum(moved for _, moved, _ in around if moved > 0)
        line = line[min(shift, indent) :]
        found = _DIRECTIVE.fullmatch(line)
        name = found[2].lower() if found else ""
        if not found or name.partition(":")[0] in _KNOWN:
            yield _ROLE.sub(lambda role: f"``{(role[1] or role[2]).strip()}``", line) if ":`" in line else line
            continue
        if name in _CODE:
            yield f"{found[1]}.. code::"
            options = True
        elif _NO_TEXT.fullmatch(name):
            around.append((indent, 0, False))
            yield ""
        else:
            around.append((indent, -1, True))
            options = True
            title = found[3].strip()
            yield f"{found[1]}**{title.strip('*')}**" if title and _TITLED.fullmatch(name) else ""


class _Walk:
    """Collects the blocks of a tree."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.found: list[Block] = []
        self.level = 0
        self.line = 1
        self.bullet = False

    def children(self, parent: nodes.Element, nesting: int) -> None:
        if nesting > _MAX_NESTING:
            return
        for node in parent.children:
            self._node(node, nesting)

    def _node(self, node: Any, nesting: int) -> None:
        name = type(node).__name__
        self.line = getattr(node, "line", None) or self.line
        if name == "section":
            self.level += 1
            self.children(node, nesting)
            self.level -= 1
        elif name in ("title", "rubric", "subtitle"):
            self._title(node, name, nesting)
        elif name in ("paragraph", "attribution", "caption"):
            self._paragraph(node, nesting)
        elif name in ("literal_block", "doctest_block"):
            self._code(node, nesting)
        elif name == "list_item":
            self._item(node, nesting)
        elif name == "definition_list_item":
            self._definition(node, nesting)
        elif name == "line_block":
            self._line_block(node, nesting)
        elif name == "table":
            self._table(node)
        elif name in ("field", "option_list_item"):
            self._field(node, nesting)
        elif name not in (
            "comment", "system_message", "substitution_definition", "image", "raw", "math_block", "target", "citation",
            "topic", "pending", "Text", "transition",
        ) or (name == "topic" and "contents" not in node.get("classes", ())):  # fmt: skip
            self.children(node, nesting)

    def _emit(self, lines: list[tuple[int, str]], nesting: int) -> None:
        if any(text.strip() for _, text in lines):
            self.found.append(Block("bullet" if self.bullet else "prose", tuple(lines), nesting=nesting))
            self.bullet = False

    def _title(self, node: Any, name: str, nesting: int) -> None:
        words = " ".join(" ".join(_text(node)).split())
        if words:
            start = words[:12]
            line = next((n for n in (self.line - 1, self.line, self.line - 2) if start in self._source(n)), self.line)
            level = self.level if name == "title" and self.level else MINOR
            self.found.append(Block("heading", ((line, clean(words)),), level=level, nesting=nesting))

    def _source(self, line: int) -> str:
        return self.lines[line - 1] if 0 < line <= len(self.lines) else ""

    def _paragraph(self, node: Any, nesting: int) -> None:
        lines = [(self.line + n, clean(text).strip()) for n, text in enumerate(_text(node))]
        content = [one for one in node.children if one.astext().strip()]
        bold = len(content) == 1 and type(content[0]).__name__ == "strong"
        if bold and not nesting and len(lines) == 1 and is_bold_heading(lines[0][1].strip(" :：")):
            self.found.append(Block("heading", tuple(lines), level=MINOR))
        else:
            self._emit([one for one in lines if one[1]], nesting)

    def _code(self, node: Any, nesting: int) -> None:
        self.bullet = False
        text = node.astext().split("\n")
        line = self.line
        # The line of a block of a directive is not that of its text.
        above = self.found[-1].line if self.found else 0
        for near in range(max(above, line - len(text) - 8) + 1, min(line + 40, len(self.lines) + 1)):
            if text[0].strip() and text[0].strip() in self._source(near):
                line = near
                break
        for number, one in enumerate(text):
            if one.strip():
                self.found.append(Block("code", ((line + number, one.strip()),), nesting=nesting))

    def _item(self, node: Any, nesting: int) -> None:
        self.bullet = True
        self.children(node, nesting + 1)
        self.bullet = False

    def _definition(self, node: Any, nesting: int) -> None:
        for part in node.children:
            if type(part).__name__ == "term":
                self.bullet = True
                self._emit([(self.line, clean(" ".join(_text(part))).strip())], nesting + 1)
            elif type(part).__name__ == "definition":
                self.bullet = False
                self.children(part, nesting + 1)

    def _field(self, node: Any, nesting: int) -> None:
        parts = [" ".join(" ".join(_text(part)).split()) for part in node.children]
        self.bullet = True
        self._emit([(self.line, clean(": ".join(part for part in parts if part)))], nesting + 1)
        self.bullet = False

    def _line_block(self, node: Any, nesting: int) -> None:
        lines: list[tuple[int, str]] = []
        for one in node.children:
            self.line = getattr(one, "line", None) or self.line
            if type(one).__name__ == "line_block":
                self._emit(lines, nesting)
                lines = []
                self._line_block(one, nesting)
            elif text := clean(" ".join(_text(one))).strip():
                lines.append((self.line, f"{text}\n"))
        self._emit(lines, nesting)

    def _table(self, node: Any) -> None:
        header: list[str] = []
        hanging: dict[int, tuple[int, str]] = {}
        for one in node.findall(lambda part: type(part).__name__ in ("row", "title")):
            if type(one).__name__ == "title":
                self._title(one, "subtitle", 0)
                continue
            cells: list[str] = []
            line = 0
            for entry in one.children:
                fill(cells, hanging)
                line = line or min((part.line for part in entry.findall() if getattr(part, "line", None)), default=0)
                text = "; ".join(" ".join(" ".join(_text(part)).split()) for part in entry.children)
                for _ in range(1 + entry.get("morecols", 0)):
                    if more := entry.get("morerows", 0):
                        hanging[len(cells)] = more, text
                    cells.append(text)
            fill(cells, hanging)
            self.line = line or self.line
            if block := row(self.line, header, cells):
                self.found.append(block)
            if type(one.parent).__name__ == "thead" or not header:
                header = cells


def _text(node: Any) -> list[str]:
    """Return the text of a node line by line, without pictures and what could not be resolved."""
    parts: list[str] = []
    _collect(node, parts)
    return "".join(parts).split("\n")


def _collect(node: Any, parts: list[str]) -> None:
    for child in node.children:
        name = type(child).__name__
        if name == "Text":
            parts.append(child.astext())
        elif name == "problematic":
            # A substitution that is not defined is most often a badge.
            parts.append("" if child.astext().startswith("|") else child.astext().strip("`*_"))
        elif name not in ("image", "raw", "footnote_reference", "citation_reference", "system_message", "target"):
            _collect(child, parts)
            if name in ("paragraph", "list_item"):
                parts.append(" ")
