"""Hours and what they cost."""

from __future__ import annotations

import pytest

from envagent.advice.duration import DEFAULT_HOURS, by_rules, checked, service_units
from envagent.errors import UsageError

from .samples import analysis, one


@pytest.mark.parametrize("workload", ["training", "inference", "build", "benchmark", "general", "unheard-of"])
def test_rules_stay_within_the_bounds_and_say_why(workload: str) -> None:
    hours, reason = by_rules(analysis(workload=workload))
    assert 1 <= hours <= 168 and reason.endswith("on CPUs")


def test_the_default_is_a_day() -> None:
    assert by_rules(analysis())[0] == DEFAULT_HOURS == 24


def test_the_charge_is_factor_times_hours() -> None:
    assert service_units(one("gpu_a100_pcie"), 24) == 384


@pytest.mark.parametrize("hours", [0, -1, 169, 10_000])
def test_a_user_cannot_leave_the_bounds(hours: int) -> None:
    with pytest.raises(UsageError, match=f"{hours} hours"):
        checked(hours)


def test_the_bounds_themselves_are_inside() -> None:
    assert (checked(1), checked(168)) == (1, 168)
