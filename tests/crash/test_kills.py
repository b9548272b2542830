"""SIGKILL at every boundary of a run and of its teardown: one object of each kind after the resume, none at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import pytest

from tests.crash.child import Ended, Home
from tests.crash.hooks import Exchange, Place, Strike
from tests.crash.oracle import Ids, Judge, Outcome, again
from tests.crash.recording import LISTS, recorded
from tests.crash.world import World
from tests.sweeps import Plan

SPEED = 2000.0
PLACES: tuple[Place, ...] = ("before", "committed", "checkpoint")


@dataclass(frozen=True)
class Kill:
    """One point: a strike in a run, in a teardown, or in a run and then in its resume."""

    phase: Literal["run", "teardown", "pair"]
    strike: Strike

    def __str__(self) -> str:
        return f"{self.phase}: {self.strike}"


def kills(plan: Plan) -> list[Kill]:
    """List the boundaries of a run and of a teardown."""
    clean = recorded(plan.config)
    points = [Kill("run", one) for one in strikes(clean.run, clean.run_commits)]
    return points + [Kill("teardown", one) for one in strikes(clean.teardown, clean.teardown_commits)]


def pairs(plan: Plan) -> list[Kill]:
    """List the first kills of the pairs."""
    writes = [one for one in recorded(plan.config).run if one.writes]
    return [Kill("pair", one) for one in strikes(writes, 0)]


def strikes(exchanges: Iterable[Exchange], commits: int) -> list[Strike]:
    """List the strikes at all boundaries."""
    found = [Strike(place, exchange) for exchange in exchanges for place in PLACES]
    for number in range(1, commits + 1):
        found += [Strike("commit", commit=number), Strike("after-commit", commit=number)]
    return found


@pytest.mark.sweep(points=kills, bounded=12)
def test_killed_once(world: World, point: Kill, check: Callable[[Outcome], None]) -> None:
    if point.phase == "teardown":
        outcome = again(lambda: _kill_teardown(world, point))
    else:
        outcome = again(lambda: _kill_run(world, point)[0])
    outcome.optional = not point.strike.certain
    check(outcome)


@pytest.mark.sweep(points=pairs, bounded=2)
def test_killed_twice(
    world: World, point: Kill, check: Callable[[Outcome], None], request: pytest.FixtureRequest
) -> None:
    """The first kill decides which second ones there are; a bounded sweep tries one of them."""
    total, resumed = _kill_run(world, point)
    boundaries = [] if resumed is None else resumed.exchanges
    boundaries = [one for one in boundaries if one.writes or one.path in LISTS.values()]
    for second in replace(Plan.of(request.config), sample=None).choose(strikes(boundaries, 0), bounded=1):
        outcome = again(partial(_try_second, world, point, second))
        total.violations += [f"then {second}: {one}" for one in outcome.violations]
        total.counts.update(outcome.counts, seconds=1, **{"seconds not reached": int(not outcome.reached)})
    total.optional = True
    check(total)


def _try_second(world: World, kill: Kill, second: Strike) -> Outcome:
    return _kill_run(world, kill, second)[0]


def _kill_run(world: World, kill: Kill, second: Strike | None = None) -> tuple[Outcome, Ended | None]:
    """Kill a run, perhaps its resume too; then resume and tear down. Return the resume as well."""
    home = Home.make(world, "point")
    judge = Judge(world)
    commands = [home.call(*home.run_arguments(), strikes=[kill.strike])]
    run_id = home.run_id()
    if not commands[0].struck:
        commands[0].check()
        home.call("teardown", run_id or "", "--yes").check()
        return Outcome(reached=False), None
    kept = judge.at_most_one(run_id)
    if run_id is None:  # killed before the run was stored: there is nothing to resume, and nothing was made
        judge.gone()
        return judge.verdict(), None
    if second is not None:
        commands.append(home.call("resume", run_id, "--yes", strikes=[second]))
        if not commands[-1].struck:
            commands[-1].check()
            home.call("teardown", run_id, "--yes").check()
            return Outcome(reached=False), None
        kept = _merged(kept, judge.at_most_one(run_id), judge)
    world.mate_keypair(f"envagent-{run_id}")
    judge.accept("mate", "other")
    resumed = home.call("resume", run_id, "--yes")
    judge.expect(resumed.code == 0, f"the resume does not succeed: {resumed}")
    if resumed.code == 0:
        judge.complete(run_id, kept=kept)
    removed = home.call("teardown", run_id, "--yes")
    judge.expect(removed.code == 0, f"the teardown does not succeed: {removed}")
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, [*commands, resumed, removed])
    world.act("mate", "nova", "DELETE", f"/os-keypairs/envagent-{run_id}")
    home.remove()
    return judge.verdict(resumed=int(resumed.code == 0)), resumed


def _kill_teardown(world: World, kill: Kill) -> Outcome:
    home = Home.make(world, "point")
    judge = Judge(world)
    ran = home.call(*home.run_arguments()).check()
    run_id = home.run_id() or ""
    killed = home.call("teardown", run_id, "--yes", strikes=[kill.strike])
    if not killed.struck:
        killed.check()
        return Outcome(reached=False)
    judge.at_most_one(run_id)
    removed = home.call("teardown", run_id, "--yes")
    judge.expect(removed.code == 0, f"the second teardown does not succeed: {removed}")
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, [ran, killed, removed])
    home.remove()
    return judge.verdict(resumed=int(removed.code == 0))


def _merged(one: Ids, other: Ids, judge: Judge) -> Ids:
    for kind, ids in one.items():
        judge.expect(ids <= other[kind], f"{kind} {ids - other[kind]} was made before the first kill and is gone")
    return other
