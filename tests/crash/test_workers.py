"""SIGKILL of a worker at every write and commit: another worker goes on, with one of each kind, and none at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pytest

from envagent.engine.tables import RunState
from tests.crash.hooks import Strike
from tests.crash.oracle import Judge, Outcome, again
from tests.crash.recording import recorded
from tests.crash.test_kills import strikes
from tests.crash.workers import state, submitted, work
from tests.crash.world import World
from tests.sweeps import Plan

SPEED = 2000.0


@dataclass(frozen=True)
class Kill:
    """One point: a strike in a worker that carries out a run, or removes it."""

    phase: Literal["run", "teardown"]
    strike: Strike

    def __str__(self) -> str:
        return f"{self.phase}: {self.strike}"


def kills(plan: Plan) -> list[Kill]:
    """List the boundaries at writing exchanges and commits."""
    clean = recorded(plan.config)
    carried_out = strikes((one for one in clean.worked if one.writes), clean.worked_commits)
    removed = strikes((one for one in clean.removed if one.writes), clean.removed_commits)
    return [*(Kill("run", one) for one in carried_out), *(Kill("teardown", one) for one in removed)]


@pytest.mark.sweep(points=kills, bounded=6, journal="postgresql")
def test_another_worker_goes_on(world: World, point: Kill, check: Callable[[Outcome], None]) -> None:
    outcome = again(lambda: _kill(world, point))
    outcome.optional = point.strike.exchange is None  # how often a wait is looked at, and listed for all, varies
    check(outcome)


def _kill(world: World, kill: Kill) -> Outcome:
    """Kill a worker; another one goes on, and a third removes the run."""
    judge = Judge(world)
    home, ended = submitted(world, "point")
    run_id = home.run_id() or ""
    commands = [ended]
    if kill.phase == "teardown":
        commands += [work(home, RunState.SUCCEEDED), home.call("teardown", run_id, "--yes").check()]
    wanted = RunState.SUCCEEDED if kill.phase == "run" else RunState.TORN_DOWN
    commands.append(killed := work(home, wanted, [kill.strike]))
    kept = judge.at_most_one(run_id)
    if kill.phase == "run":
        if state(home) != RunState.SUCCEEDED:  # the last commit may have been made
            commands.append(work(home, RunState.SUCCEEDED))
        judge.expect(state(home) == RunState.SUCCEEDED, f"the run does not succeed: {commands[-1]}")
        judge.complete(run_id, kept=kept)
        commands.append(home.call("teardown", run_id, "--yes").check())
    if state(home) != RunState.TORN_DOWN:
        commands.append(work(home, RunState.TORN_DOWN))
    judge.expect(state(home) == RunState.TORN_DOWN, f"the run is not removed: {commands[-1]}")
    for one in commands:
        judge.expect(one.code == 0 or (one.struck and one.killed), f"a command, or another worker: {one}")
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, commands)
    home.remove()
    return judge.verdict(resumed=int(killed.struck), reached=killed.struck)
