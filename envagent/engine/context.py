"""What a stage can do beyond computing: report, decide, wait and, with its ledger, create and remove objects.

A context lives for one entry of one stage. Reports and decisions are stored with the stage's next checkpoint.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from envagent.engine.clock import from_text, to_text
from envagent.engine.intents import Ledger
from envagent.engine.kinds import ResourceKind
from envagent.engine.loaded_run import Run
from envagent.engine.step import NotYet, Watched, pause_after
from envagent.engine.tables import DecisionRecord, EventKind

Services = TypeVar("Services")

_LABELLING = threading.Lock()

APPROVED_AMOUNT = "approved_amount"
"""The label that holds the amount that the user approved."""

ENTERED: ContextVar[str | None] = ContextVar("entered", default=None)
"""The stage that this thread is in, such as `launch_server.launch`; None outside of stages."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait of a stage, timed from its first start through all restarts."""

    name: str
    since: datetime
    now: datetime
    deadline: datetime
    every: timedelta
    counted_from: datetime

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.now >= self.deadline

    @property
    def seconds(self) -> float:
        """How long the wait has taken."""
        return (self.now - self.since).total_seconds()

    def not_yet(self, status: str, *, kind: str | None = None, cloud_id: str = "") -> NotYet:
        """Return when to look again: soon at first, at most `every` apart, never beyond the deadline.

        Args:
            status: what was seen.
            kind: the kind of the one object whose next change ends the wait, with that status until then.
            cloud_id: its id.
        """
        begins = max(self.since, self.counted_from)
        look_again = min(self.now + pause_after(begins, self.now, self.every), max(self.deadline, self.now))
        watched = None if kind is None else Watched(kind, cloud_id, status, begins, self.every)
        return NotYet(self.name, look_again, self.deadline, status, watched=watched)


class Context(Generic[Services]):
    """What a stage gets as its first argument.

    Attributes:
        ledger: creates and removes objects in the cloud, exactly one per tag.
        services: what the pipeline's steps work with (the cloud, the advisor, the settings).
        attempt: 1, plus one for each time that the stage was restarted after a crash or failure.
        now: returns the current time.
        stopping: returns whether the user asked to stop; long work without cloud calls should check it.
        acting: False when the run is only inspected, so that nothing may be written to the cloud.
    """

    def __init__(self, services: Services, run: Run, stage: str, ledger: Ledger, *, acting: bool = True) -> None:
        self.services = services
        self.run_id = run.run_id
        self.stage = stage
        self.ledger = ledger
        self.stopping = ledger.runtime.stop.is_set
        self.acting = acting
        self._run = run
        self._row = run.stages[stage]
        self.attempt = self._row.attempts
        self.now = ledger.runtime.clock.now

    @property
    def approved(self) -> bool:
        """Whether the user approved the plan."""
        return self._run.row.approved_at is not None

    def is_done(self, step: str) -> bool:
        """Return whether a step of the run has finished."""
        return self._run.pipeline.last_stage(step).key in self._run.outputs

    def reconcile(self, kinds: Iterable[ResourceKind]) -> NotYet | None:
        """Correct the record of what the run created and remove surplus objects; see `Ledger.reconcile`."""
        return self.ledger.reconcile(kinds, act=self.acting)

    @property
    def approved_amount(self) -> float | None:
        """The amount that the user approved last; None if nobody was asked."""
        amount = json.loads(self._run.row.labels).get(APPROVED_AMOUNT)
        return None if amount is None else float(amount)

    def report(self, message: str, **detail: Any) -> None:
        """Show the user a message."""
        self.ledger.note(EventKind.REPORT, message, detail)

    def warn(self, message: str, **detail: Any) -> None:
        """Show the user a warning."""
        self.ledger.note(EventKind.WARNING, message, detail)

    def label(self, **labels: str | None) -> None:
        """Set what a list of runs shows next to the run's id."""
        with _LABELLING:  # the stages of a run work in parallel
            self._run.row.labels = json.dumps({**json.loads(self._run.row.labels), **labels})
        self.ledger.pending.append(self._run.row)

    def decide(self, name: str, source: str, reason: str, detail: Mapping[str, Any]) -> None:
        """Record a decision with its source and reason."""
        record = DecisionRecord(
            run_id=self.run_id,
            stage=self.stage,
            at=to_text(self.now()),
            name=name,
            source=source,
            reason=reason,
            detail=json.dumps(dict(detail)),
        )
        self.ledger.pending.append(record)
        shown = {"name": name, "source": source, "value": detail.get("value"), "reason": reason}
        self.ledger.note(EventKind.DECISION, f"{name}: {reason}", shown)

    def wait(self, name: str, *, every: float, timeout: float, counted_from: datetime | None = None) -> Wait:
        """Start a wait, or continue it.

        Args:
            name: what is waited for; the stage's next wait has another name.
            every: the longest pause between two looks, in seconds.
            timeout: seconds from the first start of this wait (or from `counted_from`, if later) to its deadline.
            counted_from: a time before which nothing can happen, such as a lease's start.
        """
        now = self.now()
        since = now
        if self._row.wait == name and self._row.wait_since is not None:
            since = from_text(self._row.wait_since)
            if since > now:  # the clock was set back: count from now on, not for an hour more
                since = now
                self._row.wait_since = to_text(now)
        counted_from = counted_from or since
        deadline = max(since, counted_from) + timedelta(seconds=timeout)
        return Wait(name, since, now, deadline, timedelta(seconds=every), counted_from)
