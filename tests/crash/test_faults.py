"""Every exchange meets every fault: the run succeeds, or ends with a clear exit code and its resume succeeds.

Reads and logins must survive a passing fault without a resume, and so must the four creations: their outcome is
looked up. No write is sent more often than it was intended, and none is created twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.crash.child import Ended, Home
from tests.crash.hooks import KIND_OF_POST, Exchange, Strike
from tests.crash.oracle import Judge, Outcome
from tests.crash.recording import LISTS, recorded
from tests.crash.world import Json, World
from tests.sweeps import Plan

SPEED = 2000.0
TIMEOUT = 0.4
"""Seconds after which the client gives up; `timeout` takes longer, `slow` does not."""

FAULTS: dict[str, Json] = {
    "timeout": {"action": "delay", "seconds": (TIMEOUT + 0.25) * SPEED},
    "reset": {"action": "drop"},
    "expired token": {"action": "expire_token"},
    "409": {"action": "fail", "status": 409, "message": "busy"},
    "413": {"action": "fail", "status": 413, "message": "over limit", "headers": {"Retry-After": "1"}},
    "429": {"action": "fail", "status": 429, "message": "slow down", "headers": {"Retry-After": "1"}},
    "500": {"action": "fail", "status": 500},
    "502": {"action": "fail", "status": 502, "body": "<html><body>Bad Gateway</body></html>"},
    "503": {"action": "fail", "status": 503},
    "slow": {"action": "slow_answer", "seconds": 0.2 * SPEED},
    "lost": {"action": "commit_then_drop"},
    "lost, 500": {"action": "commit_then_fail", "status": 500},
    "lost, 504": {"action": "commit_then_fail", "status": 504, "body": "<html>Gateway Time-out</html>"},
    "stale": {"action": "stale", "seconds": 0.2 * SPEED},
}
PASSING = frozenset(FAULTS) - {"409", "stale"}
"""Faults after which the same request succeeds; a refused login (401) aside, a read must survive them."""

CLEAR_CODES = {"run": (0, 4, 5, 6, 7), "resume": (0, 4, 5, 6, 7), "teardown": (0, 4, 7, 11)}
ENVIRONMENT = {
    "ENVAGENT_TIMEOUT_SECONDS": str(TIMEOUT),
    "ENVAGENT_WRITE_TIMEOUT_SECONDS": str(TIMEOUT),
    "ENVAGENT_SETTLE_SECONDS": "0.6",
}


@dataclass(frozen=True)
class Case:
    """One fault at one exchange: of a run, of the resume after a kill, or of a teardown."""

    phase: Literal["run", "resume", "teardown"]
    fault: str
    exchange: Exchange
    killed: Strike | None = None

    def __str__(self) -> str:
        after = "" if self.killed is None else f" after {self.killed}"
        return f"{self.phase}: {self.fault} at {self.exchange}{after}"

    def schedule(self) -> list[Json]:
        """Write the fault for the sandbox; a lost creation also meets a list that lags behind."""
        at = {"service": self.exchange.service, "method": self.exchange.method, "nth": self.exchange.occurrence}
        path = re.escape(self.exchange.path).replace(r"\*", "[^/]+")
        entries = [{**FAULTS[self.fault], **at, "path": f"^{path}$"}]
        if self.fault == "lost" and self.exchange.method == "POST" and self.exchange.collection in LISTS:
            entries.append({**FAULTS["stale"], "path": f"^{LISTS[self.exchange.collection]}$"})
        return entries


def cases(plan: Plan) -> list[Case]:
    """List the exchanges of a run, of the resumes after each creation that was killed, and of a teardown."""
    clean = recorded(plan.config)
    found = [Case("run", fault, one) for one in clean.run for fault in _fitting(one)]
    for creation, lists in clean.resumes:
        strike = Strike("committed", creation)
        found += [Case("resume", fault, one, strike) for one in lists for fault in _fitting(one)]
    return found + [Case("teardown", fault, one) for one in clean.teardown for fault in _fitting(one)]


def _fitting(exchange: Exchange) -> list[str]:
    """Leave out what means nothing there: a stale answer to anything but a list, an expired token at a login."""
    unfit = set() if exchange.path in LISTS.values() and exchange.method == "GET" else {"stale"}
    if exchange.service == "keystone":
        unfit |= {"expired token"}
    if exchange.method == "GET":
        unfit |= {"lost, 500", "lost, 504"}
    return [fault for fault in FAULTS if fault not in unfit]


@pytest.mark.sweep(points=cases, bounded=14)
def test_survived_or_resumed(world: World, point: Case, check: Callable[[Outcome], None]) -> None:
    case = point
    home = Home.make(world, "case", ENVIRONMENT)
    judge = Judge(world)
    commands: list[Ended] = []
    if case.killed is not None:
        commands.append(home.call(*home.run_arguments(), strikes=[case.killed]))
    if case.phase == "teardown":
        commands.append(home.call(*home.run_arguments()).check())
    struck, reached = _under_fault(world, case, home, judge)
    commands.append(struck)
    run_id = home.run_id() or ""
    resumed = 0
    if case.phase != "teardown":
        kept = judge.at_most_one(run_id)
        if struck.code != 0:
            commands.append(home.call("resume", run_id, "--yes"))
            judge.expect(commands[-1].code == 0, f"the resume does not succeed: {commands[-1]}\nafter {struck}")
            resumed = 1
        judge.complete(run_id, kept=kept)
    if case.phase != "teardown" or struck.code != 0:
        commands.append(home.call("teardown", run_id, "--yes"))
        resumed += case.phase == "teardown"
    judge.expect(commands[-1].code == 0, f"the teardown does not succeed: {commands[-1]}")
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, commands)
    home.remove()
    ended = "resumed" if resumed else "went on"
    check(judge.verdict(f"{case.phase} {ended}", resumed=resumed, reached=reached, optional=True))


def _under_fault(world: World, case: Case, home: Home, judge: Judge) -> tuple[Ended, bool]:
    """Run the phase's command under the fault; return whether its request came. Then the cloud is well again."""
    argv = home.run_arguments() if case.phase == "run" else (case.phase, home.run_id() or "", "--yes")
    world.faults(*case.schedule())
    struck = home.call(*argv)
    first = world.control("faults")[0]
    world.faults()
    judge.expect(struck.code in CLEAR_CODES[case.phase], f"no clear exit code: {struck}")
    judge.expect("Traceback" not in struck.err, f"a traceback: {struck}")
    if _must_survive(case):
        judge.expect(struck.code == 0, f"a passing fault ends it: {struck}")
    return struck, bool(first["seen"] >= first["nth"])


def _must_survive(case: Case) -> bool:
    """Say whether the fault passes and the exchange is a read, a login or a creation."""
    creates = case.exchange.method == "POST" and case.exchange.collection in KIND_OF_POST
    return case.fault in PASSING and (not case.exchange.writes or creates)
