"""The command line as a child process: start it, read what it prints as it comes, send signals, wait for the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.warm import Warm


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        code: Its exit code; minus the number of the signal that ended it.
    """

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        return document


class Started:
    """A command under way."""

    def __init__(self, *arguments: str, folder: Path, environment: Mapping[str, str], warm: bool = False) -> None:
        """Start a command.

        Args:
            arguments: What follows `envagent`.
            folder: The working folder.
            environment: All of its variables.
            warm: Fork a process that has imported all modules (tests/kit/warm.py), instead of starting an interpreter.
        """
        self._output = tempfile.TemporaryDirectory()
        self._out, self._err = Path(self._output.name, "stdout"), Path(self._output.name, "stderr")
        self._out.touch()
        self._err.touch()
        self._process: subprocess.Popen[bytes] | Warm
        if warm:
            self._process = Warm(arguments, folder, environment, self._out, self._err)
            return
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "envagent", *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def err(self) -> str:
        """What is on stderr so far."""
        return self._err.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_for(self, words: str, seconds: float = 180.0) -> None:
        """Wait until stderr has these words."""
        self._wait(lambda: words in self.err, seconds, words)

    def run_id(self) -> str:
        """Wait for the run's id and return it."""
        self._wait(lambda: self.err.startswith("run ") and "\n" in self.err, 60, "a run id")
        return self.err.split()[1].rstrip(":")

    def _wait(self, reached: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert self.running or reached(), f"ended without {what!r}: {self.err}"
            assert time.monotonic() < deadline, f"no {what!r} in {seconds:.0f} s: {self.err}"
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.running, "it had ended before"
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill it; it must not have ended before."""
        self.send(signal.SIGKILL)
        assert self.wait().code == -signal.SIGKILL, "it had ended before"

    def wait(self, seconds: float = 400.0) -> Ended:
        """Wait for its end; one that takes longer is killed and fails the test."""
        with self._output:
            deadline = time.monotonic() + seconds
            while (code := self._process.poll()) is None:
                if time.monotonic() > deadline:
                    said = self.err
                    self.kill()
                    raise AssertionError(f"still running after {seconds:.0f} s: {said}")
                time.sleep(0.01)
            return Ended(code, self._out.read_text(), self.err)


def call(
    *arguments: str, folder: Path, environment: Mapping[str, str], seconds: float = 100.0, warm: bool = False
) -> Ended:
    """Run a command to its end.

    Args:
        arguments: What follows `envagent`.
        folder: The working folder.
        environment: All of its variables.
        seconds: How long it may take.
        warm: As for `Started`.
    """
    return Started(*arguments, folder=folder, environment=environment, warm=warm).wait(seconds)
