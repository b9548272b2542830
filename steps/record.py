"""Recording a decision: the advisor's models in, the journal's row and the user's lines out."""

from __future__ import annotations

from envagent.advice.decisions import Decision
from envagent.steps.services import StepContext


def record(context: StepContext, decision: Decision) -> None:
    """Store a decision with its stage, and tell what it warns of."""
    context.decide(decision.name, decision.source, decision.reason, decision.model_dump(mode="json"))
    for warning in decision.warnings:
        context.warn(warning)
