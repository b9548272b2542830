"""Which lease is asked for next, row by row: what failed so far, on which terms, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from envagent.advice.decisions import Candidate, Placement
from envagent.catalog import NodeType
from envagent.cli.render.hint_text import hint_text
from envagent.errors import EnvagentError, LeaseFailed, NoCapacity
from envagent.steps.attempts import (
    AskFirst,
    Failure,
    Reserve,
    Terms,
    earliest_window,
    free_again,
    highest_cost,
    next_attempt,
    next_minute,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ONE = timedelta(hours=1)
REFUSED = "no such node is free in that window"


def candidate(
    name: str, su: float, free: int | None = None, total: int = 4, next_free: datetime | None = None
) -> Candidate:
    kind = NodeType(name=name, region="CHI@UC", cores=8, threads=16, disk_gb=100)
    return Candidate(node_type=kind, free_now=free, total=total, next_free=next_free, su_per_hour=su, waste=0.0, why="")


def placed(*candidates: Candidate) -> Placement:
    return Placement(candidates=candidates, hours=2)


def busy(name: str, su: float, hours: float | None) -> Candidate:
    return candidate(name, su, 0, next_free=None if hours is None else NOON + hours * ONE)


def refused(*names: str) -> list[Failure]:
    return [Failure(name, REFUSED) for name in names]


def errors(*names: str) -> list[Failure]:
    return [Failure(name) for name in names]


HIDDEN = placed(candidate("a", 1), candidate("b", 1), candidate("dear", 5))
BUSY = placed(busy("a", 1, 3), busy("b", 1, 2.5), busy("dear", 5, 1))
FREE_AND_DEAR = placed(busy("a", 1, 3), busy("b", 1, None), candidate("dear", 5, 2))
MANY = placed(*(candidate(f"t{n}", 1) for n in range(12)))
MANY_ABSENT = placed(*(candidate(f"t{n}", 1, total=0) for n in range(12)))
MANY_AND_DEAR = placed(*(candidate(f"t{n}", 1) for n in range(12)), candidate("dear", 5))
HALF_BUSY = placed(busy("a", 1, 3), candidate("b", 1, 1))
ALONE = placed(candidate("a", 1))
CHEAP = Terms(ceiling=2.0)
RICH = Terms(ceiling=10.0)
ASKING = Terms(ceiling=2.0, may_ask=True)
WAITING = Terms(ceiling=2.0, may_wait=True)


@pytest.mark.parametrize(
    ("plan", "failures", "terms", "expected"),
    [
        # The candidates in their order, each until it is refused or has gone to ERROR twice.
        (HIDDEN, [], CHEAP, "a"),
        (HIDDEN, refused("a"), CHEAP, "b"),
        (HIDDEN, errors("a"), CHEAP, "a"),
        (HIDDEN, errors("a", "a"), CHEAP, "b"),
        (HIDDEN, refused("a", "b"), RICH, "dear"),
        # Where no other is left, two more of each.
        (HIDDEN, [*errors("a", "a"), *refused("b")], CHEAP, "a"),
        (HIDDEN, [*errors("a", "a", "a"), *refused("b")], CHEAP, "a"),
        (HIDDEN, errors("a", "a", "b", "b"), CHEAP, "a"),
        (ALONE, errors("a", "a", "a"), CHEAP, "a"),
        # A site on which six leases went to ERROR starts none.
        (ALONE, errors("a", "a", "a", "a"), CHEAP, LeaseFailed),
        (HIDDEN, errors("a", "a", "b", "b", "a", "b"), ASKING, LeaseFailed),
        (MANY, errors("t0", "t0", "t1", "t1", "t2", "t2"), CHEAP, LeaseFailed),
        # Eight types are asked for; those that the site may not even have do not count.
        (MANY, refused(*(f"t{n}" for n in range(7))), CHEAP, "t7"),
        (MANY, refused(*(f"t{n}" for n in range(8))), CHEAP, NoCapacity),
        (MANY, [*errors("t0"), *refused(*(f"t{n}" for n in range(1, 8)))], CHEAP, "t0"),
        (MANY_ABSENT, refused(*(f"t{n}" for n in range(11))), CHEAP, "t11"),
        # Beyond the ceiling: a person is asked where one can be, for what may be free.
        (HIDDEN, refused("a", "b"), ASKING, ("dear", 10.0)),
        (HIDDEN, refused("a", "b"), CHEAP, NoCapacity),
        (FREE_AND_DEAR, refused("a", "b"), ASKING, ("dear", 10.0)),
        (BUSY, refused("a", "b"), ASKING, NoCapacity),
        (MANY_AND_DEAR, refused(*(f"t{n}" for n in range(8))), ASKING, NoCapacity),
        (HIDDEN, [], Terms(ceiling=0.5, may_ask=True), ("a", 2.0)),
        # A later window: the earliest within the ceiling, three times.
        (BUSY, refused("a", "b"), WAITING, ("b", NOON + timedelta(minutes=150))),
        (BUSY, [*refused("a", "b"), Failure("b", REFUSED, later=True)], WAITING, ("b", NOON + 2.5 * ONE)),
        (BUSY, [*refused("a", "b"), *[Failure("b", REFUSED, later=True)] * 3], WAITING, NoCapacity),
        (BUSY, refused("a", "b"), CHEAP, NoCapacity),
        (FREE_AND_DEAR, refused("a", "b"), WAITING, ("a", NOON + 3 * ONE)),
        (placed(busy("a", 1, None)), refused("a"), WAITING, NoCapacity),
        (HIDDEN, refused("a", "b"), WAITING, NoCapacity),
        (HALF_BUSY, refused("a", "b"), WAITING, NoCapacity),
        (placed(busy("a", 1, 3)), errors("a", "a", "a", "a"), CHEAP, NoCapacity),
    ],
)
def test_what_follows(
    plan: Placement,
    failures: list[Failure],
    terms: Terms,
    expected: str | tuple[str, float | datetime] | type[EnvagentError],
) -> None:
    try:
        found = next_attempt(plan, failures, terms, lambda: plan)
    except EnvagentError as error:
        assert type(error) is expected, error
        return
    name = found.candidate.node_type.name
    if isinstance(found, AskFirst):
        assert (name, found.cost) == expected
    else:
        assert (name if found.start is None else (name, found.start)) == expected


def test_the_site_is_looked_at_again_only_when_the_candidates_are_used_up() -> None:
    def never() -> Placement:
        raise AssertionError("looked")

    assert next_attempt(HIDDEN, refused("a"), CHEAP, never) == Reserve(HIDDEN.candidates[1])
    # What has become free since counts, not what the plan saw.
    assert next_attempt(BUSY, refused("a", "b"), ASKING, lambda: FREE_AND_DEAR) == AskFirst(
        FREE_AND_DEAR.candidates[2], 10.0, f"a, b: {REFUSED}"
    )


@pytest.mark.parametrize(
    ("plan", "failures", "terms", "message", "hint"),
    [
        (
            HIDDEN,
            refused("a", "b"),
            CHEAP,
            f"nothing can be reserved now for at most 2 SU (a, b: {REFUSED}); dear would cost 10 SU",
            "envagent resume k3j9x2m4qa --max-su 10",
        ),
        (
            ALONE,
            errors("a", "a", "a", "a"),
            CHEAP,
            "no lease could be started, and all were removed (a: went to ERROR at its start)",
            "--node-type",
        ),
        (
            BUSY,
            [*refused("a"), *errors("b", "b", "b", "b")],
            CHEAP,
            f"no suitable node can be reserved now (a: {REFUSED}; b: went to ERROR at its start); free again: "
            "a at 2026-11-23 15:00 UTC, b at 2026-11-23 14:30 UTC, dear at 2026-11-23 13:00 UTC",
            "--wait-for-capacity",
        ),
    ],
)
def test_why_it_gives_up(plan: Placement, failures: list[Failure], terms: Terms, message: str, hint: str) -> None:
    with pytest.raises(EnvagentError) as caught:
        next_attempt(plan, failures, terms, lambda: plan)
    assert caught.value.message == message
    assert hint in hint_text(caught.value.hint, "k3j9x2m4qa")


def test_the_earliest_window_of_a_plan() -> None:
    assert earliest_window(BUSY, may_wait=True) == NOON + ONE
    with pytest.raises(NoCapacity, match="all suitable nodes are reserved now; free again: a at 2026-11-23 15:00"):
        earliest_window(BUSY, may_wait=False)
    with pytest.raises(NoCapacity):
        earliest_window(placed(busy("a", 1, None)), may_wait=True)


def test_small_things() -> None:
    assert (highest_cost(HIDDEN, 100), highest_cost(HIDDEN, 2), highest_cost(HIDDEN, 1)) == (10.0, 2.0, None)
    assert free_again(HIDDEN) == ""
    assert next_minute(NOON) == NOON
    assert next_minute(NOON + timedelta(seconds=1)) == NOON + timedelta(minutes=1)
