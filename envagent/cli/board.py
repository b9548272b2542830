"""What is known of a run while it is watched: the ten steps with their state, and their waits.

It is fed by the run's one stream of events and by the journal's rows at its start; it draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from envagent.cli import times
from envagent.engine.tables import EventRecord, StageRecord, StageState


@dataclass(slots=True)
class Waiting:
    """A wait of a stage."""

    what: str
    status: str
    since: datetime | None
    deadline: datetime | None


@dataclass(slots=True)
class StepView:
    """One step as a person sees it."""

    name: str
    stages: dict[str, str] = field(default_factory=dict)
    """Stage name to StageState."""
    started: datetime | None = None
    finished: datetime | None = None
    waiting: dict[str, Waiting] = field(default_factory=dict)
    note: str = ""
    """The last thing that was said about it; once it is done, what came of it."""

    @property
    def state(self) -> str:
        """The step's state, summed up over its stages."""
        states = set(self.stages.values())
        if states == {StageState.SUCCEEDED} or states == {StageState.PENDING}:
            return states.pop()
        for state in (StageState.FAILED, StageState.RUNNING, StageState.WAITING):
            if state in states:
                return state
        return "begun"

    def seconds(self, now: datetime) -> float | None:
        """How long the step has taken, None before it begins."""
        return None if self.started is None else ((self.finished or now) - self.started).total_seconds()


class Board:
    """The steps of one run, in the pipeline's order."""

    def __init__(self, rows: Iterable[StageRecord]) -> None:
        self.steps: dict[str, StepView] = {}
        for row in rows:
            step = self.steps.setdefault(row.step, StepView(row.step))
            step.stages[row.stage] = row.state
            started, finished = times.parsed(row.started_at), times.parsed(row.finished_at)
            step.started = min(filter(None, (step.started, started)), default=None)
            step.finished = max(filter(None, (step.finished, finished)), default=None)

    def take(self, event: EventRecord) -> StepView | None:
        """Note an event; give the step that it is about."""
        step_name, _, stage = (event.stage or "").partition(".")
        step = self.steps.get(step_name)
        if step is None:
            return None
        at = datetime.fromisoformat(event.at)
        match event.kind:
            case "stage_started":
                step.stages[stage] = StageState.RUNNING
                step.started = step.started or at
                step.finished = None
            case "stage_succeeded":
                step.stages[stage] = StageState.SUCCEEDED
                step.waiting.pop(stage, None)
                step.finished = at
            case "stage_failed":
                step.stages[stage] = StageState.FAILED
                step.waiting.pop(stage, None)
                step.finished = at
            case "stage_waiting":
                told = json.loads(event.detail)
                step.stages[stage] = StageState.WAITING
                step.waiting[stage] = Waiting(
                    event.message, told["status"], times.parsed(told["since"]), times.parsed(told["deadline"])
                )
            case "decision":
                step.note = decided(event)
            case "report" | "stage_retrying" | "resource_owned" | "resource_adopted":
                step.note = event.message
            case _:
                pass
        return step

    def place(self, step: StepView) -> str:
        """Say which of how many a step is, such as ` 3/10`."""
        number = list(self.steps).index(step.name) + 1
        return f"{number:2}/{len(self.steps)}"


def decided(event: EventRecord) -> str:
    """Say a decision: what, by whom, why."""
    told = json.loads(event.detail)
    value = told["value"]
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, list):
        value = ", ".join(str(one) for one in value)
    by = "" if told["source"] == "rules" else f" (by {told['source']})"
    return f"{told['name']}{'' if value is None else f' {value}'}{by}: {told['reason']}"
