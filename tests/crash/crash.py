"""SIGKILL at every boundary of a run and of its teardown: one object of each kind after the resume, none after the end.

python -m tests.crash.crash [--workers 2] [--sample 40 --seed 7] [--only "run:"]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from tests.crash import sweep
from tests.crash.child import Ended, Home
from tests.crash.hooks import Exchange, Place, Strike
from tests.crash.oracle import Ids, Judge
from tests.crash.sweep import Options, Outcome
from tests.crash.world import World

PLACES: tuple[Place, ...] = ("before", "committed", "checkpoint")


@dataclass(frozen=True)
class Kill:
    """One point: a strike in a run, in a teardown, or in a run and then (found on the way) in its resume."""

    phase: Literal["run", "teardown", "pair"]
    strike: Strike
    seconds: int | None = None
    """How many second kills of a pair are tried; None for all."""

    def __str__(self) -> str:
        return f"{self.phase}: {self.strike}"


def discover(world: World) -> list[Kill]:
    """Count the boundaries of a run and of a teardown."""
    home = Home.make(world, "counting")
    ran = succeed(home.call(*home.run_arguments()))
    removed = succeed(home.call("teardown", home.run_id() or "", "--yes"))
    home.remove()
    points = [Kill("run", one) for one in strikes(ran.exchanges, ran.commits)]
    points += [Kill("teardown", one) for one in strikes(removed.exchanges, removed.commits)]
    return points + [Kill("pair", one) for one in strikes([one for one in ran.exchanges if one.writes], 0)]


def strikes(exchanges: Iterable[Exchange], commits: int) -> list[Strike]:
    """Give the strikes at all boundaries."""
    found = [Strike(place, exchange) for exchange in exchanges for place in PLACES]
    for number in range(1, commits + 1):
        found += [Strike("commit", commit=number), Strike("after-commit", commit=number)]
    return found


def succeed(command: Ended) -> Ended:
    """Demand exit code 0."""
    if command.code != 0:
        raise AssertionError(f"expected success: {command}")
    return command


def try_kill(world: World, kill: Kill) -> list[Outcome]:
    """Try one point; a second kill that the first makes impossible is told, and is no failure of the sweep."""
    outcomes = _try_kill(world, kill)
    for one in outcomes:
        one.optional = kill.phase == "pair" or not kill.strike.certain
    return outcomes


def _try_kill(world: World, kill: Kill) -> list[Outcome]:
    """Try one point; a pair brings an outcome for each second kill."""
    if kill.phase == "teardown":
        return [sweep.again(lambda: _kill_teardown(world, kill))]
    if kill.phase == "run":
        return [sweep.again(lambda: _kill_run(world, kill)[0])]
    first, resumed = _kill_run(world, kill)
    if resumed is None:
        return [first]
    boundaries = [one for one in resumed.exchanges if one.writes or "/servers/detail" in one.path or _lists(one)]
    seconds = Options(sample=kill.seconds).choose(strikes(boundaries, 0))
    return [first, *(sweep.again(lambda one=one: _kill_run(world, kill, one)[0]) for one in seconds)]  # type: ignore[misc]


def _lists(exchange: Exchange) -> bool:
    return exchange.method == "GET" and exchange.path.endswith(("/leases", "/floatingips", "/os-keypairs"))


def _kill_run(world: World, kill: Kill, second: Strike | None = None) -> tuple[Outcome, Ended | None]:
    """Kill a run, perhaps its resume too; then resume and tear down. Gives the resume as well."""
    home = Home.make(world, "point")
    judge = Judge(world)
    name = str(kill) if second is None else f"{kill} then {second}"
    commands = [home.call(*home.run_arguments(), strikes=[kill.strike])]
    run_id = home.run_id()
    if not commands[0].struck:
        succeed(commands[0])
        succeed(home.call("teardown", run_id or "", "--yes"))
        return Outcome(name, reached=False), None
    kept = judge.at_most_one(run_id)
    if run_id is None:  # killed before the run was stored: there is nothing to resume, and nothing was made
        judge.gone()
        return judge.verdict(name), None
    if second is not None:
        commands.append(home.call("resume", run_id, "--yes", strikes=[second]))
        if not commands[-1].struck:
            succeed(commands[-1])
            succeed(home.call("teardown", run_id, "--yes"))
            return Outcome(name, reached=False), None
        kept = _merged(kept, judge.at_most_one(run_id), judge)
    world.mate_keypair(f"envagent-{run_id}")
    judge.settle_strangers()
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
    return judge.verdict(name, int(resumed.code == 0)), resumed


def _kill_teardown(world: World, kill: Kill) -> Outcome:
    home = Home.make(world, "point")
    judge = Judge(world)
    ran = succeed(home.call(*home.run_arguments()))
    run_id = home.run_id() or ""
    killed = home.call("teardown", run_id, "--yes", strikes=[kill.strike])
    if not killed.struck:
        succeed(killed)
        return Outcome(str(kill), reached=False)
    judge.at_most_one(run_id)
    removed = home.call("teardown", run_id, "--yes")
    judge.expect(removed.code == 0, f"the second teardown does not succeed: {removed}")
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, [ran, killed, removed])
    home.remove()
    return judge.verdict(str(kill), int(removed.code == 0))


def _merged(one: Ids, other: Ids, judge: Judge) -> Ids:
    for kind, ids in one.items():
        judge.expect(ids <= other[kind], f"{kind} {ids - other[kind]} was made before the first kill and is gone")
    return other


def attempt(options: Options, *, pairs: int | None = None) -> list[Outcome]:
    """Try the points; of the pairs, so many, each with one second kill."""
    points = sweep.in_world(discover)
    chosen = options.choose(points if pairs is None else [one for one in points if one.phase != "pair"])
    if pairs is not None:
        firsts = [replace(one, seconds=1) for one in points if one.phase == "pair"]
        chosen += replace(options, sample=pairs).choose(firsts)
    return sweep.run(chosen, try_kill, options)


def main(options: Options) -> int:
    """Sweep."""
    began = time.monotonic()
    return sweep.report("crash", attempt(options), began)


if __name__ == "__main__":
    sys.exit(main(Options.read("crash")))
