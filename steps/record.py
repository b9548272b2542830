"""Storing a decision of the advisor, and showing its warnings."""

from __future__ import annotations

from envagent.advice.decisions import Decision
from envagent.steps.services import StepContext


def record(context: StepContext, decision: Decision) -> None:
    """Store a decision with its stage, and show its warnings."""
    context.decide(decision.name, decision.source, decision.reason, decision.model_dump(mode="json"))
    for warning in decision.warnings:
        context.warn(warning)
