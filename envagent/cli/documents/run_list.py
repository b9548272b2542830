"""The list of runs, from the journal's rows alone: it must not load the steps and their models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from pydantic import BaseModel

from envagent.cli.documents.costs import latest, lease_period
from envagent.cli.documents.json_models import ErrorPart, RunLine, RunStateName
from envagent.engine.journal import Journal
from envagent.engine.tables import ResourceRecord, ResourceState, RunRecord, RunState, StageRecord, StageState
from envagent.errors import AuthenticationError, CloudError

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
    """What the steps have noted of a run for the list."""

    site: str | None = None
    project: str | None = None
    node_type: str | None = None
    image: str | None = None
    lease_end: str | None = None
    looked_at: str | None = None
    approved_amount: float | None = None
    batch: str | None = None
    """The file that lists the run's repository, for `run --file`."""
    batch_line: str | None = None
    """The identity of its line there."""

    @classmethod
    def of(cls, run: RunRecord) -> Labels:
        """Read them."""
        return cls.model_validate_json(run.labels)


def run_lines(journal: Journal, is_worked_on: Callable[[str], bool]) -> list[RunLine]:
    """List all runs, newest first."""
    return [run_line(journal, row, working=is_worked_on(row.run_id)) for row in journal.runs()]


def run_line(journal: Journal, run: RunRecord, *, working: bool) -> RunLine:
    """Return a run's entry in the list."""
    labels, request = Labels.of(run), StoredRequest.of(run)
    start, end = _lease(journal, run, labels)
    return RunLine(
        run_id=run.run_id,
        state=state_of(run, working=working),
        repository=request.repository,
        cloud=request.cloud,
        site=labels.site,
        node_type=labels.node_type,
        image=labels.image,
        lease_start=start,
        lease_end=end,
        created_at=run.created_at,
        updated_at=run.updated_at,
        looked_at=looked_at(run),
        error=None if run.error is None else ErrorPart.stored(run.error, run.run_id).message,
    )


def state_of(run: RunRecord, *, working: bool) -> RunStateName:
    """Return the state of a run: the stored one, unless work on it was started and nobody continues it."""
    if run.state == RunState.TORN_DOWN:
        return "torn_down"
    if working:
        return "running"
    if run.state == RunState.RUNNING or run.teardown_at is not None:
        return "interrupted"
    return RunState(run.state).value


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


def _lease(journal: Journal, run: RunRecord, labels: Labels) -> tuple[str | None, str | None]:
    """Return start and end of the lease that a run has, if it has one."""
    if run.state == RunState.TORN_DOWN:
        return None, None
    lease = latest(journal.resources(run.run_id), "lease")
    if lease is None or lease.state == ResourceState.ABSENT:
        return None, None
    period = lease_period(lease, journal.intents(run.run_id))
    end = labels.lease_end if period.end is None else period.end.isoformat()
    return period.start.isoformat(), end
