"""A class of hundreds: more runs at once than there are nodes, with and without harm.

    ENVAGENT_FLEET_RUNS=1000 python -m pytest -m sweep tests/fleet/test_many.py

The usual size is 100; the time limits grow with it. Every other repository needs a GPU, so that some 120 nodes of the
site are suitable. Harm means that a worker is killed every five seconds until the end; meanwhile two are stopped until
their runs were given away and then go on, the database is restarted twice, and its jobs are emptied once.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from envagent.engine.journal import Journal
from envagent.engine.tables import RunState
from envagent.errors import NoCapacity
from tests.crash.world import World
from tests.fleet.fleet import Fleet
from tests.kit.git import make_repository

RUNS = int(os.environ.get("ENVAGENT_FLEET_RUNS", "100"))
KEY = "class"
LIMIT = 240.0 + 3.0 * RUNS

KILL_EVERY = 5.0
"""Seconds between two kills."""

OTHER_HARM_EVERY = 3
"""After how many kills something else goes wrong as well."""

STANDING = """
SELECT run_id, CASE WHEN r.state = 'running' AND EXISTS (
  SELECT 1 FROM steps s WHERE s.run_id = r.run_id AND s.state = 'waiting' AND s.wait = 'the lease to start'
    AND s.status = 'PENDING')
  THEN 'waiting' ELSE r.state END
FROM runs r
"""
"""The state of each run; `waiting` for one whose lease is granted for later."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A sandbox of its own, whose nodes are free."""
    one = World.start(tmp_path / "home", speed=600.0)
    one.control("settings", {"quotas": {"floatingip": -1}})
    # Nova allows a user 100 keypairs, so a class shares one that is there.
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", one.folder / "submitter"], check=True)
    key = {"name": KEY, "public_key": (one.folder / "submitter.pub").read_text()}
    one.user.ask("compute", "POST", "/os-keypairs", {"keypair": key})
    yield one
    one.stop()


@pytest.fixture
def gpu_repository(world: World) -> Path:
    """A repository that needs a GPU."""
    readme = "# trainer\n\nTraining requires an NVIDIA GPU with at least 16 GB of memory.\n"
    return make_repository(world.folder / "trainer", {"README.md": readme, "requirements.txt": "torch>=2.1\n"})


def standing(fleet: Fleet) -> dict[str, str]:
    """Return the state of each run; `waiting` for one whose lease is granted for later."""
    with closing(Journal.open(fleet.url)) as journal, journal.cursor() as cursor:
        cursor.execute(STANDING)
        return dict(cursor.fetchall())


def errors(fleet: Fleet) -> Counter[str]:
    """Count why runs have failed."""
    with closing(Journal.open(fleet.url)) as journal:
        stored = [json.loads(row.error) for row in journal.runs() if row.state == RunState.FAILED and row.error]
    return Counter(f"{one['error']}: {one['message'][:120]}" for one in stored)


def hurt_until_settled(fleet: Fleet) -> Iterator[None]:
    """Do harm at each step: a kill, and every few kills something else."""
    others = iter((fleet.freeze_one, fleet.restart_database, fleet.lose_jobs, fleet.restart_database, fleet.freeze_one))
    for number in itertools.count(1):
        fleet.kill_one()
        if number % OTHER_HARM_EVERY == 0 and (act := next(others, None)) is not None:
            act()
        yield


def settled(fleet: Fleet, harm: Iterator[None]) -> Counter[str]:
    """Wait until each run has succeeded, waits for its lease or was refused; then compare with the cloud."""
    deadline, due = time.monotonic() + LIMIT, time.monotonic() + KILL_EVERY
    while True:
        fleet.supervise()
        if time.monotonic() > due:
            next(harm, None)
            due += KILL_EVERY
        states = standing(fleet)
        if "running" not in states.values():
            break
        if time.monotonic() > deadline:
            raise AssertionError(f"{Counter(states.values())}: {fleet.log()[-3000:]}")
        time.sleep(0.5)
    refusals = errors(fleet)
    assert {one for one in refusals if not one.startswith(NoCapacity.__name__)} == set(), refusals
    for run_id, has in fleet.judge.held_by(fleet.runs).items():
        if states[run_id] == RunState.SUCCEEDED:
            fleet.judge.works(run_id, has, ("lease", "server", "floating_ip"))
        else:
            assert not has.keys() & {"server", "floating_ip", "port"}, (run_id, has)
            assert ("lease" in has) == (states[run_id] == "waiting"), (run_id, has)
    assert fleet.judge.violations == []
    counted = Counter(states.values())
    assert_made_once(fleet, counted)
    return counted


def assert_made_once(fleet: Fleet, states: Counter[str]) -> None:
    """Compare with the sandbox's log, where also stands what was made and removed again."""
    made: dict[str, list[str]] = defaultdict(list)
    for row in fleet.world.created():
        made[row["kind"]].append(row["name"])
    succeeded = states[RunState.SUCCEEDED]
    assert len(made["server"]) == len(set(made["server"])) == succeeded
    assert len(made["floating_ip"]) == succeeded
    assert len(made["lease"]) == len(set(made["lease"])) == succeeded + states["waiting"]


@pytest.mark.timeout(LIMIT + 300)
@pytest.mark.sweep(points=lambda plan: ["in peace", "hurt"], bounded=0)
def test_many_runs_have_one_of_each_or_wait_for_capacity(fleet: Fleet, gpu_repository: Path, point: str) -> None:
    started = time.monotonic()
    repositories = [fleet.world.repository, gpu_repository]
    options = ("--max-su", "100000", "--hours", "168", "--wait-for-capacity", "--key-name", KEY)
    fleet.submit_file(RUNS, repositories, *options)
    submitted = time.monotonic()
    fleet.start(4)
    ended = settled(fleet, hurt_until_settled(fleet) if point == "hurt" else iter(()))
    took = time.monotonic() - submitted
    print(f"{RUNS} submitted in {submitted - started:.0f} s; after {took:.0f} s: {dict(ended)}, {fleet.kills} kills")
    assert ended[RunState.SUCCEEDED] > 0
    fleet.stop()
