"""A run that this process works on: what the journal does not store of it, and what an advance came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel

from envagent.engine.context import Context
from envagent.engine.loaded_run import Run
from envagent.engine.step import GoBack, NotYet, Output, Question, Step, Stopped, Watched
from envagent.engine.tables import DecisionRecord, EventRecord
from envagent.errors import EnvagentError

if TYPE_CHECKING:
    from envagent.engine.journal import Transaction

Services = TypeVar("Services")

SLACK = 0.001
"""Seconds by which a look may be early, so that rounding errors do not cost an idle round."""


class Outcome(Enum):
    """What an advance of a run came to."""

    WAITING = "waiting"
    BLOCKED = "blocked"
    """Nothing continues until somebody acts."""
    STOPPED = "stopped"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Progress:
    """What an advance of a run came to, and when to look again (with WAITING)."""

    outcome: Outcome
    look_again: datetime | None = None
    question: Question | None = None
    """What somebody has to approve (with BLOCKED)."""
    watched: tuple[Watched, ...] = ()
    """What to look at meanwhile (with WAITING)..."""
    latest: datetime | None = None
    """... and when to look again if none of it changes."""
    error: EnvagentError | None = None
    """Why this process gave the run up (with STOPPED): somebody else has taken it, or it could not be checked."""

    def checked(self) -> Progress:
        """Return this, or raise the error for which the run was given up."""
        if self.error is not None:
            raise self.error
        return self


@dataclass(slots=True)
class Schedule:
    """When to enter a stage again; not stored."""

    due: float | None = None
    """On the steady clock; None for immediately."""
    blocked_on: NotYet | None = None
    """Why the stage is not entered until somebody acts."""
    failures: int = 0
    waiting: NotYet | None = None
    """What the stage returned last, if it waits for an object that can be watched."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is settled before a run starts, from an earlier look at the same request.

    Attributes:
        outputs: those of the stages that are not to be entered.
        decisions: the decisions behind them.
        warnings: what the user was warned of.
    """

    outputs: Sequence[Output]
    decisions: Sequence[DecisionRecord] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NewRun(Generic[Services]):
    """A run to begin.

    Attributes:
        request: what the run is for.
        services: what its steps work with.
        run_id: its id; a new one by default.
        labels: what lists show of the run, beyond what its request says.
        known: what is settled already; its stages are not entered.
        owner: who submits it to a fleet.
        name: what the user calls it.
    """

    request: BaseModel
    services: Services
    run_id: str | None = None
    labels: Mapping[str, str] | None = None
    known: Known | None = None
    owner: str | None = None
    name: str | None = None


@dataclass(slots=True)
class Entry:
    """One entry of one stage: its context, its inputs and its result."""

    key: str
    context: Context[Any]
    inputs: dict[str, BaseModel] = field(default_factory=dict)
    result: Output | NotYet | GoBack | EnvagentError | Stopped | BaseException | None = None
    told: list[EventRecord] = field(default_factory=list)
    """What is announced once the result is on disk."""


@dataclass(slots=True)
class Execution(Generic[Services]):
    """A run that this process works on."""

    run: Run
    services: Services
    schedules: dict[str, Schedule] = field(default_factory=dict)
    unconfirmed: list[Step] = field(default_factory=list)
    """Finished steps whose outputs this process has not yet compared with the cloud."""
    acting: bool = True
    """False if the run is only inspected: no stage is entered and nothing is written to the cloud."""

    def watched(self, now: datetime, steady: float) -> tuple[tuple[Watched, ...], datetime | None]:
        """List what its stages wait for that can be watched, and return when one must be entered even so.

        Args:
            now: the time.
            steady: the same on the steady clock.

        Returns:
            Nothing and None if no wait can be watched.
        """
        watched, times = [], []
        for key, schedule in self.schedules.items():
            if schedule.due is None or key in self.run.outputs:
                continue
            if schedule.waiting is not None and schedule.waiting.watched is not None:
                watched.append(schedule.waiting.watched)
                times.append(schedule.waiting.deadline or now)
            else:
                times.append(now + timedelta(seconds=schedule.due - steady))
        return tuple(watched), min(times) if watched else None


Leave: TypeAlias = "Callable[[Transaction, Execution[Any], Progress], None]"
"""Writes what an advance leaves behind, into the transaction that records the last of it."""
