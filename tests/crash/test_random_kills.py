"""kill -9 at random moments: in the lease wait, in the server wait, and elsewhere; then resume, then teardown.

Each run is the command in a process of its own, as a user starts it. The cloud's log judges: exactly one
lease, one server and one floating IP per run; no finished stage entered again; nothing left, and a second teardown
that does nothing.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envagent.sandbox import ensure_running, read_log
from envagent.sandbox.process import stop
from tests.crash.databases import Database, FileDatabase, ServerDatabase
from tests.crash.oracle import Outcome
from tests.kit.git import PLAIN, make_repository
from tests.kit.postgres import Postgres
from tests.sweeps import Plan

MOMENTS = {"lease": "reserve_hardware", "server": "launch_server", "elsewhere": ""}
"""The step in whose wait the run is killed."""
WAITING = "SELECT run_id FROM steps WHERE step = ? AND state = 'waiting'"
COMMAND = [sys.executable, "-m", "envagent.cli.main"]
ROUNDS = 20
"""For each kind of moment."""


@dataclass(frozen=True)
class Moment:
    """A random moment of a kind."""

    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.kind}: seed {self.seed}"


class KilledRun:
    """One run that is killed once at such a moment."""

    def __init__(self, home: Path, database: Database, repository: Path, moment: Moment) -> None:
        self.home = home
        self.database = database
        self.repository = repository
        self.kind = moment.kind
        self.random = random.Random(moment.seed)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "ENVAGENT_HOME": str(home)}
        self.environment |= database.environment
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()

    def play(self) -> None:
        run_id = self._killed_run()
        if run_id is None:
            self.counts["killed before a run was stored"] += 1
            return
        before = self._call("status", run_id)
        done = {one["name"]: one for one in before["steps"] if one["state"] == "succeeded"}
        resumed = self._call("resume", run_id)
        self.counts["resumed"] += 1
        if resumed["state"] != "succeeded":
            self.problems.append(f"{run_id}: resume ended {resumed['state']}: {resumed['error']}")
            return
        for one in resumed["steps"]:
            if one["name"] in done and one != done[one["name"]]:
                self.problems.append(f"{run_id}: the finished step {one['name']} was entered again")
        made, left = self._books(run_id)
        if made != {"lease": 1, "server": 1, "floating_ip": 1}:
            self.problems.append(f"{run_id}: made {dict(made)}")
        self._call("teardown", run_id, "--yes")
        self._call("teardown", run_id, "--yes")
        made, left = self._books(run_id)
        if sum(left.values()):
            self.problems.append(f"{run_id}: left behind {dict(left)}")

    def _killed_run(self) -> str | None:
        """Start a run and kill it; return its id, None if none was stored."""
        before = self._look("SELECT run_id FROM runs")
        process = subprocess.Popen(
            [*COMMAND, "run", str(self.repository), "--cloud", "sandbox", "--yes", "--new"],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        delay = self.random.uniform(0, {"lease": 0.5, "server": 3.0, "elsewhere": 8.0}[self.kind])
        run_id, seen = None, None if MOMENTS[self.kind] else time.monotonic()
        while process.poll() is None:
            run_id = run_id or next(iter(self._look("SELECT run_id FROM runs") - before), None)
            if seen is None and run_id in self._look(WAITING, MOMENTS[self.kind]):
                seen = time.monotonic()
            if seen is not None and time.monotonic() >= seen + delay:
                process.send_signal(signal.SIGKILL)
                process.wait()
                self.counts["killed"] += 1
                break
            time.sleep(0.02)
        else:
            self.counts["ended before the kill"] += 1
            if seen is None:
                self.problems.append(f"{run_id}: {MOMENTS[self.kind]} was never seen waiting")
        return run_id or next(iter(self._look("SELECT run_id FROM runs") - before), None)

    def _look(self, question: str, *parameters: str) -> set[str]:
        """Ask the journal for run ids; none while there is no journal."""
        try:
            return {row[0] for row in self.database.rows(question, *parameters)}
        except self.database.error:
            return set()

    def _call(self, *arguments: str) -> Any:
        done = subprocess.run(
            [*COMMAND, *arguments, "--json"],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            self.problems.append(f"{' '.join(arguments)} ended {done.returncode}: {done.stderr[-400:]}")
        return json.loads(done.stdout)

    def _books(self, run_id: str) -> tuple[Counter[str], Counter[str]]:
        """Count what was ever made of the run and what of it is left, by the cloud's own log."""
        made: Counter[str] = Counter()
        left: Counter[str] = Counter()
        ids: dict[str, str] = {}
        owned = {row["cloud_id"] for row in self._resources(run_id)}
        for line in read_log(self.home):
            if line["status"] >= 300 or line["kind"] not in ("lease", "server", "floating_ip"):
                continue
            if line["method"] == "POST" and (run_id in (line["name"] or "") or line["id"] in owned):
                made[line["kind"]] += 1
                left[line["kind"]] += 1
                ids[line["id"]] = line["kind"]
            elif line["method"] == "DELETE" and line["id"] in ids:
                left[ids.pop(line["id"])] -= 1
        return made, left

    def _resources(self, run_id: str) -> list[dict[str, str]]:
        return [{"cloud_id": one["id"]} for one in self._call("status", run_id)["resources"]]


def moments(plan: Plan) -> list[Moment]:
    """Draw the moments of each kind."""
    rounds = range(plan.rounds or ROUNDS)
    return [Moment(kind, plan.seed * 1000 + number) for kind in MOMENTS for number in rounds]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a home with a running sandbox and a repository."""
    home = tmp_path_factory.mktemp("home")
    make_repository(home / "thing", PLAIN)
    ensure_running(home, speed=100)
    yield home
    stop(home)


@pytest.fixture(scope="module")
def database(home: Path, server: Postgres | None) -> Database:
    """Name the journal."""
    return FileDatabase(home / "journal.db") if server is None else ServerDatabase.make(server, used=False)


@pytest.mark.sweep(points=moments, bounded=0)
def test_killed_and_resumed(home: Path, database: Database, point: Moment, check: Callable[[Outcome], None]) -> None:
    run = KilledRun(home, database, home / "thing", point)
    run.play()
    check(Outcome(violations=run.problems, counts=run.counts))
