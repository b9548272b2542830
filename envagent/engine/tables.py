"""The tables of the journal. Times are ISO 8601 text in UTC, structured values are JSON text.

Each record is a plain model, and its table is made from its fields. (SQLModel's own table models track every
assignment for the object layer, which costs more than the commit itself.) A change here needs a revision in
migrations/; a test compares the two on each database.
"""

from __future__ import annotations

import os
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import MetaData, Table, text
from sqlalchemy.schema import SchemaItem
from sqlmodel import Field, Index, SQLModel, UniqueConstraint
from sqlmodel.main import get_column_from_field

RUN_NAME = r"[a-z][a-z0-9-]{0,30}[a-z0-9]"
"""The names that users may give to runs: short, and good for the name of a host."""


ID_ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"
"""Lower-case letters and digits that are not mistaken for one another and that server names allow."""

ID_LENGTH = 10


def new_run_id() -> str:
    """Return a new run id of 10 characters (49 random bits)."""
    return "".join(ID_ALPHABET[byte % len(ID_ALPHABET)] for byte in os.urandom(ID_LENGTH))


class RunState(StrEnum):
    """The state of a run. A stored `running` whose lock nobody holds means interrupted."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    TORN_DOWN = "torn_down"
    MOVED = "moved"
    """Another journal has the run, and alone may act on it; this one keeps the record as it was then."""


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
    RUN_EXPORTED = "run_exported"
    """Its detail has the state that the run was in."""
    RUN_IMPORTED = "run_imported"
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


OVER = (RunState.TORN_DOWN, RunState.MOVED)
"""The states of runs that are not acted on any more; their names are free for others."""

METADATA = MetaData()
"""The tables that `table` has made; `all_tables` makes them all."""


class Record(SQLModel):
    """A row in memory; fields are assigned without validation, as fast as attributes."""

    table_name: ClassVar[str]
    table_items: ClassVar[tuple[SchemaItem, ...]] = ()
    """The indexes and constraints of the table."""
    run_id: str

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value


_IN_USE = text(f"name IS NOT NULL AND state NOT IN ('{RunState.TORN_DOWN}', '{RunState.MOVED}')")


class RunRecord(Record):
    """One run of a pipeline."""

    table_name = "runs"
    table_items = (
        Index("runs_by_age", "archived_at", "created_at"),
        Index("runs_by_subject", "subject"),
        Index("runs_by_owner", "owner", "created_at"),
        Index("runs_by_name", "name"),
        Index("names_in_use", "name", unique=True, sqlite_where=_IN_USE, postgresql_where=_IN_USE),
    )

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
    epoch: int = 1
    """How often a process has taken the run to work on it; only the last one to take it may write and send."""
    owner: str | None = None
    """Who submitted the run to a fleet; null for a run of the user's own journal."""
    name: str | None = None
    """What the user calls the run; no other run has the name unless it is over."""


class StageRecord(Record):
    """One stage of one run; its checkpoint once it succeeded."""

    table_name = "steps"

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


class IntentRecord(Record):
    """One object to create in the cloud, written before the call that creates it."""

    table_name = "intents"
    table_items = (UniqueConstraint("run_id", "kind", "number"),)

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


class ResourceRecord(Record):
    """One object in the cloud that the run created or uses."""

    table_name = "resources"
    table_items = (Index("resources_of_run", "run_id"), Index("resources_by_state", "kind", "state"))

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


class DecisionRecord(Record):
    """One decision with its source and reason."""

    table_name = "decisions"
    table_items = (Index("decisions_of_run", "run_id"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id")
    stage: str
    at: str
    name: str
    source: str
    reason: str
    detail: str
    """JSON: the whole decision."""


class EventRecord(Record):
    """One event of the run's log; never changed, never removed."""

    table_name = "events"
    table_items = (Index("events_of_run", "run_id"),)

    seq: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id")
    at: str
    kind: str
    stage: str | None = None
    message: str = ""
    detail: str = "{}"


RECORDS = (RunRecord, StageRecord, IntentRecord, ResourceRecord, DecisionRecord, EventRecord)
"""All kinds of records, each after those that it refers to."""


@cache
def table(record: type[Record]) -> Table:
    """Return the table of a kind of record."""
    fields = record.model_fields.items()
    columns = []
    for name, field in fields:
        column = get_column_from_field(field)
        column.name = column.key = name
        columns.append(column)
    return Table(record.table_name, METADATA, *columns, *record.table_items)


def all_tables() -> MetaData:
    """Return the description of the whole schema."""
    for record in RECORDS:
        table(record)
    return METADATA
