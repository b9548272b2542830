"""How much RAM, disk, GPU memory, how many cores, GPUs and machines the documents and manifests ask for.

Owns: choosing among the amounts that were found. Must not: fill gaps; what nothing says is None.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from envagent.catalog import node_types, sites
from envagent.repository.conclusions import model
from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Facts, Said, Spot
from envagent.repository.results import Evidence

_STANCE = {"minimum": 1.0, "recommended": 0.9, "tested": 0.6, "mentioned": 0.2}
_OF_MENTION = {
    "need": "minimum", "listed": "minimum", "takes": "minimum", "sized": "mentioned", "named": "mentioned",
    "recommend": "recommended", "tested": "tested", "aside": "used", "optional": "mentioned", "denied": "mentioned",
}  # fmt: skip
_CREDIBLE = {"vram": 0.16, "ram": 0.12, "disk": 0.2, "cores": 0.12, "gpus": 0.12, "nodes": 0.2, "capability": 0.2}
_PLAUSIBLE = {
    "ram": (1.0, 12_500.0), "vram": (1.0, 300.0), "disk": (0.1, 1e6), "cores": (1, 512), "gpus": (1, 1024),
    "nodes": (1, 1024), "capability": (1.0, 20.0),
}  # fmt: skip
_STATED = frozenset(("need", "listed"))
_SPOKEN_FOR = _STATED | {"recommend", "takes", "tested"}
_NEAR_BEST = 0.4
# What a machine that was used had, beyond which it tells nothing of what is needed.
_USED = {"ram": 64, "disk": 500, "cores": 16}
# Three sizes or more, a few lines apart, are a list of jobs.
_JOBS = 3
_APART = 4
_JOB_RANGE = 4.0


@dataclass(frozen=True)
class Asked:
    """An amount that is asked for somewhere, with the probability that the main job needs it."""

    value: float
    weight: float
    stance: str
    spot: Spot
    told: str = ""
    """The stance of the sentence; empty for a manifest."""

    @property
    def needed(self) -> bool:
        """Whether a manifest asks for it, or a sentence in so many words."""
        return self.told in ("", "need")


def asked(facts: Facts, what: str) -> list[Asked]:
    """Return the credible amounts: those of manifests as they are, those of sentences as the model weighs them."""
    low, high = _PLAUSIBLE[what]
    most_used = _USED.get(what, math.inf)
    family = "vram" if what == "vram" else "amount"
    found = [Asked(a.value, a.weight * _STANCE[a.stance], a.stance, a.spot) for a in facts.amounts if a.what == what]
    for said in _told(facts, what):
        if isinstance(said.value, int | float):
            weight = model.probability(family, said.features)
            found.append(Asked(said.value, weight, _OF_MENTION.get(said.stance, "mentioned"), said.spot, said.stance))
    found = [a for a in found if low <= a.value <= high and (a.stance != "used" or a.value <= most_used)]
    # What a manifest asks for is certain, and would outweigh every sentence.
    best = {said: max((a.weight for a in found if bool(a.told) == said), default=0.0) for said in (True, False)}
    return [a for a in found if a.weight >= max(_CREDIBLE[what], _NEAR_BEST * best[bool(a.told)])]


def _told(facts: Facts, what: str) -> list[Said]:
    """Return the mentions that may be needs: with a stated minimum none of the machine that was used for a paper.

    Memory of which nothing tells whose it is cannot be a GPU's where the memory of GPUs is stated by name.
    """
    stated = {
        s.spot.path for s in facts.said if s.subject in _PLAUSIBLE and s.stance in _STATED and "plain" not in s.features
    }
    found = [
        s
        for s in facts.said
        if s.subject == what
        and s.tier != "side"
        and not (s.stance == "aside" and s.spot.path in stated)
        and (s.stance in _SPOKEN_FOR or not _of_a_model(s))
    ]
    if what == "vram" and any(
        s.stance in _SPOKEN_FOR | {"sized"} and not s.features & {"from.model", "plain"} for s in found
    ):
        # Where a document says how much a GPU needs, GPUs that were used and memory of the machine do not count.
        return [s for s in found if s.stance != "aside" and "plain" not in s.features]
    return found


def _of_a_model(said: Said) -> bool:
    """Return whether the amount is that of a GPU which is only named, or one way."""
    return "from.model" in said.features or (said.stance == "optional" and "of a model" in said.features)


def conclude(facts: Facts, what: str, field: str) -> tuple[float | None, list[Evidence]]:
    """Return the amount asked for, with the place that asks.

    Among several credible places the largest amount wins, for a node too small ends the run, unless it is far above the
    likeliest; and of a list by jobs (`bacteria: 16 GB`, `mammals: 512 GB`) only what lies near its least.
    """
    credible = _of_smaller_jobs(asked(facts, what))
    if what == "gpus":
        # More than any node has are a cluster that was used, unless they are needed in so many words.
        credible = [a for a in credible if a.value <= _largest_node() or a.needed]
    if not credible:
        return None, []
    firm = _firm(credible)
    if what == "gpus":
        # The GPUs of the largest model are a wish.
        firm = [min([a for a in firm if a.needed] or firm, key=lambda a: (a.value, -a.weight))]
    likeliest = max(firm, key=lambda a: (a.weight, a.value)).value
    chosen = max((a for a in firm if a.value <= _JOB_RANGE * likeliest), key=lambda a: (a.value, a.weight))
    many = what == "gpus" and chosen.value > _largest_node()
    fewer = [s for s in facts.said if many and s.subject == what and _is_fewer(s, chosen.value)]
    stance = "recommended" if fewer else chosen.stance
    return chosen.value, [
        evidence(field, chosen.value, chosen.spot, 2 * chosen.weight, stance),
        *(evidence(field, s.value, s.spot, chosen.weight, _OF_MENTION[s.stance]) for s in fewer[:1]),
    ]


@cache
def _largest_node() -> int:
    """Return the most GPUs that a node of any site has."""
    return max(node.gpu.count for site in sites() for node in node_types(site.region) if node.gpu)


def _is_fewer(said: Said, most: float) -> bool:
    """Return whether a main document tells of a run on fewer GPUs; what no node has is a wish then."""
    if said.tier != "main" or said.stance not in _SPOKEN_FOR | {"named"} or not isinstance(said.value, int | float):
        return False
    return 1 <= said.value < most


def conclude_gpu_memory(facts: Facts, largest: float) -> tuple[float | None, list[Evidence]]:
    """Choose the largest credible amount within four times the smallest.

    Readmes tell of variants: smaller models, fewer bits, longer outputs. Such a GPU runs most of them without being
    far too large for the smallest. What no single GPU has is the sum over several.
    """
    credible = asked(facts, "vram")
    if not credible:
        return None, []
    single = _firm([a for a in credible if a.value <= largest] or credible)
    # What is required bounds the choice; what a small part takes does not.
    least = min(a.value for a in [a for a in single if not a.told or a.told in _STATED] or single)
    chosen = max((a for a in single if math.ceil(a.value) <= _JOB_RANGE * least), key=lambda a: (a.value, a.weight))
    note = f", the largest within {_JOB_RANGE:g} times the least, {least:g} GB" if chosen.value > least else ""
    return min(largest, float(math.ceil(chosen.value))), [
        evidence("gpu_memory_gb", chosen.value, chosen.spot, 2 * chosen.weight, chosen.stance + note)
    ]


def _firm(amounts: list[Asked]) -> list[Asked]:
    """Return those that are asked for; where none is, those of machines that were used."""
    return [a for a in amounts if a.stance in ("minimum", "recommended")] or amounts


def _of_smaller_jobs(amounts: list[Asked]) -> list[Asked]:
    """Drop the amounts of a list that are far above its least."""
    documents: dict[str, list[Asked]] = defaultdict(list)
    for amount in sorted(amounts, key=lambda a: (a.spot.path, a.spot.line or 0)):
        documents[amount.spot.path].append(amount)
    kept: list[Asked] = []
    for found in documents.values():
        breaks = [n for n, (a, b) in enumerate(pairwise(found), 1) if (b.spot.line or 0) - (a.spot.line or 0) > _APART]
        for start, end in pairwise([0, *breaks, len(found)]):
            listed = found[start:end]
            jobs = len({a.value for a in listed}) >= _JOBS and len({a.spot.line for a in listed}) >= _JOBS
            most = _JOB_RANGE * min(a.value for a in listed) if jobs else float("inf")
            kept += [a for a in listed if a.value <= most]
    return kept
