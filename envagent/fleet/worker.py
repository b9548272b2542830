"""A worker: it carries out jobs, and sweeps for what other workers have left undone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from envagent.engine.memory import Memory
from envagent.engine.tables import RunState
from envagent.errors import EnvagentError, RunTakenOver
from envagent.fleet.jobs import LOCK, REPLACED, TASK, WAKE, Jobs, Wake, Work, options

if TYPE_CHECKING:
    from procrastinate import App

LOG = logging.getLogger("envagent.worker")

FETCH_PAUSE = 0.5
"""Seconds between two looks for wakes that are due; signals arrive at once."""

SHORTEST_TICK = 0.05
"""Seconds between two questions whether a listing is due, at least."""

LONGEST_PAUSE = 10.0
"""Seconds between two tries to reach a database that is away."""

AGAIN = timedelta(seconds=15)
"""When a job that failed is tried again."""

_UNATTENDED = """
SELECT run_id, teardown_at IS NOT NULL FROM runs
WHERE owner IS NOT NULL
  AND (state = ANY(%(unfinished)s) OR (teardown_at IS NOT NULL AND state <> ALL(%(over)s)))
  AND NOT EXISTS (
    SELECT 1 FROM procrastinate_jobs WHERE lock = %(lock)s || runs.run_id AND status IN ('todo', 'doing')
  )
"""


class Worker:
    """Carries out jobs until it is stopped.

    Args:
        jobs: where they are.
        carry_out: does the work of a job in a thread, and returns what is to follow for the run, if it has not deferred
            that itself.
        watch: looks at what waiting runs watch; returns those that have to look now, and in how many seconds to repeat.
        concurrency: how many at a time.
        stale: seconds without a sign of life, after which a worker's jobs are given to others.
        pause: seconds between two sweeps.
    """

    def __init__(
        self,
        jobs: Jobs,
        carry_out: Callable[[str, Work, Memory], Wake | None],
        watch: Callable[[], tuple[list[str], float]],
        *,
        concurrency: int,
        stale: float,
        pause: float,
    ) -> None:
        self._jobs = jobs
        self._carry_out = carry_out
        self._watch = watch
        self._concurrency = concurrency
        self._stale = stale
        self._pause = pause
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="run")
        self._app: App | None = None
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Take no further job, and end after those in hand."""
        self._stop.set()

    async def run(self) -> None:
        """Work until `stop`; a database that goes away is waited for."""
        failures = 0
        while not self._stop.is_set():
            try:
                await self._work()
                failures = 0
            except Exception as error:
                failures += 1
                wait = min(LONGEST_PAUSE, 0.25 * 2**failures)
                LOG.warning("the database is away, next try in %.1f s: %s", wait, _said(error))
                await self._rest(wait)
        self._threads.shutdown(wait=True)

    async def _work(self) -> None:
        """Serve one connection to the database until it breaks or the worker is stopped."""
        app = self._jobs.application(self._serve)
        self._app = app
        async with app.open_async():
            serving = asyncio.create_task(
                app.run_worker_async(
                    concurrency=self._concurrency,
                    install_signal_handlers=False,
                    delete_jobs="always",
                    fetch_job_polling_interval=FETCH_PAUSE,
                    update_heartbeat_interval=self._stale / 4,
                    stalled_worker_timeout=self._stale,
                )
            )
            sweeping = asyncio.create_task(self._sweep_for_ever(app))
            watching = asyncio.create_task(self._watch_for_ever())
            stopping = asyncio.create_task(self._stop.wait())
            tasks = (sweeping, watching, stopping, serving)  # cancelling the last one lets it finish its jobs
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
            finally:
                for one in tasks:
                    one.cancel()
                for one in tasks:
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await one

    async def _serve(self, run_id: str, work: Work, memory: Memory) -> None:
        """Do a job; if it could not be done now, defer another try."""
        following: Wake | None
        try:
            loop = asyncio.get_running_loop()
            following = await loop.run_in_executor(self._threads, self._carry_out, run_id, work, memory)
        except RunTakenOver:
            LOG.info("run %s has gone to another worker", run_id)
            return
        except EnvagentError as error:
            LOG.warning("run %s: %s", run_id, error.message)
            following = Wake(work, datetime.now(UTC) + AGAIN, memory)
        if following is not None:
            await self._opened.connector.execute_query_async(REPLACED, lock=f"{LOCK}{run_id}", priority=WAKE)
            deferring = self._opened.configure_task(TASK, **options(run_id, following.at))
            await deferring.defer_async(run_id=run_id, **following.arguments)

    async def _signal(self, run_id: str, work: Work) -> None:
        deferring = self._opened.configure_task(TASK, **options(run_id, None))
        await deferring.defer_async(run_id=run_id, work=work.value)

    @property
    def _opened(self) -> App:
        if self._app is None:
            raise AssertionError("a job outside a worker")
        return self._app

    async def _watch_for_ever(self) -> None:
        """Have waiting runs looked at together, and wake those for which something has changed."""
        while True:
            changed, pause = await asyncio.to_thread(self._watch)
            for run_id in changed:
                await self._signal(run_id, Work.ADVANCE)
            await asyncio.sleep(max(SHORTEST_TICK, pause) * random.uniform(0.75, 1.25))  # noqa: S311 - no secret

    async def _sweep_for_ever(self, app: App) -> None:
        while True:
            await self.sweep(app)
            await asyncio.sleep(self._pause * random.uniform(0.75, 1.25))  # noqa: S311 - no secret

    async def sweep(self, app: App) -> None:
        """Give the jobs of dead workers to others, and a job to each unfinished run that has none."""
        stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._stale)
        for job in stalled:
            LOG.info("the worker of job %s is gone", job.id)
            await self._give_away(app, job)
        states = [RunState.RUNNING.value, RunState.INTERRUPTED.value]
        unattended = await app.connector.execute_query_all_async(
            _UNATTENDED, unfinished=states, over=[RunState.TORN_DOWN.value, RunState.MOVED.value], lock=LOCK
        )
        for row in unattended:
            run_id, removing = row.values()
            await self._signal(run_id, Work.REMOVE if removing else Work.RESUME)

    async def _give_away(self, app: App, job: Any) -> None:
        from procrastinate.exceptions import ProcrastinateException
        from procrastinate.jobs import Status

        try:
            await app.job_manager.finish_job_by_id_async(job.id, Status.FAILED, delete_job=True)
        except ProcrastinateException:  # another worker's sweep was quicker
            return
        work = Work(job.task_kwargs["work"])
        await self._signal(job.task_kwargs["run_id"], Work.REMOVE if work is Work.REMOVE else Work.RESUME)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


def _said(error: Exception) -> str:
    """Return what an error says, in a line; one of another library by its name alone."""
    return error.message if isinstance(error, EnvagentError) else type(error).__name__
