"""The plan that a user sees before anything is created: where, for how long, at what price."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from envagent.advice.decisions import Placement
from envagent.engine.step import Output
from envagent.repository.results import Analysis
from envagent.steps.analyze_repository import AnalyzedRepository


class ByRules(BaseModel):
    """The choice of the rules alone, without the AI."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node_type: str
    hours: int
    service_units: float


class Plan(Output):
    """The node types in the order in which they are requested, and the length of the lease."""

    placement: Placement
    hours: int
    hours_reason: str
    start: datetime | None
    """None means now."""
    service_units: float
    """The most that the lease is charged on the first node type."""
    ceiling: float | None = None
    """The most that it may be charged on any node type without another approval; None in older plans, where the first
    node type's price counts."""
    by_rules: ByRules | None = None
    """None if the rules decided alone, or would choose the same."""
    without_ai: bool = False
    """Whether it follows the rules' analysis because the AI's would cost too much."""
    needs_person: bool = False
    """Whether the AI makes it so much dearer that an approval in advance does not cover it."""

    def summary(self) -> str:
        """Say what will be reserved, and for how many service units."""
        return f"{self.placement.best.node_type.name} for {self.hours} h, {self.service_units:g} SU"

    def analysis(self, analyzed: AnalyzedRepository) -> Analysis:
        """Return the analysis that the plan is based on."""
        return (self.without_ai and analyzed.by_rules) or analyzed.analysis

    @property
    def most(self) -> float:
        """The most that an approval of this plan covers."""
        return self.service_units if self.ceiling is None else self.ceiling


class Approved(Output):
    """The user approved the plan."""

    at: datetime

    def summary(self) -> str:
        """Return a fixed text."""
        return "approved"
