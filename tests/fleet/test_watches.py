"""One listing serves all runs that wait, and says no more than whether one of them has to look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from envagent.engine.journal import Journal
from envagent.engine.step import Watched
from envagent.engine.tables import RunRecord
from envagent.errors import CloudUnreachable, Forbidden, RunTakenOver
from envagent.fleet.watches import Listing, Watches
from tests.kit.postgres import Postgres


@pytest.fixture(scope="module")
def database(quick_server: Postgres) -> str:
    url = quick_server.database("watches")
    Journal.open(url).close()
    return url


class Site:
    """What listings show, and how often they are asked for."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.asked: list[tuple[str | None, str]] = []
        self.error: Forbidden | CloudUnreachable | None = None

    def look(self, cloud: str | None, kind: str) -> Listing:
        self.asked.append((cloud, kind))
        return Listing(self.shown, 0.0, 1, self.error)


@pytest.fixture
def journal(database: str) -> Iterator[Journal]:
    one = Journal.open(database)
    yield one
    with one.cursor() as cursor:
        cursor.execute("TRUNCATE fleet_watches, fleet_listings, fleet_polling, runs CASCADE")
    one.close()


def waiting(journal: Journal, count: int, every: float = 0.2) -> list[str]:
    """Store runs that wait for their leases, each due for a look."""
    runs = [f"run{number:07}" for number in range(count)]
    now = datetime.now(UTC)
    for one in runs:
        row = RunRecord(run_id=one, pipeline="p", state="running", created_at="1", updated_at="1", request="{}")
        watched = Watched("lease", f"lease-{one}", "PENDING", now, timedelta(seconds=every))
        with journal.transaction() as transaction:
            transaction.save(row)
            Watches.leave(transaction, one, "chi_uc", [watched])
    later(journal, 1.0)
    return runs


def later(journal: Journal, seconds: float) -> None:
    """Let time pass for what is watched."""
    passed = {"passed": timedelta(seconds=seconds)}
    with journal.cursor() as cursor:
        cursor.execute("UPDATE fleet_watches SET left_at = left_at - %(passed)s, begins = begins - %(passed)s", passed)
        cursor.execute(
            "UPDATE fleet_listings SET listed_at = listed_at - %(passed)s, next_at = next_at - %(passed)s", passed
        )


def test_one_listing_serves_all_and_wakes_those_whose_object_has_changed(journal: Journal) -> None:
    runs = waiting(journal, 50)
    site, watches, elsewhere = Site(), Watches(journal), Watches(journal)
    site.shown = {f"lease-{one}": "PENDING" for one in runs} | {f"lease-{runs[7]}": "ACTIVE"}
    del site.shown[f"lease-{runs[9]}"]
    changed, _ = watches.tick(site.look)
    assert sorted(changed) == [runs[7], runs[9]]
    assert elsewhere.tick(site.look)[0] == []  # it has just been listed
    assert site.asked == [("chi_uc", "lease")]
    [figures] = watches.polling()
    assert (figures.waiting, figures.listings, figures.exchanges) == (50, 1, 1)


def test_an_impatient_run_is_looked_at_though_all_others_have_time(journal: Journal) -> None:
    runs = waiting(journal, 3, every=3600.0)
    site, watches = Site(), Watches(journal)
    site.shown = {f"lease-{one}": "PENDING" for one in runs}
    watches.tick(site.look)
    later(journal, 600.0)
    watches.tick(site.look)
    assert watches.tick(site.look)[0] == [] and len(site.asked) == 2  # they have waited for ten minutes
    with journal.transaction() as transaction:
        watched = Watched("lease", "new", "PENDING", datetime.now(UTC), timedelta(hours=1))
        Watches.leave(transaction, runs[0], "chi_uc", [watched])
    later(journal, 1.0)
    site.shown = {f"lease-{one}": "PENDING" for one in runs} | {"new": "ACTIVE"}
    assert watches.tick(site.look)[0] == [runs[0]]


def test_nobody_looks_long_before_a_wait_can_end(journal: Journal) -> None:
    [run] = waiting(journal, 1, every=0.2)
    begins = datetime.now(UTC) + timedelta(minutes=2)
    with journal.transaction() as transaction:
        Watches.leave(transaction, run, "chi_uc", [Watched("lease", "l", "PENDING", begins, timedelta(seconds=0.2))])
    site, watches = Site(), Watches(journal)
    site.shown = {"l": "PENDING"}
    for seconds, looks in ((100, 0), (19, 0), (2, 1), (0, 1), (1, 2)):
        later(journal, float(seconds))
        watches.tick(site.look)
        assert len(site.asked) == looks


def test_a_process_that_has_lost_a_run_leaves_no_watch(journal: Journal, database: str) -> None:
    [run] = waiting(journal, 1)
    other = Journal.open(database)
    other.take(other.run(run))
    now = datetime.now(UTC)
    with other.transaction() as transaction:
        Watches.leave(transaction, run, "chi_uc", [Watched("lease", "new", "PENDING", now, timedelta(1))])
    late = Watched("lease", "old", "PENDING", now, timedelta(seconds=1))
    with pytest.raises(RunTakenOver), journal.transaction() as transaction:
        Watches.leave(transaction, run, "chi_uc", [late])
    with journal.cursor() as cursor:
        cursor.execute("SELECT cloud_id FROM fleet_watches")
        assert cursor.fetchall() == [("new",)]
    other.close()


@pytest.mark.parametrize(("error", "asked"), [(CloudUnreachable("away"), 0), (Forbidden("not shown"), 1)])
def test_a_listing_that_fails_is_repeated_or_left_to_the_runs(
    journal: Journal, error: CloudUnreachable | Forbidden, asked: int
) -> None:
    waiting(journal, 1)
    site, watches = Site(), Watches(journal)
    site.error = error
    assert len(watches.tick(site.look)[0]) == asked
    changed, pause = watches.tick(site.look)
    assert (changed, len(site.asked)) == ([], 1) and pause > 0.5
