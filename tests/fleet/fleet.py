"""A fleet on this machine: a sandbox, a PostgreSQL, and workers in processes of their own that can be hurt."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psycopg

from envagent.engine.journal import Journal
from envagent.engine.tables import RunState
from envagent.errors import JournalError
from tests.crash.world import World
from tests.kit.judge import Judge
from tests.kit.postgres import Postgres

STALE, SWEEP = 3.0, 0.5
"""Seconds without a sign of life until a worker counts as gone, and between two sweeps."""

ENDED = {RunState.SUCCEEDED.value, RunState.FAILED.value, RunState.TORN_DOWN.value}


class Fleet:
    """Submits runs, starts workers and waits for them.

    Args:
        world: the sandbox; its folder is the home of all workers.
        server: where the journal is.
    """

    numbers = itertools.count(1)

    def __init__(self, world: World, server: Postgres) -> None:
        self.world, self.server = world, server
        self.url = server.database(f"fleet{next(self.numbers)}")
        self.judge = Judge(world.everything)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.runs: list[str] = []
        self.kills = 0
        key = world.folder / "submitter"
        if not key.exists():
            made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(made, check=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OS_", "ENVAGENT_"))},
            "ENVAGENT_HOME": str(world.folder),
            "ENVAGENT_JOURNAL": self.url,
            "ENVAGENT_KEY__PUBLIC_KEY": f"{key}.pub",
            "ENVAGENT_FLEET__STALE_SECONDS": str(STALE),
            "ENVAGENT_FLEET__SWEEP_SECONDS": str(SWEEP),
        }

    def command(self, *words: str) -> str:
        """Run a command as the user does; return what it prints on stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "envagent.cli.main", *words],
            env=self.environment,
            cwd=self.world.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{words}: {done.returncode}: {done.stderr}")
        return done.stdout

    def submit(self, count: int) -> None:
        """Submit runs of the world's repository, from processes side by side."""
        words = ["run", str(self.world.repository), "--cloud", "sandbox", "--new", "--submit", "--yes"]
        command = [sys.executable, "-m", "envagent.cli.main", *words, "--node-type", "compute_skylake"]
        started = [
            subprocess.Popen(command, env=self.environment, cwd=self.world.folder, stderr=subprocess.PIPE)
            for _ in range(count)
        ]
        for one in started:
            _, said = one.communicate(timeout=60)
            if one.returncode:
                raise AssertionError(said.decode())
        self.runs = list(self.states())

    def submit_file(self, count: int, repositories: Sequence[Path], *options: str) -> None:
        """Submit a file with as many lines, which name the repositories in turn."""
        file = self.world.folder / "repos.txt"
        file.write_text("".join(f"{one}\n" for one in itertools.islice(itertools.cycle(repositories), count)))
        self.command("run", "--file", str(file), "--cloud", "sandbox", "--submit", "--yes", *options)
        self.runs = list(self.states())

    def start(self, count: int) -> None:
        """Start workers."""
        for _ in range(count):
            with (self.world.folder / "workers.log").open("ab") as log:
                command = [sys.executable, "-m", "envagent.cli.main", "worker", "--concurrency", "4"]
                own = {name: value for name, value in self.environment.items() if "PUBLIC_KEY" not in name}
                self.workers.append(subprocess.Popen(command, env=own, cwd=self.world.folder, stdout=log, stderr=log))

    def supervise(self) -> None:
        """Start a worker again that ended because the database was away when it started, as an init system does."""
        for worker in [one for one in self.workers if one.poll() not in (None, 0)]:
            if worker.returncode != JournalError.exit_code:
                raise AssertionError(f"a worker ended with {worker.returncode}: {self.log()[-3000:]}")
            self.workers.remove(worker)
            self.start(1)

    def states(self) -> dict[str, str]:
        """Return the stored state of each run."""
        with closing(Journal.open(self.url)) as journal:
            return {row.run_id: row.state for row in journal.runs()}

    def await_end(
        self,
        seconds: float,
        meanwhile: Sequence[Callable[[], None]] = (),
        pause: float = 1.0,
        *,
        enough: bool = False,
    ) -> None:
        """Wait until all runs have ended; until then do one thing after the other, with pauses.

        Args:
            seconds: how long to wait at most.
            meanwhile: what to do.
            pause: seconds between two things.
            enough: whether to leave what is not done yet when all have ended.
        """
        todo = iter(meanwhile)
        deadline, due = time.monotonic() + seconds, time.monotonic() + pause
        while True:
            self.supervise()
            try:
                states = self.states()
            except Exception:  # the database may be away now
                states = {"": ""}
            acting = next(todo, None) if time.monotonic() >= due else None
            if acting is not None:
                acting()
                due = time.monotonic() + pause
            if set(states.values()) <= ENDED and (acting is None or enough):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds:g} s: {Counter(states.values())}: {self.log()[-3000:]}")
            time.sleep(0.2)

    def await_state(self, state: RunState, seconds: float = 90.0) -> None:
        """Wait until all runs are in a state."""
        deadline = time.monotonic() + seconds
        while set((states := self.states()).values()) != {state.value}:
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds:g} s: {states}: {self.log()[-3000:]}")
            time.sleep(0.2)

    def log(self) -> str:
        """Return what the workers said."""
        return (self.world.folder / "workers.log").read_text("utf-8")

    def stop(self) -> None:
        """Stop all workers as an operator does; one that does not end is killed and told."""
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        codes = [worker.wait(30) for worker in self.workers]
        self.workers = []
        if set(codes) - {0, -signal.SIGTERM}:  # a worker that was only just starting dies of it
            raise AssertionError(f"workers ended with {codes}: {self.log()[-3000:]}")

    # What goes wrong

    def kill_one(self) -> None:
        """Kill the oldest worker and start another."""
        worker = self.workers.pop(0)
        worker.kill()
        worker.wait()
        self.kills += 1
        self.start(1)

    def freeze_one(self) -> None:
        """Stop the oldest worker, as a closed lid would, until its runs were given away; then let it go on."""
        worker = self.workers.pop(0)
        worker.send_signal(signal.SIGSTOP)
        time.sleep(STALE + 4 * SWEEP)
        worker.send_signal(signal.SIGCONT)
        self.workers.append(worker)

    def restart_database(self) -> None:
        """Break every connection to the database."""
        self.server.stop(at_once=True)
        time.sleep(0.3)
        self.server.start()

    def lose_jobs(self) -> None:
        """Empty the table of jobs."""
        with psycopg.connect(self.url) as connection:
            connection.execute("DELETE FROM procrastinate_jobs")


def around(world: World, server: Postgres) -> Iterator[Fleet]:
    """Make a fleet, and stop it whatever happens."""
    fleet = Fleet(world, server)
    try:
        yield fleet
    finally:
        for worker in fleet.workers:
            worker.kill()
            worker.wait()
