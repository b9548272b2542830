"""What `logs` prints: a run's events and its exchanges with the cloud, in the order in which they happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document
from envagent.cli.render.progress import described
from envagent.cli.run_log import RunLogReader
from envagent.engine.journal import Journal
from envagent.engine.tables import EventRecord

EXCHANGE = "exchange"


class LogEntry(Document):
    """One event of a run, or one exchange with the cloud."""

    run_id: str
    at: str
    kind: str
    """`exchange`, or the kind of the event."""
    stage: str | None
    """The step and its stage, such as `launch_server.launch`."""
    message: str
    """For an exchange without a response: why there is none."""
    method: str | None = None
    path: str | None = None
    status: int | None = None
    request_id: str | None = None
    ms: float | None = None
    """How long the exchange took, in milliseconds."""


class RunLogDocument(Document):
    """`logs RUN_ID`: what happened, oldest first. With --follow, each entry is a document on a line of its own."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    entries: list[LogEntry]


class RunLogEntries:
    """Reads the entries of a run, and then those that are added.

    Args:
        journal: holds the events.
        reader: reads the exchanges.
        run_id: the run's id.
        step: the only step of interest.
    """

    def __init__(self, journal: Journal, reader: RunLogReader, run_id: str, step: str | None) -> None:
        self._journal = journal
        self._reader = reader
        self._run_id = run_id
        self._step = step
        self._last = 0

    def new(self) -> list[LogEntry]:
        """List what has been added since the last call, oldest first."""
        entries = sorted([*self._events(), *self._exchanges()], key=lambda one: datetime.fromisoformat(one.at))
        if self._step is None:
            return entries
        return [one for one in entries if (one.stage or "").partition(".")[0] == self._step]

    def _events(self) -> Iterator[LogEntry]:
        for event in self._journal.events(self._run_id, after=self._last):
            self._last = event.seq or self._last
            yield event_entry(event)

    def _exchanges(self) -> Iterator[LogEntry]:
        for stored in self._reader.new():
            try:
                yield _exchange(self._run_id, stored)
            except (ValidationError, LookupError):  # written by another version
                continue


def event_entry(event: EventRecord) -> LogEntry:
    """Return the entry of an event."""
    return LogEntry(run_id=event.run_id, at=event.at, kind=event.kind, stage=event.stage, message=described(event))


def _exchange(run_id: str, stored: dict[str, Any]) -> LogEntry:
    outcome = str(stored["outcome"])
    status = int(outcome) if outcome.isdecimal() else None
    return LogEntry(
        run_id=run_id,
        at=stored["at"],
        kind=EXCHANGE,
        stage=stored["stage"],
        message=outcome if status is None else "",
        method=stored["method"],
        path=stored["path"],
        status=status,
        request_id=stored["request_id"],
        ms=stored["ms"],
    )
