"""The jobs of a fleet: what is deferred, when it is due and what overtakes what.

A job is one advance of one run, under the run's lock. A wake is due at a time; a signal (resume, teardown, and what a
sweep finds) is due now and overtakes a wake of the same run, which would block it otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from envagent.engine.memory import Memory
from envagent.engine.postgres import Postgres
from envagent.errors import JournalError

if TYPE_CHECKING:
    from procrastinate import App

    from envagent.engine.journal import Transaction

QUEUE = "runs"
WAKE, SIGNAL = 0, 10
"""Priorities: the higher one is fetched first, also among the jobs of one run."""

TASK = "envagent.work"

REPLACED = """\
DELETE FROM procrastinate_jobs WHERE lock = %(lock)s AND status = 'todo' AND priority = %(priority)s
"""
"""Removes a run's wake, before another one is deferred."""


class Work(StrEnum):
    """What a job does to its run."""

    ADVANCE = "advance"
    """Go on from where the run is."""
    RESUME = "resume"
    """The same, after comparing what is recorded with the cloud; a failed run is tried again."""
    REMOVE = "remove"
    """Tear the run down."""


@dataclass(frozen=True, slots=True)
class Wake:
    """What is to be done next for a run, and when; one run has one wake at most.

    Attributes:
        memory: what whoever does it has to know, beyond the journal.
    """

    work: Work
    at: datetime
    memory: Memory = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """The job's arguments, apart from the run."""
        return {"work": self.work.value} | ({"memory": self.memory} if self.memory else {})


LOCK = "run:"
"""Before the run's id, the name of the lock under which its jobs are carried out, one at a time."""


class Jobs:
    """The jobs of one database, as those see them who defer some.

    Args:
        place: the URL of the journal.

    Raises:
        ConfigurationError: the journal is not in PostgreSQL, or the fleet's packages are not installed.
    """

    def __init__(self, place: str) -> None:
        self.database = Postgres(place)
        self.address = self.database.url.set(drivername="postgresql").render_as_string()

    def defer(self, work: Work, *run_ids: str) -> None:
        """Defer a job for each of these runs: a signal, which overtakes wakes.

        Raises:
            JournalError: the database cannot be used.
        """
        from procrastinate import App, SyncPsycopgConnector

        with self._explained():
            app = App(connector=SyncPsycopgConnector(conninfo=self.address, min_size=1, max_size=1))
            with app.open():
                for run_id in run_ids:
                    app.configure_task(TASK, **options(run_id, None)).defer(run_id=run_id, work=work.value)

    def leave(self, transaction: Transaction, run_id: str, wake: Wake | None) -> None:
        """Replace a run's wake, in the transaction that records why.

        Args:
            transaction: in the database of these jobs.
            run_id: the run, which this process has taken.
            wake: its next wake; None for none.

        Raises:
            RunTakenOver: another process has taken the run.
            JournalError: the database cannot be used.
        """
        with transaction.alongside(run_id) as cursor, self._explained():
            cursor.execute(REPLACED, {"lock": f"{LOCK}{run_id}", "priority": WAKE})
            if wake is not None:
                deferring = self._deferring.configure_task(
                    TASK, connection=cursor.connection, **options(run_id, wake.at)
                )
                deferring.defer(run_id=run_id, **wake.arguments)

    @cached_property
    def _deferring(self) -> App:
        """What defers over a connection that it is given."""
        from procrastinate import App, SyncPsycopgConnector

        return App(connector=SyncPsycopgConnector())

    def application(self, carry_out: Callable[[str, Work, Memory], Awaitable[None]]) -> App:
        """Return Procrastinate's application for a worker.

        Args:
            carry_out: does a job's work.
        """
        from procrastinate import App, PsycopgConnector

        app = App(connector=PsycopgConnector(conninfo=self.address, min_size=2, max_size=6))

        @app.task(name=TASK, queue=QUEUE)
        async def work(run_id: str, work: str, memory: Memory | None = None) -> None:
            await carry_out(run_id, Work(work), memory or {})

        return app

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        from procrastinate.exceptions import ProcrastinateException

        try:
            yield
        except (self.database.error, ProcrastinateException) as error:
            cause = error.__cause__ or error
            raise JournalError(f"cannot use the jobs in {self.database.name}: {self.database.reason(cause)}") from error


def options(run_id: str, at: datetime | None) -> dict[str, Any]:
    """Return how a job of a run is deferred."""
    when = {"priority": SIGNAL} if at is None else {"priority": WAKE, "schedule_at": at}
    return {"queue": QUEUE, "lock": f"{LOCK}{run_id}", **when}
