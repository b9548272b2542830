"""Versions behind a name: `Python >= 3.8, < 3.12`, `Ubuntu 20.04 or 22.04`, `CUDA 11.8+`, `Linux kernel 5.15 or newer`.

Owns: lists, ranges and bounds of versions as people write them. Must not: know what a version means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from envagent.repository.prose.lexicon import words_of
from envagent.repository.prose.readings import Reading
from envagent.repository.prose.tokens import Token

_BOUNDS = {
    ">=": ">=", "≥": ">=", "≧": ">=", ">": ">", "<=": "<=", "≤": "<=", "<": "<", "==": "==", "=": "==", "~=": "~=",
    "~": "==", "!=": "!=",
}  # fmt: skip
_BETWEEN = words_of("between_name_and_version")
_JOINS = words_of("between_versions")
_RANGE = re.compile(r"\s*(?:-|–|—|~|to|through|until|bis)\s*")
_MOST = 12


@dataclass(frozen=True)
class Versions:
    """Versions that follow a name.

    Attributes:
        named: the versions, as written.
        bounds: what stands before each of them: `>=`, `<`, or nothing.
        is_range: two of them are the ends of a range.
        newer: later ones are fine too.
        start: the first token.
        end: the token behind the last one.
    """

    named: tuple[str, ...]
    bounds: tuple[str, ...]
    is_range: bool
    newer: bool
    start: int
    end: int


def versions_behind(reading: Reading, place: int, form: re.Pattern[str], name: str) -> Versions | None:
    """Read the versions behind the name that ends before the token at `place`.

    Args:
        reading: the sentence.
        place: the token behind the name.
        form: what a version of this thing looks like.
        name: the name itself, which may be repeated between versions.
    """
    words, named, bounds, ends = reading.words, list[str](), list[str](), list[int]()
    bound, at, is_range, at_least = "", place, False, False
    while at < len(words) and at - (ends[-1] if ends else place) < 6 and len(named) < _MOST:
        text = words[at].text
        if text in _BOUNDS:
            bound = _BOUNDS[text]
        elif words[at].is_number and form.fullmatch(text):
            between = reading.text[words[ends[-1]].end : words[at].start] if ends else ""
            is_range = is_range or _RANGE.fullmatch(between) is not None
            named.append(text)
            bounds.append(bound)
            ends.append(at)
            bound = ""
        elif reading.has(at, "least"):
            at_least = at_least or not named
        elif not (_continues(text, name, named) or (text == "." and _any_patch(words, at))):
            break
        at += 1
    if not named:
        return None
    behind = range(ends[-1] + 1, min(ends[-1] + 4, len(words)))
    newer = at_least or any(reading.has(n, "newer") for n in behind) or bounds == [">="] or bounds == [">"]
    return Versions(tuple(named), tuple(bounds), is_range, newer, place, ends[-1] + 1)


def _continues(text: str, name: str, named: list[str]) -> bool:
    """Return whether a list of versions may go on behind this word."""
    return text in (_JOINS if named else _BETWEEN) or text in (name, "lts", "python", "x", ")", "*")


def _any_patch(words: list[Token], at: int) -> bool:
    """Return whether the stop belongs to `3.x`."""
    return at + 1 < len(words) and words[at + 1].text in ("x", "*")


def places_of(reading: Reading, *concepts: str) -> Iterator[tuple[str, int]]:
    """Yield the phrases of these concepts, each with the token behind it."""
    for one in reading.found:
        if any(c in one.concepts for c in concepts):
            yield one.phrase, one.end
