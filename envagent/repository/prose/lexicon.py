"""The words of hardware, of needing and of judging, in all languages, found in one pass over the tokens.

Owns: loading `lexicon.toml` and the catalogue's GPU models into one tree of phrases. The longest phrase wins, and its
words count for no other one: `Core i9` is not a core. Must not: weigh.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from envagent.catalog import gpus
from envagent.repository.prose.tokens import Token, tokens

AMBIGUOUS = "gpu_model?"
"""A spelling that is a GPU only next to a word for GPUs, such as `1080`."""
_LEAF = ""
_JOINED = "\0"


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase of the lexicon in a sentence: its concepts, and its tokens [start, end)."""

    concepts: tuple[str, ...]
    start: int
    end: int
    phrase: str


@cache
def _loaded() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "lexicon.toml").read_text(encoding="utf-8"))


def words_of(name: str) -> frozenset[str]:
    """Return words that may stand between the parts of one statement."""
    return frozenset(_loaded()["glue"][name])


def numbers() -> dict[str, int]:
    """Return small numbers by their words."""
    found: dict[str, int] = _loaded()["numbers"]["words"]
    return found


@cache
def _tree(of_headings: bool) -> dict[str, Any]:
    """Return the phrases of sentences, or what headings announce."""
    tree: dict[str, Any] = {}
    for concept, languages in _loaded().items():
        if concept in ("glue", "numbers"):
            continue
        for phrase in (p for phrases in languages.values() for p in phrases):
            if concept.startswith("head.") == of_headings:
                _plant(tree, phrase, concept)
    if of_headings:
        return tree
    for model in gpus.models():
        for concept, spellings in (("gpu_model", model.spellings), (AMBIGUOUS, model.ambiguous)):
            for spelling in spellings:
                for plural in (spelling, f"{spelling}s"):
                    _plant(tree, plural, concept, spelling)
                    if spelling.startswith("jetson"):
                        _plant(tree, plural, "special.jetson", spelling)
    for word in gpus.architectures():
        _plant(tree, word, "gpu_generation", word)
    return tree


def _plant(tree: dict[str, Any], phrase: str, concept: str, name: str | None = None) -> None:
    for token in tokens(phrase):
        # What is written in one in the lexicon must be so in the text: `a100` is not `a 100`.
        tree = tree.setdefault((_JOINED if token.joined else "") + token.text, {})
    concepts, _ = tree.get(_LEAF, ((), ""))
    if concept not in concepts:
        tree[_LEAF] = ((*concepts, concept), name or phrase)


def find(words: Sequence[Token], *, of_headings: bool = False) -> Iterator[Found]:
    """Yield the phrases of the lexicon, the longest at each place, left to right and apart."""
    root, at = _tree(of_headings), 0
    while at < len(words):
        end, leaf = _longest(root, words, at, at)
        if leaf is not None:
            yield Found(leaf[0], at, end, leaf[1])
            at = end
        else:
            at += 1


def _longest(node: dict[str, Any], words: Sequence[Token], start: int, at: int) -> tuple[int, Any]:
    leaf = node.get(_LEAF) if at > start else None
    best = at, leaf
    if at < len(words):
        token = words[at]
        keys = (_JOINED + token.text, token.text) if token.joined else (token.text,)
        for key in keys:
            if (below := node.get(key)) is not None:
                further = _longest(below, words, start, at + 1)
                if further[1] is not None and (best[1] is None or further[0] > best[0]):
                    best = further
    return best


@lru_cache(maxsize=4096)
def concepts_of(text: str) -> frozenset[str]:
    """Return the concepts that a heading or another short text names."""
    words = tokens(text)
    both = (*find(words), *find(words, of_headings=True))
    return frozenset(concept for found in both for concept in found.concepts)
