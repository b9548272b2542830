"""Read the lines of a PDF with their place and typeface.

Owns: pypdf, which runs only in the child process of `conversion`, because a hostile file can keep it busy forever.
Must not: decide what a line means; that is the job of `layout`.
"""

from __future__ import annotations

import io
import logging
import math
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import NameObject

from envagent.repository.layout import Line
from envagent.repository.markup import Unreadable

MOST_PAGES = 60
_MOST_CHARACTERS = 600_000
_FEW_CHARACTERS = 600
_MONO = re.compile(r"mono|monl|cour|consol|cmtt|sftt|ectt|txtt|typewr|menlo|code|zi4", re.IGNORECASE)
_BOLD = re.compile(r"bold|medi|black|heavy|demi|bx\d|tb$|-b$", re.IGNORECASE)
_ITALIC = re.compile(r"ital|obli|cmti|-it|ti$", re.IGNORECASE)
_GLUED = re.compile(r"[^\W_][^\W_]|[:;,][^\W\d_]|\.[A-Z]")
_GLUED_NUMBER = re.compile(r"[a-z]\d|\d[a-z]")
_LIGATURES = str.maketrans(
    {
        "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st",
        "\ufb06": "st", "\u2019": "'", "\u223c": "~", "\u02dc": "~", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
        "\u2010": "-", "\u2011": "-", "\u00ad": "-", "\t": " ", "\r": " ", "\x00": "",
    }
)  # fmt: skip


def read_lines(data: bytes, seconds: float = 10.0) -> tuple[list[Line], int, int]:
    """Return the lines of the first pages in reading order, the number of pages that were read, and that of all.

    Args:
        data: the file.
        seconds: after them, no further page is started.

    Raises:
        Unreadable: the file is encrypted or damaged.
    """
    deadline = time.monotonic() + seconds
    logging.disable()  # pypdf reports each oddity of a file
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is encrypted and needs a password")
        lines: list[Line] = []
        characters = count = 0
        whole = len(reader.pages)
        for count in range(1, min(whole, MOST_PAGES) + 1):
            page = _page(reader.pages[count - 1], count)
            lines += page
            characters += sum(len(line.text) for line in page)
            if characters > _MOST_CHARACTERS or time.monotonic() > deadline:
                break
    except (PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OSError) as error:
        raise Unreadable("is damaged, or not a PDF") from error
    return lines, count, whole


def _page(page: PageObject, number: int) -> list[Line]:
    """Return the lines of a page, without those in its pictures, which may take longer than all the rest."""
    resources = page.get("/Resources")
    resources = None if resources is None else resources.get_object()
    drawn = resources.pop("/XObject", None) if isinstance(resources, dict) else None
    lines = _extracted(page, number)
    if drawn is not None and isinstance(resources, dict):
        resources[NameObject("/XObject")] = drawn
        if sum(len(line.text) for line in lines) < _FEW_CHARACTERS:
            return _extracted(page, number)  # some programs put the whole text of a page into a picture
    return lines


def _extracted(page: PageObject, number: int) -> list[Line]:
    gathered = _Page(number)
    page.extract_text(visitor_text=gathered.take)
    return gathered.finished()


@dataclass
class _Piece:
    """A run of characters in one typeface."""

    text: str
    x: float
    y: float
    size: float
    bold: bool
    mono: bool
    italic: bool


@dataclass
class _Page:
    """The lines of one page, as pypdf reports their pieces."""

    number: int
    lines: list[Line] = field(default_factory=list)
    _open: list[_Piece] = field(default_factory=list)

    def take(self, text: str, outer: Any, inner: Any, font: Any, size: float) -> None:
        """Receive a piece of text with its matrices, font and size."""
        if not text:
            return
        scale = math.hypot(inner[2], inner[3]) * math.hypot(outer[2], outer[3])
        x = inner[4] * outer[0] + inner[5] * outer[2] + outer[4]
        y = inner[4] * outer[1] + inner[5] * outer[3] + outer[5]
        name = str((font or {}).get("/BaseFont", "")).rpartition("+")[2]
        bold, mono, italic = (style.search(name) is not None for style in (_BOLD, _MONO, _ITALIC))
        first, *others = text.translate(_LIGATURES).split("\n")
        for number, part in enumerate((first, *others)):
            if number:
                self._close()
            if part:
                self._open.append(_Piece(part, x, y, size * scale, bold, mono, italic))

    def finished(self) -> list[Line]:
        """Return all lines."""
        self._close()
        return self.lines

    def _close(self) -> None:
        pieces, self._open = self._open, []
        if any(piece.text.strip() for piece in pieces):
            self.lines.append(_line(self.number, pieces))


def _line(page: int, pieces: list[_Piece]) -> Line:
    sizes = Counter[float]()
    for piece in pieces:
        sizes[round(piece.size, 1)] += len("".join(piece.text.split()))
    size = sizes.most_common(1)[0][0]
    base = next(piece for piece in pieces if piece.text.strip() and round(piece.size, 1) == size)
    text, bold, mono, italic, lead, leading = "", 0, 0, 0, 0, True
    for before, piece in zip([pieces[0], *pieces], pieces, strict=False):
        shown = _shown(piece, base, text)
        # Some programs move on instead of printing a space where the typeface changes, or around a link.
        changes = (before.bold, before.mono) != (piece.bold, piece.mono)
        if before is not piece and (_GLUED if changes else _GLUED_NUMBER).fullmatch(text[-1:] + shown[:1]):
            text += " "
        text += shown
        solid = len("".join(shown.split()))
        bold += solid * piece.bold
        mono += solid * piece.mono
        italic += solid * piece.italic
        leading = leading and piece.bold
        lead = len(text) if leading else lead
    solid = max(sum(len(word) for word in text.split()), 1)
    stripped = text.strip()
    lead = min(max(lead - (len(text) - len(text.lstrip())), 0), len(stripped))
    return Line(
        " ".join(stripped.split(" ")), page, base.x, base.y, size, bold / solid, mono / solid, lead, italic / solid
    )


def _shown(piece: _Piece, base: _Piece, before: str) -> str:
    """Return the text of a piece; of a raised number nothing, unless it is an exponent."""
    if piece.size < 0.85 * base.size and piece.y > base.y + 1 and piece.text.strip().isdigit():
        return f"^{piece.text.strip()}" if before[-1:].isdigit() else ""
    return piece.text
