"""The loop that keeps the clock: it advances runs, one or thousands, each when it is due."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TypeVar

from envagent.engine.execution import Execution, Outcome, Progress
from envagent.engine.runner import Runner

Services = TypeVar("Services")


def run_until_idle(runner: Runner[Services], executions: Sequence[Execution[Services]]) -> list[Progress]:
    """Advance runs until each has ended, is blocked, or was stopped.

    Returns:
        What the last advance of each run came to, in the order given.
    """
    clock = runner.clock
    queue = [(0.0, index) for index in range(len(executions))]
    """The runs by when they are due, on the steady clock."""
    results: dict[int, Progress] = {}
    while queue:
        due, index = heapq.heappop(queue)
        clock.sleep(due - clock.steady(), runner.stop)
        progress = runner.advance(executions[index])
        if progress.outcome is Outcome.WAITING and progress.look_again is not None:
            pause = (progress.look_again - clock.now()).total_seconds()
            heapq.heappush(queue, (clock.steady() + pause, index))
        else:
            results[index] = progress
    return [results[index] for index in range(len(executions))]
