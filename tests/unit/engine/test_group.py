"""Runs that one process advances together: shared commits, and nobody waits for another's slow stage."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from envagent.engine.context import Context
from envagent.engine.execution import Execution, NewRun, Outcome, Progress
from envagent.engine.journal import Transaction
from envagent.engine.loop import run_until_idle
from envagent.engine.runner import Runner
from envagent.engine.runtime import Runtime
from envagent.engine.step import NotYet
from envagent.engine.tables import StageState
from envagent.errors import JournalError, RunTakenOver
from tests.unit.engine.world import TOY, Process, Request, Services, Start, TestClock, Thought

RUNS = 40


def begin(one: Process, services: Services, number: int) -> list[Execution[Services]]:
    return one.runner.begin_all(NewRun(Request(), services) for _ in range(number))


def states(one: Process, execution: Execution[Services]) -> set[str]:
    return {row.state for row in one.journal.stages(execution.run.run_id)}


def test_runs_share_their_commits_and_no_intent_waits_for_one(
    process: Start, services: Services, clock: TestClock
) -> None:
    end = clock.now() + timedelta(seconds=60)
    services.think = lambda _: Thought(words=1) if clock.now() >= end else NotYet("a minute", end)
    one = process()
    commits: Counter[str] = Counter()

    def count() -> None:
        main = threading.current_thread() is threading.main_thread()
        commits["shared" if main else "intent"] += 1
        assert main or services.outside.creates < commits["intent"], "a request went out before its intent was stored"

    one.journal.before_commit = count
    executions = begin(one, services, RUNS)
    assert commits == {"shared": 1}
    assert {each.outcome for each in one.runner.advance_all(executions)} == {Outcome.WAITING}
    assert {each.outcome for each in run_until_idle(one.runner, executions)} == {Outcome.SUCCEEDED}
    assert commits["intent"] == RUNS
    assert commits["shared"] < 2 * RUNS  # four stages each have ended or begun to wait
    assert all(states(one, each) == {"succeeded"} for each in executions)


def test_a_run_taken_by_somebody_else_does_not_hinder_the_others(process: Start, services: Services) -> None:
    one, two = process(), process()
    executions = begin(one, services, 3)
    lost = executions[1]
    two.journal.take(two.journal.run(lost.run.run_id))
    results = run_until_idle(one.runner, executions)
    assert [each.outcome for each in results] == [Outcome.SUCCEEDED, Outcome.STOPPED, Outcome.SUCCEEDED]
    assert isinstance(results[1].error, RunTakenOver)
    assert states(two, lost) == {"running", "pending"}  # as it was begun
    assert lost.run.run_id not in {each.run_id for each in services.outside.objects.values()}
    assert states(two, executions[2]) == {"succeeded"}


def test_a_slow_stage_of_one_run_does_not_hold_up_the_looks_of_others(process: Start, services: Services) -> None:
    """On the real clock: the slow stage ends only when the others have been looked at."""
    one = process()
    looks: Counter[str] = Counter()
    looked = threading.Event()
    slow: list[str] = []

    def think(context: Context[Services]) -> Thought | NotYet:
        if context.run_id == slow[0]:
            assert looked.wait(20), "the others were not looked at"
            return Thought(words=1)
        looks[context.run_id] += 1
        if len(looks) == 4 and min(looks.values()) == 3:
            looked.set()
        again = context.now() + timedelta(milliseconds=20)
        return NotYet("a moment", again) if looks[context.run_id] < 4 else Thought(words=1)

    services.think = think
    runner: Runner[Services] = Runner(TOY, Runtime(one.journal))
    executions = runner.begin_all(NewRun(Request(), services) for _ in range(5))
    slow.append(executions[0].run.run_id)
    assert {each.outcome for each in run_until_idle(runner, executions)} == {Outcome.SUCCEEDED}
    runner.close()


def test_stopped_runs_are_recorded_together(process: Start, services: Services, clock: TestClock) -> None:
    services.think = lambda _: NotYet("an hour", clock.now() + timedelta(hours=1))
    one = process()
    executions = begin(one, services, RUNS)
    one.runner.advance_all(executions)
    commits: list[None] = []
    one.journal.before_commit = lambda: commits.append(None)
    one.stop.set()
    assert {each.outcome for each in run_until_idle(one.runner, executions)} == {Outcome.STOPPED}
    assert len(commits) == 1
    assert {each.state for each in one.journal.runs()} == {"interrupted"}


def test_what_an_advance_leaves_is_recorded_with_it_or_not_at_all(
    process: Start, services: Services, clock: TestClock
) -> None:
    one, left = process(), list[Outcome]()
    broken = [JournalError("the disk is full")]

    def leave(transaction: Transaction, execution: Execution[Any], progress: Progress) -> None:
        with transaction.alongside(execution.run.run_id):
            if broken:
                raise broken.pop()
            left.append(progress.outcome)

    runner: Runner[Services] = Runner(TOY, one.runtime, leave=leave)
    services.think = lambda _: NotYet("an hour", clock.now() + timedelta(hours=1))
    run_id = runner.begin(Request(), services).run.run_id

    def advance() -> Outcome:
        return runner.advance(runner.pick_up(one.journal.run(run_id), services)).outcome

    with pytest.raises(JournalError, match="the disk is full"):
        advance()
    assert one.journal.stages(run_id)[0].state == StageState.RUNNING  # its wait is not recorded either
    assert [advance(), advance()] == left == [Outcome.WAITING, Outcome.WAITING]  # the second has nothing to record
    execution, other = runner.pick_up(one.journal.run(run_id), services), process()
    other.journal.take(other.journal.run(run_id))
    with pytest.raises(RunTakenOver):
        runner.advance(execution)
    services.think = None
    assert advance() is Outcome.SUCCEEDED
    assert left == [Outcome.WAITING, Outcome.WAITING, Outcome.SUCCEEDED]
    runner.close()
