"""The loop: it advances runs, one or thousands, each when it is due."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from envagent.engine.flight import SLACK, Flight, Progress, Standing
from envagent.engine.runner import Runner

Services = TypeVar("Services")


def drive(runner: Runner[Services], flights: Iterable[Flight[Services]], *, workers: int = 1) -> list[Progress]:
    """Advance runs until each has ended, is blocked, or the stop is asked for.

    Args:
        workers: how many runs advance at the same time; with 1, all in this thread.

    Returns:
        How each run stands, in the order given.
    """
    loop = _Loop(runner, list(flights))
    if workers == 1:
        loop.alone()
    else:
        with ThreadPoolExecutor(workers, thread_name_prefix="run") as pool:
            loop.beside(pool)
    return [loop.results[index] for index in range(len(loop.flights))]


class _Loop(Generic[Services]):
    """The runs by when they are due, on the steady clock."""

    def __init__(self, runner: Runner[Services], flights: list[Flight[Services]]) -> None:
        self.runner = runner
        self.clock = runner.clock
        self.flights = flights
        self.queue: list[tuple[float, int]] = [(0.0, index) for index in range(len(flights))]
        self.results: dict[int, Progress] = {}

    def alone(self) -> None:
        """Advance one run after the other."""
        while self.queue:
            due, index = heapq.heappop(self.queue)
            self.clock.sleep(due - self.clock.steady(), self.runner.stop)
            self._take(index, self.runner.advance(self.flights[index]))

    def beside(self, pool: ThreadPoolExecutor) -> None:
        """Advance as many runs beside each other as the pool has threads."""
        under_way: dict[Future[Progress], int] = {}
        while self.queue or under_way:
            now = self.clock.steady()
            while self.queue and (self.queue[0][0] <= now + SLACK or self.runner.stop.is_set()):
                _, index = heapq.heappop(self.queue)
                under_way[pool.submit(self.runner.advance, self.flights[index])] = index
            pause = max(0.0, self.queue[0][0] - now) if self.queue else None
            if not under_way:
                self.clock.sleep(pause or 0.0, self.runner.stop)
                continue
            done, _ = wait(under_way, timeout=pause, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(under_way.pop(future), future.result())

    def _take(self, index: int, progress: Progress) -> None:
        """Keep how a run stands, or queue it for its next look."""
        if progress.standing is Standing.WAITING and progress.look_again is not None:
            pause = (progress.look_again - self.clock.now()).total_seconds()
            heapq.heappush(self.queue, (self.clock.steady() + pause, index))
        else:
            self.results[index] = progress
