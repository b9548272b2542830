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
from typing import IO, Any

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
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed in wait()
        self._process: subprocess.Popen[bytes] | Warm
        if warm:
            self._process = Warm(arguments, folder, environment, self._out.fileno(), self._err.fileno())
        else:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "envagent", *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
            )

    @property
    def err(self) -> str:
        """What is on stderr so far."""
        return _text(self._err)

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
        with self._out, self._err:
            deadline = time.monotonic() + seconds
            while (code := self._process.poll()) is None:
                if time.monotonic() > deadline:
                    self.kill()
                    raise AssertionError(f"still running after {seconds:.0f} s: {self.err}")
                time.sleep(0.01)
            return Ended(code, _text(self._out), self.err)


def _text(file: IO[bytes]) -> str:
    """Read a file that another process writes to; its position, which they share, stays."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


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
