"""Every exchange meets every fault: the run succeeds, or ends with a clear exit code and its resume succeeds.

    python -m tests.crash.faults [--workers 2] [--sample 40 --seed 7] [--only "lost"]

Reads and logins must survive a passing fault without a resume, and so must the four creations: their outcome is
looked up. No write is sent more often than it was intended, and none is created twice.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from typing import Literal

from tests.crash import sweep
from tests.crash.child import Ended, Home
from tests.crash.crash import succeed
from tests.crash.hooks import KIND_OF_POST, Exchange, Strike
from tests.crash.oracle import Judge
from tests.crash.sweep import Options, Outcome
from tests.crash.world import Json, World

SPEED = 2000.0
TIMEOUT = 0.4
"""Seconds after which the client gives up; `timeout` and `slow` lie on its two sides."""

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
LISTS = {
    "leases": "/uc/reservation/v1/leases",
    "servers": "/uc/compute/v2.1/servers/detail",
    "floatingips": "/uc/network/v2.0/floatingips",
    "os-keypairs": "/uc/compute/v2.1/os-keypairs",
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
        collection = self.exchange.path.rsplit("/", 1)[-1]
        if self.fault == "lost" and self.exchange.method == "POST" and collection in LISTS:
            entries.append({**FAULTS["stale"], "path": f"^{LISTS[collection]}$"})
        return entries


def discover(world: World) -> list[Case]:
    """Count the exchanges of a run, of the resumes after each creation that was killed, and of a teardown."""
    home = Home.make(world, "counting")
    ran = succeed(home.call(*home.run_arguments()))
    removed = succeed(home.call("teardown", home.run_id() or "", "--yes"))
    cases = [Case("run", fault, one) for one in ran.exchanges for fault in _fitting(one)]
    for creation in ran.exchanges:
        if creation.path.rsplit("/", 1)[-1] in KIND_OF_POST and creation.method == "POST":
            strike = Strike("committed", creation)
            cases += [Case("resume", fault, one, strike) for one in _looks(world, strike) for fault in _fitting(one)]
    cases += [Case("teardown", fault, one) for one in removed.exchanges for fault in _fitting(one)]
    home.remove()
    return cases


def _looks(world: World, strike: Strike) -> list[Exchange]:
    """The lists that a resume reads to find what the killed run had made."""
    home = Home.make(world, "counting-resume")
    home.call(*home.run_arguments(), strikes=[strike])
    resumed = succeed(home.call("resume", home.run_id() or "", "--yes"))
    succeed(home.call("teardown", home.run_id() or "", "--yes"))
    home.remove()
    return [one for one in resumed.exchanges if one.method == "GET" and one.path in LISTS.values()]


def _fitting(exchange: Exchange) -> list[str]:
    """Leave out what means nothing there: a stale answer to anything but a list, an expired token at a login."""
    unfit = set() if exchange.path in LISTS.values() and exchange.method == "GET" else {"stale"}
    if exchange.service == "keystone":
        unfit |= {"expired token"}
    if exchange.method == "GET":
        unfit |= {"lost, 500", "lost, 504"}
    return [fault for fault in FAULTS if fault not in unfit]


def try_case(world: World, case: Case) -> list[Outcome]:
    """Try one fault at one exchange."""
    home = Home.make(world, "case", ENVIRONMENT)
    judge = Judge(world)
    commands: list[Ended] = []
    if case.killed is not None:
        commands.append(home.call(*home.run_arguments(), strikes=[case.killed]))
    if case.phase == "teardown":
        commands.append(succeed(home.call(*home.run_arguments())))
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
    return [judge.verdict(str(case), resumed, f"{case.phase}: {ended}", reached=reached, optional=True)]


def _under_fault(world: World, case: Case, home: Home, judge: Judge) -> tuple[Ended, bool]:
    """Run the phase's command under the fault; tell whether the fault's request came. Then the cloud is well again."""
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
    """Reads, logins and creations survive what passes."""
    creates = case.exchange.method == "POST" and case.exchange.path.rsplit("/", 1)[-1] in KIND_OF_POST
    return case.fault in PASSING and (not case.exchange.writes or creates)


def attempt(options: Options) -> list[Outcome]:
    """Try the points that the options choose."""
    cases = options.choose(sweep.in_world(discover, speed=SPEED))
    return sweep.run(cases, try_case, options, speed=SPEED)


def main(options: Options) -> int:
    """Sweep."""
    began = time.monotonic()
    return sweep.report("faults", attempt(options), began)


if __name__ == "__main__":
    sys.exit(main(Options.read("faults")))
