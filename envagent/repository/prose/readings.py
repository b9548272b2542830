"""A sentence, or a cell of a table, with its tokens and the phrases of the lexicon in it.

Owns: what is read of a document: sentences, cells, and comments and statements set like code. Must not: know what a
phrase is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import zip_longest

from envagent.repository.documents.sentence import Sentence
from envagent.repository.prose.lexicon import AMBIGUOUS, Found, concepts_of, find
from envagent.repository.prose.tokens import tokens

GPU = frozenset(("gpu", "gpu_model"))
"""The concepts of a GPU, by a general word or by its model."""
_LISTED = frozenset((",", "/", "or", "and", "(", ":"))
_UNIT_OF_COLUMN = re.compile(r"(?:[(\[（]|\bin |, ?|/ ?)([GMT]i?B)\b", re.IGNORECASE)
# A comment next to commands: `# This one needs 15 GB of GPU memory`.
_REMARK = re.compile(r"(?:^|\s)(?:#+|//|--)[ +]+(?=\S+ +\S)(.*)")
# Set like code, and yet a sentence; an item in a list of hardware; packages made for one release of a system.
_NO_COMMAND = re.compile(r"\s{0,40}[A-Z][\w.]{0,30}(?: [\w.,()/+-]{1,40}){1,20}[.:]?")
_ITEM = re.compile(r"\s{0,40}[A-Z][A-Za-z]{1,20}(?: [A-Za-z]{1,20}){0,3} {0,4}: {1,20}\S")
_FOR_A_RELEASE = re.compile(r"\bros-[a-z]{4,12}-|ofed[\w.-]{1,60}ubuntu", re.IGNORECASE)
_ANSWER = re.compile(r"\W{0,4}[AQ]\d{1,3}[:.)]\s")
"""The number of an answer, not a GPU: `A10: It can be ignored.`"""
_BARE = re.compile(r"[~≈<>]?\s?\d{1,5}(?:\.\d+)?\+?")


class Reading:
    """A sentence with its tokens and the phrases of the lexicon in it."""

    def __init__(self, sentence: Sentence, text: str | None = None, column: str | None = None) -> None:
        self.sentence = sentence
        self.column = column
        self.text = sentence.text if text is None else text
        self.words = tokens(self.text)
        self.found = list(self._kept(list(find(self.words))))
        self._at: dict[int, Found] = {place: one for one in self.found for place in range(one.start, one.end)}

    def _kept(self, found: list[Found]) -> Iterator[Found]:
        """Keep an ambiguous spelling of a GPU only next to a word for GPUs: `NVIDIA L4`, `GTX 1080 or 1070`."""
        last = -1
        for one, behind in zip_longest(found, found[1:]):
            if one.start == 0 and _ANSWER.match(self.text):
                continue
            if AMBIGUOUS in one.concepts:
                before = last >= 0 and all(word.text in _LISTED for word in self.words[last : one.start])
                after = behind is not None and behind.start == one.end and not GPU.isdisjoint(behind.concepts)
                if not (before or after or not GPU.isdisjoint(concepts_of(self.column or ""))):
                    continue
                one = replace(one, concepts=("gpu_model",))
            if not GPU.isdisjoint(one.concepts):
                last = one.end
            yield one

    @cached_property
    def concepts(self) -> frozenset[str]:
        """All concepts of the sentence."""
        return frozenset(concept for one in self.found for concept in one.concepts)

    def phrase_at(self, place: int) -> Found | None:
        """Return the phrase that takes in the token at `place`."""
        return self._at.get(place)

    def has(self, place: int, *concepts: str) -> bool:
        """Return whether a phrase of these concepts takes in the token at `place`."""
        one = self._at.get(place)
        return one is not None and any(c in one.concepts for c in concepts)


def readings(sentence: Sentence) -> list[Reading]:
    """Return the sentence, or each cell of a table row with the head of its column."""
    if sentence.kind == "code":
        remark = _REMARK.search(sentence.text)
        if remark:
            return [Reading(sentence, remark[1])]
        listed = _ITEM.match(sentence.text) and "head.requirements" in concepts_of(sentence.heading)
        told = listed or _NO_COMMAND.fullmatch(sentence.text) or _FOR_A_RELEASE.search(sentence.text)
        return [Reading(sentence)] if told else []
    if sentence.kind != "table" or not sentence.cells:
        return [Reading(sentence)]
    header = sentence.header if len(sentence.header) == len(sentence.cells) else ("",) * len(sentence.cells)
    cells = zip(header, sentence.cells, strict=True)
    return [Reading(sentence, _with_unit(cell, head), head) for head, cell in cells]


def _with_unit(cell: str, head: str) -> str:
    """Give a bare number the unit of its column: `GPU memory (GB)` above `26.0`."""
    unit = _UNIT_OF_COLUMN.search(head)
    return f"{cell.strip()} {unit[1]}" if unit and _BARE.fullmatch(cell.strip()) else cell
