"""Sandboxes whose server is forked from a process that has imported it (tests/kit/warm.py).

Such a start costs a quarter of one with an interpreter of its own. The server ends with the test process at the latest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from envagent.sandbox import Endpoint, process
from envagent.sandbox.files import Paths
from tests.kit.forked import become, redirect
from tests.kit.warm import server


def start(home: Path, **more: Any) -> Endpoint:
    """Start the sandbox of a home folder, unless it is running; the arguments are those of `ensure_running`."""
    with mock.patch.object(process, "_spawn", _Server):
        return process.ensure_running(home, **more)


class _Server:
    """What those who start and stop a server need of `subprocess.Popen`."""

    def __init__(self, paths: Paths, arguments: list[str]) -> None:
        given = (["--home", str(paths.home), *arguments], process._environment(), paths.folder, paths.output)
        self._process = server().Process(target=_serve, args=given, daemon=True)
        self._process.start()
        process._spawned[paths.folder] = self  # type: ignore[assignment]

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float) -> None:
        self._process.join(seconds)
        if self.poll() is None:
            raise subprocess.TimeoutExpired("the sandbox", seconds)


def _serve(arguments: Sequence[str], environment: Mapping[str, str], folder: Path, output: Path) -> None:
    from envagent.sandbox.__main__ import main

    def prepare() -> None:
        os.setsid()
        redirect(Path(os.devnull), Path(os.devnull))
        with output.open("ab") as kept:
            os.dup2(kept.fileno(), 2)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)

    become(arguments, prepare, lambda: sys.exit(main()))
