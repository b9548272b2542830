"""Classify the kind of job, as a hint for the duration of the lease.

Owns: the words of each kind. Must not: decide a duration.
"""

from __future__ import annotations

import re
from collections import Counter

from envagent.repository.documents.sentence import Sentence
from envagent.repository.patterns import any_of
from envagent.repository.results import Requirements

_READ_CHARACTERS = 12_000
_WORDS = {
    "training": any_of(r"\b(?:pre-?train|fine-?tun|train)(?:s|ed|ing)?\b", r"\bepochs?\b"),
    "inference": any_of(
        r"\binference\b", r"\bserving\b", r"\bgenerat(?:e|es|ion)\b", r"\bpredict(?:s|ion)?\b", r"\bcheckpoints?\b"
    ),
    "benchmark": any_of(
        r"\bbenchmarks?\b", r"\bevaluat(?:e|ion)\b", r"\breproduc(?:e|ing)\b", r"\bthroughput\b", r"\blatency\b"
    ),
    "storage": any_of(
        r"\bfile ?systems?\b", r"\bssds?\b", r"\bnvme\b", r"\bkey-value\b", r"\bdatabases?\b", r"\bstorage\b"
    ),
    "network": any_of(
        r"\brdma\b", r"\bdpdk\b", r"\bpackets?\b", r"\bnics?\b", r"\bnetwork(?:ing|s)?\b", r"\bswitch(?:es)?\b"
    ),
}
_NETWORK_TAGS = {"rdma", "dpdk", "infiniband", "mellanox"}
_STORAGE_TAGS = {"nvme", "zns", "pmem", "optane"}


def count_words(path: str, text: str, found: list[Sentence]) -> Counter[str]:
    """Count the words of each kind in the beginning of the main readme; nothing in another document."""
    count: Counter[str] = Counter()
    if "/" in path or not re.match(r"readme", path, re.IGNORECASE):
        return count
    last_line = text.count("\n", 0, _READ_CHARACTERS) + 1
    for sentence in (s for s in found if s.line <= last_line):
        for kind, words in _WORDS.items():
            # The first sentences describe the whole project.
            count[kind] += len(words.findall(sentence.text)) * (3 if sentence.order < 8 else 1)
    return count


def workload(words: Counter[str], requirements: Requirements, *, empty: bool) -> str:
    """Return training, inference, benchmark, storage, network, build or general.

    Args:
        words: how often the main readme uses the words of each kind.
        requirements: what the repository needs.
        empty: whether it has no files.
    """
    count, tags = words.copy(), set(requirements.special_requirements)
    if tags & _NETWORK_TAGS:
        count["network"] += 20
    if tags & _STORAGE_TAGS:
        count["storage"] += 20
    if requirements.gpu_required:
        return "training" if count["training"] >= count["inference"] else "inference"
    kind, seen = count.most_common(1)[0] if count else ("", 0)
    if seen >= 6 and kind not in ("training", "inference"):
        return kind
    return "general" if empty else "build"
