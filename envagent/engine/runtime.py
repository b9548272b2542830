"""What one process works with: the journal, the clock, how long to wait, who listens and the request to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from envagent.engine.clock import Clock, SystemClock
from envagent.engine.journal import Journal, Transaction
from envagent.engine.step import Stopped
from envagent.engine.tables import EventRecord, Record
from envagent.errors import EnvagentError, RunTakenOver

Listener: TypeAlias = Callable[[EventRecord], None]


@dataclass(frozen=True, slots=True)
class Runtime:
    """Shared by the runner, the teardowns and the ledgers of a process.

    Attributes:
        settle: how long a request without an answer may still take effect.
        removal_timeout: how long an object may take to go after its removal was requested.
        listener: receives every event as it happens, from several threads.
        stop: set it to stop after the current exchange.
    """

    journal: Journal
    clock: Clock = field(default_factory=SystemClock)
    settle: timedelta = timedelta(seconds=60)
    removal_timeout: timedelta = timedelta(seconds=300)
    listener: Listener | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def announce(self, *events: EventRecord) -> None:
        """Pass events to the listener."""
        if self.listener is not None:
            for event in events:
                self.listener(event)

    def store(self, *records: Record, events: Sequence[EventRecord] = ()) -> None:
        """Store records and events in one transaction, then announce the events."""
        with self.journal.transaction() as transaction:
            transaction.save(*records, *events)
        self.announce(*events)

    def store_together(
        self, parts: Mapping[str, Sequence[Record]], last: Mapping[str, Callable[[Transaction], None]]
    ) -> dict[str, EnvagentError]:
        """Store the records of several runs in one transaction.

        Args:
            parts: by run.
            last: by run, what is to be written besides.

        Returns:
            By run: the error of each that somebody else has taken. Nothing of it was written.
        """
        lost: dict[str, EnvagentError] = {}
        with self.journal.transaction() as transaction:
            for run_id in sorted({*parts, *last}):  # processes that lock the same runs do so in one order
                try:
                    transaction.save(*parts.get(run_id, ()))
                    if run_id in last:
                        last[run_id](transaction)
                except RunTakenOver as error:
                    lost[run_id] = error
        return lost

    def check_stop(self) -> None:
        """Raise Stopped if the user asked to stop."""
        if self.stop.is_set():
            raise Stopped
