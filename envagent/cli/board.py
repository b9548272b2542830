"""What is known of a run while it is watched: the ten steps with their state, and their waits.

It is fed by the run's one stream of events and by the journal's rows at its start; it draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from envagent.cli import times
from envagent.cli.durations import PERSON, History
from envagent.engine.tables import EventKind, EventRecord, StageRecord, StageState


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
    worked: dict[str, float] = field(default_factory=dict)
    """Stage name to the seconds that it took."""
    since: dict[str, datetime] = field(default_factory=dict)
    """Stage name to when it began, later by the time that a person took to answer."""
    asked: dict[str, datetime] = field(default_factory=dict)
    """Stage name to since when it waits for a person's answer."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    note: str = ""
    """The last thing that was said about it; once it is done, what came of it."""
    failure: str = ""

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
        """Give how long the step has worked, None before it begins; a person's time to answer does not count."""
        if not self.worked and not self.since:
            return None
        return sum(self.worked.values()) + sum(self._so_far(stage, now) for stage in self.since)

    def begin(self, stage: str, at: datetime) -> None:
        """Begin a stage, perhaps once more."""
        self.worked.pop(stage, None)
        self.since[stage] = at

    def end(self, stage: str, at: datetime) -> None:
        """End a stage, done or failed."""
        if stage in self.since:
            self.worked[stage] = self._so_far(stage, at)
        for one in (self.since, self.asked, self.waiting):
            one.pop(stage, None)

    def answered(self, at: datetime) -> None:
        """Go on after a person has answered."""
        for stage, asked in self.asked.items():
            self.since[stage] = self.since.get(stage, asked) + (at - asked)
        self.asked.clear()

    def _so_far(self, stage: str, now: datetime) -> float:
        return max(timedelta(), self.asked.get(stage, now) - self.since[stage]).total_seconds()


class Board:
    """The steps of one run, in the pipeline's order."""

    def __init__(self, rows: Iterable[StageRecord]) -> None:
        self.steps: dict[str, StepView] = {}
        history = History()
        for row in rows:
            step = self.steps.setdefault(row.step, StepView(row.step))
            step.stages[row.stage] = row.state
            seconds = history.seconds(row)
            if row.state in (StageState.RUNNING, StageState.WAITING):
                step.begin(row.stage, times.now())
            elif row.state == StageState.SUCCEEDED and seconds is not None:
                step.worked[row.stage] = seconds

    def take(self, event: EventRecord) -> StepView | None:
        """Note an event; give the step that it is about."""
        at = datetime.fromisoformat(event.at)
        if event.kind == EventKind.RUN_APPROVED:
            for one in self.steps.values():
                one.answered(at)
        step_name, _, stage = (event.stage or "").partition(".")
        step = self.steps.get(step_name)
        if step is None:
            return None
        match event.kind:
            case EventKind.STAGE_STARTED:
                step.stages[stage] = StageState.RUNNING
                step.begin(stage, at)
            case EventKind.STAGE_SUCCEEDED:
                step.stages[stage] = StageState.SUCCEEDED
                step.end(stage, at)
            case EventKind.STAGE_FAILED:
                step.stages[stage] = StageState.FAILED
                step.failure = event.message
                step.end(stage, at)
            case EventKind.STAGE_WAITING:
                told = json.loads(event.detail)
                step.stages[stage] = StageState.WAITING
                step.waiting[stage] = Waiting(
                    event.message, told["status"], times.parsed(told["since"]), times.parsed(told["deadline"])
                )
                if event.message.startswith(PERSON):
                    step.asked.setdefault(stage, at)
            case EventKind.DECISION:
                step.note = decided(event)
            case EventKind.REPORT | EventKind.STAGE_RETRYING | EventKind.RESOURCE_OWNED | EventKind.RESOURCE_ADOPTED:
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
