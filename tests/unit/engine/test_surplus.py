"""A request believed lost that comes through after all: whatever happens then, one object is left and known."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from envagent.engine.execution import Outcome
from envagent.engine.intents import MOST_LOST
from envagent.engine.kinds import Found
from envagent.errors import CloudUnreachable, Conflict, NoCapacity
from tests.unit.engine.world import Killed, Process, Services, Start, TestClock, lost_request, resume, run

Make = Callable[[], Found]


class Twice:
    """The first request is lost, and comes through just before what `then` makes of the second."""

    def __init__(self, services: Services, then: Callable[[Make], Found]) -> None:
        self._late: list[Make] = []
        self._then = then
        services.outside.next_create = [self._first, self._second]

    def _first(self, commit: Make) -> Found:
        self._late.append(commit)
        return lost_request(commit)

    def _second(self, commit: Make) -> Found:
        self._late.pop()()
        return self._then(commit)


def is_alone(one: Process, services: Services) -> None:
    (left,) = services.outside.objects
    run_id = one.journal.run("last").run_id
    (output,) = [row.output for row in one.journal.stages(run_id) if row.step == "make_thing"]
    assert json.loads(output or "")["id"] == left
    states = {row.cloud_id: row.state for row in one.journal.resources(run_id)}
    assert states.pop(left) == "present"
    assert set(states.values()) <= {"absent"}


def test_a_look_for_it_that_fails_is_made_again(process: Start, services: Services) -> None:
    find = services.outside.find

    def fail_once(run_id: str | None) -> list[Found]:
        if services.outside.creates == 2 and len(services.outside.objects) == 2:
            services.outside.find = find  # type: ignore[method-assign]
            raise CloudUnreachable("503")
        return find(run_id)

    services.outside.find = fail_once  # type: ignore[method-assign]
    Twice(services, lambda commit: commit())
    one = process()
    assert run(one, services) is Outcome.SUCCEEDED
    is_alone(one, services)


@pytest.mark.parametrize("trouble", [Conflict("Invalid lease status."), CloudUnreachable("429"), None])
def test_its_removal_is_asked_for_until_it_is_gone(
    process: Start, services: Services, trouble: Exception | None
) -> None:
    delete = services.outside.delete

    def fail_once(cloud_id: str) -> None:
        services.outside.delete = delete  # type: ignore[method-assign]
        if trouble is not None:
            raise trouble

    services.outside.delete = fail_once  # type: ignore[method-assign]
    Twice(services, lambda commit: commit())
    one = process()
    assert run(one, services) is Outcome.SUCCEEDED
    is_alone(one, services)


def test_a_kill_before_its_removal_is_sent(process: Start, services: Services) -> None:
    delete = services.outside.delete

    def kill(cloud_id: str) -> None:
        raise Killed

    services.outside.delete = kill  # type: ignore[method-assign]
    Twice(services, lambda commit: commit())
    with pytest.raises(Killed):
        run(process(), services)
    services.outside.delete = delete  # type: ignore[method-assign]
    two = process()
    assert resume(two, services) is Outcome.SUCCEEDED
    is_alone(two, services)


def test_a_kill_after_the_second_was_made(process: Start, services: Services) -> None:
    def kill(commit: Make) -> Found:
        commit()
        raise Killed

    Twice(services, kill)
    with pytest.raises(Killed):
        run(process(), services)
    two = process()
    assert resume(two, services) is Outcome.SUCCEEDED
    is_alone(two, services)


def test_it_may_be_why_the_second_is_refused(process: Start, services: Services) -> None:
    """The last node, or the last address, is taken: by ourselves."""

    def refuse(commit: Make) -> Found:
        raise NoCapacity("Not enough hosts available")

    Twice(services, refuse)
    one = process()
    assert run(one, services) is Outcome.SUCCEEDED
    is_alone(one, services)


def test_one_that_never_goes_does_not_hold_the_run_for_ever(
    process: Start, services: Services, clock: TestClock
) -> None:
    services.outside.deaf = True
    Twice(services, lambda commit: commit())
    one = process()
    started = clock.now()
    assert run(one, services) is Outcome.FAILED
    assert clock.now() - started < timedelta(minutes=10)
    error = json.loads(one.journal.run("last").error or "")
    assert (error["exit_code"], "still there" in error["message"]) == (6, True)
    services.outside.deaf = False
    two = process()
    assert resume(two, services) is Outcome.SUCCEEDED
    is_alone(two, services)


def test_a_service_that_answers_nothing_is_not_asked_for_ever(process: Start, services: Services) -> None:
    services.outside.next_create = [lost_request] * 1000
    one = process()
    assert run(one, services) is Outcome.FAILED
    assert services.outside.creates == MOST_LOST
    assert json.loads(one.journal.run("last").error or "")["error"] == "OutcomeUnknown"
    services.outside.next_create.clear()
    assert resume(process(), services) is Outcome.SUCCEEDED
    assert len(services.outside.objects) == 1
