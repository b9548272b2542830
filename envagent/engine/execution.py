"""A run under way in one process: what the runner knows of it beside the journal, and what an advance answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from envagent.engine.context import Context
from envagent.engine.loaded_run import Run
from envagent.engine.step import NotYet, Output, Question, Step, Stopped
from envagent.errors import EnvagentError

Services = TypeVar("Services")

SLACK = 0.001
"""Seconds by which a look may be early: sums of times in floating point must not cost an idle round."""


class Outcome(Enum):
    """How an advance left its run."""

    WAITING = "waiting"
    BLOCKED = "blocked"
    """Nothing goes on until somebody acts."""
    STOPPED = "stopped"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Progress:
    """How an advance left its run, and when to look again (with WAITING)."""

    outcome: Outcome
    look_again: datetime | None = None
    question: Question | None = None
    """What somebody has to agree to (with BLOCKED)."""


@dataclass(slots=True)
class Schedule:
    """What only the living process knows of a stage."""

    due: float | None = None
    """When to enter it again, on the steady clock; None is at once."""
    blocked_on: NotYet | None = None
    """Why it is not entered until somebody acts."""
    failures: int = 0


@dataclass(slots=True)
class Entry:
    """One entry of one stage: its context, and what came of it."""

    key: str
    context: Context[Any]
    inputs: dict[str, BaseModel] = field(default_factory=dict)
    result: Output | NotYet | EnvagentError | Stopped | BaseException | None = None


@dataclass(slots=True)
class Execution(Generic[Services]):
    """A run under way in this process."""

    run: Run
    services: Services
    schedules: dict[str, Schedule] = field(default_factory=dict)
    unconfirmed: list[Step] = field(default_factory=list)
    """Finished steps whose outputs this process has not yet held against the world."""
    acting: bool = True
    """False when the run is only looked at: no stage is entered and nothing is written to the cloud."""
