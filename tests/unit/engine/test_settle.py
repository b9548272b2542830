"""How long an absence is not believed: from when an answer was given up, on the steady clock, through kills."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from envagent.engine.execution import Outcome, Progress
from envagent.engine.intents import Ledger
from envagent.engine.kinds import Found
from envagent.engine.loaded_run import Inventory
from envagent.engine.loop import run_until_idle
from envagent.engine.removal import Teardown
from envagent.errors import OutcomeUnknown
from envagent.wire import LONGEST_CALL
from tests.unit.engine.world import (
    SETTLE,
    Killed,
    Late,
    Process,
    Request,
    Services,
    Start,
    TestClock,
    killed_before,
    lost_request,
    resume,
    run,
)


def teardown(one: Process, services: Services, clock: TestClock) -> None:
    Teardown(one.runtime, [services.outside]).run(one.journal.run("last"))


def test_the_window_opens_when_the_answer_is_given_up(process: Start, services: Services, clock: TestClock) -> None:
    services.outside.next_create = [Late(services, clock, late=timedelta(seconds=59))]
    assert run(process(), services) is Outcome.SUCCEEDED
    assert (services.outside.creates, len(services.outside.objects)) == (1, 1)


def test_a_second_loss_opens_a_second_window(process: Start, services: Services, clock: TestClock) -> None:
    started = clock.now()
    services.outside.next_create = [lost_request, lost_request]
    assert run(process(), services) is Outcome.SUCCEEDED
    assert services.outside.creates == 3
    assert 2 * SETTLE <= clock.now() - started <= 2 * SETTLE + timedelta(seconds=10)


@pytest.mark.parametrize("verb", [resume, teardown])
def test_a_process_killed_in_the_call_leaves_the_window_open(
    process: Start, services: Services, clock: TestClock, verb: Callable[..., object]
) -> None:
    services.outside.next_create = [Late(services, clock, late=timedelta(seconds=59), killed=True)]
    with pytest.raises(Killed):
        run(process(), services)
    verb(process(), services, *([clock] if verb is teardown else []))
    assert services.outside.creates == 1
    assert len(services.outside.objects) == (0 if verb is teardown else 1)


def test_advances_by_other_processes_wait_for_the_end_of_one_window(
    process: Start, services: Services, clock: TestClock
) -> None:
    services.outside.next_create = [killed_before]
    with pytest.raises(Killed):
        run(process(), services)
    started, progress = clock.now(), Progress(Outcome.WAITING, clock.now())
    while progress.look_again is not None and clock.now() - started < 2 * SETTLE:
        clock.at = progress.look_again
        one = process()
        progress = one.runner.advance(one.runner.pick_up(one.journal.run("last"), services))
    assert progress.outcome is Outcome.SUCCEEDED
    assert SETTLE <= clock.now() - started <= SETTLE + timedelta(seconds=10)
    assert services.outside.creates == 2


def test_what_was_sent_long_ago_is_not_waited_for(process: Start, services: Services, clock: TestClock) -> None:
    services.outside.next_create = [killed_before]
    with pytest.raises(Killed):
        run(process(), services)
    clock.at += timedelta(seconds=LONGEST_CALL) + SETTLE
    again = clock.now()
    assert resume(process(), services) is Outcome.SUCCEEDED
    assert clock.now() - again < timedelta(seconds=1)


def test_what_was_given_up_before_is_waited_for_no_longer_than_the_window(
    process: Start, services: Services, clock: TestClock
) -> None:
    services.outside.next_create = [lost_request]
    one = process()
    execution = one.runner.begin(Request(), services)
    one.runner.advance(execution)
    given_up = clock.now()
    clock.at += timedelta(seconds=40)
    assert resume(process(), services) is Outcome.SUCCEEDED
    assert SETTLE <= clock.now() - given_up <= SETTLE + timedelta(seconds=5)


def test_a_clock_that_is_set_neither_opens_nor_holds_a_window(
    process: Start, services: Services, clock: TestClock
) -> None:
    for by in (timedelta(hours=1), timedelta(hours=-1)):
        services.outside.next_create = [lost_request]
        one = process()
        execution = one.runner.begin(Request(), services)
        one.runner.advance(execution)
        creates, started = services.outside.creates, clock.steady()
        clock.set_back(by)
        run_until_idle(one.runner, [execution])
        assert services.outside.creates == creates + 1
        assert SETTLE.total_seconds() <= clock.steady() - started <= SETTLE.total_seconds() + 5


def test_the_look_that_believes_an_absence_begins_after_the_window(
    process: Start, services: Services, clock: TestClock
) -> None:
    """A list that takes ten seconds shows what was there when it began."""
    late = Late(services, clock, late=timedelta(seconds=55))

    def slow(run_id: str | None) -> list[Found]:
        found = late.find_late(run_id)
        clock.at += timedelta(seconds=10)
        return found

    services.outside.find = slow  # type: ignore[method-assign]
    services.outside.next_create = [late]
    assert run(process(), services) is Outcome.SUCCEEDED
    assert (services.outside.creates, len(services.outside.objects)) == (1, 1)


def _ledger(one: Process, clock: TestClock) -> Ledger:
    inventory = Inventory.load(one.journal, one.journal.run("last").run_id)
    return Ledger(one.runtime, inventory, "s", attempt=1)


def test_a_removal_that_was_only_recorded_is_asked_for_at_once(
    process: Start, services: Services, clock: TestClock
) -> None:
    one = process()
    run(one, services)
    (cloud_id,) = services.outside.objects
    outside, delete = services.outside, services.outside.delete

    def killed(cloud_id: str) -> None:
        raise Killed

    outside.delete = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        _ledger(one, clock).remove(outside, cloud_id)
    outside.delete = delete  # type: ignore[method-assign]
    two = process()
    two.journal.take(two.journal.run("last"))
    assert [row.state for row in two.journal.resources(two.journal.run("last").run_id)] == ["removing"]
    assert _ledger(two, clock).remove(outside, cloud_id) is None
    assert outside.objects == {}


def test_a_delete_without_an_answer_is_looked_at(process: Start, services: Services, clock: TestClock) -> None:
    one = process()
    run(one, services)
    (cloud_id,) = services.outside.objects
    outside, delete = services.outside, services.outside.delete

    def unanswered(cloud_id: str) -> None:
        delete(cloud_id)
        raise OutcomeUnknown("no answer")

    outside.delete = unanswered  # type: ignore[method-assign]
    assert _ledger(one, clock).remove(outside, cloud_id) is None
