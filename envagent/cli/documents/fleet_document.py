"""What all runs of a fleet come to: how many are in which state, which leases end soon, what each owner spends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import get_args

from envagent.cli.documents.json_models import Document, RunLine, RunStateName
from envagent.cli.documents.run_list import RunFilter, ends_soon, runs_document
from envagent.cli.render import times
from envagent.engine.journal import Journal
from envagent.engine.sqlite_file import SqliteFile


class OwnerPart(Document):
    """What the runs of one owner cost."""

    owner: str | None
    """Null for runs that were not submitted to a fleet."""
    runs: int
    leases_running: int
    su_so_far: float
    su_left: float
    """What the leases that exist will still cost if they run to their end."""
    su_per_hour_now: float


class PollingPart(Document):
    """What it costs that runs wait, over the last minutes at one cloud."""

    cloud: str
    """Empty where OS_* variables name it."""
    waiting: int
    """How many runs wait now for a lease to start or a server to boot."""
    listings: int
    exchanges: int
    per_run_and_minute: float


class FleetDocument(Document):
    """All runs, or all of one owner."""

    states: dict[RunStateName, int]
    """How many runs are in each state."""
    ending: list[RunLine]
    """Runs whose lease ends soon, the next one first."""
    owners: list[OwnerPart]
    """The owner who has spent most first."""
    polling: list[PollingPart]
    """Empty where no workers share the journal; for an operator only."""


def fleet_document(journal: Journal, is_worked_on: Callable[[str], bool], owner: str | None = None) -> FleetDocument:
    """Sum up all runs, archived ones included, or those of one owner."""
    now = times.now()
    lines = runs_document(journal, is_worked_on, RunFilter(owner=owner, archived=True), None).runs
    states: dict[RunStateName, int] = dict.fromkeys(get_args(RunStateName), 0)
    by_owner: defaultdict[str | None, list[RunLine]] = defaultdict(list)
    for one in lines:
        states[one.state] += 1
        by_owner[one.owner].append(one)
    ending = [one for one in lines if one.cost is not None and ends_soon(one.cost, now)]
    owners = [_spending(name, runs) for name, runs in by_owner.items()]
    return FleetDocument(
        states=states,
        ending=sorted(ending, key=lambda one: "" if one.cost is None else one.cost.lease_end),
        owners=sorted(owners, key=lambda one: (-one.su_so_far, one.owner or "")),
        polling=_polling(journal) if owner is None else [],
    )


def _polling(journal: Journal) -> list[PollingPart]:
    """Read what the workers have counted."""
    if isinstance(journal.database, SqliteFile):
        return []
    from envagent.fleet.watches import Watches

    return [
        PollingPart(
            cloud=one.cloud,
            waiting=one.waiting,
            listings=one.listings,
            exchanges=one.exchanges,
            per_run_and_minute=round(one.per_run_and_minute, 4),
        )
        for one in Watches(journal).polling()
    ]


def _spending(owner: str | None, runs: list[RunLine]) -> OwnerPart:
    costs = [one.cost for one in runs if one.cost is not None]
    return OwnerPart(
        owner=owner,
        runs=len(runs),
        leases_running=sum(1 for one in costs if one.charged_now),
        su_so_far=round(sum(one.su_so_far for one in costs), 2),
        su_left=round(sum(one.su_left for one in costs), 2),
        su_per_hour_now=round(sum(one.su_per_hour_now for one in costs), 2),
    )
