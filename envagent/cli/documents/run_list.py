"""The list of runs, from the journal's rows alone: it must not load the steps and their models."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel

from envagent.cli.documents.costs import PLAN, RESERVED, cost_part, latest, lease_period
from envagent.cli.documents.json_models import CostPart, ErrorPart, RunLine, RunsDocument, RunStateName
from envagent.cli.render import times
from envagent.cli.render.hint_text import command_text
from envagent.engine.journal import Journal
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import (
    OVER,
    IntentRecord,
    ResourceRecord,
    ResourceState,
    RunRecord,
    RunState,
    StageRecord,
    StageState,
)
from envagent.errors import AuthenticationError, CloudError
from envagent.hints import Command

NO_ANSWER = (AuthenticationError.exit_code, CloudError.exit_code)
"""Failures after which nothing more is known of the cloud than before."""


class StoredRequest(BaseModel):
    """The fields of a run's request (`steps.request.RunRequest`) that are read whichever version stored it."""

    repository: str = ""
    ref: str | None = None
    cloud: str | None = None
    max_su: float | None = None
    server_name: str | None = None
    floating_ip: bool = True

    @classmethod
    def of(cls, run: RunRecord) -> StoredRequest:
        """Read them."""
        return cls.model_validate_json(run.request)


class Labels(BaseModel):
    """What is noted of a run for lists: from its request, and by its steps."""

    repository: str = ""
    cloud: str | None = None
    site: str | None = None
    project: str | None = None
    node_type: str | None = None
    image: str | None = None
    lease_end: str | None = None
    looked_at: str | None = None
    approved_amount: float | None = None
    extended: int = 0
    """The number of the last extension whose success was reported."""
    yes: bool = False
    """Whether the user agreed to the plan before there was one, with `run --yes`."""
    batch: str | None = None
    """The file that lists the run's repository, for `run --file`."""
    batch_line: str | None = None
    """The identity of its line there."""
    other_sites: str = "[]"
    """With `--site any`: the clouds that follow in the ranking, as a JSON list."""
    next_run: str | None = None
    """The id of the run that follows at the next site, once this one was refused."""
    refusal: str = ""
    """Why it was refused."""

    @property
    def sites(self) -> list[str]:
        """The clouds that are left."""
        return list(map(str, json.loads(self.other_sites)))

    @classmethod
    def of(cls, run: RunRecord) -> Labels:
        """Read them."""
        return cls.model_validate_json(run.labels)


@dataclass(frozen=True)
class RunFilter:
    """Which runs a list is for; what is not given does not matter.

    Attributes:
        state: the state, as it is shown.
        repository: part of the repository's URL or path, in any case.
        cloud: the name in clouds.yaml.
        site: the site's name.
        archived: whether archived runs are listed, too.
        owner: who submitted the run to a fleet.
    """

    state: RunStateName | None = None
    repository: str | None = None
    cloud: str | None = None
    site: str | None = None
    archived: bool = False
    owner: str | None = None

    def query(self) -> RunQuery:
        """Return what the journal can select; whether a run is worked on, only its lock knows."""
        stored = () if self.state is None else tuple(one for one in OVER if one == self.state) or UNDER_WAY
        labels = {"cloud": self.cloud, "site": self.site}
        return RunQuery(
            states=stored,
            labels={name: value for name, value in labels.items() if value is not None},
            containing={} if self.repository is None else {"repository": self.repository},
            archived=self.archived,
            owner=self.owner,
        )


UNDER_WAY = (RunState.RUNNING, RunState.INTERRUPTED, RunState.FAILED, RunState.SUCCEEDED)

ENDS_SOON = timedelta(hours=2)
"""How long before its end a lease is warned of."""

Row = TypeVar("Row", StageRecord, ResourceRecord, IntentRecord)


def runs_document(
    journal: Journal, is_worked_on: Callable[[str], bool], chosen: RunFilter, limit: int | None
) -> RunsDocument:
    """List the newest runs, and older ones that still have a lease; the work depends on how many are listed.

    Args:
        journal: where the runs are.
        is_worked_on: whether a process works on a run.
        chosen: which runs to list.
        limit: how many, apart from those that have a lease; None for all.
    """
    now = times.now()
    if chosen.state in (None, "torn_down", "moved"):
        query = chosen.query()
        rows = journal.runs(query, limit=limit)
        if limit is not None and len(rows) == limit:
            held = journal.runs(replace(query, holding="lease", at=now.isoformat()))
            rows += [row for row in held if row.run_id not in {one.run_id for one in rows}]
        more = 0 if limit is None or len(rows) < limit else journal.count(query) - len(rows)
    else:
        ids = _in_state(journal, is_worked_on, chosen)
        rows = journal.selected(RunRecord, ids[:limit])
        more = len(ids) - len(rows)
    shown = {row.run_id for row in rows}
    stages = grouped(journal.outputs(shown, PLAN, RESERVED))
    resources = grouped(journal.selected(ResourceRecord, shown))
    intents = grouped(journal.selected(IntentRecord, shown))
    lines = [
        _run_line(
            row,
            None
            if row.state == RunState.MOVED
            else cost_part(stages[row.run_id], resources[row.run_id], intents[row.run_id], now),
            resources[row.run_id],
            intents[row.run_id],
            working=is_worked_on(row.run_id),
        )
        for row in rows
    ]
    return RunsDocument(runs=lines, more=more, warnings=[text for one in lines for text in _ending(one, now)])


def grouped(rows: Iterable[Row]) -> defaultdict[str, list[Row]]:
    """Group the records of several runs by run id."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.run_id].append(row)
    return groups


def _in_state(journal: Journal, is_worked_on: Callable[[str], bool], chosen: RunFilter) -> list[str]:
    """List the ids of the runs that are in a state, newest first; locks are looked at only where they decide."""
    asked = chosen.state
    candidates = [
        (run_id, idle)
        for run_id, stored, removing in journal.run_states(chosen.query())
        if (idle := _shown_state(stored, removing=removing, working=False)) == asked or asked == "running"
    ]
    return [run_id for run_id, idle in candidates if asked == ("running" if is_worked_on(run_id) else idle)]


def _ending(run: RunLine, now: datetime) -> Iterator[str]:
    """Warn of a lease that ends soon."""
    if run.cost is not None and ends_soon(run.cost, now):
        called = run.name or run.run_id
        longer = command_text(Command("extend", (called, "6h")))
        left = times.until(datetime.fromisoformat(run.cost.lease_end), now)
        yield f"the lease of run {called} ends {left}, and its server with it; to keep them longer: {longer}"


def ends_soon(cost: CostPart, now: datetime) -> bool:
    """Return whether a lease is running and ends soon."""
    return cost.phase == "running" and datetime.fromisoformat(cost.lease_end) - now < ENDS_SOON


def _run_line(
    run: RunRecord,
    cost: CostPart | None,
    resources: list[ResourceRecord],
    intents: list[IntentRecord],
    *,
    working: bool,
) -> RunLine:
    labels = Labels.of(run)
    start, end = _lease(run, resources, intents, labels)
    return RunLine(
        run_id=run.run_id,
        name=run.name,
        state=state_of(run, working=working),
        repository=labels.repository,
        cloud=labels.cloud,
        site=labels.site,
        node_type=labels.node_type,
        image=labels.image,
        lease_start=start,
        lease_end=end,
        created_at=run.created_at,
        updated_at=run.updated_at,
        looked_at=looked_at(run),
        error=None if run.error is None else ErrorPart.stored(run.error, run.run_id).message,
        cost=cost,
        archived_at=run.archived_at,
        owner=run.owner,
    )


def state_of(run: RunRecord, *, working: bool) -> RunStateName:
    """Return the state of a run: the stored one, unless work on it was started and nobody continues it."""
    removing = run.teardown_at is not None
    if run.owner is not None and run.state == RunState.RUNNING and not removing:
        working = True  # a fleet's workers continue it, whichever is alive
    return _shown_state(run.state, removing=removing, working=working)


def _shown_state(stored: str, *, removing: bool, working: bool) -> RunStateName:
    if stored in OVER:
        return RunState(stored).value
    if working:
        return "running"
    if stored == RunState.RUNNING or removing:
        return "interrupted"
    return RunState(stored).value


def looked_at(run: RunRecord, stages: Iterable[StageRecord] = (), resources: Iterable[ResourceRecord] = ()) -> str:
    """Return when the cloud last responded, as far as is known.

    Each record was made at a response, and so was the run's last change, unless it failed for want of one.
    """
    known = [Labels.of(run).looked_at]
    known += [one.finished_at for one in stages if one.state == StageState.SUCCEEDED]
    known += [moment for one in resources for moment in (one.created_at, one.removed_at)]
    if run.error is None or ErrorPart.stored(run.error, run.run_id).exit_code not in NO_ANSWER:
        known.append(run.updated_at)
    return max((one for one in known if one is not None), key=datetime.fromisoformat, default=run.created_at)


def _lease(
    run: RunRecord, resources: list[ResourceRecord], intents: list[IntentRecord], labels: Labels
) -> tuple[str | None, str | None]:
    """Return start and end of the lease that a run has, if it has one."""
    lease = latest(resources, "lease")
    if run.state in OVER or lease is None or lease.state == ResourceState.ABSENT:
        return None, None
    period = lease_period(lease, intents)
    end = labels.lease_end if period.end is None else period.end.isoformat()
    return period.start.isoformat(), end
