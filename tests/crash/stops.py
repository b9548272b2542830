"""Ctrl-C once and twice, SIGTERM and SIGHUP at every exchange: the process ends in time, with its code, resumable.

python -m tests.crash.stops [--workers 2] [--sample 40 --seed 7]
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tests.crash import sweep
from tests.crash.child import Ended, Home
from tests.crash.crash import succeed
from tests.crash.hooks import Exchange, Place, Strike
from tests.crash.oracle import Judge
from tests.crash.sweep import Options, Outcome
from tests.crash.world import World

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


def discover(world: World) -> list[Stop]:
    """Count the exchanges of a run and of a teardown."""
    home = Home.make(world, "counting")
    ran = succeed(home.call(*home.run_arguments()))
    removed = succeed(home.call("teardown", home.run_id() or "", "--yes"))
    home.remove()
    first = Strike("after-commit", commit=1)
    stops = [Stop("run", name, Strike(first.place, None, 1, signals)) for name, signals in SIGNALS.items()]
    return [*stops, *_stops("run", ran.exchanges), *_stops("teardown", removed.exchanges)]


def _stops(phase: Literal["run", "teardown"], exchanges: Iterable[Exchange]) -> list[Stop]:
    return [
        Stop(phase, name, Strike(place, exchange, 0, signals))
        for exchange in exchanges
        for place in PLACES
        for name, signals in SIGNALS.items()
    ]


def try_stop(world: World, stop: Stop) -> list[Outcome]:
    """Try one stop; a wait need not be looked at a second time."""
    outcome = sweep.again(lambda: _try_stop(world, stop))
    outcome.optional = not stop.strike.certain
    return [outcome]


def _try_stop(world: World, stop: Stop) -> Outcome:
    """Stop, look, resume, tear down."""
    home = Home.make(world, "stop")
    judge = Judge(world)
    commands: list[Ended] = []
    if stop.phase == "teardown":
        commands.append(succeed(home.call(*home.run_arguments())))
    argv = home.run_arguments() if stop.phase == "run" else ("teardown", home.run_id() or "", "--yes")
    stopped = home.call(*argv, strikes=[stop.strike])
    commands.append(stopped)
    run_id = home.run_id() or ""
    if not stopped.struck:
        succeed(home.call("teardown", run_id, "--yes"))
        return Outcome(str(stop), reached=False)
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
    ended = f"exit {stopped.code}"
    return judge.verdict(str(stop), 1, ended)


def _judge_end(judge: Judge, stop: Stop, stopped: Ended, run_id: str) -> None:
    """The code is the signal's (a run that had nothing left to do may end well); the way on is told."""
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
        judge.expect(way in stopped.err, f"the way on is not told: {stopped}")
        late = [
            one
            for one in stopped.trace
            if one["event"] == "send" and one["method"] != "GET" and one["at"] > struck_at + CURRENT
        ]
        judge.expect(not late, f"after the signal it still sent {late}")


def attempt(options: Options) -> list[Outcome]:
    """Try the points that the options choose."""
    return sweep.run(options.choose(sweep.in_world(discover)), try_stop, options)


def main(options: Options) -> int:
    """Sweep."""
    began = time.monotonic()
    return sweep.report("stops", attempt(options), began)


if __name__ == "__main__":
    sys.exit(main(Options.read("stops")))
