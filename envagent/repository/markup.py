"""Turn web pages, e-mails and notebooks into Markdown.

Owns: headings, lists, tables and code of each of these. Must not: fetch what they refer to, or run in the process that
plans; `conversion` starts a child for it.
"""

from __future__ import annotations

import json
import re
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from html.parser import HTMLParser
from typing import Any

from envagent.repository.decoding import decode

_SKIPPED = frozenset(["script", "style", "head", "template", "noscript", "svg", "nav", "footer", "iframe", "object"])
_BLOCKS = frozenset([
    "p", "div", "section", "article", "main", "header", "ul", "ol", "table", "blockquote", "dl", "dt", "dd", "br", "hr",
    "form", "figure", "figcaption", "aside", "details", "summary", "address",
])  # fmt: skip
_ATTRIBUTES = re.compile(r"charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
_DEEPEST = 500


class Unreadable(Exception):
    """A document cannot be read; the message says why, as the end of a sentence about it."""


def read_html(data: bytes) -> str:
    """Return the visible text of a web page.

    Raises:
        Unreadable: it is not text.
    """
    text = _decoded(data)
    page = _Page()
    page.feed(text)
    page.close()
    return page.markdown()


def read_email(data: bytes) -> str:
    """Return the subject and the text of an e-mail; attachments are left out.

    Raises:
        Unreadable: it has no text.
    """
    message = message_from_bytes(data, policy=policy.default)
    if not isinstance(message, EmailMessage):
        raise Unreadable("is not an e-mail")
    body = message.get_body(("plain", "html"))
    if body is None:
        raise Unreadable("contains no text")
    text = _body(body)
    subject = " ".join(str(message["subject"] or "").split())
    return f"# {subject}\n\n{text}" if subject else text


def read_notebook(data: bytes) -> str:
    """Return the text and the code of a Jupyter notebook, without outputs.

    Raises:
        Unreadable: it is not a notebook.
    """
    try:
        cells = json.loads(_decoded(data))["cells"]
        return "\n\n".join(_cell(cell) for cell in cells)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable("is not a notebook") from error


def _cell(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    text = source if isinstance(source, str) else "".join(map(str, source))
    return f"```\n{text}\n```" if cell.get("cell_type") == "code" else text


def _body(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise Unreadable("contains no text")
    charset = part.get_content_charset() or "utf-8"
    try:
        text = content.decode(charset, errors="replace")
    except LookupError:
        text = content.decode("utf-8", errors="replace")
    return read_html(text.encode()) if part.get_content_subtype() == "html" else text


def _decoded(data: bytes) -> str:
    """Decode as the page says, else as it looks."""
    if named := _ATTRIBUTES.search(data[:2048].decode("latin-1")):
        try:
            return data.decode(named[1])
        except (LookupError, UnicodeDecodeError):
            pass
    text = decode(data)
    if text is None:
        raise Unreadable("is not text")
    return text


class _Page(HTMLParser):
    """Gathers the visible text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._skipped = 0
        self._plain = 0
        self._lists: list[int] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write what an element begins with."""
        if tag in _SKIPPED:
            self._skipped += 1
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._out.append(f"\n\n{'#' * int(tag[1])} ")
        elif tag == "pre":
            self._plain += 1
            self._out.append("\n\n```\n")
        elif tag == "tr":
            self._out.append("\n| ")
        elif tag == "li":
            mark = "- "
            if self._lists and self._lists[-1] >= 0:
                self._lists[-1] += 1
                mark = f"{self._lists[-1]}. "
            self._out.append(f"\n{'  ' * min(max(len(self._lists) - 1, 0), 4)}{mark}")
        elif tag in _BLOCKS:
            if tag in ("ul", "ol") and len(self._lists) < _DEEPEST:
                self._lists.append(0 if tag == "ol" else -1)
            self._out.append("\n" if tag == "br" else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        """Write what an element ends with."""
        if tag in _SKIPPED:
            self._skipped = max(self._skipped - 1, 0)
        elif tag == "pre" and self._plain:
            self._plain -= 1
            self._out.append("\n```\n\n")
        elif tag in ("td", "th"):
            self._out.append(" | ")
        elif tag in ("ul", "ol"):
            if self._lists:
                self._lists.pop()
            self._out.append("\n\n" if not self._lists else "")
        elif tag in _BLOCKS or tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self._out.append("\n\n")

    def handle_data(self, data: str) -> None:
        """Write text."""
        if not self._skipped:
            shown = data.replace("```", "'''") if self._plain else re.sub(r"\s+", " ", data)
            self._out.append(shown.replace("<", "&lt;"))

    def markdown(self) -> str:
        """Return all of it."""
        lines = (line if line.strip() else "" for line in "".join(self._out).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
