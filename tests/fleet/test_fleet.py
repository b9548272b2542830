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


def remove_all(fleet: Fleet, *more: str) -> None:
    """Have the workers remove everything; nothing of it is left."""
    for run_id in (*fleet.runs, *more):
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


@pytest.mark.timeout(300)
@pytest.mark.sweep(points=lambda plan: ["limits"], bounded=1)
def test_limits_of_a_site_and_budgets_are_kept(fleet: Fleet, point: str) -> None:
    site = "CHI@UC"
    fleet.environment["ENVAGENT_FLEET__OPERATOR"] = "true"
    fleet.command("limits", "--site", site, "--builds", "2", "--lease-requests", "30")
    fleet.submit(6)
    most = 0

    def count_builds() -> None:
        nonlocal most
        ours = [one for one in fleet.world.user.list("server") if one["metadata"].get("envagent_run") in fleet.runs]
        most = max(most, sum(one["status"] == "BUILD" for one in ours))

    fleet.start(2)
    fleet.await_end(240, [count_builds] * 2000, pause=0.05, enough=True)
    assert most == 2
    works(fleet)
    owner = json.loads(fleet.command("status", "--json"))["runs"][0]["owner"]
    fleet.command("extend", fleet.runs[0], "1h", "--yes")
    fleet.command("limits", "--owner", owner, "--su", "1")
    with pytest.raises(AssertionError, match=f"0 of the 1 SU of {owner} are left"):
        fleet.command("extend", fleet.runs[0], "1h", "--yes")
    fleet.command("limits", "--owner", owner, "--su", "none")
    shown = json.loads(fleet.command("limits", "--owner", "late", "--su", "1", "--json"))["limits"]
    assert {(one["name"], one["site"], one["owner"]) for one in shown} == {
        ("builds", site, None),
        ("lease_requests", site, None),
        ("su", None, "late"),
    }
    before = fleet.runs
    fleet.environment["ENVAGENT_FLEET__OWNER"] = "late"
    fleet.submit(1)
    fleet.runs = [one for one in fleet.runs if one not in before]
    fleet.await_end(60)
    [refused] = json.loads(fleet.command("status", "--all", "--state", "failed", "--json"))["runs"]
    assert "1 of the 1 SU of late are left" in refused["error"]
    fleet.runs = before
    remove_all(fleet, refused["run_id"])
    fleet.stop()
