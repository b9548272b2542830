"""The command line as a child process: start it, read what it prints as it comes, send signals, wait for the end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


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

    def __init__(self, *arguments: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "envagent", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._read = {"out": "", "err": ""}
        self._changed = threading.Condition()
        assert self.process.stdout is not None and self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._collect, args=stream, daemon=True)
            for stream in (("out", self.process.stdout), ("err", self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _collect(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._read[name] += line
                    self._changed.notify_all()

    @property
    def err(self) -> str:
        """What is on stderr so far."""
        return self._read["err"]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait_for(self, words: str, seconds: float = 180.0) -> None:
        """Wait until stderr has these words."""
        self._wait(lambda: words in self.err, seconds, words)

    def run_id(self) -> str:
        """Wait for the run's id and return it."""
        self._wait(lambda: self.err.startswith("run ") and "\n" in self.err, 60, "a run id")
        return self.err.split()[1].rstrip(":")

    def _wait(self, reached: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not reached():
                assert self.running or self._changed.wait(1), f"ended without {what!r}: {self.err}"
                assert time.monotonic() < deadline, f"no {what!r} in {seconds:.0f} s: {self.err}"
                self._changed.wait(1)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it; it must not have ended before."""
        self.send(signal.SIGKILL)
        assert self.wait().code == -signal.SIGKILL, "it had ended before"

    def wait(self, seconds: float = 400.0) -> Ended:
        """Wait for its end; one that takes longer is killed and fails the test."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            for reader in self._readers:
                reader.join()
        return Ended(code, self._read["out"], self._read["err"])


def call(*arguments: str, folder: Path, environment: Mapping[str, str], seconds: float = 100.0) -> Ended:
    """Run a command to its end.

    Args:
        arguments: What follows `envagent`.
        folder: The working folder.
        environment: All of its variables.
        seconds: How long it may take.
    """
    return Started(*arguments, folder=folder, environment=environment).wait(seconds)
