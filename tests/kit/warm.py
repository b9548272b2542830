"""Commands in children of a process that has imported everything: each costs only what it does.

Unlike a fork of the test itself (tests/kit/forked.py) such a child has nothing of the test: no threads, no open files,
no pytest. Unlike an interpreter of its own it does not show what happens while modules are imported.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path


class Warm:
    """One command in such a child."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path
    ) -> None:
        """Start it.

        Args:
            arguments: What follows `envagent`.
            folder: The working folder.
            environment: All of its variables.
            out: File for its stdout.
            err: File for its stderr.
        """
        self._process = server().Process(target=_become, args=(arguments, folder, environment, out, err))
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code (of a signal: minus its number), None while it runs."""
        return self._process.exitcode


@cache
def server() -> ForkServerContext:
    """Return what forks the children, once it has imported everything; it ends with this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kit.preloaded"])
    first = context.Process(target=int)
    first.start()
    first.join()  # the imports are not part of the time that a sandbox may take to start
    return context


def _become(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> None:
    from tests.kit.forked import become, redirect

    def prepare() -> None:
        redirect(out, err)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)

    become(arguments, prepare)
