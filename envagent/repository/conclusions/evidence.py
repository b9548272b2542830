"""Facts that carried a decision, as the evidence that a user reads."""

from __future__ import annotations

from envagent.repository.facts import Spot
from envagent.repository.results import Confidence, Evidence


def evidence(field: str, value: object, spot: Spot, weight: float, note: str = "") -> Evidence:
    """Create one piece of evidence; its confidence follows from the weight."""
    confidence: Confidence = "high" if abs(weight) >= 1.5 else "medium" if abs(weight) >= 0.6 else "low"
    shown = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return Evidence(
        field=field, value=shown, path=spot.path, line=spot.line, quote=spot.quote, confidence=confidence, note=note
    )
