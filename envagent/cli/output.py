"""Rendering the one stream of events: as plain lines, one for each event that is worth reading.

`live.py` draws the same stream on a terminal. An output never raises: a run does not end because nobody can see it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType

from envagent.cli import times
from envagent.cli.board import Board, StepView, Waiting, decided
from envagent.cli.terminal import Terminal
from envagent.engine.tables import EventKind, EventRecord, StageRecord, StageState

Parts = tuple[str | tuple[str, str], ...]

TOLD_AS_THEY_ARE = {
    EventKind.REPORT,
    EventKind.INTENT_SENT,
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


class Output:
    """Prints events as lines; a context manager around each stretch of work that sends them.

    Events that come before `watch` tells the run's steps, or belong to none of them, are told without a step.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.board = Board(())
        self.usual: dict[str, float] = {}
        self._came_of_it: Callable[[str], str] = lambda step: ""
        # Guards the board and is never held while something is printed: rich draws under a lock of its own, and
        # what it draws is the board.
        self._lock = threading.Lock()

    def watch(self, rows: Iterable[StageRecord], usual: dict[str, float], came_of_it: Callable[[str], str]) -> None:
        """Take up a run.

        Args:
            rows: its stages, for the steps' names and what is done already.
            usual: step name to the seconds that it took in past runs.
            came_of_it: tells of a finished step what came of it.
        """
        with self._lock:
            self.board, self.usual, self._came_of_it = Board(rows), usual, came_of_it
            for step in self.board.steps.values():
                if step.state == StageState.SUCCEEDED:
                    step.note = came_of_it(step.name)

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: EventRecord) -> None:
        """Take an event; called from several threads. Never raises: the run goes on even if this cannot be shown."""
        try:
            self._show(event)
        except Exception:
            self.say(event.kind, " ", event.message)

    def _show(self, event: EventRecord) -> None:
        with self._lock:
            before = self._waits(event)
            step = self.board.take(event)
            if step is not None and step.state == StageState.SUCCEEDED:
                step.note = self._came_of_it(step.name)
            parts = self._told(event, step, before)
        if parts is not None:
            at = times.clock(datetime.fromisoformat(event.at))
            self.say((f"{at}  ", "dim"), *parts)

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print a line."""
        self.terminal.line(*parts)

    def restore(self) -> None:
        """Leave the terminal usable, as the process is about to end at once."""

    def _waits(self, event: EventRecord) -> Waiting | None:
        step, _, stage = (event.stage or "").partition(".")
        view = self.board.steps.get(step)
        return None if view is None else view.waiting.get(stage)

    def _told(self, event: EventRecord, step: StepView | None, before: Waiting | None) -> Parts | None:
        """Say an event in one line, None where it is not worth one."""
        where = "" if step is None else f"{self.board.place(step)} {step.name}: "
        match event.kind:
            case EventKind.WARNING:
                return (where, (f"warning: {event.message}", "yellow"))
            case EventKind.STAGE_SUCCEEDED if step is not None and step.state == StageState.SUCCEEDED:
                took = times.duration(step.seconds(times.now()) or 0.0)
                return (where, ("done", "green"), f" ({took}){': ' if step.note else ''}{step.note}")
            case EventKind.DECISION:
                return (where, decided(event))
            case EventKind.STAGE_WAITING if step is not None:
                return self._waiting(where, step.waiting[(event.stage or "").partition(".")[2]], before, step.name)
            case EventKind.STAGE_FAILED:
                return (where, (f"failed: {event.message}", "red"))
            case kind if kind in TOLD_AS_THEY_ARE:
                return (where, event.message)
            case EventKind.TEARDOWN_STARTED:
                return ("teardown begins",)
            case _:
                return None

    def _waiting(self, where: str, wait: Waiting, before: Waiting | None, step: str) -> Parts | None:
        status = f" ({wait.status})" if wait.status else ""
        if before is not None and before.what == wait.what:
            return None if before.status == wait.status else (where, f"{wait.what}: now {wait.status}")
        until = "" if wait.deadline is None else f", until {times.clock(wait.deadline)} at most"
        usual = f"; the step usually takes {times.duration(self.usual[step])}" if step in self.usual else ""
        return (where, f"waiting for {wait.what}{status}{until}{usual}")
