"""A worker's own work: one advance of one run, or its removal."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from envagent.cli.audience import Audience
from envagent.cli.documents.costs import cost_part
from envagent.cli.fleet_clouds import ExchangeCount, SharedClouds
from envagent.cli.home import Home, read_settings, request_of
from envagent.cli.submission import shared_jobs, unheard
from envagent.cli.wiring import make_runner, make_services, opened_teardown
from envagent.config import Settings
from envagent.engine.execution import Execution, Outcome, Progress
from envagent.engine.journal import Journal, Transaction
from envagent.engine.loaded_run import Run
from envagent.engine.memory import Memory, recall, remembered
from envagent.engine.step import Stopped
from envagent.engine.tables import OVER, RunRecord, RunState, StageState
from envagent.fleet.jobs import Jobs, Wake, Work
from envagent.fleet.turns import RunTurns, Turns
from envagent.fleet.watches import Watches
from envagent.fleet.worker import LOG, Worker

LAUNCH = "launch_server.launch"
"""The stage that builds."""

IN_HAND = timedelta(seconds=2)
"""When a run is tried again that this worker is busy with: its job was lost, and a sweep deferred another."""


def work_for_ever(config: Sequence[Path] | None, concurrency: int | None, audience: Audience) -> int:
    """Carry out jobs until SIGTERM or Ctrl-C.

    Raises:
        ConfigurationError: the journal is not shared.
        JournalError: it cannot be used.
    """
    settings = read_settings(config)
    jobs = shared_jobs(settings)
    _log_as_json()
    home = Home.of(settings)
    with home.opened_journal(everyone=True) as journal:
        work = FleetWork(home, journal, settings, jobs)
        worker = Worker(
            jobs,
            work.carry_out,
            work.watch,
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

        _import_what_advances_need()
        audience.terminal.line(f"working on runs in {journal.database.name} until Ctrl-C")
        try:
            asyncio.run(until_stopped())
        finally:
            work.close()
    return 0


class FleetWork:
    """What a worker does for one run at a time; safe to use from several threads."""

    def __init__(self, home: Home, journal: Journal, settings: Settings, jobs: Jobs) -> None:
        self._home = home
        self._journal = journal
        self._settings = settings
        self._jobs = jobs
        self.stop = threading.Event()
        self._watches = Watches(journal)
        self._turns = Turns(journal)
        self._clouds = SharedClouds(settings)
        self._guard = threading.Lock()
        self._in_hand: set[str] = set()

    def carry_out(self, run_id: str, work: Work, memory: Memory) -> Wake | None:
        """Advance or remove a run; return what is to follow, unless that was deferred with the run's record.

        Args:
            run_id: the run.
            work: what is to be done.
            memory: what the last worker has remembered of it.

        Raises:
            RunTakenOver: another worker has taken the run.
            EnvagentError: the run cannot be worked on now.
        """
        with self._guard:  # the epoch tells processes apart, and not the threads of one
            if run_id in self._in_hand:
                return Wake(work, datetime.now(UTC) + IN_HAND, memory)
            self._in_hand.add(run_id)
        try:
            return self._work_on(self._journal.run(run_id), work, memory)
        finally:
            with self._guard:
                self._in_hand.remove(run_id)

    def watch(self) -> tuple[list[str], float]:
        """List what waiting runs watch, if that is due, and grant turns.

        Returns:
            The runs that have to look, and the seconds until the next time.
        """
        changed, pause = self._watches.tick(self._clouds.look)
        return [*changed, *self._turns.grant_all()], pause

    def close(self) -> None:
        """Close the connections to clouds."""
        self._clouds.close()

    def _work_on(self, row: RunRecord, work: Work, memory: Memory) -> Wake | None:
        if row.state in OVER:
            return None
        if work is Work.REMOVE or row.teardown_at is not None:
            return self._remove(row)
        if work is not Work.ADVANCE or row.state not in (RunState.SUCCEEDED, RunState.FAILED):
            self._advance(row, memory, compare=work is Work.RESUME or row.state == RunState.INTERRUPTED)
        return None

    def _advance(self, row: RunRecord, memory: Memory, *, compare: bool) -> None:
        request = request_of(row)
        access = self._clouds.reach(request.cloud)
        with ExitStack() as stack:
            count = ExchangeCount()
            services = make_services(
                self._home,
                self._journal,
                access,
                row.run_id,
                request,
                self.stop,
                count=count.exchange,
                admission=RunTurns(self._turns, row.run_id, row.owner or ""),
            )
            stack.callback(services.close)
            left: list[Outcome] = []

            def leave(transaction: Transaction, execution: Execution[Any], progress: Progress) -> None:
                memory = remembered(execution, runner.clock)
                self._leave(transaction, request.cloud, execution, progress, memory)
                left.append(progress.outcome)

            runner = make_runner(self._journal, access.settings, unheard, self.stop, leave=leave)
            stack.callback(runner.close)
            folder = self._home.run(row.run_id)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            execution = runner.resume(row, services) if compare else runner.pick_up(row, services)
            recall(execution, memory, runner.clock)
            if row.state == RunState.FAILED:  # by another worker, since the row was read
                return
            execution.run.request = request.model_copy(update={"output_folder": folder})
            before = _standing(execution.run)
            progress = runner.advance(execution)
            if left[-1:] != [progress.outcome]:  # no stage was entered
                with self._journal.transaction() as transaction:
                    leave(transaction, execution, progress)
        LOG.info("run %s: %s", row.run_id, progress.outcome.value)
        if not compare and _standing(execution.run) == before:
            self._watches.count(request.cloud, count.number)
        self._account(execution.run)

    def _leave(
        self,
        transaction: Transaction,
        cloud: str | None,
        execution: Execution[Any],
        progress: Progress,
        memory: Memory,
    ) -> None:
        """Defer the run's next wake, and watch what it waits for, in the transaction that records the wait."""
        run_id = execution.run.run_id
        self._watches.leave(transaction, run_id, cloud, progress.watched)
        at = progress.latest or progress.look_again
        if progress.outcome is Outcome.STOPPED:  # this worker ends: the next one goes on at once
            at = datetime.now(UTC)
        following = Work.RESUME if execution.unconfirmed else Work.ADVANCE
        self._jobs.leave(transaction, run_id, None if at is None else Wake(following, at, memory))

    def _remove(self, row: RunRecord) -> Wake | None:
        self._journal.take(row)  # before a request: the epoch of an earlier advance is not ours any more
        access = self._clouds.reach(request_of(row).cloud)
        try:
            with opened_teardown(self._home, self._journal, access, row, unheard, self.stop) as removal:
                removal.run(row)
        except Stopped:
            return Wake(Work.REMOVE, datetime.now(UTC))
        from envagent.steps import PROVISIONING

        self._account(Run.load(self._journal, PROVISIONING, row))
        LOG.info("run %s: removed", row.run_id)
        return None

    def _account(self, run: Run) -> None:
        """End the turns that a run has used, and note what its leases have cost once nothing more is charged."""
        launch = run.stages[LAUNCH]
        if launch.state not in (StageState.RUNNING, StageState.WAITING):
            self._turns.release(run.run_id)
        resources, intents = self._journal.resources(run.run_id), self._journal.intents(run.run_id)
        cost = cost_part(run.stages.values(), resources, intents, datetime.now(UTC))
        if cost is not None and cost.phase in ("removed", "ended"):
            self._turns.settle(run.run_id, cost.su_so_far)


def _import_what_advances_need() -> None:
    """Import it before the first job is taken, which would take most of a second longer otherwise."""
    for name in ("envagent.steps", "envagent.cloud.adapter", "envagent.repository.analyzer", "procrastinate"):
        importlib.import_module(name)


def _standing(run: Run) -> dict[str, tuple[str, str | None, str | None]]:
    """Return how far a run is, to see whether a look has found something new."""
    return {key: (row.state, row.wait, row.status) for key, row in run.stages.items()}


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
