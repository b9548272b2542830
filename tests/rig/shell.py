"""The installed command, as a user of the rig starts it, in a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.operator import Rig

COMMAND = Path(sys.executable).with_name("envagent")

POLLS = {
    "ENVAGENT_LEASE__POLL_SECONDS": "2",
    "ENVAGENT_SERVER__POLL_SECONDS": "2",
    "ENVAGENT_RETRY__FIRST_SECONDS": "0.5",
}
"""A look every two seconds, where bare metal would be looked at every half minute."""


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    code: int
    out: str
    told: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Started:
    """A command under way whose messages are heard line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.told = ""
        self.out = ""
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._listen, self._collect)]
        for one in self._threads:
            one.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.told += line
                self._changed.notify_all()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        self.out = self.process.stdout.read()

    def await_words(self, words: str, seconds: float = 180.0) -> None:
        """Wait until it says something."""
        self._await(lambda: words in self.told, seconds, words)

    def run_id(self) -> str:
        """Wait for the run's id."""
        self._await(lambda: self.told.startswith("run ") and "\n" in self.told, 60, "a run id")
        return self.told.split()[1].rstrip(":")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL, "it had ended before"

    def wait(self, seconds: float = 400.0) -> Done:
        """Wait for its end."""
        code = self.process.wait(seconds)
        for one in self._threads:
            one.join()
        return Done(code, self.out, self.told)

    def _await(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not true():
                assert self.process.poll() is None or self._changed.wait(1), f"ended without {what!r}: {self.told}"
                assert time.monotonic() < deadline, f"no {what!r} in {seconds:.0f} s: {self.told}"
                self._changed.wait(1)


class Shell:
    """Calls the command as a user of one cloud."""

    def __init__(self, rig: Rig, folder: Path, repository: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.repository = repository
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, *arguments: str, **settings: str) -> Done:
        return self.start(*arguments, **settings).wait()

    def run(self, *arguments: str, cloud: str | None = None, **settings: str) -> Done:
        """Begin a run and carry it through."""
        return self.start_run(*arguments, cloud=cloud, **settings).wait()

    def start_run(self, *arguments: str, cloud: str | None = None, **settings: str) -> Started:
        """Begin a run."""
        entry = cloud or self.rig.name
        return self.start("run", str(self.repository), "--cloud", entry, "--yes", "--new", *arguments, **settings)

    def start(self, *arguments: str, **settings: str) -> Started:
        """Begin a command."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "ENVAGENT_HOME": str(self.folder / "envagent"),
            "OS_CLIENT_CONFIG_FILE": str(self.rig.clouds_file),
            **POLLS,
            **settings,
        }
        return Started(
            subprocess.Popen(
                [str(COMMAND), *arguments, "--json"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
