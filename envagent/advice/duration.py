"""How long to reserve: hours with their reason; and what hours cost."""

from __future__ import annotations

from envagent.catalog import NodeType
from envagent.errors import UsageError
from envagent.hints import Hint, Option
from envagent.repository.results import Analysis

SHORTEST_HOURS = 1
LONGEST_HOURS = 168
"""Chameleon's limit for bare metal: 7 days."""
DEFAULT_HOURS = 24

_BY_WORKLOAD: dict[str, tuple[int, str]] = {
    "training": (24, "training takes about a day"),
    "inference": (12, "trying out a model takes an afternoon, not a day"),
    "build": (12, "building and testing takes hours, not days"),
    "benchmark": (24, "a series of measurements takes about a day"),
}
_BY_DEFAULT = (DEFAULT_HOURS, "one day is the default")


def checked(hours: int) -> int:
    """Return the hours requested by the user. Raises UsageError outside 1 to 168."""
    if not SHORTEST_HOURS <= hours <= LONGEST_HOURS:
        raise UsageError(
            f"{hours} hours is outside the range of {SHORTEST_HOURS} to {LONGEST_HOURS}",
            hint=Hint("choose", Option("hours"), "from 1 to 168"),
        )
    return hours


def service_units(node_type: NodeType, hours: float) -> float:
    """Compute the charge for a whole lease: SU factor times hours, used or idle."""
    return round(node_type.su_factor * hours, 2)


def by_workload(analysis: Analysis) -> int:
    """Return the hours for the kind of work."""
    return _BY_WORKLOAD.get(analysis.workload, _BY_DEFAULT)[0]


def by_rules(analysis: Analysis) -> tuple[int, str]:
    """Return the hours for the kind of work, and the reason."""
    hours, why = _BY_WORKLOAD.get(analysis.workload, _BY_DEFAULT)
    return hours, f"{why}, {'on GPUs' if analysis.requirements.gpu_required else 'on CPUs'}"
