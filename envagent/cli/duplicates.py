"""A second run of the same repository, commit and cloud: never started unasked, because it costs a second node.

It reads this machine's journal and, only where a run there may have a lease, resolves the commit that is meant now.
Forks and clones count as other repositories; runs that are torn down or whose lease has ended do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli import interaction
from envagent.cli.audience import Audience
from envagent.cli.documents.costs import end_date, lease_request, over_since
from envagent.cli.documents.run_document import StoredRun, run_document, stored_output
from envagent.cli.documents.run_list import Labels, StoredRequest, grouped
from envagent.cli.home import Home
from envagent.cli.render import times
from envagent.cli.render.terminal import Terminal
from envagent.cli.run_session import Ended
from envagent.cli.ssh_config import host_of
from envagent.engine.journal import Journal
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import IntentRecord, IntentState, ResourceRecord, ResourceState, RunRecord, RunState
from envagent.errors import EnvagentError, JournalError, RunStateError
from envagent.hints import Command, Hint, Option, status, teardown
from envagent.repository.source import parse_source
from envagent.steps.analyze_repository import AnalyzedRepository

if TYPE_CHECKING:
    from envagent.cli.actions import RunOptions
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
        RunStateError: there is one that cannot be resumed, and nobody can be asked.
        RepositoryRefused: a run of this repository is live, and the commit that is meant now cannot be read.
    """
    found = _live_duplicate(home, journal, request, audience.terminal, commit, batch)
    if found is None:
        return None
    working = home.is_worked_on(found.run_id)
    document = run_document(StoredRun.load(journal, found, working=working))
    existing = _in_words(document, working=working)
    if audience.yes and not working and document.state != "succeeded":
        from envagent.cli.actions import resume_run

        audience.terminal.line(f"{existing}; resuming it")
        return resume_run(found.run_id, audience, config=config)
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


def named_run(
    home: Home, journal: Journal, name: str, request: RunRequest, audience: Audience, options: RunOptions
) -> Ended | None:
    """Take the run that has this name, if it is for the same: show it if it is up, continue it otherwise.

    Returns:
        What came of it; None if no run has the name.

    Raises:
        RunStateError: the name belongs to another run, or to one that is over or worked on.
    """
    row = journal.named(name)
    if row is None:
        return None
    run_id, theirs, working = row.run_id, StoredRequest.of(row), home.is_worked_on(row.run_id)
    same_cloud = options.site is not None or theirs.cloud == request.cloud
    if options.new or row.subject != request.subject or theirs.ref != request.ref or not same_cloud:
        raise _name_in_use(row)
    if row.teardown_at is not None:
        raise _refused(row, f"run {name} is being torn down", Hint(teardown(), "; then repeat the command"))
    if working:
        raise _refused(row, f"run {name} ({run_id}) is being worked on", Hint(status()))
    if row.state != RunState.SUCCEEDED:
        from envagent.cli.actions import resume_run

        audience.terminal.line(f"run {name} exists and is unfinished: resuming it")
        return resume_run(run_id, audience, config=options.config)
    document = run_document(StoredRun.load(journal, row, working=False))
    if document.cost is not None and over_since(document.cost) is not None:
        raise _refused(row, f"the lease of run {name} is over", Hint(teardown(), "; then repeat the command"))
    audience.terminal.line(f"run {name} exists and is up; nothing is done")
    return Ended(document, host=host_of(home, document))


@contextmanager
def keeping_name(journal: Journal, name: str | None) -> Iterator[None]:
    """Say so if another process gives the name to a run at the moment at which this one is stored."""
    try:
        yield
    except JournalError:
        other = None if name is None else journal.named(name, everyone=True)
        if other is None:
            raise
        raise _name_in_use(other, seen_by=journal.seen_by) from None


def check_name_is_free(journal: Journal, name: str | None) -> None:
    """Check that no run has this name.

    Raises:
        RunStateError: one has.
    """
    other = None if name is None else journal.named(name, everyone=True)
    if other is not None:
        raise _name_in_use(other, seen_by=journal.seen_by)


def _name_in_use(row: RunRecord, *, seen_by: str | None = None) -> RunStateError:
    if seen_by is not None and row.owner not in (None, seen_by):
        return RunStateError(
            f"somebody else's run has the name {row.name}", hint=Hint("choose another", Option("name"))
        )
    what = StoredRequest.of(row).repository
    message = f"the name {row.name} belongs to run {row.run_id} of {what}, which is not torn down"
    return _refused(row, message, Hint("choose another", Option("name"), "; or remove that run:", teardown()))


def _refused(row: RunRecord, message: str, hint: Hint) -> RunStateError:
    error = RunStateError(message, hint=hint)
    error.run_id = row.run_id
    return error


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
