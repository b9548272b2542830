"""Words, numbers and signs of a sentence.

Owns: splitting text in one linear pass. `A100-80GB` becomes a, 100, 80, gb; East Asian characters stand alone, since
their languages put no spaces between words. Must not: know what a word means.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_EAST = "\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_SHORTEST_HASH = 12
_HASH = rf"(?<![^\W_])[0-9a-f]{{{_SHORTEST_HASH},64}}(?![^\W_])"
_PLUS = r"(?<![^\W_])[cg]\+\+"
"""A language and its compiler, in which a plus means no `or more`."""
_TOKEN = re.compile(rf"{_HASH}|{_PLUS}|[ei]\.[ge]\.|[0-9]+(?:[.,][0-9]+)*|[{_EAST}]|[^\W\d_{_EAST}]+|[<>=!~]=|[^\s\w]")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}")
_TIMES = re.compile(r"x(?=[a-z])")
_SKIPPED = frozenset("-_\"'`*\u2018\u2019\u201c\u201d\u2010\u2011")
MOST = 400
"""Maximum number of tokens read of one sentence."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or sign.

    Attributes:
        text: in lower case, full-width forms narrowed.
        start: offset of its first character.
        end: offset behind its last character.
        joined: nothing stands between it and the token before.
    """

    text: str
    start: int
    end: int
    joined: bool

    @property
    def is_number(self) -> bool:
        """Whether it is a number or a version."""
        return "0" <= self.text[0] <= "9"


def tokens(text: str) -> list[Token]:
    """Split text; hyphens and quotation marks only separate."""
    found: list[Token] = []
    last = -1
    narrow = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if len(narrow) != len(text):
        narrow = text
    for match in _TOKEN.finditer(narrow.lower()):
        word, start, end = match[0], match.start(), match.end()
        if word == "*" and found and (found[-1].is_number or (start == last and narrow[end : end + 1].isdigit())):
            # `4 * A100`, `80GB*8`
            word = "×"
        if word in _SKIPPED or (len(word) >= _SHORTEST_HASH and not word.isalpha() and word.isalnum()):
            # `a40ca69ff22a` is a commit, not a GPU.
            continue
        joined = start == last
        last = end
        if word == "min" and joined and found[-1].is_number:
            # `30min`
            word = "minutes"
        if word == "+" and found and not joined:
            # `GPU + CUDA`, unlike `24 GB+`.
            word = "&"
        pieces = _pieces(word) if "0" <= word[0] <= "9" else (word,)
        if joined and found[-1].is_number and len(word) > 1 and _TIMES.match(word) and word not in ("xeon",):
            # `8xA100`
            pieces = ("x", word[1:])
        for piece in pieces:
            found.append(Token(piece, start, min(start + len(piece), end), joined))
            start += len(piece)
            joined = True
        if len(found) >= MOST:
            break
    return found


def _pieces(number: str) -> tuple[str, ...]:
    """Split a list such as `8,16,32`, keep `1,900` and `1,5`."""
    if "," not in number or _THOUSANDS.fullmatch(number) or _DECIMAL_COMMA.fullmatch(number):
        return (number,)
    return tuple(part for part in re.split(r"(,)", number) if part)


def value(number: str) -> float | None:
    """Return the value of a number token; None for a version such as 22.04.3."""
    if _THOUSANDS.fullmatch(number):
        number = number.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(number):
        number = number.replace(",", ".")
    return float(number) if number.count(".") <= 1 and "," not in number else None
