"""Cut text into sentences.

Owns: where sentences end, in Latin and East Asian scripts. Must not: know where the text stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_SENTENCE = 700

_END = re.compile(r"\n|(?<=[.!?])\s+(?=[\"'(\[A-Z0-9À-ÞА-Я])|(?<=[。！？；])")
# The words before a full stop that ends no sentence, whatever follows; and those that need a number or a name behind.
_SHORT = re.compile(
    r"(?:^|[\s(\[\"'/])(?:e\.g|i\.e|eg|ie|approx|appr|vs|cf|resp|incl|ca|et al|viz|esp|z\.b|d\.h|bzw|ggf|p\. ?ex)\.$",
    re.IGNORECASE,
)
_SHORT_OF_NUMBER = re.compile(
    r"(?:^|[\s(\[\"'/])(?:no|nr|fig|figs|sec|sect|tab|eq|ch|vol|ver|v|min|max|p|pp|ref|step)\.$", re.IGNORECASE
)
_SHORT_OF_NAME = re.compile(r"(?:^|[\s(\[\"'])(?:dr|prof|mr|mrs|ms|st|inc|ltd|corp|co)\.$", re.IGNORECASE)
_LISTED = re.compile(r"etc\.$", re.IGNORECASE)
_COUNTER = re.compile(r"\s*\(?\d{1,2}\.$")


def pieces(lines: tuple[tuple[int, str], ...]) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a paragraph, each with the line it begins on."""
    if len(lines) == 1 and len(lines[0][1]) <= MAX_SENTENCE and _END.search(lines[0][1]) is None:
        yield from ((line, text.strip()) for line, text in lines if text.strip())
        return
    joined = "".join(text if text.endswith("\n") else f"{text} " for _, text in lines)
    starts: list[tuple[int, int]] = []
    offset = 0
    for line, text in lines:
        starts.append((offset, line))
        offset += len(text) + (not text.endswith("\n"))
    at = 0
    for begin, end in _spans(joined):
        begin += len(joined[begin:end]) - len(joined[begin:end].lstrip())
        while at + 1 < len(starts) and starts[at + 1][0] <= begin:
            at += 1
        yield starts[at][1], joined[begin:end].strip()


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each sentence begins and ends; one that is too long is cut at a blank."""
    begin = 0
    for found in _END.finditer(text):
        if found[0] == "\n" or (_ends(text, found) and not _COUNTER.fullmatch(text, begin, found.start())):
            yield from _short_enough(text, begin, found.start())
            begin = found.end()
    yield from _short_enough(text, begin, len(text))


def _short_enough(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while end - begin > MAX_SENTENCE:
        cut = text.rfind(" ", begin + MAX_SENTENCE // 2, begin + MAX_SENTENCE)
        cut = cut if cut > 0 else begin + MAX_SENTENCE
        yield begin, cut
        begin = cut
    if not text[begin:end].isspace() and begin < end:
        yield begin, end


def _ends(text: str, found: re.Match[str]) -> bool:
    """Return whether a mark before a blank ends a sentence; the full stop of an abbreviation does not."""
    at = found.start()
    if text[at - 1] != ".":
        return True
    before, following = text[max(0, at - 12) : at], text[found.end()]
    return not (
        _SHORT.search(before)
        or (_SHORT_OF_NAME.search(before) and following.isupper())
        or (_SHORT_OF_NUMBER.search(before) and following.isdigit())
        or (_LISTED.search(before) and not following.isalpha())
    )
