"""The tables of the journal. Times are ISO 8601 text in UTC, structured values are JSON text.

Each `...Record` is the plain model that the engine works with; the table below it has the same fields, mapped by
SQLModel. (Table models track every assignment for the object layer, which costs more than the commit itself.)
A change here needs a revision in migrations/; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlmodel import Field, Index, SQLModel, UniqueConstraint


class RunState(StrEnum):
    """The state of a run. A stored `running` whose lock nobody holds means interrupted."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    TORN_DOWN = "torn_down"


class StageState(StrEnum):
    """The state of a stage."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


class IntentState(StrEnum):
    """What is known about a request to create an object."""

    SENT = "sent"
    """It may have taken effect: only a look at the cloud can tell."""
    DONE = "done"
    REFUSED = "refused"
    """The service refused; nothing was created."""


class Ownership(StrEnum):
    """Whose a resource is; teardown removes owned and adopted ones."""

    OWNED = "owned"
    ADOPTED = "adopted"
    """Created by this run, found again by its tag after a crash."""
    FOREIGN = "foreign"


class ResourceState(StrEnum):
    """What is known about a resource."""

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
    """A row in memory; fields are assigned without validation, as fast as attributes."""

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
    """JSON: what a list of runs shows next to the id (repository, node type, ...)."""
    error: str | None = None
    approved_at: str | None = None
    teardown_at: str | None = None
    """When teardown started; from then on the run is never resumed."""
    subject: str | None = None
    """What the run is about, in one spelling, so that runs of the same subject can be found; null in runs of 0001."""
    archived_at: str | None = None
    """When the user put the run away; lists then leave it out."""


class RunTable(RunRecord, table=True):
    """RunRecord as stored."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_by_age", "archived_at", "created_at"), Index("runs_by_subject", "subject"))


class StageRecord(Record):
    """One stage of one run; its checkpoint once it succeeded."""

    run_id: str = Field(primary_key=True, foreign_key="runs.run_id")
    step: str = Field(primary_key=True)
    stage: str = Field(primary_key=True)
    position: int
    state: str = StageState.PENDING.value
    attempts: int = 0
    """How often it was started: 1, plus one for each restart after a crash or failure."""
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
    """One object to create in the cloud, written before the call that creates it."""

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id")
    stage: str
    kind: str
    number: int
    """1 for the first of its kind in the run, 2 for the next try, ...; part of the tag."""
    name: str
    request: str
    state: str
    attempt: int
    """The stage's attempt that last sent it."""
    sends: int = 0
    sent_at: str
    """When it was last sent, or when waiting for its response ended."""
    cloud_id: str | None = None
    error: str | None = None
    """Why it was refused, or why there was no response (JSON)."""


class IntentTable(IntentRecord, table=True):
    """IntentRecord as stored."""

    __tablename__ = "intents"
    __table_args__ = (UniqueConstraint("run_id", "kind", "number"),)


class ResourceRecord(Record):
    """One object in the cloud that the run created or uses."""

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
    __table_args__ = (Index("resources_of_run", "run_id"), Index("resources_by_state", "kind", "state"))


class DecisionRecord(Record):
    """One decision with its source and reason."""

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
    __table_args__ = (Index("decisions_of_run", "run_id"),)


class EventRecord(Record):
    """One event of the run's log; never changed, never removed."""

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
    __table_args__ = (Index("events_of_run", "run_id"),)


TABLES: dict[type[Record], type[Record]] = {
    RunRecord: RunTable,
    StageRecord: StageTable,
    IntentRecord: IntentTable,
    ResourceRecord: ResourceTable,
    DecisionRecord: DecisionTable,
    EventRecord: EventTable,
}
