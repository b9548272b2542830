"""200 seeded stories; 10,000 with `python -m tests.simulation.simulate`."""

from __future__ import annotations

import pytest

from tests.simulation.simulate import play


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_no_promise_is_broken(first: int) -> None:
    for seed in range(first, first + 25):
        play(seed)


def test_a_seed_replays_the_same() -> None:
    assert play(7).cloud.trail == play(7).cloud.trail
