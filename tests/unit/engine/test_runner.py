"""Running, waiting, failing, stopping, resuming."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from envagent.engine.context import Context
from envagent.engine.execution import Outcome
from envagent.engine.journal import Journal
from envagent.engine.loop import run_until_idle
from envagent.engine.pipeline import Pipeline
from envagent.engine.runner import Runner
from envagent.engine.runtime import Runtime
from envagent.engine.step import NotYet, Output, Question, RetryPolicy, Step, stage
from envagent.engine.tables import EventKind, EventRecord
from envagent.errors import CloudUnreachable, ResourceLost, RunMismatch, RunNotFound, RunStateError
from tests.unit.engine.world import (
    Killed,
    Process,
    Request,
    Services,
    Start,
    TestClock,
    Think,
    Thought,
    killed_after,
    killed_before,
)


def test_a_run_from_begin_to_end(process: Start, services: Services) -> None:
    one = process()
    execution = one.runner.begin(Request(text="a b c"), services)
    (progress,) = run_until_idle(one.runner, [execution])
    assert progress.outcome is Outcome.SUCCEEDED
    row = one.journal.run(execution.run.run_id)
    assert row.state == "succeeded"
    stages = one.journal.stages(row.run_id)
    assert [(stored.step, stored.state, stored.attempts) for stored in stages] == [
        ("think", "succeeded", 1),
        ("make_thing", "succeeded", 1),
        ("tell", "succeeded", 1),
    ]
    assert json.loads(stages[0].output or "") == {"words": 3}
    assert one.events[:3] == [EventKind.RUN_STARTED, EventKind.STAGE_STARTED, EventKind.STAGE_SUCCEEDED]
    assert services.entered == ["think", "make", "tell"]
    assert execution.run.output(Thought) == Thought(words=3)


@pytest.mark.parametrize("killed", [killed_before, killed_after])
def test_a_finished_stage_is_never_entered_again(
    process: Start, services: Services, clock: TestClock, killed: Callable[..., object]
) -> None:
    one = process()
    services.outside.next_create = [killed]  # type: ignore[list-item]
    with pytest.raises(Killed):
        run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    two = process()
    (progress,) = run_until_idle(two.runner, [two.runner.resume(two.journal.run("last"), services)])
    assert progress.outcome is Outcome.SUCCEEDED
    assert services.entered.count("think") == 1
    assert len(services.outside.objects) == 1
    stages = {stored.step: stored for stored in two.journal.stages(two.journal.run("last").run_id)}
    assert (stages["think"].attempts, stages["make_thing"].attempts) == (1, 2)


def test_a_wait_keeps_its_deadline_through_a_restart(process: Start, services: Services, clock: TestClock) -> None:
    deadlines = []

    def think(context: Context[Services]) -> Thought | NotYet:
        wait = context.wait("the moon", every=10, timeout=300)
        deadlines.append(wait.deadline)
        return Thought(words=0) if wait.over else wait.not_yet("rising")

    services.think = think
    one = process()
    execution = one.runner.begin(Request(), services)
    started = clock.now()
    assert one.runner.advance(execution).outcome is Outcome.WAITING
    clock.at += timedelta(seconds=100)
    two = process()
    again = two.runner.resume(two.journal.run("last"), services)
    assert two.runner.advance(again).outcome is Outcome.WAITING
    clock.at += timedelta(seconds=250)
    assert two.runner.advance(again).outcome is Outcome.SUCCEEDED
    assert set(deadlines) == {started + timedelta(seconds=300)}


def test_looks_are_frequent_at_first_and_never_beyond_the_deadline(
    process: Start, services: Services, clock: TestClock
) -> None:
    looks: list[float] = []
    started = clock.now()

    def think(context: Context[Services]) -> Thought | NotYet:
        wait = context.wait("the moon", every=30, timeout=400)
        looks.append((clock.now() - started).total_seconds())
        return Thought(words=0) if wait.over else wait.not_yet("rising")

    services.think = think
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    pauses = [after - before for before, after in itertools.pairwise(looks)]
    assert looks[1] == 0.5
    assert max(pauses) <= 30
    assert all(pause <= max(0.5, 0.06 * at) for at, pause in zip(looks, pauses, strict=False))
    assert looks[-1] == 400.0


def test_a_wait_counts_from_a_known_start(process: Start, services: Services, clock: TestClock) -> None:
    opens = clock.now() + timedelta(hours=2)

    def think(context: Context[Services]) -> Thought | NotYet:
        wait = context.wait("a lease", every=10, timeout=300, counted_from=opens)
        assert wait.deadline == opens + timedelta(seconds=300)
        return Thought(words=0) if clock.now() >= opens else wait.not_yet("PENDING")

    services.think = think
    one = process()
    (progress,) = run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert progress.outcome is Outcome.SUCCEEDED
    assert clock.now() - opens < timedelta(seconds=10)


def test_a_clock_set_back_does_not_lengthen_a_wait_beyond_its_timeout(
    process: Start, services: Services, clock: TestClock
) -> None:
    def think(context: Context[Services]) -> Thought | NotYet:
        wait = context.wait("the moon", every=10, timeout=300)
        return Thought(words=0) if wait.over else wait.not_yet("rising")

    services.think = think
    one = process()
    execution = one.runner.begin(Request(), services)
    one.runner.advance(execution)
    clock.set_back(timedelta(hours=1))
    back = clock.now()
    two = process()
    run_until_idle(two.runner, [two.runner.resume(two.journal.run("last"), services)])
    assert clock.now() - back <= timedelta(seconds=301)


def test_a_clock_set_back_under_a_running_process_does_not_stop_its_looks(
    process: Start, services: Services, clock: TestClock
) -> None:
    looks: list[float] = []

    def think(context: Context[Services]) -> Thought | NotYet:
        looks.append(clock.steady())
        if len(looks) == 3:
            clock.set_back(timedelta(hours=1))
        return Thought(words=0) if len(looks) > 6 else NotYet("the moon", clock.now() + timedelta(seconds=10))

    services.think = think
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert [after - before for before, after in itertools.pairwise(looks)] == [10.0] * 6


def test_try_again_errors_are_retried_with_growing_pauses_then_fail_resumably(
    process: Start, services: Services, clock: TestClock
) -> None:
    times = []

    def think(context: Context[Services]) -> Thought:
        times.append(clock.now())
        raise CloudUnreachable("no answer")

    services.think = think
    one = process()
    (progress,) = run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert progress.outcome is Outcome.FAILED
    pauses = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
    assert pauses == [1, 2, 4]
    row = one.journal.run("last")
    assert row.state == "failed"
    assert json.loads(row.error or "")["exit_code"] == 7
    services.think = None
    two = process()
    (progress,) = run_until_idle(two.runner, [two.runner.resume(row, services)])
    assert progress.outcome is Outcome.SUCCEEDED
    assert two.journal.run("last").error is None


class ThinkPatiently(Think):
    retry = RetryPolicy(tries=5, first=20, longest=20)

    @stage
    def think(self, context: Context[Services], request: Request) -> Thought | NotYet:
        return super().think(context, request)


def test_a_step_with_a_retry_policy_of_its_own_is_retried_by_it(
    process: Start, services: Services, clock: TestClock
) -> None:
    began = clock.now()
    asked: list[Context[Services]] = []

    def think(context: Context[Services]) -> Thought:
        asked.append(context)
        raise CloudUnreachable("busy")

    services.think = think
    one = process(Pipeline("patient", Request, [ThinkPatiently()]))
    (progress,) = run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert progress.outcome is Outcome.FAILED
    assert (len(asked), clock.now() - began) == (6, timedelta(seconds=100))


def test_retry_after_is_kept_to(process: Start, services: Services, clock: TestClock) -> None:
    answers: list[CloudUnreachable | None] = [CloudUnreachable("busy", retry_after=17), None]
    times = []

    def think(context: Context[Services]) -> Thought:
        times.append(clock.now())
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return Thought(words=1)

    services.think = think
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert (times[1] - times[0]).total_seconds() == 17


def test_a_stop_before_the_write_sends_nothing(process: Start, services: Services) -> None:
    def think(context: Context[Services]) -> Thought:
        one.stop.set()
        return Thought(words=1)

    one = process()
    services.think = think
    (progress,) = run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert progress.outcome is Outcome.STOPPED
    assert services.outside.creates == 0
    assert one.journal.run("last").state == "interrupted"
    services.think = None
    two = process()
    (progress,) = run_until_idle(two.runner, [two.runner.resume(two.journal.run("last"), services)])
    assert progress.outcome is Outcome.SUCCEEDED
    assert services.entered.count("think") == 1


def test_a_blocked_run_goes_on_when_it_is_approved(process: Start, services: Services) -> None:
    def think(context: Context[Services]) -> Thought | NotYet:
        return Thought(words=1) if context.approved else NotYet("approval", look_again=None)

    services.think = think
    one = process()
    execution = one.runner.begin(Request(), services)
    assert run_until_idle(one.runner, [execution])[0].outcome is Outcome.BLOCKED
    one.runner.approve(execution)
    assert run_until_idle(one.runner, [execution])[0].outcome is Outcome.SUCCEEDED


def test_an_amount_that_a_person_agreed_to_outlives_the_process(process: Start, services: Services) -> None:
    def think(context: Context[Services]) -> Thought | NotYet:
        if (context.approved_amount or 0) >= 96:
            return Thought(words=1)
        return NotYet("approval", look_again=None, question=Question("Spend 96?", 96))

    services.think = think
    one = process()
    execution = one.runner.begin(Request(), services)
    one.runner.approve(execution)  # in advance: it covers no question
    (progress,) = run_until_idle(one.runner, [execution])
    assert (progress.outcome, progress.question) == (Outcome.BLOCKED, Question("Spend 96?", 96))
    one.runner.approve(execution, progress.question)
    two = process()
    (progress,) = run_until_idle(two.runner, [two.runner.resume(two.journal.run("last"), services)])
    assert progress.outcome is Outcome.SUCCEEDED
    assert [one.message for one in two.journal.events(execution.run.run_id) if one.kind == EventKind.RUN_APPROVED][
        -1
    ] == "Spend 96?"


def test_an_output_that_no_longer_fits_is_refused(process: Start, services: Services) -> None:
    one = process()
    services.outside.next_create = [killed_before]
    with pytest.raises(Killed):
        run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    stored = next(row for row in one.journal.stages(one.journal.run("last").run_id) if row.step == "think")
    for output, version, said in (
        ('{"words": "many"}', 1, "does not match its model"),
        ('{"words": 1, "more": 2}', 1, "does not match its model"),
        ('{"words": 1}', 2, "version 2"),
    ):
        stored.output, stored.model_version = output, version
        one.journal.take(one.journal.run("last"))
        with one.journal.transaction() as transaction:
            transaction.save(stored)
        with pytest.raises(RunMismatch, match=said):
            process().runner.resume(one.journal.run("last"), services)


def test_a_run_of_another_pipeline_is_refused(process: Start, services: Services) -> None:
    one = process()
    one.runner.begin(Request(), services)
    other = process(Pipeline("other", Request, list(one.runner.pipeline.steps.values())))
    with pytest.raises(RunMismatch, match="belongs to the pipeline 'toy'"):
        other.runner.resume(other.journal.run("last"), services)


def test_a_run_under_teardown_is_not_resumed(process: Start, services: Services) -> None:
    one = process()
    row = one.runner.begin(Request(), services).run.row
    row.teardown_at = "2026-11-23T12:00:00+00:00"
    with pytest.raises(RunStateError, match="torn down"):
        one.runner.resume(row, services)


def test_run_ids_are_found_by_prefix(process: Start, services: Services) -> None:
    one = process()
    with pytest.raises(RunNotFound, match="no runs yet"):
        one.journal.run("last")
    for run_id in ("abcdefghjk", "abcxyzxyzx"):
        one.runner.begin(Request(), services, run_id=run_id)
    assert one.journal.run("abcd").run_id == "abcdefghjk"
    with pytest.raises(RunNotFound, match="is ambiguous"):
        one.journal.run("abc")
    for strange in ("zzz", "%", "_bc", "abc'"):
        with pytest.raises(RunNotFound, match="no run"):
            one.journal.run(strange)


class Seen(Output):
    at: float


class Other(Output):
    at: float


class Both(Output):
    pass


def test_independent_steps_run_in_parallel(place: Path | str, services: Services, clock: TestClock) -> None:
    meeting = threading.Barrier(2, timeout=10)

    class Left(Step):
        @stage
        def run(self, context: Context[Services], request: Request) -> Seen:
            meeting.wait()
            return Seen(at=time.time())

    class Right(Step):
        @stage
        def run(self, context: Context[Services], request: Request) -> Other:
            meeting.wait()
            return Other(at=time.time())

    class Join(Step):
        @stage
        def run(self, context: Context[Services], left: Seen, right: Other) -> Both:
            return Both()

    for step in (Left, Right, Join):
        step.run.__annotations__ |= {"return": {"Left": Seen, "Right": Other, "Join": Both}[step.__name__]}
    one = Process(place, services, clock, Pipeline("parallel", Request, [Left(), Right(), Join()]))
    assert run_until_idle(one.runner, [one.runner.begin(Request(), services)])[0].outcome is Outcome.SUCCEEDED
    one.close()


class Checked(Output):
    pass


class Later(Output):
    pass


class Check(Step):
    confirmed: list[str] = []  # noqa: RUF012
    trouble: Exception | None = None

    @stage
    def run(self, context: Context[Services], request: Request) -> Checked:
        return Checked()

    def confirm(self, context: Context[Services], output: BaseModel) -> None:
        self.confirmed.append(context.run_id)
        if self.trouble is not None:
            raise self.trouble


class Block(Step):
    @stage
    def run(self, context: Context[Services], checked: Checked) -> Later | NotYet:
        context.services.entered.append("block")
        return Later() if context.approved else NotYet("approval", look_again=None)


def test_finished_steps_are_confirmed_once_in_a_resuming_process(
    place: Path | str, services: Services, clock: TestClock
) -> None:
    check = Check()
    pipeline = Pipeline("confirming", Request, [check, Block()])
    one = Process(place, services, clock, pipeline)
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert check.confirmed == []
    two = Process(place, services, clock, pipeline)
    execution = two.runner.resume(two.journal.run("last"), services)
    run_until_idle(two.runner, [execution])
    two.runner.advance(execution)
    assert check.confirmed == [execution.run.run_id]
    check.trouble = ResourceLost("the thing is gone")
    services.entered.clear()
    (progress,) = run_until_idle(two.runner, [two.runner.resume(two.journal.run("last"), services)])
    assert progress.outcome is Outcome.FAILED
    assert services.entered == []
    assert "the thing is gone" in (two.journal.run("last").error or "")
    check.trouble = None
    (progress,) = run_until_idle(two.runner, [two.runner.resume(two.journal.run("last"), services)])
    assert progress.outcome is Outcome.BLOCKED
    for process in (one, two):
        process.close()


@pytest.mark.parametrize(("trouble", "looked"), [(ResourceLost("gone"), True), (CloudUnreachable("no answer"), False)])
def test_only_an_answer_counts_as_a_look(
    place: Path | str, services: Services, clock: TestClock, trouble: Exception, looked: bool
) -> None:
    check = Check()
    pipeline = Pipeline("confirming", Request, [check, Block()])
    one = Process(place, services, clock, pipeline)
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    check.trouble = trouble
    (progress,) = run_until_idle(one.runner, [one.runner.resume(one.journal.run("last"), services)])
    assert progress.outcome is Outcome.FAILED
    assert ("looked_at" in json.loads(one.journal.run("last").labels)) is looked
    one.close()


def test_many_runs_wait_in_one_process(process: Start, services: Services, clock: TestClock) -> None:
    end = clock.now() + timedelta(seconds=60)

    def think(context: Context[Services]) -> Thought | NotYet:
        return Thought(words=1) if clock.now() >= end else NotYet("a minute", clock.now() + timedelta(seconds=7))

    services.think = think
    one = process()
    runner: Runner[Services] = one.runner
    results = run_until_idle(runner, [runner.begin(Request(), services) for _ in range(20)])
    assert {progress.outcome for progress in results} == {Outcome.SUCCEEDED}
    assert len(services.outside.objects) == 20


class Left(Output):
    pass


class Right(Output):
    pass


class Fail(Step):
    @stage
    def run(self, context: Context[Services], request: Request) -> Left:
        raise ResourceLost("the thing is gone")


class Go(Step):
    failed = threading.Event()

    @stage
    def run(self, context: Context[Services], request: Request) -> Right:
        assert self.failed.wait(10)
        return Right()


class GoOn(Step):
    @stage
    def run(self, context: Context[Services], right: Right) -> Later:
        context.services.entered.append("go_on")
        return Later()


def test_a_failed_run_begins_nothing_more(tmp_path: Path, services: Services, clock: TestClock) -> None:
    """A stage that works in parallel with a failing one ends and is kept; the next waits for a resume."""
    go = Go()
    journal = Journal.open(tmp_path / "journal.db")

    def listen(line: EventRecord) -> None:
        if line.kind == EventKind.STAGE_FAILED:
            go.failed.set()

    runner: Runner[Services] = Runner(
        Pipeline("failing", Request, [Fail(), go, GoOn()]), Runtime(journal, clock, listener=listen)
    )
    (progress,) = run_until_idle(runner, [runner.begin(Request(), services)])
    runner.close()
    assert progress.outcome is Outcome.FAILED
    states = {row.step: row.state for row in journal.stages(journal.run("last").run_id)}
    assert (states["fail"], states["go"]) == ("failed", "succeeded")
    assert services.entered == []
    journal.close()
