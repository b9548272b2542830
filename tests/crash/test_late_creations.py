"""Creations that give no answer and come true later: never a double within the settle window, none that stays beyond.

A minute of the settle window is scaled to SETTLE seconds here, and the lateness with it. A schedule draws what is
late, how late, how the client learns nothing (time limit, cut connection, 500, 504), whether the process is killed at
that moment and resumed at once, and whether the end is a resume or a teardown. Every third is later than the window:
then the request is sent again, both come true, and the next resume or teardown removes the one that is not used.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from tests.crash.child import Ended, Home
from tests.crash.hooks import KIND_OF_POST, Exchange, Strike
from tests.crash.oracle import Judge, Outcome
from tests.crash.world import Json, World
from tests.sweeps import Plan

SPEED = 2000.0
SETTLE = 1.5
"""Seconds here for the 60 s of reality."""
LATEST = 59 / 60 * SETTLE
TIMEOUT = 0.5
PATIENCE = 0.5
"""Seconds beyond its due time in which a late commit is certainly carried out."""
ROUNDS = 500
TRIES = 4

ENVIRONMENT = {
    "ENVAGENT_SETTLE_SECONDS": str(SETTLE),
    "ENVAGENT_TIMEOUT_SECONDS": str(TIMEOUT),
    "ENVAGENT_WRITE_TIMEOUT_SECONDS": str(TIMEOUT),
}
CREATIONS = {
    "lease": ("/uc/reservation/v1/leases", "blazar"),
    "server": ("/uc/compute/v2.1/servers", "nova"),
    "floating_ip": ("/uc/network/v2.0/floatingips", "neutron"),
    "keypair": ("/uc/compute/v2.1/os-keypairs", "nova"),
}


@dataclass(frozen=True)
class Schedule:
    """One seed's drawing."""

    seed: int

    def draw(self) -> Drawn:
        """Draw."""
        dice = random.Random(self.seed)
        beyond = self.seed % 3 == 0
        drawn = Drawn(
            kind=dice.choice(list(CREATIONS)),
            silence=dice.choice(("time limit", "cut", "500", "504")),
            late=(dice.uniform(1.1, 4) if beyond else dice.uniform(1 / 60, 59 / 60) * 0.97) * SETTLE,
            killed=dice.random() < 0.5,
            end=dice.choice(("resume", "resume", "teardown")),
            beyond=beyond,
        )
        if (drawn.kind, drawn.end, drawn.killed, beyond) == ("server", "teardown", True, True):
            return replace(drawn, end="resume")  # a teardown removes the lease, and no server can come after that
        return drawn

    def __str__(self) -> str:
        drawn = self.draw()
        killed = ", killed" if drawn.killed else ""
        seconds = drawn.late / SETTLE * 60
        return f"seed {self.seed}: {drawn.kind} {seconds:.0f} s after {drawn.silence}{killed}, then {drawn.end}"


@dataclass(frozen=True)
class Drawn:
    """What is late, how, by how many seconds after the client gave up."""

    kind: str
    silence: str
    late: float
    killed: bool
    end: str
    beyond: bool
    """Later than the settle window."""

    def fault(self) -> Json:
        """Write it for the sandbox."""
        path, service = CREATIONS[self.kind]
        at: Json = {"service": service, "method": "POST", "path": f"^{path}$", "nth": 1}
        if self.silence == "time limit":
            return {**at, "action": "delay", "seconds": (TIMEOUT + self.late) * SPEED}
        late = {**at, "action": "late_commit", "seconds": self.late * SPEED}
        return late if self.silence == "cut" else {**late, "status": int(self.silence)}


def schedules(plan: Plan) -> list[Schedule]:
    """List the rounds of the seed."""
    return [Schedule(plan.seed * 100_000 + number) for number in range(plan.rounds or ROUNDS)]


@pytest.mark.sweep(points=schedules, bounded=5)
def test_found_or_removed(world: World, point: Schedule, check: Callable[[Outcome], None]) -> None:
    """One whose commit came later than drawn, because the machine was busy, is tried again."""
    beyond = point.draw().beyond
    for _ in range(TRIES):
        outcome, lateness = _beyond(world, point) if beyond else _once(world, point)
        if lateness is not None and (beyond or lateness <= LATEST):
            return check(outcome)
    return check(Outcome(reached=False))


def _run(world: World, drawn: Drawn) -> tuple[Home, Judge, Ended]:
    """Start the run of a schedule in a home of its own, up to its end or its kill."""
    home = Home.make(world, "late", ENVIRONMENT)
    judge = Judge(world)
    world.faults(drawn.fault())
    creation = Exchange("POST", CREATIONS[drawn.kind][0], 1)
    strikes = (Strike("committed", creation),) if drawn.killed else ()
    ended = home.call(*home.run_arguments(), strikes=strikes)
    judge.expect(ended.struck if drawn.killed else ended.code == 0, f"the run: {ended}")
    return home, judge, ended


def _once(world: World, schedule: Schedule) -> tuple[Outcome, float | None]:
    drawn = schedule.draw()
    home, judge, ended = _run(world, drawn)
    commands, run_id = [ended], home.run_id() or ""
    if drawn.killed and drawn.end == "resume":
        commands.append(home.call("resume", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the resume does not succeed: {commands[-1]}")
    if not drawn.killed or drawn.end == "resume":
        judge.complete(run_id)
    commands.append(home.call("teardown", run_id, "--yes"))
    judge.expect(commands[-1].code == 0, f"the teardown does not succeed: {commands[-1]}")
    _until_committed(world)
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, commands)
    world.faults()
    lateness = _lateness(judge, drawn.kind, ended)
    home.remove()
    if lateness is None:
        judge.expect(bool(judge.violations), "the late creation never came")
    return judge.verdict(drawn.silence, resumed=int(drawn.killed)), lateness


def _beyond(world: World, schedule: Schedule) -> tuple[Outcome, float | None]:
    """Try a schedule whose request comes true after it was sent again, perhaps when the run is long over."""
    drawn = schedule.draw()
    home, judge, ended = _run(world, drawn)
    due = time.monotonic() + TIMEOUT + drawn.late  # counted from the end of the run, which has sent the request before
    commands, run_id = [ended], home.run_id() or ""
    if drawn.end == "teardown":
        commands.append(home.call("teardown", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the teardown does not succeed: {commands[-1]}")
    time.sleep(max(0.0, due - time.monotonic()) + PATIENCE)
    if drawn.end == "resume":
        commands.append(home.call("resume", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the resume does not succeed: {commands[-1]}")
        judge.complete(run_id)
    commands.append(home.call("teardown", run_id, "--yes"))
    judge.expect(commands[-1].code == 0, f"the last teardown does not succeed: {commands[-1]}")
    judge.gone()
    judge.log_is_clean(most=2)
    judge.sends_are_intended(home, commands)
    world.faults()
    lateness = _lateness(judge, drawn.kind, ended)
    home.remove()
    return judge.verdict("beyond the window", resumed=len(commands) - 1), lateness


def _until_committed(world: World) -> None:
    """Wait as long as the latest commit may take, so that one that comes after the teardown is seen."""
    time.sleep(0.05)


def _lateness(judge: Judge, kind: str, run: Ended) -> float | None:
    """Measure how long after the client's giving up the first creation was committed."""
    ends = [one for one in run.trace if one["event"] in ("silence", "answer") and one["what"].startswith("POST")]
    gave_up = next((one["at"] for one in ends if KIND_OF_POST.get(_collection(one["what"])) == kind), None)
    made = [one for one in judge.written() if one["kind"] == kind and one["method"] == "POST"]
    if gave_up is None or not made:
        return None
    return datetime.fromisoformat(made[0]["time"]).timestamp() - float(gave_up)


def _collection(what: str) -> str:
    return what.split()[1].rsplit("/", 1)[-1]
