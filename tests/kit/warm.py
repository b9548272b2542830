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
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any


class Warm:
    """One command in such a child."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int
    ) -> None:
        """Start it.

        Args:
            arguments: What follows `envagent`.
            folder: The working folder.
            environment: All of its variables.
            out: Descriptor that becomes its stdout.
            err: Descriptor that becomes its stderr.
        """
        self._process = _server().Process(
            target=_become, args=(arguments, folder, environment, _Sent(out), _Sent(err)), daemon=False
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code (of a signal: minus its number), None while it runs."""
        return self._process.exitcode


class _Sent:
    """A descriptor, duplicated for the child while it is started."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _detach, (DupFd(self.number),)


def _detach(sent: Any) -> int:
    return int(sent.detach())


@cache
def _server() -> ForkServerContext:
    """Return what forks the children; the forking process starts with the first child, and ends with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kit.preloaded"])
    return context


def _become(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int) -> None:
    from tests.kit.forked import become

    def prepare() -> None:
        for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)

    become(arguments, prepare)
