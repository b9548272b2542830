"""Leaving runs to workers: submitting one, and asking the workers to continue or remove it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli.actions import RunOptions
from envagent.cli.audience import Audience
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.run_list import Labels
from envagent.cli.home import Home, owner_of, read_settings
from envagent.cli.render.hint_text import hint_text
from envagent.cli.render.terminal import print_document
from envagent.cli.run_session import Ended
from envagent.cli.wiring import make_runner
from envagent.config import Settings
from envagent.engine.execution import NewRun
from envagent.engine.journal import Journal
from envagent.engine.removal import Teardown, begin_teardown
from envagent.engine.run_query import RunQuery
from envagent.engine.runtime import Runtime
from envagent.engine.tables import EventRecord, RunRecord, RunState, new_run_id
from envagent.errors import ConfigurationError, RunStateError, UsageError
from envagent.fleet.jobs import Jobs, Work
from envagent.hints import Hint, Option, command, status

if TYPE_CHECKING:
    from envagent.steps.services import Services

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

    _check_agreed(audience)
    check_run_name(options.name)
    new, settings = _new_run(options, audience)
    jobs = shared_jobs(settings)
    with Home.of(settings).opened_journal() as journal:
        check_name_is_free(journal, options.name)
        with keeping_name(journal, options.name):
            [row] = _store(journal, settings, [new])
        jobs.defer(Work.ADVANCE, row.run_id)
        document = run_document(StoredRun.load(journal, row, working=True))
    if as_json:
        print_document(document)
    audience.terminal.line((f"run {row.run_id}", "bold"), f": {document.repository.url}, left to the workers")
    audience.terminal.line(hint_text(Hint("To follow it:", command("logs", row.run_id, follow=True)), row.run_id))
    return 0


def submit_file(file: Path, options: RunOptions, audience: Audience, *, as_json: bool) -> int:
    """Store a run for each line of a file that has none; the workers try failed ones again.

    Nothing is stored unless every line can be.

    Raises:
        UsageError: nobody has agreed to it, or a line is not valid.
        ConfigurationError: the journal is not shared, or there is no public key to let in.
        EnvagentError: a request cannot be made.
    """
    from envagent.cli.batch_file import batch_name, read_lines
    from envagent.cli.documents.batch_document import batch_document, line_part

    _check_agreed(audience)
    lines, name = read_lines(file), batch_name(file)
    settings = read_settings(options.config, **({} if options.cloud is None else {"cloud": options.cloud}))
    jobs = shared_jobs(settings)
    with Home.of(settings).opened_journal() as journal:
        known: dict[str, RunRecord] = {}
        for row in journal.runs(RunQuery(labels={"batch": name}, archived=True)):
            if row.teardown_at is None:
                known.setdefault(Labels.of(row).batch_line or "", row)
        wanted = [one for one in lines if one.key not in known]
        made = []
        for one in wanted:
            new, settings = _new_run(one.options(options), audience)
            labels = {**(new.labels or {}), "batch": name, "batch_line": one.key}
            made.append(replace(new, labels=labels))
        failed = [known[one.key] for one in lines if one.key in known and known[one.key].state == RunState.FAILED]
        rows = _store(journal, settings, made) if made else []
        jobs.defer(Work.ADVANCE, *(row.run_id for row in rows))
        jobs.defer(Work.RESUME, *(row.run_id for row in failed))
        runs = {**known, **{one.key: row for one, row in zip(wanted, rows, strict=True)}}
        if as_json:
            parts = [
                line_part(
                    one.number,
                    one.repository,
                    one.given.get("ref"),
                    run_document(StoredRun.load(journal, runs[one.key], working=True)),
                )
                for one in lines
            ]
            print_document(batch_document(name, parts, None))
    others = len(lines) - len(rows) - len(failed)
    counted = [f"{len(rows)} submitted"] if rows else []
    counted += [f"{len(failed)} tried again"] if failed else []
    counted += [f"{others} already submitted"] if others else []
    audience.terminal.line((str(file), "bold"), f": {', '.join(counted)}")
    audience.terminal.line(hint_text(Hint("To see how far they are:", status()), None))
    return 0


def _check_agreed(audience: Audience) -> None:
    if not audience.yes:
        raise UsageError("a worker cannot ask anybody", hint=Hint("agree in advance with", Option("yes")))


def _new_run(options: RunOptions, audience: Audience) -> tuple[NewRun[Services], Settings]:
    """Return the run that is asked for, and the settings that apply to it."""
    from envagent.cli.preparation import prepare

    prepared = prepare(options, audience.terminal)
    settings, request = prepared.settings, prepared.request
    shared_jobs(settings)
    file = request.public_key or settings.key.public_key
    key = None if request.key_name is not None and file is None else _public_key(file)
    request = request.model_copy(update={"submitted_key": key, "public_key": None})
    new: NewRun[Services] = NewRun(
        request,
        None,  # type: ignore[arg-type]  # no stage is entered here
        run_id=new_run_id(),
        labels={"yes": "true"},
        owner=owner_of(settings),
        name=options.name,
    )
    return new, settings


def _store(journal: Journal, settings: Settings, runs: Sequence[NewRun[Services]]) -> list[RunRecord]:
    """Store runs, all or none, and the approval of each."""
    runner = make_runner(journal, settings, unheard, threading.Event())
    try:
        executions = runner.begin_all(runs)
        for one in executions:
            runner.approve(one)
    finally:
        runner.close()
    return [one.run.row for one in executions]


def cancel_run(run_id: str, audience: Audience, *, config: Sequence[Path] | None = None) -> Ended:
    """Stop a submitted run: one that has requested nothing ends at once, the workers remove what another one has.

    Raises:
        RunStateError: it was not submitted, or has ended.
        EnvagentError: it cannot be stopped.
    """
    home = Home.of(read_settings(config))
    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        if row.owner is None:
            raise RunStateError(
                f"run {row.run_id} was not submitted to workers",
                hint=Hint(
                    "stop it with Ctrl-C where it runs, or remove what it created:", command("teardown", row.run_id)
                ),
            )
        if row.state in (RunState.SUCCEEDED, RunState.TORN_DOWN) or row.teardown_at is not None:
            over = row.state == RunState.SUCCEEDED
            raise RunStateError(
                f"run {row.run_id} has {'succeeded' if over else 'been, or is being, torn down'}",
                hint=Hint("to remove it:", command("teardown", row.run_id)) if over else Hint(status()),
            )
        return ask_workers(home, journal, row, Work.REMOVE, audience)


def ask_workers(home: Home, journal: Journal, row: RunRecord, work: Work, audience: Audience) -> Ended:
    """Ask the workers to go on with a run, or to remove it, before anything else is done for it.

    Raises:
        JournalError: the journal cannot be used.
        ConfigurationError: the journal is not shared.
    """
    if isinstance(home.journal, Path):
        raise ConfigurationError(f"run {row.run_id} belongs to the workers of a shared journal", hint=_SHARED)
    if work is Work.REMOVE and row.state != RunState.TORN_DOWN:
        runtime = Runtime(journal)
        begin_teardown(runtime, row)  # recorded, so that it is done even if the job is lost
        if not journal.intents(row.run_id):  # and taken: no worker can send a request for it any more
            Teardown(runtime, ()).run(row)
            audience.terminal.line(f"Run {row.run_id} has ended; it had not requested anything.")
            return Ended(run_document(StoredRun.load(journal, row, working=False)), closing=False)
    Jobs(home.journal).defer(work, row.run_id)
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
