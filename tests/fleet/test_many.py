"""A class of hundreds: more runs at once than there are nodes, with and without harm.

    ENVAGENT_FLEET_RUNS=1000 python -m pytest -m sweep tests/fleet/test_many.py

The usual size is 100; the time limits grow with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from envagent.engine.journal import Journal
from envagent.engine.tables import RunState, StageState
from envagent.errors import NoCapacity
from tests.crash.world import World
from tests.fleet.fleet import Fleet

RUNS = int(os.environ.get("ENVAGENT_FLEET_RUNS", "100"))
KEY = "class"
LIMIT = 240.0 + 3.0 * RUNS


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A sandbox of its own, whose nodes are free."""
    one = World.start(tmp_path / "home", speed=600.0)
    # Nova allows a user 100 keypairs, so a class shares one that is there.
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", one.folder / "submitter"], check=True)
    key = {"name": KEY, "public_key": (one.folder / "submitter.pub").read_text()}
    one.user.ask("compute", "POST", "/os-keypairs", {"keypair": key})
    yield one
    one.stop()


def standing(fleet: Fleet) -> dict[str, str]:
    """Return the state of each run; `waiting` for one whose lease is granted for later."""
    states = fleet.states()
    with closing(Journal.open(fleet.url)) as journal:
        for run_id in [one for one, state in states.items() if state == RunState.RUNNING]:
            for row in journal.stages(run_id):
                if row.state == StageState.WAITING and (row.wait, row.status) == ("the lease to start", "PENDING"):
                    states[run_id] = "waiting"
    return states


def errors(fleet: Fleet) -> Counter[str]:
    """Count why runs have failed."""
    with closing(Journal.open(fleet.url)) as journal:
        stored = [json.loads(row.error) for row in journal.runs() if row.state == RunState.FAILED and row.error]
    return Counter(f"{one['error']}: {one['message'][:120]}" for one in stored)


def settled(fleet: Fleet, hurt: bool) -> Counter[str]:
    """Wait until each run has succeeded, waits for its lease or was refused; then compare with the cloud."""
    harm = [fleet.kill_one, fleet.freeze_one, fleet.restart_database, fleet.kill_one, fleet.lose_jobs]
    todo = iter([*harm, fleet.restart_database, fleet.freeze_one] if hurt else [])
    deadline, due = time.monotonic() + LIMIT, time.monotonic() + 5.0
    while True:
        fleet.supervise()
        if hurt and time.monotonic() > due and (act := next(todo, None)) is not None:
            act()
            due = time.monotonic() + 5.0
        states = standing(fleet)
        if "running" not in states.values() and next(todo, None) is None:
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
    return Counter(states.values())


@pytest.mark.timeout(LIMIT + 300)
@pytest.mark.sweep(points=lambda plan: [False, True], bounded=0)
def test_many_runs_have_one_of_each_or_wait_for_capacity(fleet: Fleet, point: bool) -> None:
    started = time.monotonic()
    fleet.submit_file(RUNS, "--hours", "168", "--wait-for-capacity", "--key-name", KEY)
    submitted = time.monotonic()
    fleet.start(4)
    ended = settled(fleet, hurt=point)
    print(f"{RUNS} submitted in {submitted - started:.0f} s; after {time.monotonic() - submitted:.0f} s: {dict(ended)}")
    assert ended[RunState.SUCCEEDED] > 0
    fleet.stop()
