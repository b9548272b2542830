"""The progress of a run: its steps with their state and waits, fed by the run's events, and printed as lines.

`live.py` draws the same progress on a terminal. Rendering never raises: a run does not end because nobody can see it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType

from envagent.cli.documents.durations import PERSON, History
from envagent.cli.render import times
from envagent.cli.render.terminal import Terminal
from envagent.engine.tables import EventKind, EventRecord, StageRecord, StageState


@dataclass(slots=True)
class Wait:
    """A wait of a stage."""

    what: str
    status: str
    since: datetime | None
    deadline: datetime | None

    @property
    def status_words(self) -> str:
        """The service's status, such as `BUILD (spawning)`."""
        state, _, task = self.status.partition("/")
        return f"{state} ({task})" if task else state


@dataclass(slots=True)
class StepProgress:
    """One step as it is shown."""

    name: str
    stages: dict[str, str] = field(default_factory=dict)
    """Stage name to StageState."""
    worked: dict[str, float] = field(default_factory=dict)
    """Stage name to the seconds that it took."""
    since: dict[str, datetime] = field(default_factory=dict)
    """Stage name to when it was started, moved on by the time that a person took to answer."""
    asked: dict[str, datetime] = field(default_factory=dict)
    """Stage name to since when it waits for an answer."""
    waiting: dict[str, Wait] = field(default_factory=dict)
    note: str = ""
    """The last report; once the step is done, its summary."""
    summaries: dict[str, str] = field(default_factory=dict)
    """Stage name to what the stage came to."""
    failure: str = ""
    disturbed: bool = False
    """Whether it has removed something again: how long it takes when all goes well says nothing then."""

    @property
    def state(self) -> str:
        """The step's state: a StageState, or "started" between two stages."""
        states = set(self.stages.values())
        if states == {StageState.SUCCEEDED} or states == {StageState.PENDING}:
            return states.pop()
        for state in (StageState.FAILED, StageState.RUNNING, StageState.WAITING):
            if state in states:
                return state
        return "started"

    def seconds(self, now: datetime) -> float | None:
        """Return how long the step has worked, without the time for a person's answers; None before it starts."""
        if not self.worked and not self.since:
            return None
        return sum(self.worked.values()) + sum(self._so_far(stage, now) for stage in self.since)

    def begin(self, stage: str, at: datetime) -> None:
        """Start a stage, perhaps again."""
        self.worked.pop(stage, None)
        self.since[stage] = at

    def end(self, stage: str, at: datetime) -> None:
        """End a stage, succeeded or failed."""
        if stage in self.since:
            self.worked[stage] = self._so_far(stage, at)
        for one in (self.since, self.asked, self.waiting):
            one.pop(stage, None)

    def answered(self, at: datetime) -> None:
        """Continue after an answer."""
        for stage, asked in self.asked.items():
            self.since[stage] = self.since.get(stage, asked) + (at - asked)
        self.asked.clear()

    def _so_far(self, stage: str, now: datetime) -> float:
        return max(timedelta(), self.asked.get(stage, now) - self.since[stage]).total_seconds()


class Progress:
    """The steps of one run, in the pipeline's order."""

    def __init__(self, rows: Iterable[StageRecord], summaries: Mapping[str, str] | None = None) -> None:
        self.steps: dict[str, StepProgress] = {}
        history = History()
        for row in rows:
            step = self.steps.setdefault(row.step, StepProgress(row.step))
            step.stages[row.stage] = row.state
            seconds = history.seconds(row)
            if row.state in (StageState.RUNNING, StageState.WAITING):
                step.begin(row.stage, times.now())
            elif row.state == StageState.SUCCEEDED:
                step.summaries[row.stage] = step.note = (summaries or {}).get(f"{row.step}.{row.stage}", "")
                if seconds is not None:
                    step.worked[row.stage] = seconds

    def take(self, event: EventRecord) -> StepProgress | None:
        """Apply an event, and return the step that it is about."""
        at = datetime.fromisoformat(event.at)
        if event.kind == EventKind.RUN_APPROVED:
            for one in self.steps.values():
                one.answered(at)
        step_name, _, stage = (event.stage or "").partition(".")
        step = self.steps.get(step_name)
        if step is None or stage not in step.stages:
            return None
        match event.kind:
            case EventKind.STAGE_STARTED:
                step.stages[stage] = StageState.RUNNING
                step.begin(stage, at)
            case EventKind.STAGE_SUCCEEDED:
                step.stages[stage] = StageState.SUCCEEDED
                step.summaries[stage] = step.note = json.loads(event.detail).get("summary", "")
                if step.state == StageState.SUCCEEDED:  # the last stage may have been settled by a saved plan
                    step.note = step.summaries.get(list(step.stages)[-1], "")
                step.end(stage, at)
            case EventKind.STAGE_FAILED:
                step.stages[stage] = StageState.FAILED
                step.failure = event.message
                step.end(stage, at)
            case EventKind.STAGE_WAITING:
                detail = json.loads(event.detail)
                step.stages[stage] = StageState.WAITING
                step.waiting[stage] = Wait(
                    event.message, detail["status"], times.parsed(detail["since"]), times.parsed(detail["deadline"])
                )
                if event.message.startswith(PERSON):
                    step.asked.setdefault(stage, at)
            case EventKind.DECISION:
                step.note = decided(event)
            case EventKind.RESOURCE_REMOVING:
                step.disturbed = True
            case EventKind.REPORT | EventKind.STAGE_RETRYING | EventKind.RESOURCE_OWNED | EventKind.RESOURCE_ADOPTED:
                step.note = event.message
            case _:
                pass
        return step

    def place(self, step: StepProgress) -> str:
        """Return the position of a step, such as ` 3/10`."""
        number = list(self.steps).index(step.name) + 1
        return f"{number:2}/{len(self.steps)}"


def decided(event: EventRecord) -> str:
    """Describe a decision: what, by whom, why."""
    decision = json.loads(event.detail)
    value = decision["value"]
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, list):
        from envagent.cli.render.image_lists import image_names

        value = image_names([str(one) for one in value])
    if decision["name"] == "duration":
        value = f"{value} h"
    by = "" if decision["source"] == "rules" else f" (by {decision['source']})"
    name = decision["name"].replace("_", " ")
    return f"{name}{'' if value is None else f' {value}'}{by}: {decision['reason']}"


UNTOLD = {
    EventKind.RUN_STARTED: "run started",
    EventKind.RUN_RESUMED: "run resumed",
    EventKind.RUN_APPROVED: "plan approved",
    EventKind.RUN_SUCCEEDED: "run succeeded",
    EventKind.RUN_INTERRUPTED: "run interrupted",
    EventKind.RUN_TORN_DOWN: "run torn down",
    EventKind.TEARDOWN_STARTED: "teardown started",
    EventKind.STAGE_STARTED: "started",
}
"""Events that carry no message."""


def described(event: EventRecord) -> str:
    """Describe a stored event in one line."""
    detail = json.loads(event.detail)
    match event.kind:
        case EventKind.DECISION:
            return decided(event)
        case EventKind.STAGE_WAITING:
            status = Wait(event.message, detail.get("status") or "", None, None).status_words
            return f"waiting for {event.message}{f': {status}' if status else ''}"
        case EventKind.STAGE_SUCCEEDED:
            return f"done: {detail.get('summary', '')}"
        case EventKind.STAGE_FAILED:
            return f"failed: {event.message}"
        case EventKind.WARNING:
            return f"warning: {event.message}"
        case EventKind.RUN_APPROVED if event.message:  # the question
            return f"agreed: {event.message.removesuffix('?')}"
        case _:
            return event.message or {one.value: words for one, words in UNTOLD.items()}.get(event.kind, event.kind)


Parts = tuple[str | tuple[str, str], ...]

SHOWN_AS_SENT = {
    EventKind.REPORT,
    EventKind.INTENT_REFUSED,
    EventKind.OUTCOME_UNKNOWN,
    EventKind.RESOURCE_OWNED,
    EventKind.RESOURCE_ADOPTED,
    EventKind.RESOURCE_FOREIGN,
    EventKind.RESOURCE_REMOVING,
    EventKind.RESOURCE_REMOVED,
    EventKind.RESOURCE_GONE,
    EventKind.STAGE_RETRYING,
}


class ProgressLines:
    """Prints events as lines, one for each event that is worth reading.

    It is a context manager around the work that sends them. An event of no known step is printed without one.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.progress = Progress(())
        self.typical: Mapping[str, float] = {}
        # Guards the progress, and is never held while printing: rich has a lock of its own while it draws the progress.
        self._lock = threading.Lock()

    def watch(self, rows: Iterable[StageRecord], typical: Mapping[str, float], summaries: Mapping[str, str]) -> None:
        """Show a run from now on.

        Args:
            rows: its stages.
            typical: step name to the seconds that it took in past runs.
            summaries: stage key to what the stage came to when it finished.
        """
        with self._lock:
            self.progress, self.typical = Progress(rows, summaries), typical

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: EventRecord) -> None:
        """Show an event; called from several threads. Never raises, even if the event cannot be shown."""
        try:
            self._show(event)
        except Exception:
            self.say(event.kind, " ", event.message)

    def _show(self, event: EventRecord) -> None:
        with self._lock:
            before = self._waits(event)
            step = self.progress.take(event)
            parts = self._described(event, step, before)
        if parts is not None:
            at = times.clock(datetime.fromisoformat(event.at))
            self.say((f"{at}  ", "dim"), *parts)

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print a line."""
        self.terminal.line(*parts, inset=10)

    def finish(self) -> None:
        """Show what remains to be seen once the work has ended; lines have shown everything."""

    def restore(self) -> None:
        """Leave the terminal usable, because the process is about to exit."""

    def _waits(self, event: EventRecord) -> Wait | None:
        step, _, stage = (event.stage or "").partition(".")
        view = self.progress.steps.get(step)
        return None if view is None else view.waiting.get(stage)

    def _described(self, event: EventRecord, step: StepProgress | None, before: Wait | None) -> Parts | None:
        """Describe an event in one line; None where it is not worth one."""
        where = "" if step is None else f"{self.progress.place(step)} {step.name}: "
        match event.kind:
            case EventKind.WARNING:
                return (where, (f"warning: {event.message}", "yellow"))
            case EventKind.STAGE_SUCCEEDED if step is not None and step.state == StageState.SUCCEEDED:
                took = times.duration(step.seconds(times.now()) or 0.0)
                return (where, ("done", "green"), f" ({took}){': ' if step.note else ''}{step.note}")
            case EventKind.DECISION:
                return (where, decided(event))
            case EventKind.STAGE_WAITING if step is not None:
                return self._waiting(where, step.waiting[(event.stage or "").partition(".")[2]], before, step)
            case EventKind.STAGE_FAILED:
                return (where, (f"failed: {event.message}", "red"))
            case kind if kind in SHOWN_AS_SENT:
                return (where, event.message)
            case EventKind.TEARDOWN_STARTED:
                return ("tearing down",)
            case _:
                return None

    def _waiting(self, where: str, wait: Wait, before: Wait | None, step: StepProgress) -> Parts | None:
        if wait.what.startswith(PERSON):  # the plan and the question show it
            return None
        status = f": {wait.status_words}" if wait.status else ""
        if before is not None and before.what == wait.what:
            return None if before.status == wait.status else (where, f"{wait.what}{status}")
        usual = None if step.disturbed else self.typical.get(step.name)
        typical = "" if usual is None else f", the step usually takes {times.duration(usual)}"
        timeout = "" if wait.deadline is None else f", timeout at {times.clock(wait.deadline)}"
        return (where, f"waiting for {wait.what}{status}{typical}{timeout}")


class DrawnProgress(ProgressLines):
    """Progress whose steps are drawn as a table: only what the table does not show is printed."""

    def _described(self, event: EventRecord, step: StepProgress | None, before: object) -> Parts | None:
        """Omit what the table shows: states, waits, decisions; and what is said again."""
        if event.kind in (
            EventKind.STAGE_SUCCEEDED,
            EventKind.STAGE_WAITING,
            EventKind.DECISION,
            EventKind.REPORT,
            EventKind.INTENT_REFUSED,  # the warning or the failure that follows says why
        ):
            return None
        return super()._described(event, step, None)

    def _about(self, step: StepProgress, now: datetime) -> str:
        """Return what a step waits for, or what it came to."""
        if step.state == StageState.FAILED:
            return step.failure
        if not step.waiting or step.state == StageState.SUCCEEDED:
            return step.note if step.state != StageState.PENDING else ""
        wait = list(step.waiting.values())[-1]
        parts = [f"waiting for {wait.what}" + (f": {wait.status_words}" if wait.status else "")]
        if step.name in self.typical and not step.disturbed:
            parts.append(f"usually {times.duration(self.typical[step.name])}")
        if wait.deadline is not None:
            parts.append(f"timeout {times.until(wait.deadline, now)}")
        return ", ".join(parts)

    def _took(self, step: StepProgress, now: datetime) -> str:
        """Return how long a step has worked."""
        seconds = step.seconds(now)
        return "" if seconds is None or step.state == StageState.PENDING else times.duration(seconds)
