"""The fitted weights: how much each named feature speaks for a need.

Owns: loading `weights.json` and adding up. The weights are fitted by `bench.fit` on labelled repositories, one logistic
regression a family, and scored on repositories that they were not fitted on. Must not: name a feature.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _families() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((files(__package__) / "weights.json").read_text(encoding="utf-8"))
    return loaded


def score(family: str, features: Mapping[str, float] | Iterable[str]) -> float:
    """Return the log odds that a description with these features is a need; unknown features count nothing."""
    held = features if isinstance(features, Mapping) else dict.fromkeys(features, 1.0)
    weights: dict[str, float] = _families()[family]
    return weights[""] + sum(weights[name] * held[name] for name in sorted(held) if name in weights)


def weight(family: str, name: str) -> float:
    """Return what one feature adds to the log odds."""
    weights: dict[str, float] = _families()[family]
    return weights.get(name, 0.0)


def probability(family: str, features: Mapping[str, float] | Iterable[str]) -> float:
    """Return the same as a probability."""
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, score(family, features)))))


def counted(names: Iterable[str]) -> dict[str, float]:
    """Count names as features of which further ones of a kind add little: log(1 + count), at most 1.5."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return {name: min(1.5, math.log1p(count)) for name, count in counts.items()}
