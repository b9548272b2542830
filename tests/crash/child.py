"""Commands in forked children: the parent has imported everything, so that a command costs only what it does.

It owns the fork, the child's environment and the result. The parent must have no threads when it forks.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.crash.databases import Database, FileDatabase, ServerDatabase
from tests.crash.hooks import Exchange, Strike, Watch
from tests.crash.world import CLOUD, SERVER_NAME, World
from tests.kit.forked import fork, redirect

HUNG_SECONDS = 60.0

HOME = "envagent"
"""The name of ENVAGENT_HOME in a user's folder."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    argv: tuple[str, ...]
    code: int | None
    """None when a signal ended it."""
    signal: int | None
    out: str
    err: str
    trace: tuple[dict[str, Any], ...]
    seconds: float
    ended: float
    """When it had ended, in seconds since the epoch."""

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.signal == signal.SIGKILL

    @property
    def exchanges(self) -> list[Exchange]:
        """What it sent, in order."""
        return [Exchange(one["method"], one["path"], one["occurrence"]) for one in self.trace if one["event"] == "send"]

    @property
    def commits(self) -> int:
        """How many transactions of the journal it committed."""
        return sum(one["event"] == "commit" for one in self.trace)

    @property
    def struck(self) -> bool:
        """Whether a planned signal was sent."""
        return any(one["event"] == "strike" for one in self.trace)

    @property
    def unrecorded(self) -> list[str]:
        """Writes that were not in the journal when they were sent."""
        return [one["what"] for one in self.trace if one["event"] == "unrecorded"]

    def check(self) -> Self:
        """Require exit code 0."""
        if self.code != 0:
            raise AssertionError(f"expected success: {self}")
        return self

    def __str__(self) -> str:
        end = f"signal {self.signal}" if self.code is None else f"exit {self.code}"
        return f"{' '.join(self.argv)}: {end}\n{self.out[-1500:]}{self.err[-3000:]}"


@dataclass
class Home:
    """One ENVAGENT_HOME and the folder around it: a user's machine."""

    world: World
    folder: Path
    database: Database
    environment: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    @classmethod
    def make(cls, world: World, name: str, environment: Mapping[str, str] | None = None, *, used: bool = True) -> Home:
        """Make one; `used` puts a journal without runs into it, as an earlier command would have."""
        folder = world.folder / "homes" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        database: Database
        if world.server is not None:
            database = ServerDatabase.make(world.server, used=used)
        else:
            database = FileDatabase.make(folder / HOME / "journal.db", world.empty_journal if used else None)
        return cls(world, folder, database, dict(environment or {}))

    @property
    def home(self) -> Path:
        """ENVAGENT_HOME."""
        return self.folder / HOME

    @property
    def journal(self) -> Path:
        """The journal's file, for tests of files."""
        if not isinstance(self.database, FileDatabase):
            raise AssertionError("the journal is no file")
        return self.database.place

    def run_arguments(self, *more: str) -> tuple[str, ...]:
        """Return a command line that starts a run."""
        return (
            "run",
            str(self.world.repository),
            "--yes",
            "--new",
            "--server-name",
            SERVER_NAME,
            "--node-type",
            "compute_skylake",
            *more,
        )

    def run_id(self) -> str | None:
        """Return the newest run of the journal; None before there is one, or when nothing can be read."""
        if not self.database.exists:
            return None
        try:
            rows = self.rows("SELECT run_id FROM runs ORDER BY created_at DESC LIMIT 1")
        except self.database.error:
            return None
        return str(rows[0][0]) if rows else None

    def rows(self, question: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read the journal by hand."""
        return self.database.rows(question, *parameters)

    def remove(self) -> None:
        """Remove the folder and the journal."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.database.remove()

    # Commands

    def call(self, *argv: str, strikes: Sequence[Strike] = (), environment: Mapping[str, str] | None = None) -> Ended:
        """Run a command to its end."""
        return self.start(*argv, strikes=strikes, environment=environment).wait()

    def start(
        self,
        *argv: str,
        strikes: Sequence[Strike] = (),
        before: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a command; `before` runs in the child first."""
        self._count += 1
        stem = self.folder / f"command-{self._count}"
        settings = {**self._environment(), **self.environment, **(environment or {})}
        for thread in set(threading.enumerate()) - {threading.main_thread()}:
            thread.join(1)  # a cancelled timer of the sandbox's client ends a moment later
        if threading.active_count() != 1:
            raise AssertionError(f"the parent has threads: {threading.enumerate()}")

        def prepare() -> None:
            redirect(stem.with_suffix(".out"), stem.with_suffix(".err"))
            os.environ.clear()
            os.environ.update(settings)
            os.chdir(self.folder)
            Watch(stem.with_suffix(".trace"), self.database, tuple(strikes)).install()
            if before is not None:
                before()

        began = time.monotonic()
        pid = fork(argv, prepare)
        return Child(pid, stem, tuple(argv), began)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.world.folder),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder),
            "OS_CLIENT_CONFIG_FILE": str(self.world.clouds_file),
            "OS_CLOUD": CLOUD,
            "ENVAGENT_HOME": str(self.home),
            **self.database.environment,
            "ENVAGENT_SETTLE_SECONDS": "0.3",
            "ENVAGENT_REMOVAL_TIMEOUT_SECONDS": "5",
            "ENVAGENT_LEASE__POLL_SECONDS": "0.05",
            "ENVAGENT_SERVER__POLL_SECONDS": "0.15",
            "ENVAGENT_SSH__POLL_SECONDS": "0.05",
            "ENVAGENT_SSH__PORT": str(self.world.ssh_port),
            "ENVAGENT_RETRY__FIRST_SECONDS": "0.05",
            "ENVAGENT_RETRY__LONGEST_SECONDS": "0.2",
        }


@dataclass
class Child:
    """A running command."""

    pid: int
    stem: Path
    argv: tuple[str, ...]
    began: float

    def wait(self, seconds: float = HUNG_SECONDS) -> Ended:
        """Wait for its end; one that hangs is killed and is a violation."""
        descriptor = os.pidfd_open(self.pid)
        try:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, self.began + seconds - time.monotonic()))
        finally:
            os.close(descriptor)
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        taken = time.monotonic() - self.began
        if not ready:
            raise AssertionError(f"hung for {seconds:.0f} s: {self._ended(status, taken)}")
        return self._ended(status, taken)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def trace(self) -> list[dict[str, Any]]:
        """Read what it has done so far."""
        path = self.stem.with_suffix(".trace")
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def _ended(self, status: int, taken: float) -> Ended:
        return Ended(
            argv=self.argv,
            code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            out=self.stem.with_suffix(".out").read_text("utf-8", "replace"),
            err=self.stem.with_suffix(".err").read_text("utf-8", "replace"),
            trace=tuple(self.trace()),
            seconds=taken,
            ended=time.time(),
        )


def warm_up(modules: Sequence[str], journal: Path | str) -> None:
    """Import here what a command imports, scan the login plugins, map the tables and compile the statements."""
    from keystoneauth1 import loading

    from envagent.engine.journal import Journal

    for name in modules:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    for name in ("v3password", "v3applicationcredential", "password"):
        loading.get_plugin_loader(name)
    opened = Journal.open(journal)
    try:
        for read in (opened.stages, opened.intents, opened.resources, opened.decisions, opened.events):
            read("")
        opened.runs()
    finally:
        opened.close()
