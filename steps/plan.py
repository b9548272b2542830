"""The plan that a user sees before anything is made: where, for how long, at what price."""

from __future__ import annotations

from datetime import datetime

from envagent.advice.model import Placement
from envagent.engine.step import Output


class Plan(Output):
    """Node types in the order in which they will be asked for, and the lease's length."""

    placement: Placement
    hours: int
    hours_reason: str
    start: datetime | None
    """None means now."""
    service_units: float
    """What the lease will be charged at most, on the first node type."""


class Approved(Output):
    """The user agreed to the plan."""

    at: datetime
