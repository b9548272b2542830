"""Ctrl-C once and twice, SIGTERM and SIGHUP at every exchange: the process ends in time, with its code, resumable."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.crash.child import Ended, Home
from tests.crash.hooks import Exchange, Place, Strike
from tests.crash.oracle import Judge, Outcome, again
from tests.crash.recording import recorded
from tests.crash.world import World
from tests.sweeps import Plan

SPEED = 2000.0
SIGNALS: dict[str, tuple[int, ...]] = {
    "Ctrl-C": (signal.SIGINT,),
    "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
    "SIGTERM": (signal.SIGTERM,),
    "SIGHUP": (signal.SIGHUP,),
}
PLACES: tuple[Place, ...] = ("before", "committed")
CURRENT = 0.3
"""Seconds after the signal within which the exchanges under way (stages work in parallel) may go out."""
PATIENCE = 5.0
"""Seconds within which a stopped process has ended; the exchanges here are short."""


@dataclass(frozen=True)
class Stop:
    """A signal at a boundary of a run or of a teardown."""

    phase: Literal["run", "teardown"]
    name: str
    strike: Strike

    def __str__(self) -> str:
        return f"{self.phase}: {self.name} {self.strike.place} {self.strike.exchange or self.strike.commit}"


def stops(plan: Plan) -> list[Stop]:
    """List the exchanges of a run and of a teardown, each with each signal."""
    clean = recorded(plan.config)
    first = [Stop("run", name, Strike("after-commit", None, 1, signals)) for name, signals in SIGNALS.items()]
    return [*first, *_stops("run", clean.run), *_stops("teardown", clean.teardown)]


def _stops(phase: Literal["run", "teardown"], exchanges: Iterable[Exchange]) -> list[Stop]:
    return [
        Stop(phase, name, Strike(place, exchange, 0, signals))
        for exchange in exchanges
        for place in PLACES
        for name, signals in SIGNALS.items()
    ]


@pytest.mark.sweep(points=stops, bounded=6)
def test_stops_in_time_and_is_resumed(world: World, point: Stop, check: Callable[[Outcome], None]) -> None:
    """A poll of a wait need not happen a second time."""
    outcome = again(lambda: _try_stop(world, point))
    outcome.optional = not point.strike.certain
    check(outcome)


def _try_stop(world: World, stop: Stop) -> Outcome:
    """Stop, look, resume, tear down."""
    home = Home.make(world, "stop")
    judge = Judge(world)
    commands: list[Ended] = []
    if stop.phase == "teardown":
        commands.append(home.call(*home.run_arguments()).check())
    argv = home.run_arguments() if stop.phase == "run" else ("teardown", home.run_id() or "", "--yes")
    stopped = home.call(*argv, strikes=[stop.strike])
    commands.append(stopped)
    run_id = home.run_id() or ""
    if not stopped.struck:
        home.call("teardown", run_id, "--yes").check()
        return Outcome(reached=False)
    _judge_end(judge, stop, stopped, run_id)
    kept = judge.at_most_one(run_id)
    if stop.phase == "run":
        commands.append(home.call("resume", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the resume does not succeed: {commands[-1]}")
        judge.complete(run_id, kept=kept)
    commands.append(home.call("teardown", run_id, "--yes"))
    judge.expect(commands[-1].code == 0, f"the teardown does not succeed: {commands[-1]}")
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, commands)
    home.remove()
    return judge.verdict(f"exit {stopped.code}", resumed=1)


def _judge_end(judge: Judge, stop: Stop, stopped: Ended, run_id: str) -> None:
    """Check that the code is the signal's (0 when nothing was left to do) and that the message says how to go on."""
    struck_at = next(one["at"] for one in stopped.trace if one["event"] == "strike")
    judge.expect(stopped.ended - struck_at < PATIENCE, f"it took {stopped.ended - struck_at:.1f} s to stop")
    expected = 128 + stop.strike.signals[0]
    judge.expect(stopped.code in (expected, 0), f"not {expected}: {stopped}")
    judge.expect("Traceback" not in stopped.err, f"a traceback: {stopped}")
    if stopped.code == 0 and stop.phase == "run":
        judge.complete(run_id)
    if stopped.code == 0 and stop.phase == "teardown":
        judge.gone()
    if stopped.code != 0 and len(stop.strike.signals) == 1:
        way = f"envagent {'resume' if stop.phase == 'run' else 'teardown'} {run_id}"
        judge.expect(way in stopped.err, f"the way to go on is not shown: {stopped}")
        late = [
            one
            for one in stopped.trace
            if one["event"] == "send" and one["method"] != "GET" and one["at"] > struck_at + CURRENT
        ]
        judge.expect(not late, f"after the signal it still sent {late}")
