"""The plan that a user sees before anything is made: where, for how long, at what price."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from envagent.advice.decisions import Placement
from envagent.engine.step import Output
from envagent.repository.results import Analysis
from envagent.steps.analyze_repository import AnalyzedRepository


class ByRules(BaseModel):
    """What the rules alone would take, without the AI."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node_type: str
    hours: int
    service_units: float


class Plan(Output):
    """Node types in the order in which they will be asked for, and the lease's length."""

    placement: Placement
    hours: int
    hours_reason: str
    start: datetime | None
    """None means now."""
    service_units: float
    """What the lease will be charged at most, on the first node type."""
    ceiling: float | None = None
    """The most that it may be charged, on whichever node type is taken without asking again; None: of an older plan,
    which is held to its first node type."""
    by_rules: ByRules | None = None
    """None where the rules decided alone, or would take the same."""
    without_ai: bool = False
    """It stands on what the rules alone conclude: what the AI asked for would cost too much."""
    needs_person: bool = False
    """The AI makes it so much dearer that a yes given in advance does not cover it."""

    def summary(self) -> str:
        """Say what will be reserved, and for how many service units."""
        return f"{self.placement.best.node_type.name} for {self.hours} h, {self.service_units:g} SU"

    def analysis(self, analyzed: AnalyzedRepository) -> Analysis:
        """Give the analysis that the plan stands on."""
        return (self.without_ai and analyzed.by_rules) or analyzed.analysis

    @property
    def most(self) -> float:
        """The most that an agreement to this plan covers."""
        return self.service_units if self.ceiling is None else self.ceiling


class Approved(Output):
    """The user agreed to the plan."""

    at: datetime

    def summary(self) -> str:
        """Say so."""
        return "approved"
