"""Classify the kind of job, as a hint for the duration of the lease.

Owns: the words of each kind. Must not: decide a duration.
"""

from __future__ import annotations

import re
from collections import Counter

from envagent.repository.documents.reading import sentences
from envagent.repository.patterns import any_of
from envagent.repository.results import Requirements, Snapshot

_READ_BYTES = 12_000
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


def workload(snapshot: Snapshot, requirements: Requirements) -> str:
    """Return training, inference, benchmark, storage, network, build or general."""
    count: Counter[str] = Counter()
    for path, text in snapshot.files.items():
        if "/" not in path and re.match(r"readme", path, re.IGNORECASE):
            for sentence in sentences(path, text[:_READ_BYTES])[0]:
                for kind, words in _WORDS.items():
                    # The first sentences describe the whole project.
                    count[kind] += len(words.findall(sentence.text)) * (3 if sentence.order < 8 else 1)
    tags = set(requirements.special_requirements)
    if tags & _NETWORK_TAGS:
        count["network"] += 20
    if tags & _STORAGE_TAGS:
        count["storage"] += 20
    if requirements.gpu_required:
        return "training" if count["training"] >= count["inference"] else "inference"
    kind, seen = count.most_common(1)[0] if count else ("", 0)
    if seen >= 6 and kind not in ("training", "inference"):
        return kind
    return "build" if snapshot.entries else "general"
