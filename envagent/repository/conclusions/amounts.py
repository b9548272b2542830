"""How much RAM and disk, and how many cores, the repository's documents ask for.

Owns: choosing among the amounts that were found. Must not: fill gaps; what no document says is None.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from typing import Literal

from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Amount, Facts
from envagent.repository.results import Evidence

_STANCE = {"minimum": 1.0, "recommended": 0.9, "tested": 0.6, "mentioned": 0.2}
_CREDIBLE = 0.25
_NEAR_BEST = 0.5
_COMFORT = 2.0
_NOT_OF_A_GPU = re.compile(r"\bd?ram\b|\b(?:system|main|host|cpu)\b|内存", re.IGNORECASE)
# Three sizes or more, a few lines apart, are a list of jobs.
_JOBS = 3
_APART = 4
_JOB_RANGE = 4.0


def conclude(facts: Facts, what: Literal["ram", "disk", "cores"], field: str) -> tuple[float | None, list[Evidence]]:
    """Return the amount asked for, with the place that asks.

    Documents name a least amount and often a comfortable one; the comfortable one is taken when it is at most twice
    the least. Among several credible places the largest amount wins, for a node too small ends the run; but of a list
    by jobs (`bacteria: 16 GB`, `mammals: 512 GB`) only what lies near its least.
    """
    amounts = _of_smaller_jobs([a for a in facts.amounts if a.what == what and not _of_the_gpu(a, facts.amounts)])
    weighed = [(a.weight * _STANCE[a.stance], a) for a in amounts]
    best = max((w for w, _ in weighed), default=0.0)
    if best < _CREDIBLE:
        return None, []
    credible = [a for w, a in weighed if w >= max(_CREDIBLE, _NEAR_BEST * best)]
    firm = [a for a in credible if a.stance != "recommended"] or credible
    chosen = max(firm, key=lambda a: a.value)
    for more in sorted((a for a in credible if a.stance == "recommended"), key=lambda a: a.value):
        if chosen.value < more.value <= _COMFORT * chosen.value:
            chosen = more
    return chosen.value, [_evidence(field, chosen)]


def _of_smaller_jobs(amounts: list[Amount]) -> list[Amount]:
    """Drop the amounts of a list that are far above its least."""
    documents: dict[str, list[Amount]] = defaultdict(list)
    for amount in sorted(amounts, key=lambda a: (a.spot.path, a.spot.line or 0)):
        documents[amount.spot.path].append(amount)
    kept: list[Amount] = []
    for found in documents.values():
        breaks = [n for n, (a, b) in enumerate(pairwise(found), 1) if (b.spot.line or 0) - (a.spot.line or 0) > _APART]
        for start, end in pairwise([0, *breaks, len(found)]):
            listed = found[start:end]
            jobs = len({a.value for a in listed}) >= _JOBS and len({a.spot.line for a in listed}) >= _JOBS
            most = _JOB_RANGE * min(a.value for a in listed) if jobs else float("inf")
            kept += [a for a in listed if a.value <= most]
    return kept


def _of_the_gpu(amount: Amount, amounts: list[Amount]) -> bool:
    """Return whether the amount is, elsewhere in the same document, the memory of a GPU."""
    if amount.what != "ram" or _NOT_OF_A_GPU.search(amount.spot.quote):
        return False
    return any(
        a.what == "vram" and (a.value, a.spot.path) == (amount.value, amount.spot.path) and a.spot != amount.spot
        for a in amounts
    )


def _evidence(field: str, chosen: Amount) -> Evidence:
    return evidence(field, chosen.value, chosen.spot, chosen.weight * _STANCE[chosen.stance], chosen.stance)
