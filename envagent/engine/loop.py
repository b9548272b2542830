"""The loop that keeps the clock: it advances runs, one or thousands, each when it is due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from envagent.engine.execution import Execution, Progress
from envagent.engine.group import Group
from envagent.engine.runner import Runner

Services = TypeVar("Services")


def run_until_idle(runner: Runner[Services], executions: Sequence[Execution[Services]]) -> list[Progress]:
    """Advance runs until each has ended, is blocked, or was stopped.

    Returns:
        What each run came to, in the order given. The error of one that had to be given up is in it, so that it
        does not hinder the others.

    Raises:
        JournalError: a result cannot be recorded.
    """
    return Group(runner, executions, keeps_clock=True).run()
