"""One run outside of a journal: all of its records as one document, to be moved into another journal.

The models are those of `tables.py` without the keys that a database gives. A document can come from anybody: each
value is checked, and the sizes are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from envagent.engine.journal import Journal, moved_away
from envagent.engine.tables import (
    ID_ALPHABET,
    ID_LENGTH,
    RUN_NAME,
    DecisionRecord,
    EventKind,
    EventRecord,
    IntentRecord,
    IntentState,
    Ownership,
    Record,
    ResourceRecord,
    ResourceState,
    RunRecord,
    RunState,
    StageRecord,
    StageState,
)

LARGEST_TEXT = 16 << 20
"""Characters of one value: a request contains the documents that it was given."""

MOST_EPOCHS = 1 << 30
"""The column is an integer of four bytes."""


def _time(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() is None:
        raise ValueError("a time needs an offset")
    return text


def _object(text: str) -> str:
    try:
        value = json.loads(text)
        plain = json.dumps(value, ensure_ascii=False, allow_nan=False)
        plain.encode()  # half a surrogate pair cannot be
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return text


def _selectable(text: str) -> str:
    if "\\u0000" in text:
        raise ValueError("PostgreSQL has no character 0")
    return text


_TEXT = r"^[^\x00]*$"

Name = Annotated[str, Field(max_length=1000, pattern=_TEXT)]
Text = Annotated[str, Field(max_length=LARGEST_TEXT, pattern=_TEXT)]
Time = Annotated[str, Field(max_length=40), AfterValidator(_time)]
Json = Annotated[Text, AfterValidator(_object)]
Selected = Annotated[Json, AfterValidator(_selectable)]
"""JSON by whose values runs are selected: one row that the database cannot read would spoil every list."""
Count = Annotated[int, Field(ge=0, le=MOST_EPOCHS)]
RunId = Annotated[str, Field(pattern=f"^[{ID_ALPHABET}]{{{ID_LENGTH}}}$")]


class _Exported(BaseModel):
    """A part of the document; nothing is converted, and nothing unknown is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportedStage(_Exported):
    """A stage: see `StageRecord`."""

    step: Name
    stage: Name
    position: Count
    state: StageState
    attempts: Count
    started_at: Time | None
    finished_at: Time | None
    wait: Text | None
    wait_since: Time | None
    deadline: Time | None
    status: Text | None
    model: Name | None
    model_version: Count | None
    output: Json | None
    error: Json | None


class ExportedIntent(_Exported):
    """A request for an object: see `IntentRecord`."""

    stage: Name
    kind: Name
    number: Count
    name: Name
    request: Json
    state: IntentState
    attempt: Count
    sends: Count
    sent_at: Time
    cloud_id: Name | None
    error: Json | None


class ExportedResource(_Exported):
    """An object in the cloud: see `ResourceRecord`."""

    stage: Name
    kind: Name
    cloud_id: Name
    name: Name
    ownership: Ownership
    state: ResourceState
    created_at: Time
    removed_at: Time | None
    detail: Selected


class ExportedDecision(_Exported):
    """A decision: see `DecisionRecord`."""

    stage: Name
    at: Time
    name: Name
    source: Name
    reason: Text
    detail: Json


class ExportedEvent(_Exported):
    """An event: see `EventRecord`."""

    at: Time
    kind: Name
    stage: Name | None
    message: Text
    detail: Json


class ExportedRun(_Exported):
    """A run with all of its records; who owned it in a fleet stays there."""

    run_id: RunId
    epoch: Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
    """That of the journal it comes from: a later export of the run has a higher one, wherever it was made."""
    pipeline: Name
    state: RunState
    created_at: Time
    updated_at: Time
    request: Json
    labels: Selected
    error: Json | None
    approved_at: Time | None
    teardown_at: Time | None
    subject: Text | None
    archived_at: Time | None
    name: Annotated[str, Field(pattern=f"^{RUN_NAME}$")] | None = None
    stages: Annotated[tuple[ExportedStage, ...], Field(max_length=200)]
    intents: Annotated[tuple[ExportedIntent, ...], Field(max_length=10_000)]
    resources: Annotated[tuple[ExportedResource, ...], Field(max_length=10_000)]
    decisions: Annotated[tuple[ExportedDecision, ...], Field(max_length=10_000)]
    events: Annotated[tuple[ExportedEvent, ...], Field(max_length=200_000)]

    @model_validator(mode="after")
    def _consistent(self) -> ExportedRun:
        """Check what the tables would refuse, and that the run is not one that another journal has."""
        if self.state == RunState.MOVED:
            raise ValueError("its journal did not have it any more")
        if len({(one.step, one.stage) for one in self.stages}) < len(self.stages):
            raise ValueError("a stage is there twice")
        if len({(one.kind, one.number) for one in self.intents}) < len(self.intents):
            raise ValueError("an intent is there twice")
        return self

    @classmethod
    def read(cls, journal: Journal, row: RunRecord) -> ExportedRun:
        """Read a run as the journal has it, or as it was when it was moved away.

        Raises:
            RunMoved: the record is a copy, which was never acted on here.
            pydantic.ValidationError: the journal has what an import would refuse.
        """
        run_id = row.run_id
        events = journal.events(run_id)
        state = row.state
        if state == RunState.MOVED:
            moves = [one for one in events if one.kind in (EventKind.RUN_EXPORTED, EventKind.RUN_IMPORTED)]
            if not moves or moves[-1].kind != EventKind.RUN_EXPORTED:
                raise moved_away(run_id)
            state = json.loads(moves[-1].detail)["state"]
        others: dict[str, Sequence[Record]] = {
            "stages": journal.stages(run_id),
            "intents": journal.intents(run_id),
            "resources": journal.resources(run_id),
            "decisions": journal.decisions(run_id),
            "events": events,
        }
        own = {name: getattr(row, name) for name in _own(ExportedRun)} | {"state": state}
        return cls.model_validate(own | {name: tuple(map(_values, rows)) for name, rows in others.items()})

    def with_event(self, event: EventRecord) -> ExportedRun:
        """Return the run with one more event."""
        return self.model_copy(update={"events": (*self.events, ExportedEvent(**_values(event)))})

    def records(self, *, copy: bool, at: str, source: str) -> tuple[RunRecord, list[Record]]:
        """Return the records to insert, the run's own first.

        Args:
            copy: whether another journal goes on acting on the run.
            at: the time of the import.
            source: where it is imported from.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in _own(ExportedRun)}
        row = RunRecord(**values | {"state": (RunState.MOVED if copy else self.state).value})
        row.epoch = self.epoch if copy else self.epoch + 1
        others: list[Record] = []
        for name, kind in _PARTS.items():
            others += [kind(run_id=self.run_id, **one.model_dump(mode="json")) for one in getattr(self, name)]
        words = "imported as a copy from" if copy else "imported from"
        others.append(
            EventRecord(run_id=self.run_id, at=at, kind=EventKind.RUN_IMPORTED.value, message=f"{words} {source}")
        )
        return row, others


_PARTS: dict[str, type[Record]] = {
    "stages": StageRecord,
    "intents": IntentRecord,
    "resources": ResourceRecord,
    "decisions": DecisionRecord,
    "events": EventRecord,
}


def _own(model: type[ExportedRun]) -> list[str]:
    return [name for name in model.model_fields if name not in _PARTS]


def _values(record: Record) -> dict[str, Any]:
    """Return what is exported of a record: all but the run's id, and the key that the database gave."""
    return {name: getattr(record, name) for name in type(record).model_fields if name not in ("run_id", "id", "seq")}


def mark_moved(journal: Journal, row: RunRecord, at: str, destination: str) -> EventRecord:
    """Note in a run's row that another journal has it, and return the event that says where it went; stores nothing."""
    event = EventRecord(
        run_id=row.run_id,
        at=at,
        kind=EventKind.RUN_EXPORTED.value,
        message=f"exported to {destination}",
        detail=json.dumps({"state": row.state}),
    )
    row.state = RunState.MOVED.value
    return event
