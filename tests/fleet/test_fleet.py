"""Workers carry out submitted runs: each exactly once, whatever happens to workers, database and jobs."""

from __future__ import annotations

import json

import pytest

from envagent.engine.tables import RunState
from tests.fleet.fleet import Fleet


def works(fleet: Fleet) -> None:
    """Check that each run has succeeded and has one of each, and that nobody else has anything new."""
    assert fleet.states() == dict.fromkeys(fleet.runs, RunState.SUCCEEDED.value)
    for run_id, has in fleet.judge.held_by(fleet.runs).items():
        fleet.judge.works(run_id, has)
    assert fleet.judge.violations == []


def remove_all(fleet: Fleet) -> None:
    """Have the workers remove everything; nothing of it is left."""
    for run_id in fleet.runs:
        fleet.command("teardown", run_id)
    fleet.lose_jobs()  # what was asked for is in the journal
    fleet.await_state(RunState.TORN_DOWN)
    fleet.judge.gone()
    assert fleet.judge.violations == []


@pytest.mark.sweep(points=lambda plan: ["as usual"], bounded=1)
def test_submitted_runs_are_carried_out_and_removed(fleet: Fleet, point: str) -> None:
    fleet.submit(3)
    shown = json.loads(fleet.command("status", "--json"))["runs"]
    assert [one["state"] for one in shown] == ["running"] * 3
    fleet.start(2)
    fleet.await_end(60)
    works(fleet)
    remove_all(fleet)
    fleet.stop()


@pytest.mark.timeout(300)
@pytest.mark.sweep(points=lambda plan: [1, 2, 3], bounded=1)
def test_whatever_happens_each_run_is_carried_out_once(fleet: Fleet, point: int) -> None:
    fleet.submit(10)
    fleet.start(4)
    harm = [fleet.kill_one, fleet.freeze_one, fleet.restart_database, fleet.lose_jobs]
    turned = harm[point:] + harm[:point]
    fleet.await_end(180, turned * 2, pause=1.5)
    works(fleet)
    remove_all(fleet)
    fleet.stop()
