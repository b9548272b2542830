"""A second run of one repository, commit and site: never begun without a word, for it costs a second node.

It looks into this machine's journal and, only where a run there may hold something, for the commit that is meant now.
Forks and clones are repositories of their own. A run that is torn down, or whose lease has ended, is in nobody's way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli import interaction
from envagent.cli.documents.costs import end_date
from envagent.cli.documents.run_document import StoredRun, run_document, stored_output
from envagent.cli.documents.run_list import Labels, StoredRequest
from envagent.cli.home import Home
from envagent.cli.interaction import StopSignals
from envagent.cli.render import screens, times
from envagent.cli.render.terminal import Terminal, out, print_document
from envagent.engine.journal import Journal
from envagent.engine.tables import IntentState, ResourceState, RunRecord, RunState
from envagent.errors import EnvagentError, RunStateError
from envagent.steps.analyze_repository import AnalyzedRepository

if TYPE_CHECKING:
    from envagent.cli.documents.json_models import RunDocument
    from envagent.steps.request import RunRequest

_ANY_CASE = ("https://github.com/", "https://gitlab.com/", "https://bitbucket.org/", "https://codeberg.org/")
"""Hosts that take owner and name in any case."""


def offer_existing(
    home: Home,
    journal: Journal,
    request: RunRequest,
    terminal: Terminal,
    config: list[Path] | None,
    *,
    yes: bool,
    as_json: bool,
) -> int | None:
    """Offer the run that there is already for what is asked for.

    Args:
        home: where the runs are kept.
        journal: what is known of them.
        request: what is asked for.
        terminal: where to ask.
        config: the user's `--config`, for a resume.
        yes: whether to ask nothing.
        as_json: whether to print a document.

    Returns:
        None to begin a new run, else the exit code: the user takes the run that there is.

    Raises:
        RunStateError: there is one, and nobody is there to be asked.
        RepositoryRefused: a run of this repository is live, and the commit that is meant now cannot be read.
    """
    found = _live_duplicate(home, journal, request, terminal)
    if found is None:
        return None
    working = home.is_worked_on(found.run_id)
    document = run_document(StoredRun.load(journal, found, working=working))
    told = _told(document, working=working)
    if yes or working or not interaction.can_ask():
        verb = "status" if working or document.state == "succeeded" else "resume"
        raise RunStateError(told, hint=f"envagent {verb} {found.run_id}; for a second server, add --new to the command")
    terminal.line(told)
    with StopSignals(lambda: None, lambda: None) as stop:
        if document.state != "succeeded" and interaction.agreed(terminal, f"Resume run {found.run_id}?", stop.event):
            resumes = True
        elif interaction.agreed(terminal, "Reserve a second server?", stop.event):
            return None
        else:
            resumes = False
    if resumes:
        from envagent.cli.commands.resume import resume

        return resume(found.run_id, as_json=as_json, config=config)
    if as_json:
        print_document(document)
    elif document.state == "succeeded":
        screens.show_result(out(), document)
    return interaction.DECLINED if stop.signal is None else stop.exit_code


def _live_duplicate(home: Home, journal: Journal, request: RunRequest, terminal: Terminal) -> RunRecord | None:
    """Find the newest run of the same repository, commit and site that holds something, or is about to."""
    ours: list[str | None] = []
    for row, theirs in _of_this_repository(journal, request):
        if not (_holds_lease(journal, row) or home.is_worked_on(row.run_id)):
            continue
        commit = _commit_of(journal, row)
        if commit is None:  # it has not got that far
            if theirs.ref == request.ref:
                return row
            continue
        if not ours:
            ours.append(_commit_now(request))
        if commit == ours[0]:
            return row
        terminal.line(f"note: run {row.run_id} holds a node for another commit of this repository ({commit[:12]})")
    return None


def _of_this_repository(journal: Journal, request: RunRequest) -> Iterator[tuple[RunRecord, StoredRequest]]:
    """Give the runs that are not torn down, and what was asked for, newest first."""
    identity = _identity(request.repository)
    for row in journal.runs():
        theirs = StoredRequest.of(row)
        if row.state == RunState.TORN_DOWN or row.teardown_at is not None or theirs.cloud != request.cloud:
            continue
        if _identity(theirs.repository) == identity:
            yield row, theirs


def _identity(repository: str) -> str:
    """Name a repository in one way, however it was written."""
    from envagent.repository.source import Local, parse_source

    try:
        source = parse_source(repository)
    except EnvagentError:
        return repository
    if isinstance(source, Local):
        return str(Path(source.path).resolve())
    return source.url.casefold() if source.url.casefold().startswith(_ANY_CASE) else source.url


def _commit_of(journal: Journal, row: RunRecord) -> str | None:
    analyzed = stored_output(journal.stages(row.run_id), AnalyzedRepository)
    return None if analyzed is None else analyzed.commit


def _commit_now(request: RunRequest) -> str | None:
    from envagent.repository.fetch import fetch

    return fetch(request.repository, ref=request.ref).commit


def _holds_lease(journal: Journal, row: RunRecord) -> bool:
    """Tell whether the run has a lease that has not ended, or has asked for one and nobody knows what came of it."""
    now = times.now()
    for lease in journal.resources(row.run_id):
        if lease.kind == "lease" and lease.state != ResourceState.ABSENT:
            end = end_date(lease) or Labels.of(row).lease_end
            if end is None or datetime.fromisoformat(end) > now:
                return True
    for intent in journal.intents(row.run_id):
        if intent.kind == "lease" and intent.state == IntentState.SENT:
            asked = json.loads(intent.request)
            begin = datetime.fromisoformat(asked.get("start") or intent.sent_at)
            if begin + timedelta(hours=asked.get("hours", 0)) > now:
                return True
    return False


def _told(document: RunDocument, *, working: bool) -> str:
    """Say what there is."""
    what = "is being worked on" if working else "is up" if document.state == "succeeded" else "is unfinished"
    where = " at ".join(filter(None, (document.node_type, document.site)))
    end = None if document.cost is None else times.both(datetime.fromisoformat(document.cost.lease_end))
    held = "" if document.lease is None else f", until {end}" if end else ""
    return f"run {document.run_id} of this repository and commit {what}{f': {where}{held}' if where else ''}"
