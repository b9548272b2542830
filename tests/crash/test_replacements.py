"""SIGKILL at every boundary of a run whose first node cannot be deployed: never a third lease, and nothing left."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.child import Home
from tests.crash.hooks import Strike
from tests.crash.oracle import Judge, Outcome, again
from tests.crash.recording import BAD_NODE, recorded
from tests.crash.test_kills import strikes
from tests.crash.world import World
from tests.sweeps import Plan

SPEED = 2000.0
MOST = {"lease": 2, "server": 1, "floating_ip": 1, "keypair": 1}
"""How many of each kind may exist at once while a lease is replaced."""


def kills(plan: Plan) -> list[Strike]:
    """List the boundaries at writing exchanges and commits."""
    clean = recorded(plan.config)
    return strikes((one for one in clean.replacing if one.writes), clean.replacing_commits)


@pytest.mark.sweep(points=kills, bounded=4)
def test_killed_while_a_node_is_replaced(world: World, point: Strike, check: Callable[[Outcome], None]) -> None:
    outcome = again(lambda: _kill(world, point))
    outcome.optional = not point.certain
    check(outcome)


def _kill(world: World, point: Strike) -> Outcome:
    home, judge = Home.make(world, "point"), Judge(world)
    world.faults(BAD_NODE)
    killed = home.call(*home.run_arguments(), strikes=[point])
    run_id = home.run_id()
    if not killed.struck:
        killed.check()
        world.faults()
        home.call("teardown", run_id or "", "--yes").check()
        return Outcome(reached=False)
    _few(judge)
    commands = [killed]
    if run_id is not None:
        commands.append(home.call("resume", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the resume does not succeed: {commands[-1]}")
        if commands[-1].code == 0:
            judge.complete(run_id)
        commands.append(home.call("teardown", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the teardown does not succeed: {commands[-1]}")
    world.faults()
    judge.gone()
    judge.log_is_clean(most=2)
    judge.sends_are_intended(home, commands)
    home.remove()
    return judge.verdict(resumed=int(len(commands) > 1 and commands[1].code == 0))


def _few(judge: Judge) -> None:
    for kind, objects in judge.new().items():
        judge.expect(len(objects) <= MOST.get(kind, 1), f"{len(objects)} of kind {kind} at once: {objects}")
