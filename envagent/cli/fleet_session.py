"""Runs that workers carry out: submitting one, asking the workers to act on it, and a worker's own work."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli.actions import RunOptions
from envagent.cli.audience import Audience
from envagent.cli.clouds import reach
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.home import Home, read_settings, request_of
from envagent.cli.render.hint_text import hint_text
from envagent.cli.render.terminal import print_document
from envagent.cli.run_session import Ended
from envagent.cli.wiring import make_runner, make_services, opened_teardown
from envagent.config import Settings
from envagent.engine.execution import Outcome
from envagent.engine.journal import Journal
from envagent.engine.runner import new_run_id
from envagent.engine.step import Stopped
from envagent.engine.tables import EventRecord, RunRecord, RunState
from envagent.errors import ConfigurationError, UsageError
from envagent.fleet.jobs import Jobs, Work
from envagent.fleet.worker import Worker
from envagent.hints import Hint, Option, command, status

if TYPE_CHECKING:
    from envagent.engine.execution import Progress

LOG = logging.getLogger("envagent.worker")

IN_HAND = timedelta(seconds=2)
"""When a run is tried again that this worker is busy with: its job was lost, and a sweep deferred another."""

_SHARED = Hint('set journal = "postgresql://HOST/DATABASE" in envagent.toml, or ENVAGENT_JOURNAL')


def submit_run(options: RunOptions, audience: Audience, *, as_json: bool) -> int:
    """Store a run for the workers, agreed to in advance, and say how to follow it.

    Raises:
        UsageError: nobody has agreed to it.
        ConfigurationError: the journal is not shared, or there is no public key to let in.
        EnvagentError: the request cannot be made.
    """
    from envagent.cli.preparation import prepare

    if not audience.yes:
        raise UsageError("a worker cannot ask anybody", hint=Hint("agree in advance with", Option("yes")))
    prepared = prepare(options, audience.terminal)
    settings, request = prepared.settings, prepared.request
    jobs = _jobs(settings)
    key = None if request.key_name is not None else _public_key(request.public_key or settings.key.public_key)
    request = request.model_copy(update={"submitted_key": key, "public_key": None})
    home = Home.of(settings)
    with home.opened_journal() as journal:
        runner = make_runner(journal, settings, _unheard, threading.Event())
        try:
            execution = runner.begin(
                request,
                None,  # type: ignore[arg-type]  # no stage is entered here
                run_id=new_run_id(),
                labels={"yes": "true"},
                owner=settings.fleet.owner or getpass.getuser(),
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
    Jobs(home.journal).defer(row.run_id, work)
    what = "remove" if work is Work.REMOVE else "continue"
    audience.terminal.line(f"The workers were asked to {what} run {row.run_id}.")
    audience.terminal.line(hint_text(Hint("To see how far it is:", status()), row.run_id))
    return Ended(run_document(StoredRun.load(journal, row, working=True)), closing=False)


def work_for_ever(config: Sequence[Path] | None, concurrency: int | None, audience: Audience) -> int:
    """Carry out jobs until SIGTERM or Ctrl-C.

    Raises:
        ConfigurationError: the journal is not shared.
        JournalError: it cannot be used.
    """
    settings = read_settings(config)
    jobs = _jobs(settings)
    _log_as_json()
    home = Home.of(settings)
    with home.opened_journal() as journal:
        work = FleetWork(home, journal, settings)
        worker = Worker(
            jobs,
            work.carry_out,
            concurrency=concurrency or settings.fleet.concurrency,
            stale=settings.fleet.stale_seconds,
            pause=settings.fleet.sweep_seconds,
        )

        async def until_stopped() -> None:
            loop = asyncio.get_running_loop()
            for one in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(one, stop)
            await worker.run()

        def stop() -> None:
            work.stop.set()
            worker.stop()

        audience.terminal.line(f"working on runs in {journal.database.name} until Ctrl-C")
        asyncio.run(until_stopped())
    return 0


class FleetWork:
    """What a worker does for one run at a time; safe to use from several threads."""

    def __init__(self, home: Home, journal: Journal, settings: Settings) -> None:
        self._home = home
        self._journal = journal
        self._settings = settings
        self.stop = threading.Event()
        self._guard = threading.Lock()
        self._in_hand: set[str] = set()

    def carry_out(self, run_id: str, work: Work) -> datetime | None:
        """Advance or remove a run; return when it is to be woken.

        Raises:
            RunTakenOver: another worker has taken the run.
            EnvagentError: the run cannot be worked on now.
        """
        with self._guard:  # the epoch tells processes apart, and not the threads of one
            if run_id in self._in_hand:
                return datetime.now(UTC) + IN_HAND
            self._in_hand.add(run_id)
        try:
            return self._work_on(self._journal.run(run_id), work)
        finally:
            with self._guard:
                self._in_hand.remove(run_id)

    def _work_on(self, row: RunRecord, work: Work) -> datetime | None:
        if work is Work.REMOVE or row.teardown_at is not None:
            return self._remove(row)
        if row.state == RunState.TORN_DOWN or (
            row.state in (RunState.SUCCEEDED, RunState.FAILED) and work is Work.ADVANCE
        ):
            return None
        progress = self._advance(row, compare=work is Work.RESUME or row.state != RunState.RUNNING)
        LOG.info("run %s: %s", row.run_id, progress.outcome.value)
        if progress.outcome is Outcome.STOPPED:  # this worker ends: the next one goes on at once
            return datetime.now(UTC)
        return progress.look_again if progress.outcome is Outcome.WAITING else None

    def _advance(self, row: RunRecord, *, compare: bool) -> Progress:
        request = request_of(row)
        access = reach(request.cloud, self._settings)
        with ExitStack() as stack:
            services = make_services(self._home, self._journal, access, row.run_id, request, self.stop)
            stack.callback(services.close)
            runner = make_runner(self._journal, access.settings, _unheard, self.stop)
            stack.callback(runner.close)
            folder = self._home.run(row.run_id)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            execution = runner.resume(row, services) if compare else runner.pick_up(row, services)
            execution.run.request = request.model_copy(update={"output_folder": folder})
            return runner.advance(execution)

    def _remove(self, row: RunRecord) -> datetime | None:
        if row.state == RunState.TORN_DOWN:
            return None
        self._journal.take(row)  # before a request: the epoch of an earlier advance is not ours any more
        access = reach(request_of(row).cloud, self._settings)
        try:
            with opened_teardown(self._home, self._journal, access, row, _unheard, self.stop) as removal:
                removal.run(row)
        except Stopped:
            return datetime.now(UTC)
        LOG.info("run %s: removed", row.run_id)
        return None


def _jobs(settings: Settings) -> Jobs:
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


def _unheard(event: EventRecord) -> None:
    """Listen to nothing: what happens is in the journal."""


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"at": at, "level": record.levelname.lower(), "message": record.getMessage()})


def _log_as_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    LOG.handlers, LOG.propagate = [handler], False
    LOG.setLevel(logging.INFO)
