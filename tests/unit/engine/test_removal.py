"""Teardown removes what has the tag, verifies that, and touches nothing else."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from envagent.engine.context import Context
from envagent.engine.kinds import Found
from envagent.engine.loop import run_until_idle
from envagent.engine.removal import Teardown
from envagent.engine.step import Stopped
from envagent.engine.tables import EventKind
from envagent.errors import AuthenticationError, CloudUnreachable, LeftoversExist
from tests.unit.engine.world import (
    SETTLE,
    Killed,
    Late,
    Process,
    Request,
    Services,
    Start,
    TestClock,
    Thought,
    killed_after,
    lost_request,
)


def teardown_of(one: Process, services: Services, stop: threading.Event | None = None) -> Teardown:
    return Teardown(replace(one.runtime, stop=stop or threading.Event()), [services.outside])


def teardown(one: Process, services: Services, stop: threading.Event | None = None) -> list[str]:
    removed = teardown_of(one, services, stop).run(one.journal.run("last"))
    return [row.cloud_id for row in removed]


def test_everything_goes_and_a_second_teardown_does_nothing(process: Start, services: Services) -> None:
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    services.outside.objects["foreign"] = Found("foreign", "thing", "elsewherex", 1)
    assert len(teardown(one, services)) == 1
    assert set(services.outside.objects) == {"foreign"}
    assert one.journal.run("last").state == "torn_down"
    looks = services.outside.looks
    assert teardown(one, services) == []
    assert services.outside.looks == looks


def test_what_the_run_only_used_stays(process: Start, services: Services) -> None:
    def think(context: Context[Services]) -> Thought:
        for _ in range(2):  # as a stage that is entered again does
            context.ledger.use("thing", "shared", "everybody's")
        return Thought(words=1)

    services.think = think
    services.outside.objects["shared"] = Found("shared", "everybody's", "elsewherex", 1)
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert len(teardown(one, services)) == 1
    assert set(services.outside.objects) == {"shared"}
    rows = one.journal.resources(one.journal.run("last").run_id)
    assert sorted((row.ownership, row.state) for row in rows) == [("foreign", "present"), ("owned", "absent")]


def test_what_the_journal_does_not_know_goes_too(process: Start, services: Services) -> None:
    services.outside.next_create = [killed_after]
    one = process()
    with pytest.raises(Killed):
        run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    assert one.journal.resources(one.journal.run("last").run_id) == []
    teardown(process(), services)
    assert services.outside.objects == {}


def test_a_request_still_on_its_way_is_waited_for(process: Start, services: Services, clock: TestClock) -> None:
    late = Late(services, clock, late=timedelta(seconds=50), killed=True, limit=timedelta())
    services.outside.next_create = [late]
    one = process()
    with pytest.raises(Killed):
        run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    sent = clock.now()
    two = process()
    teardown(two, services)
    assert late.due is None
    assert services.outside.objects == {}
    assert clock.now() - sent >= SETTLE


def test_a_removal_that_does_nothing_is_a_leftover(process: Start, services: Services) -> None:
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    (cloud_id,) = services.outside.objects
    services.outside.deaf = True
    with pytest.raises(LeftoversExist, match=cloud_id):
        teardown(one, services)
    assert one.journal.run("last").state != "torn_down"
    services.outside.deaf = False
    assert teardown(one, services) == [cloud_id]
    assert one.journal.run("last").state == "torn_down"


def test_an_object_that_is_already_gone_is_no_error(process: Start, services: Services) -> None:
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    services.outside.objects.clear()
    assert teardown(one, services) == []  # somebody else has removed it
    assert one.journal.run("last").state == "torn_down"
    assert EventKind.RESOURCE_GONE in one.events
    assert EventKind.RESOURCE_REMOVED not in one.events
    [row] = one.journal.resources(one.journal.run("last").run_id)
    assert (row.state, row.removed_at is None) == ("absent", False)


def test_a_preview_lists_what_is_there_and_changes_nothing(process: Start, services: Services) -> None:
    services.outside.next_create = [killed_after]
    one = process()
    with pytest.raises(Killed):
        run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    two = process()
    run = two.journal.run("last")
    (cloud_id,) = services.outside.objects
    made = teardown_of(two, services)
    assert [row.cloud_id for row in made.preview(run)] == [cloud_id]  # no journal knows it
    assert two.journal.resources(run.run_id) == []
    assert two.journal.run("last") == run
    services.outside.objects.clear()
    assert made.preview(run) == []


def test_an_outage_is_ridden_out_and_a_long_one_is_said(process: Start, services: Services, clock: TestClock) -> None:
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    find, until = services.outside.find, clock.now() + timedelta(seconds=100)

    def flaky(run_id: str | None) -> list[Found]:
        if clock.now() < until:
            raise CloudUnreachable("no answer")
        return find(run_id)

    services.outside.find = flaky  # type: ignore[method-assign]
    teardown(one, services)
    assert services.outside.objects == {}
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    until = clock.now() + timedelta(hours=1)
    with pytest.raises(CloudUnreachable):
        teardown(one, services)
    assert len(services.outside.objects) == 1


def test_a_refused_login_ends_at_once(process: Start, services: Services, clock: TestClock) -> None:
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])

    def refused(run_id: str | None) -> list[Found]:
        raise AuthenticationError("wrong password")

    services.outside.find = refused  # type: ignore[method-assign]
    started = clock.now()
    with pytest.raises(AuthenticationError):
        teardown(one, services)
    assert clock.now() == started


def test_a_stop_leaves_a_teardown_that_can_be_begun_again(process: Start, services: Services) -> None:
    one = process()
    run_until_idle(one.runner, [one.runner.begin(Request(), services)])
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        teardown(one, services, stop)
    assert one.journal.run("last").teardown_at is not None
    assert len(services.outside.objects) == 1
    teardown(one, services)
    assert services.outside.objects == {}


def test_a_lost_request_that_never_came_does_not_hold_for_ever(
    process: Start, services: Services, clock: TestClock
) -> None:
    services.outside.next_create = [lost_request]
    one = process()
    execution = one.runner.begin(Request(), services)
    one.runner.advance(execution)
    clock.set_back(timedelta(hours=1))
    back = clock.now()
    teardown(process(), services)
    assert clock.now() - back <= SETTLE + timedelta(seconds=10)
