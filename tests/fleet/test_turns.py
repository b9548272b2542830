"""Limits of a site, fairness between owners, and budgets: exact with any number of workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord
from envagent.errors import QuotaExceeded
from envagent.fleet.turns import LOCK, Turns
from tests.kit.postgres import Postgres

SITE = "CHI@UC"
NUMBERS = count(1)


@pytest.fixture
def journal(quick_server: Postgres) -> Iterator[Journal]:
    url = quick_server.database(f"turns{next(NUMBERS)}")
    one = Journal.open(url)
    yield one
    one.close()


def runs(journal: Journal, owner: str, number: int) -> list[str]:
    """Store runs of an owner."""
    ids = [f"{owner}{one:06}" for one in range(number)]
    for one in ids:
        row = RunRecord(run_id=one, pipeline="p", state="running", created_at="1", updated_at="1", request="{}")
        row.owner = owner
        with journal.transaction() as transaction:
            transaction.save(row)
    return ids


def build(journal: Journal, run_id: str) -> str | None:
    return Turns(journal).ask("build", run_id, 1, site=SITE, owner=run_id[:3])


def test_no_more_build_at_once_than_may_and_owners_take_turns(journal: Journal) -> None:
    turns = Turns(journal)
    turns.set("builds", 4, site=SITE)
    ada = runs(journal, "ada", 12)
    assert [build(journal, one) is None for one in ada] == [True] * 4 + [False] * 8
    bob = runs(journal, "bob", 3)
    assert {build(journal, one) for one in bob} == {f"4 builds at once at {SITE}"}
    [zoe] = runs(journal, "zoe", 1)
    assert turns.ask("build", zoe, 1, site="CHI@TACC", owner="zoe") is None  # another site
    bob += runs(journal, "eve", 1)
    build(journal, bob[-1])
    for one in ada[:3]:
        turns.release(one)
    with ThreadPoolExecutor(4) as pool:  # several workers look at once
        granted = [run for found in pool.map(lambda _: turns.grant_all(), range(8)) for run in found]
    assert Counter(one[:3] for one in granted) == {"ada": 1, "bob": 1, "eve": 1}  # 2, 1 and 1 in use
    assert build(journal, bob[0]) is None


def test_no_more_leases_are_requested_in_a_minute(journal: Journal) -> None:
    turns = Turns(journal)
    turns.set("lease_requests", 5, site=SITE)
    ids = runs(journal, "ada", 20)

    def ask(run_id: str) -> bool:
        return turns.ask("lease", run_id, 1, site=SITE, owner="ada", su=1.0) is None

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(ask, ids)) == {True: 5, False: 15}
    with journal.cursor() as cursor:
        cursor.execute("UPDATE fleet_turns SET granted_at = granted_at - interval '61 s'")
    assert len(turns.grant_all()) == 5


def test_a_budget_is_kept_and_says_what_is_left(journal: Journal) -> None:
    turns = Turns(journal)
    turns.set("su", 10, owner="ada")
    turns.set("su", 24)
    ada, bob = runs(journal, "ada", 4), runs(journal, "bob", 4)

    def ask(run_id: str, su: float) -> str | None:
        return turns.ask("lease", run_id, 1, site=SITE, owner=run_id[:3], su=su)

    assert ask(ada[0], 8) is None
    assert ask(ada[1], 4) == "2 of 10 SU of ada are left, it needs 4"
    with pytest.raises(QuotaExceeded, match="may cost 11 SU, and 10 of the 10 SU of ada are left"):
        ask(ada[2], 11)
    assert ask(bob[0], 14) is None
    assert ask(bob[1], 4) == "2 of 24 SU of all owners are left, it needs 4"
    turns.settle(ada[0], 5.0)  # it was torn down early
    assert ask(bob[2], 1) is None  # whoever asks grants what has become possible
    assert turns.grant_all() == [ada[1]]
    with pytest.raises(QuotaExceeded, match="5 of the 10 SU of ada are left"):
        ask(ada[3], 6)
    assert {(one.owner, one.used) for one in turns.limits()} == {("ada", 9.0), ("", 24.0)}


def test_extensions_count_once_until_they_are_refused_or_settled(journal: Journal) -> None:
    turns = Turns(journal)
    turns.set("su", 20, owner="ada")
    one, other = runs(journal, "ada", 2)
    assert turns.ask("lease", one, 1, site=SITE, owner="ada", su=8) is None

    def used() -> float:
        [limit] = turns.limits()
        return limit.used

    for _ in range(2):  # a command that was interrupted is repeated
        turns.extend(one, 1, owner="ada", su=4)
    assert used() == 12
    with pytest.raises(QuotaExceeded, match="the extension costs 9 SU, and 8 of the 20 SU of ada are left"):
        turns.extend(one, 2, owner="ada", su=9)
    turns.extend(one, 2, owner="ada", su=3)
    turns.withdraw(one, 2)
    assert turns.ask("lease", other, 1, site=SITE, owner="ada", su=10) == "8 of 20 SU of ada are left, it needs 10"
    assert turns.ask("lease", one, 2, site=SITE, owner="ada", su=8) is None  # another lease, which was not extended
    assert used() == 18  # which leaves enough for the other run
    turns.settle(other, 0.0)
    turns.extend(one, 3, owner="ada", su=4)
    turns.settle(one, 5.5)
    assert used() == 5.5


def test_nobody_waits_for_others_where_there_is_no_limit(journal: Journal) -> None:
    turns = Turns(journal)
    [one] = runs(journal, "ada", 1)
    turns.set("builds", 0, site=SITE)
    assert build(journal, one) is not None
    turns.set("builds", None, site=SITE)
    with journal.cursor() as other:
        other.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        assert build(journal, one) is None
        assert turns.ask("lease", one, 1, site=SITE, owner="ada", su=3.0) is None
    turns.set("su", 5, owner="ada")
    assert [limit.used for limit in turns.limits()] == [3.0]
    assert turns.grant_all() == []
