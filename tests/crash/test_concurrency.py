"""Several processes resume one run, and many runs go on at once.

In a round a run is killed somewhere, then 2 or 8 processes resume it in the same instant: one goes on, the others
end with exit code 10. Every tenth round 20 runs start at once in one home, a third of them is killed and resumed, all
at once; each has its own lease, server and floating IP.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.crash.child import Child, Ended, Home
from tests.crash.hooks import Exchange, Strike
from tests.crash.oracle import Judge, Outcome
from tests.crash.world import SERVER_NAME, World
from tests.sweeps import Plan

SPEED = 500.0
"""Slow enough that a run is still under way when the last of eight processes asks for it."""
ROUNDS = 200
CROWD = 20
CROWD_SECONDS = 180.0

MOMENTS = (
    Strike("committed", Exchange("POST", "/uc/compute/v2.1/os-keypairs", 1)),
    Strike("before", Exchange("POST", "/uc/reservation/v1/leases", 1)),
    Strike("committed", Exchange("POST", "/uc/reservation/v1/leases", 1)),
    Strike("committed", Exchange("POST", "/uc/compute/v2.1/servers", 1)),
    Strike("checkpoint", Exchange("GET", "/uc/compute/v2.1/servers/*", 1)),
)
"""Where the runs are killed: what is left after each takes long enough for all processes to meet."""


@dataclass(frozen=True)
class Round:
    """One round."""

    seed: int
    processes: int = 0
    """How many processes on one run,"""
    runs: int = 0
    """or how many runs at once."""

    def __str__(self) -> str:
        return f"round {self.seed}: {self.processes or self.runs} {'processes' if self.processes else 'runs'}"


@dataclass
class Gate:
    """Holds children until it is opened for all of them at once."""

    reader: int = -1
    writer: int = -1
    held: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def hold(self) -> None:
        """In the child: wait until the gate opens."""
        os.close(self.writer)
        os.read(self.reader, 1)
        os.close(self.reader)

    def open(self, seconds: float = 60.0) -> list[Ended]:
        """Let them go; return how each ended."""
        time.sleep(0.05)  # until the last has come to the gate
        os.close(self.writer)
        os.close(self.reader)
        return [child.wait(seconds) for child in self.held]


def rounds(plan: Plan) -> list[Round]:
    """Draw the rounds: 2 and 8 processes by turns, every tenth a crowd; a bounded sweep has one small one of each."""
    if plan.bounded:
        return [Round(plan.seed, processes=2), Round(plan.seed + 1, processes=8), Round(plan.seed + 2, runs=5)]
    seeds = [(number, plan.seed * 100_000 + number) for number in range(1, (plan.rounds or ROUNDS) + 1)]
    return [
        Round(seed, runs=CROWD) if number % 10 == 0 else Round(seed, processes=8 if number % 2 == 0 else 2)
        for number, seed in seeds
    ]


@pytest.mark.sweep(points=rounds, bounded=3)
def test_one_process_goes_on(world: World, point: Round, check: Callable[[Outcome], None]) -> None:
    check(_together(world, point) if point.processes else _crowd(world, point))


def _together(world: World, one: Round) -> Outcome:
    dice = random.Random(one.seed)
    home = Home.make(world, "together")
    judge = Judge(world)
    commands = [home.call(*home.run_arguments(), strikes=[dice.choice(MOMENTS)])]
    judge.expect(commands[0].struck, f"not killed: {commands[0]}")
    run_id = home.run_id() or ""
    kept = judge.at_most_one(run_id)
    gate = Gate()
    for _ in range(one.processes):
        gate.held.append(home.start("resume", run_id, "--yes", before=gate.hold))
    together = gate.open()
    going = [each for each in together if each.commits or each.exchanges]
    judge.expect(len(going) == 1, f"{len(going)} processes went on")
    judge.expect(all(each.code == 0 for each in going), f"the one that went on: {[str(each) for each in going]}")
    for each in together:
        if each not in going:
            judge.expect(each.code == 10, f"another process: {each}")
    judge.complete(run_id, kept=kept)
    commands += together
    if dice.random() < 0.5:  # all of them tear it down, too
        gate = Gate()
        for _ in range(one.processes):
            gate.held.append(home.start("teardown", run_id, "--yes", before=gate.hold))
        commands += gate.open()
        codes = sorted(each.code or 0 for each in commands[-one.processes :])
        judge.expect(set(codes) <= {0, 10} and 0 in codes, f"teardowns together ended {codes}")
    else:
        commands.append(home.call("teardown", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the teardown: {commands[-1]}")
    judge.gone()
    judge.log_is_clean()
    judge.sends_are_intended(home, commands)
    home.remove()
    return judge.verdict(f"rounds of {one.processes} processes", resumed=len(going))


def _crowd(world: World, one: Round) -> Outcome:
    dice = random.Random(one.seed)
    home = Home.make(world, "crowd")
    judge = Judge(world)
    gate = Gate()
    for number in range(one.runs):
        strikes = [dice.choice(MOMENTS)] if number % 3 == 0 else []
        argv = ("run", str(world.repository), "--yes", "--new", "--server-name", SERVER_NAME)
        gate.held.append(home.start(*argv, strikes=strikes, before=gate.hold))
    started = gate.open(CROWD_SECONDS)
    for number, each in enumerate(started):
        expected = each.signal == signal.SIGKILL if number % 3 == 0 else each.code == 0
        judge.expect(expected, f"a run among {one.runs}: {each}")
    ids = [row[0] for row in home.rows("SELECT run_id FROM runs")]
    ended = [*started, *_all_at_once(home, "resume", ids), *_all_at_once(home, "resume", ids)]
    for each in ended[len(started) :]:
        judge.expect(each.code == 0, f"a resume among {one.runs}: {each}")
    held = judge.held_by(ids)
    for run_id in ids:
        judge.works(run_id, held[run_id])
    removed = _all_at_once(home, "teardown", ids)
    for each in removed:
        judge.expect(each.code == 0, f"a teardown among {one.runs}: {each}")
    judge.gone()
    judge.log_is_clean(most=len(ids))
    judge.sends_are_intended(home, [*ended, *removed])
    home.remove()
    return judge.verdict(f"rounds of {one.runs} runs", resumed=len(ids))


def _all_at_once(home: Home, verb: str, ids: list[str]) -> list[Ended]:
    gate = Gate()
    for run_id in ids:
        gate.held.append(home.start(verb, run_id, "--yes", before=gate.hold))
    return gate.open(CROWD_SECONDS)
