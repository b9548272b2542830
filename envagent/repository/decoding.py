"""Decode untrusted files to text that is safe to show and to search.

Owns: detecting the encoding, and removing the characters that deceive a terminal or a reader.
Must not: fail. Binary content decodes to None.
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
_LEGACY_SAMPLE = 1 << 16
_LEGACY = ["cp1252", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1251", "koi8_r"]
_ANOTHER_SCRIPT = 0.2
"""From this share of bytes beyond ASCII on, a text is not in a Latin script."""


def decode(data: bytes) -> str | None:
    """Decode a file, or return None when it is binary.

    Line ends become newlines and deceiving characters are dropped, so line numbers stay.
    """
    encoding, skip = _encoding(data)
    if encoding is None:
        return None
    text = data[skip:].decode(encoding, errors="replace")
    return clean(text.replace("\r\n", "\n").replace("\r", "\n"))


def clean(text: str) -> str:
    """Drop control, zero-width and direction characters; tabs and newlines stay."""
    return _DECEIVING.sub("", text)


def clean_line(text: str) -> str:
    """Clean a text that must stay on one line, such as a path or a message."""
    return " ".join(clean(text.replace("\n", " ").replace("\t", " ")).split(" "))


def _encoding(data: bytes) -> tuple[str | None, int]:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding, len(mark)
    sample = data[:_SAMPLE]
    if zeros := sample.count(0):
        # Latin text in UTF-16 has a zero in every other byte, all at one parity. Without a byte order mark the
        # detector below does not recognise it.
        odd, even = sample[1::2].count(0), sample[0::2].count(0)
        if zeros > len(sample) * 0.3 and min(odd, even) <= zeros * 0.05:
            return ("utf-16-le" if odd > even else "utf-16-be"), 0
        return None, 0
    try:
        # Incremental, because the file may be cut in the middle of a character.
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return _legacy_encoding(data[:_LEGACY_SAMPLE]), 0
    return "utf-8", 0


def _legacy_encoding(sample: bytes) -> str:
    """Return the likeliest encoding of a text that is not Unicode.

    The detector takes a short English text with one accent for Chinese, so it is asked about other scripts only.
    """
    ascii_bytes = len(sample.translate(None, bytes(range(128, 256))))
    if len(sample) - ascii_bytes < _ANOTHER_SCRIPT * len(sample):
        return "cp1252"
    from charset_normalizer import from_bytes

    whole_lines = sample[: sample.rfind(b"\n") + 1] or sample
    best = from_bytes(whole_lines, cp_isolation=_LEGACY, preemptive_behaviour=False).best()
    return best.encoding if best is not None else "cp1252"
