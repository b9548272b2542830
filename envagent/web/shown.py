"""What the pages show, and how: the same words as on the screens of the command line, escaped for HTML."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from envagent.cli.documents.explanation import explanation
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.run_models import DecisionPart, MomentPart, PlanPart, StepPart
from envagent.cli.render import explanation_screen, screens, times
from envagent.cli.render.plan_screen import candidate_row
from envagent.cli.render.terminal import printable

SOURCES = {**explanation_screen.SOURCES, "user": "the owner"}


@cache
def templates() -> Environment:
    """Return the templates. Every value is made harmless text, then escaped."""
    environment = Environment(
        loader=PackageLoader("envagent.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment, "number": number, "hours": hours, "until": until}
    return environment


def page(name: str, **values: Any) -> str:
    """Return a page."""
    return templates().get_template(name).render(values)


def run_page(run: StoredRun) -> Mapping[str, Any]:
    """Return what the page of a run shows."""
    document, decided = run_document(run), explanation(run)
    return {
        "run": document,
        "owner": run.row.owner,
        "costs": [] if document.cost is None else screens.cost_fields(document.cost, times.now()),
        "steps": [_step(one) for one in document.steps],
        "timeline": [_moment(one) for one in document.timeline],
        "resources": [screens.resource_row(one) for one in document.resources],
        "decisions": [_decision(one, decided.plan) for one in decided.decisions],
        "evidence": screens.evidence_rows(decided.evidence),
        "assumed": list(explanation_screen.assumed_fields(decided)),
        "candidates": _candidates(decided.plan),
        "warnings": list(dict.fromkeys(document.warnings)),
    }


def _step(one: StepPart) -> tuple[str, ...]:
    name, state, _, *others = screens.step_row(one)
    return name, state, moment(one.started_at, seconds=True).partition(" ")[2], *others


def _moment(one: MomentPart) -> tuple[str, str, str]:
    return moment(one.at, seconds=True), (one.stage or "").partition(".")[0], one.message


def _decision(one: DecisionPart, plan: PlanPart | None) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": explanation_screen.TITLES.get(one.name, one.name),
        "by": SOURCES.get(one.source, one.source),
        "fields": list(explanation_screen.decision_fields(one, plan)),
    }


def _candidates(plan: PlanPart | None) -> list[tuple[str, str, str, str, str]]:
    return [] if plan is None else [candidate_row(plan, one) for one in plan.candidates]


def _harmless(value: Any) -> Any:
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def moment(text: str | None, *, seconds: bool = False) -> str:
    """Format a stored time, in UTC.

    >>> moment("2026-11-28T05:30:00+01:00"), moment(None)
    ('2026-11-28 04:30 UTC', '')
    """
    at = times.parsed(text)
    form = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M UTC"
    return "" if at is None else at.astimezone(UTC).strftime(form)


def until(text: str) -> str:
    """Format how long it is until a stored time."""
    return times.ahead(datetime.fromisoformat(text), times.now())


def number(value: float) -> str:
    """Format an amount.

    >>> number(1234567.0), number(2.5), number(0)
    ('1,234,567', '2.5', '0')
    """
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")


def hours(value: float) -> str:
    """Format a number of hours."""
    return times.duration(value * 3600)
