"""25 seeded stories; 10,000 with `-m sweep`, of which CI plays 300."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.simulation.story import play
from tests.sweeps import Plan

STORIES = 10_000
TOGETHER = 50


def test_no_promise_is_broken() -> None:
    for seed in range(25):
        play(seed)


def test_a_seed_replays_the_same() -> None:
    assert play(7).cloud.trail == play(7).cloud.trail


@dataclass(frozen=True)
class Seeds:
    """Some stories in a row."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"seeds {self.first}-{self.last}"


def seeds(plan: Plan) -> list[Seeds]:
    """Divide the stories into tests."""
    start, end = (plan.seed - 1) * 100_000, (plan.seed - 1) * 100_000 + (plan.rounds or STORIES)
    return [Seeds(first, min(first + TOGETHER, end) - 1) for first in range(start, end, TOGETHER)]


@pytest.mark.sweep(points=seeds, bounded=6)
def test_no_promise_is_broken_in_many_stories(point: Seeds, record_property: Callable[[str, object], None]) -> None:
    counts: Counter[str] = Counter()
    for seed in range(point.first, point.last + 1):
        counts.update(play(seed).counts, stories=1)
    record_property("counts", dict(counts))
