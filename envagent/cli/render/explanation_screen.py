"""The explanation of a run: each decision, who made it and why, what it rests on, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from envagent.cli.documents.explanation import ExplanationDocument
from envagent.cli.documents.run_models import DecisionPart, PlanPart
from envagent.cli.render.image_lists import image_names
from envagent.cli.render.plan_screen import show_candidates
from envagent.cli.render.screens import named, show_evidence
from envagent.cli.render.terminal import Terminal

SOURCES = {"ai": "the AI", "rules": "the built-in rules", "user": "you"}

TITLES = {
    "site": "Site",
    "requirements": "Requirements",
    "node_type": "Node type",
    "duration": "Length of the lease",
    "image_candidates": "Images considered",
    "image": "Image",
}

OF_IMAGES = ("image_candidates", "image")

MOST_ALTERNATIVES = 6


def show_explanation(terminal: Terminal, shown: ExplanationDocument) -> None:
    """Print why a run decided as it did."""
    commit = "" if shown.repository.commit is None else f" at {shown.repository.commit[:12]}"
    terminal.line((f"run {shown.run_id}", "bold"), f": {shown.repository.url}{commit}")
    if not shown.decisions:
        terminal.line("It has not decided anything yet.")
    for one in shown.decisions:
        terminal.line()
        terminal.line((TITLES.get(one.name, one.name), "bold"), f", decided by {SOURCES.get(one.source, one.source)}")
        _show_decision(terminal, one, shown.plan)
        if one.name == "requirements":
            _show_evidence(terminal, shown)
        elif one.name == "node_type" and shown.plan is not None:
            show_candidates(terminal, shown.plan, every=True)


def _show_decision(terminal: Terminal, one: DecisionPart, plan: PlanPart | None) -> None:
    for name, text in decision_fields(one, plan):
        terminal.field(name, text)


def decision_fields(one: DecisionPart, plan: PlanPart | None) -> Iterator[tuple[str, str]]:
    """Yield what was decided, why, what the rules alone would decide and what was refused, as names and texts."""
    chosen = None if plan is None or plan.image is None else plan.image.name
    yield "decided", _words(one, one.value, chosen)
    yield "because", one.reason
    if one.source != "rules" and one.rules_value is not None:
        same = one.rules_value == one.value
        if not same or one.source != "user":  # the rules follow what the user has set
            yield "rules alone", "the same" if same else _words(one, one.rules_value, chosen)
    known = set() if plan is None else {f"{name}: {why}" for name, why in plan.excluded.items()}
    for refused in one.rejected:
        if refused not in known:  # node types that do not suit are listed below
            yield "refused", refused
    for warning in one.warnings:
        yield "warning", warning
    if one.name != "node_type" and one.alternatives:
        names = [str(name) for name in one.alternatives]
        if one.name in OF_IMAGES:
            yield "others", image_names(names, chosen)
        else:
            more = len(names) - MOST_ALTERNATIVES
            yield "others", ", ".join(names[:MOST_ALTERNATIVES]) + (f" and {more} more" if more > 0 else "")
    if isinstance(one.usage, dict):
        yield "AI usage", ", ".join(f"{name} {value}" for name, value in one.usage.items() if value)


def _show_evidence(terminal: Terminal, shown: ExplanationDocument) -> None:
    if shown.evidence:
        terminal.line("  What it rests on:")
        show_evidence(terminal, shown.evidence)
    for name, text in assumed_fields(shown):
        terminal.field(name, text)


def assumed_fields(shown: ExplanationDocument) -> Iterator[tuple[str, str]]:
    """Yield what is assumed where the files state nothing, and what was not read, as names and texts."""
    if shown.sizing is not None:
        sizes = [" ".join(named(name, value)) for name, value in shown.sizing.items() if value and name != "reasons"]
        yield "sized as", ", ".join(sizes)
        reasons = shown.sizing.get("reasons")
        for reason in reasons if isinstance(reasons, list) else []:
            yield "", str(reason)
    for text in shown.assumptions:
        yield "assumed", text
    for text in shown.notes:
        yield "note", text


def _words(one: DecisionPart, value: JsonValue, chosen: str | None) -> str:
    """Return the value of a decision in words; `chosen` is the image that was taken."""
    if one.name == "requirements" and isinstance(value, dict):
        from pydantic import ValidationError

        from envagent.repository.results import Requirements
        from envagent.steps.analyze_repository import describe

        try:
            return describe(Requirements.model_validate(value))
        except ValidationError:  # another version stored it
            return ", ".join(" ".join(named(field, one)) for field, one in value.items() if one)
    if isinstance(value, dict):
        return str(value.get("name", ""))
    if isinstance(value, list):
        return image_names(list(map(str, value)), chosen)
    return f"{value} h" if one.name == "duration" else str(value)
