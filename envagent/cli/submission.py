"""Leaving runs to workers: submitting one, and asking the workers to continue or remove it."""

from __future__ import annotations

import getpass
import threading
from pathlib import Path

from envagent.cli.actions import RunOptions
from envagent.cli.audience import Audience
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.home import Home
from envagent.cli.render.hint_text import hint_text
from envagent.cli.render.terminal import print_document
from envagent.cli.run_session import Ended
from envagent.cli.wiring import make_runner
from envagent.config import Settings
from envagent.engine.journal import Journal
from envagent.engine.removal import begin_teardown
from envagent.engine.runner import new_run_id
from envagent.engine.runtime import Runtime
from envagent.engine.tables import EventRecord, RunRecord, RunState
from envagent.errors import ConfigurationError, UsageError
from envagent.fleet.jobs import Jobs, Work
from envagent.hints import Hint, Option, command, status

_SHARED = Hint('set journal = "postgresql://HOST/DATABASE" in envagent.toml, or ENVAGENT_JOURNAL')


def submit_run(options: RunOptions, audience: Audience, *, as_json: bool) -> int:
    """Store a run for the workers, agreed to in advance, and say how to follow it.

    Raises:
        UsageError: nobody has agreed to it.
        ConfigurationError: the journal is not shared, or there is no public key to let in.
        EnvagentError: the request cannot be made.
    """
    from envagent.cli.duplicates import check_name_is_free, keeping_name
    from envagent.cli.inputs import check_run_name
    from envagent.cli.preparation import prepare

    if not audience.yes:
        raise UsageError("a worker cannot ask anybody", hint=Hint("agree in advance with", Option("yes")))
    check_run_name(options.name)
    prepared = prepare(options, audience.terminal)
    settings, request = prepared.settings, prepared.request
    jobs = shared_jobs(settings)
    key = None if request.key_name is not None else _public_key(request.public_key or settings.key.public_key)
    request = request.model_copy(update={"submitted_key": key, "public_key": None})
    home = Home.of(settings)
    with home.opened_journal() as journal:
        check_name_is_free(journal, options.name)
        runner = make_runner(journal, settings, unheard, threading.Event())
        try:
            with keeping_name(journal, options.name):
                execution = runner.begin(
                    request,
                    None,  # type: ignore[arg-type]  # no stage is entered here
                    run_id=new_run_id(),
                    labels={"yes": "true"},
                    owner=settings.fleet.owner or getpass.getuser(),
                    name=options.name,
                )
            runner.approve(execution)
        finally:
            runner.close()
        row = execution.run.row
        jobs.prepare()
        jobs.defer(row.run_id, Work.ADVANCE)
        document = run_document(StoredRun.load(journal, row, working=True))
    if as_json:
        print_document(document)
    audience.terminal.line((f"run {row.run_id}", "bold"), f": {request.repository}, left to the workers")
    audience.terminal.line(hint_text(Hint("To follow it:", command("logs", row.run_id, follow=True)), row.run_id))
    return 0


def ask_workers(home: Home, journal: Journal, row: RunRecord, work: Work, audience: Audience) -> Ended:
    """Ask the workers to go on with a run, or to remove it, before anything else is done for it.

    Raises:
        JournalError: the journal cannot be used.
        ConfigurationError: the journal is not shared.
    """
    if isinstance(home.journal, Path):
        raise ConfigurationError(f"run {row.run_id} belongs to the workers of a shared journal", hint=_SHARED)
    if work is Work.REMOVE and row.state != RunState.TORN_DOWN:
        begin_teardown(Runtime(journal), row)  # recorded, so that it is done even if the job is lost
    Jobs(home.journal).defer(row.run_id, work)
    what = "remove" if work is Work.REMOVE else "continue"
    audience.terminal.line(f"The workers were asked to {what} run {row.run_id}.")
    audience.terminal.line(hint_text(Hint("To see how far it is:", status()), row.run_id))
    return Ended(run_document(StoredRun.load(journal, row, working=True)), closing=False)


def shared_jobs(settings: Settings) -> Jobs:
    """Return the jobs of the journal in the settings.

    Raises:
        ConfigurationError: it is not shared.
    """
    if settings.journal is None:
        raise ConfigurationError("workers need a journal in PostgreSQL", hint=_SHARED)
    return Jobs(settings.journal)


def _public_key(file: Path | None) -> str:
    """Read the public key of whoever submits: the named one, or the first of ~/.ssh."""
    from envagent import keys

    files = [file] if file is not None else [one.with_suffix(".pub") for one in keys.own_keys()]
    for one in files:
        if file is not None or one.exists():
            return keys.read_public_key(one)
    raise ConfigurationError(
        "no public key is found that would let you in to the server", hint=Hint("name one with", Option("public_key"))
    )


def unheard(event: EventRecord) -> None:
    """Listen to nothing: what happens is in the journal."""
