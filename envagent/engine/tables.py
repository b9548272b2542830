"""What the journal holds. Times are ISO 8601 text in UTC, structured values are JSON text.

Each `...Record` is the plain model that the engine works with; the table beside it is the same fields as SQLModel
maps them. (Table models track every assignment for the object layer, which costs more than the commit itself.)
A change here needs a revision in migrations/; a test holds the two against each other.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint


class RunState(StrEnum):
    """Where a run is. A stored `running` whose lock nobody holds is an interrupted run."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    TORN_DOWN = "torn_down"


class StageState(StrEnum):
    """Where a stage is."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


class IntentState(StrEnum):
    """What is known of one write to the outside world."""

    SENT = "sent"
    """Perhaps it happened: only looking can tell."""
    DONE = "done"
    REFUSED = "refused"
    """The service said no; nothing was made."""


class Ownership(StrEnum):
    """Whose a resource is; teardown removes what is owned or adopted."""

    OWNED = "owned"
    ADOPTED = "adopted"
    """Made by this run, found again by its mark after a crash."""
    FOREIGN = "foreign"


class ResourceState(StrEnum):
    """What is known of a resource."""

    PRESENT = "present"
    REMOVING = "removing"
    ABSENT = "absent"


class EventKind(StrEnum):
    """What an event reports."""

    RUN_STARTED = "run_started"
    RUN_RESUMED = "run_resumed"
    RUN_APPROVED = "run_approved"
    RUN_SUCCEEDED = "run_succeeded"
    RUN_INTERRUPTED = "run_interrupted"
    RUN_TORN_DOWN = "run_torn_down"
    TEARDOWN_STARTED = "teardown_started"
    STAGE_STARTED = "stage_started"
    """Sent to the listener only: the steps table records it."""
    STAGE_SUCCEEDED = "stage_succeeded"
    """Stored only where the output has a summary, which is its detail; always sent to the listener."""
    STAGE_WAITING = "stage_waiting"
    STAGE_RETRYING = "stage_retrying"
    STAGE_FAILED = "stage_failed"
    REPORT = "report"
    WARNING = "warning"
    DECISION = "decision"
    INTENT_SENT = "intent_sent"
    INTENT_REFUSED = "intent_refused"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RESOURCE_OWNED = "resource_owned"
    RESOURCE_ADOPTED = "resource_adopted"
    RESOURCE_FOREIGN = "resource_foreign"
    RESOURCE_REMOVING = "resource_removing"
    RESOURCE_REMOVED = "resource_removed"
    RESOURCE_GONE = "resource_gone"


class Record(SQLModel):
    """A row in memory; assigning to a field costs no more than to an attribute."""

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value


class RunRecord(Record):
    """One run of a pipeline."""

    run_id: str = Field(primary_key=True)
    pipeline: str
    state: str
    created_at: str
    updated_at: str
    request: str
    labels: str = "{}"
    """JSON: what a list of runs shows beside the id (repository, node type, ...)."""
    error: str | None = None
    approved_at: str | None = None
    teardown_at: str | None = None
    """When teardown began; from then on the run is never resumed."""


class RunTable(RunRecord, table=True):
    """RunRecord as stored."""

    __tablename__ = "runs"


class StageRecord(Record):
    """One stage of one run: the checkpoint once it succeeded."""

    run_id: str = Field(primary_key=True, foreign_key="runs.run_id")
    step: str = Field(primary_key=True)
    stage: str = Field(primary_key=True)
    position: int
    state: str = StageState.PENDING.value
    attempts: int = 0
    """How often it was begun: 1, plus one for each crash or failure that it was begun again after."""
    started_at: str | None = None
    finished_at: str | None = None
    wait: str | None = None
    wait_since: str | None = None
    deadline: str | None = None
    status: str | None = None
    model: str | None = None
    model_version: int | None = None
    output: str | None = None
    error: str | None = None


class StageTable(StageRecord, table=True):
    """StageRecord as stored."""

    __tablename__ = "steps"


class IntentRecord(Record):
    """One thing to be made in the outside world, written before the call that makes it."""

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id")
    stage: str
    kind: str
    number: int
    """1 for the first of its kind in the run, 2 for the next try, ...; part of the mark."""
    name: str
    request: str
    state: str
    attempt: int
    """The stage's attempt that last sent it."""
    sends: int = 0
    sent_at: str
    """When it was last sent; once the answer was given up, when that was."""
    cloud_id: str | None = None
    error: str | None = None
    """Why it was refused, or why its answer was given up (JSON)."""


class IntentTable(IntentRecord, table=True):
    """IntentRecord as stored."""

    __tablename__ = "intents"
    __table_args__ = (UniqueConstraint("run_id", "kind", "number"),)


class ResourceRecord(Record):
    """One object in the outside world that the run made or uses."""

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id")
    stage: str
    kind: str
    cloud_id: str
    name: str
    ownership: str
    state: str
    created_at: str
    removed_at: str | None = None
    detail: str = "{}"


class ResourceTable(ResourceRecord, table=True):
    """ResourceRecord as stored."""

    __tablename__ = "resources"


class DecisionRecord(Record):
    """One choice with its source and reason."""

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id")
    stage: str
    at: str
    name: str
    source: str
    reason: str
    detail: str
    """JSON: the whole decision."""


class DecisionTable(DecisionRecord, table=True):
    """DecisionRecord as stored."""

    __tablename__ = "decisions"


class EventRecord(Record):
    """One line of what happened; never changed, never removed."""

    seq: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id")
    at: str
    kind: str
    stage: str | None = None
    message: str = ""
    detail: str = "{}"


class EventTable(EventRecord, table=True):
    """EventRecord as stored."""

    __tablename__ = "events"


TABLES: dict[type[Record], type[Record]] = {
    RunRecord: RunTable,
    StageRecord: StageTable,
    IntentRecord: IntentTable,
    ResourceRecord: ResourceTable,
    DecisionRecord: DecisionTable,
    EventRecord: EventTable,
}
