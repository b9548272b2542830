"""A second run of the same repository, commit and cloud: never started unasked, because it costs a second node.

It reads this machine's journal and, only where a run there may have a lease, resolves the commit that is meant now.
Forks and clones count as other repositories; runs that are torn down or whose lease has ended do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli import interaction
from envagent.cli.audience import Audience
from envagent.cli.documents.costs import end_date, lease_request
from envagent.cli.documents.run_document import StoredRun, run_document, stored_output
from envagent.cli.documents.run_list import Labels, StoredRequest, grouped
from envagent.cli.home import Home
from envagent.cli.render import times
from envagent.cli.render.terminal import Terminal
from envagent.cli.run_session import Ended
from envagent.engine.journal import Journal
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import IntentRecord, IntentState, ResourceRecord, ResourceState, RunRecord, RunState
from envagent.errors import EnvagentError, RunStateError
from envagent.hints import Command, Hint, Option
from envagent.repository.source import parse_source
from envagent.steps.analyze_repository import AnalyzedRepository

if TYPE_CHECKING:
    from envagent.cli.documents.run_models import RunDocument
    from envagent.steps.request import RunRequest


def offer_existing(
    home: Home,
    journal: Journal,
    request: RunRequest,
    audience: Audience,
    config: Sequence[Path] | None,
    *,
    commit: str | None = None,
    batch: str | None = None,
) -> Ended | None:
    """Offer the existing run of what is requested.

    Args:
        home: where the runs are kept.
        journal: their journal.
        request: what is requested.
        audience: who is asked.
        config: the user's `--config`, for a resume.
        commit: the commit that is meant; None for the one that the request's `ref` names now.
        batch: the file of repositories that asks; its own runs do not count.

    Returns:
        None to start a new run; else what came of the existing one, which the user chose.

    Raises:
        RunStateError: there is one, and nobody can be asked.
        RepositoryRefused: a run of this repository is live, and the commit that is meant now cannot be read.
    """
    found = _live_duplicate(home, journal, request, audience.terminal, commit, batch)
    if found is None:
        return None
    working = home.is_worked_on(found.run_id)
    document = run_document(StoredRun.load(journal, found, working=working))
    existing = _in_words(document, working=working)
    if working or not audience.answers:
        use_it = Command("status" if working or document.state == "succeeded" else "resume", (found.run_id,))
        raise RunStateError(
            existing, hint=Hint(use_it, "; for a second server, repeat the command with", Option("new"))
        )
    audience.terminal.line(existing)
    with audience.stoppable() as stop:
        if document.state != "succeeded" and audience.agreed(f"Resume run {found.run_id}?", stop.event):
            resumes = True
        elif audience.agreed("Reserve a second server?", stop.event):
            return None
        else:
            resumes = False
    if resumes:
        from envagent.cli.actions import resume_run

        return resume_run(found.run_id, audience, config=config)
    code = interaction.DECLINED if stop.signal is None else stop.exit_code
    return Ended(document, code, closing=document.state == "succeeded")


def _live_duplicate(
    home: Home,
    journal: Journal,
    request: RunRequest,
    terminal: Terminal,
    meant: str | None,
    batch: str | None,
) -> RunRecord | None:
    """Return the newest run of the same repository, commit and cloud that has a lease, or may get one."""
    ours: list[str | None] = [] if meant is None else [meant]
    found = dict(_of_this_repository(journal, request))
    leases = grouped(journal.selected(ResourceRecord, found))
    requests = grouped(journal.selected(IntentRecord, found))
    for run_id, (row, theirs) in found.items():
        if batch is not None and Labels.of(row).batch == batch:
            continue
        if not (_holds_lease(row, leases[run_id], requests[run_id]) or home.is_worked_on(run_id)):
            continue
        commit = _commit_of(journal, row)
        if commit is None:  # not analyzed yet
            if theirs.ref == request.ref:
                return row
            continue
        if not ours:
            ours.append(_commit_now(request))
        if commit == ours[0]:
            return row
        terminal.line(f"note: run {row.run_id} holds a node for another commit of this repository ({commit[:12]})")
    return None


def _of_this_repository(journal: Journal, request: RunRequest) -> Iterator[tuple[str, tuple[RunRecord, StoredRequest]]]:
    """List the runs of this journal that are not torn down, with their requests, by id and newest first."""
    ours = RunQuery(subject=request.subject, labels={"cloud": request.cloud}, removing=False)
    for row in journal.runs(ours):
        if row.state == RunState.MOVED:
            continue
        theirs = StoredRequest.of(row)
        if row.subject is not None or _subject(theirs.repository) == request.subject:
            yield row.run_id, (row, theirs)


def _subject(repository: str) -> str:
    """Return what a run of an earlier version is about."""
    try:
        return parse_source(repository).identity
    except EnvagentError:
        return repository


def _commit_of(journal: Journal, row: RunRecord) -> str | None:
    analyzed = stored_output(journal.stages(row.run_id), AnalyzedRepository)
    return None if analyzed is None else analyzed.commit


def _commit_now(request: RunRequest) -> str | None:
    from envagent.repository.fetch import fetch

    return fetch(request.repository, ref=request.ref).commit


def _holds_lease(row: RunRecord, resources: list[ResourceRecord], intents: list[IntentRecord]) -> bool:
    """Return whether the run has a lease that has not ended, or has requested one with unknown outcome."""
    now = times.now()
    for lease in resources:
        if lease.kind == "lease" and lease.state != ResourceState.ABSENT:
            end = end_date(lease) or Labels.of(row).lease_end
            if end is None or datetime.fromisoformat(end) > now:
                return True
    for intent in intents:
        if intent.kind == "lease" and intent.state == IntentState.SENT:
            request = lease_request(intent)
            if request is None:
                return True
            start = request.start or datetime.fromisoformat(intent.sent_at)
            if start + timedelta(hours=request.hours) > now:
                return True
    return False


def _in_words(document: RunDocument, *, working: bool) -> str:
    """Describe a run in a sentence."""
    what = "is being worked on" if working else "is up" if document.state == "succeeded" else "is unfinished"
    where = " at ".join(filter(None, (document.node_type, document.site)))
    end = None if document.cost is None else times.both(datetime.fromisoformat(document.cost.lease_end))
    held = "" if document.lease is None else f", until {end}" if end else ""
    return f"run {document.run_id} of this repository and commit {what}{f': {where}{held}' if where else ''}"
