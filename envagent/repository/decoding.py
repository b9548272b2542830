"""Bytes of a stranger's file to text that is safe to show and to search.

Owns: guessing the encoding, and removing the characters that deceive a terminal or a reader.
Must not: fail. Bytes that are no text give None.
"""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# C0 and C1 controls but tab and newline, zero-width characters, and the marks that turn the writing direction.
_DECEIVING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
_SAMPLE = 4096


def decode(data: bytes) -> str | None:
    """The text of a file, or None when it is binary.

    Line ends become newlines and characters that deceive are left out, so line numbers stay.
    """
    encoding, skip = _encoding(data)
    if encoding is None:
        return None
    text = data[skip:].decode(encoding, errors="replace")
    return clean(text.replace("\r\n", "\n").replace("\r", "\n"))


def clean(text: str) -> str:
    """The text without control, zero-width and direction characters; tabs and newlines stay."""
    return _DECEIVING.sub("", text)


def clean_line(text: str) -> str:
    """The same on one line, as paths and messages are."""
    return " ".join(clean(text.replace("\n", " ").replace("\t", " ")).split(" "))


def _encoding(data: bytes) -> tuple[str | None, int]:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding, len(mark)
    sample = data[:_SAMPLE]
    if zeros := sample.count(0):
        # Latin text in UTF-16 has a zero in every other byte, all at one parity.
        odd, even = sample[1::2].count(0), sample[0::2].count(0)
        if zeros > len(sample) * 0.3 and min(odd, even) <= zeros * 0.05:
            return ("utf-16-le" if odd > even else "utf-16-be"), 0
        return None, 0
    try:
        # A cut in the middle of a character is no reason to call it Latin-1.
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return "cp1252", 0
    return "utf-8", 0
