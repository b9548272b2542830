"""A run has one wake at most, which is deferred in the transaction that records why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord
from envagent.errors import RunTakenOver
from envagent.fleet.jobs import Jobs, Wake, Work
from tests.kit.postgres import Postgres

RUN = "abcdefghjk"
SOON = datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture
def url(quick_server: Postgres) -> str:
    return quick_server.database("jobs")


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    one = Journal.open(url)
    yield one
    one.close()


def waiting(journal: Journal) -> list[tuple[Any, ...]]:
    with journal.cursor() as cursor:
        cursor.execute("SELECT args ->> 'work', priority, scheduled_at FROM procrastinate_jobs ORDER BY priority")
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def test_a_wake_is_replaced_together_with_the_record_and_a_signal_stays(journal: Journal, url: str) -> None:
    jobs = Jobs(url)
    row = RunRecord(run_id=RUN, pipeline="p", state="running", created_at="1", updated_at="1", request="{}")
    with journal.transaction() as transaction:
        transaction.save(row)
        jobs.leave(transaction, RUN, Wake(Work.ADVANCE, SOON))
    jobs.defer(Work.REMOVE, RUN)
    wake, signal = ("advance", 0, SOON), ("remove", 10, None)
    assert waiting(journal) == [wake, signal]
    row.state = "failed"
    with pytest.raises(ZeroDivisionError), journal.transaction() as transaction:
        jobs.leave(transaction, RUN, None)
        transaction.save(row)
        raise ZeroDivisionError
    assert (journal.run(RUN).state, waiting(journal)) == ("running", [wake, signal])
    later = SOON + timedelta(minutes=1)
    with journal.transaction() as transaction:
        jobs.leave(transaction, RUN, Wake(Work.RESUME, later))
    assert waiting(journal) == [("resume", 0, later), signal]
    other = Journal.open(url)
    other.take(other.run(RUN))
    other.close()
    with pytest.raises(RunTakenOver), journal.transaction() as transaction:
        jobs.leave(transaction, RUN, None)
    assert waiting(journal) == [("resume", 0, later), signal]
