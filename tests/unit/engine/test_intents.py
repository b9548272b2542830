"""Exactly one object per tag, through lost requests, lost responses and kills."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from envagent.engine.execution import Outcome
from envagent.engine.intents import Ledger, dump_error, load_error
from envagent.engine.kinds import Found
from envagent.engine.loaded_run import Inventory
from envagent.engine.loop import run_until_idle
from envagent.engine.tables import EventKind, IntentRecord, IntentState
from envagent.errors import Conflict, EnvagentError, NoCapacity
from envagent.hints import Hint
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
    lost_answer,
    lost_request,
    resume,
    run,
)


def error_code(one: Process) -> int:
    return int(json.loads(one.journal.run("last").error or "{}")["exit_code"])


def test_the_intent_is_on_disk_before_the_call(process: Start, services: Services) -> None:
    one = process()
    seen = []

    def look(commit: Callable[[], Found]) -> Found:
        (intent,) = process().journal.intents(one.journal.run("last").run_id)
        seen.append((intent.state, json.loads(intent.request), intent.sends))
        return commit()

    services.outside.next_create = [look]
    assert run(one, services) is Outcome.SUCCEEDED
    assert seen == [("sent", {"words": 1}, 1)]
    (intent,) = one.journal.intents(one.journal.run("last").run_id)
    (resource,) = one.journal.resources(one.journal.run("last").run_id)
    assert intent.state == IntentState.DONE
    assert (resource.ownership, resource.state, resource.cloud_id) == ("owned", "present", intent.cloud_id)
    assert json.loads(resource.detail) == {"su": 1}


def test_the_event_log_tells_what_was_asked_for_and_made(process: Start, services: Services) -> None:
    one = process()
    run(one, services)
    kinds = [line.kind for line in one.journal.events(one.journal.run("last").run_id)]
    assert kinds == [
        EventKind.RUN_STARTED,
        EventKind.INTENT_SENT,
        EventKind.RESOURCE_OWNED,
        EventKind.STAGE_SUCCEEDED,
        EventKind.RUN_SUCCEEDED,
    ]


@pytest.mark.parametrize("kind", [NoCapacity, Conflict, EnvagentError])
def test_an_error_comes_back_from_the_journal_as_it_was(kind: type[EnvagentError]) -> None:
    error = kind("refused", hint=Hint("try later"), service_said="no", request_id="req-1")
    back = load_error(json.loads(json.dumps(dump_error(error))))
    assert type(back) is kind
    assert dump_error(back) == dump_error(error)


def test_a_fresh_intent_needs_no_look(process: Start, services: Services) -> None:
    assert run(process(), services) is Outcome.SUCCEEDED
    assert services.outside.looks == 0


def test_what_a_lost_answer_made_is_adopted_at_once(process: Start, services: Services, clock: TestClock) -> None:
    services.outside.next_create = [lost_answer]
    one = process()
    started = clock.now()
    assert run(one, services) is Outcome.SUCCEEDED
    assert services.outside.creates == 1
    assert clock.now() - started < timedelta(seconds=1)
    (resource,) = one.journal.resources(one.journal.run("last").run_id)
    assert resource.ownership == "adopted"


def test_a_lost_request_is_sent_again_only_after_the_settle_window(
    process: Start, services: Services, clock: TestClock
) -> None:
    services.outside.next_create = [lost_request]
    started = clock.now()
    one = process()
    assert run(one, services) is Outcome.SUCCEEDED
    assert services.outside.creates == 2
    assert len(services.outside.objects) == 1
    assert SETTLE <= clock.now() - started <= SETTLE + timedelta(seconds=5)
    (intent,) = one.journal.intents(one.journal.run("last").run_id)
    assert intent.sends == 2


def test_a_stop_that_comes_with_the_look_sends_nothing(process: Start, services: Services, clock: TestClock) -> None:
    services.outside.next_create = [killed_before]
    with pytest.raises(Killed):
        run(process(), services)
    clock.at += timedelta(seconds=LONGEST_CALL) + SETTLE
    two = process()
    find = services.outside.find

    def find_and_stop(run_id: str | None) -> list[Found]:
        two.stop.set()
        return find(run_id)

    services.outside.find = find_and_stop  # type: ignore[method-assign]
    assert resume(two, services) is Outcome.STOPPED
    assert services.outside.creates == 1
    (intent,) = two.journal.intents(two.journal.run("last").run_id)
    assert intent.sends == 1


@pytest.mark.parametrize("late", [0.5, 10, 59])
def test_a_late_commit_is_adopted_and_not_doubled(
    process: Start, services: Services, clock: TestClock, late: float
) -> None:
    outside = services.outside
    outside.next_create = [Late(services, clock, late=timedelta(seconds=late), limit=timedelta())]
    assert run(process(), services) is Outcome.SUCCEEDED
    assert (outside.creates, len(outside.objects)) == (1, 1)


def test_a_commit_later_than_the_window_leaves_one(process: Start, services: Services, clock: TestClock) -> None:
    """The second send made one as well: the surplus goes, what the run uses stays."""
    waiting: list[Callable[[], Found]] = []

    def later(commit: Callable[[], Found]) -> Found:
        waiting.append(commit)
        return lost_request(commit)

    def with_the_late_one(commit: Callable[[], Found]) -> Found:
        waiting.pop()()
        return commit()

    services.outside.next_create = [later, with_the_late_one]
    one = process()
    assert run(one, services) is Outcome.SUCCEEDED
    (left,) = services.outside.objects
    (output,) = [row.output for row in one.journal.stages(one.journal.run("last").run_id) if row.step == "make_thing"]
    assert json.loads(output or "")["id"] == left
    states = {row.cloud_id: row.state for row in one.journal.resources(one.journal.run("last").run_id)}
    assert sorted(states.values()) == ["absent", "present"]


def test_of_two_that_one_request_made_one_stays(process: Start, services: Services) -> None:
    """A middlebox sent the request twice, and the answer was lost."""

    def twice(commit: Callable[[], Found]) -> Found:
        found = commit()
        services.outside.objects["another"] = replace(found, id="another")
        raise Killed

    services.outside.next_create = [twice]
    with pytest.raises(Killed):
        run(process(), services)
    two = process()
    assert resume(two, services) is Outcome.SUCCEEDED
    assert services.outside.creates == 1
    (left,) = services.outside.objects
    states = {row.cloud_id: row.state for row in two.journal.resources(two.journal.run("last").run_id)}
    assert states.pop(left) == "present"
    assert list(states.values()) == ["absent"]


def test_another_runs_object_is_not_adopted(process: Start, services: Services) -> None:
    services.outside.objects["foreign"] = Found("foreign", "thing-else", "elsewherex", 1)
    services.outside.next_create = [killed_before]
    with pytest.raises(Killed):
        run(process(), services)
    assert resume(process(), services) is Outcome.SUCCEEDED
    assert len(services.outside.objects) == 2


def test_another_numbers_object_is_not_adopted(process: Start, services: Services) -> None:
    services.outside.next_create = [killed_before]
    one = process()
    with pytest.raises(Killed):
        run(one, services)
    services.outside.objects["second"] = Found("second", "thing", one.journal.run("last").run_id, 2)
    assert resume(process(), services) is Outcome.SUCCEEDED
    assert services.outside.creates == 2


def test_a_refusal_makes_nothing_and_a_resume_asks_again(process: Start, services: Services) -> None:
    def refuse(commit: Callable[[], Found]) -> Found:
        raise NoCapacity("Not enough hosts available")

    services.outside.next_create = [refuse]
    one = process()
    assert run(one, services) is Outcome.FAILED
    assert error_code(one) == 5
    (intent,) = one.journal.intents(one.journal.run("last").run_id)
    assert (intent.state, intent.sends) == ("refused", 1)
    assert resume(process(), services) is Outcome.SUCCEEDED
    assert len(services.outside.objects) == 1


def test_kills_at_every_commit(process: Start, services: Services, clock: TestClock) -> None:
    """Killed before or after each commit of a run, then resumed: one object, every finished stage entered once."""
    commits = 0
    while True:
        services.outside.objects.clear()
        clock.at += timedelta(seconds=1)
        one = process()
        count = 0

        def kill(at: int = commits) -> None:
            nonlocal count
            count += 1
            if count == at + 1:
                raise Killed

        one.journal.before_commit = kill
        try:
            execution = one.runner.begin(Request(), services)
            run_until_idle(one.runner, [execution])
        except Killed:
            pass
        else:
            break
        two = process()
        try:
            row = two.journal.run("last")
        except Exception:  # killed before the run was stored
            assert commits == 0
        else:
            if row.state != "succeeded":
                assert resume(two, services) is Outcome.SUCCEEDED
            if commits > 0:
                assert len(services.outside.objects) == 1
        commits += 1
    assert commits >= 5


def test_removal_asks_looks_and_asks_again(process: Start, services: Services, clock: TestClock) -> None:

    one = process()
    run(one, services)
    run_id = one.journal.run("last").run_id
    inventory = Inventory.load(one.journal, run_id)
    ledger = Ledger(one.runtime, inventory, "s", attempt=1)
    (cloud_id,) = services.outside.objects
    services.outside.deaf = True
    assert ledger.remove(services.outside, cloud_id, "no longer wanted") is not None
    assert ledger.remove(services.outside, cloud_id) is not None
    assert services.outside.deletes == 1
    assert ledger.why_removing("thing", cloud_id) == "no longer wanted"
    clock.at += timedelta(seconds=20)
    services.outside.deaf = False
    assert ledger.remove(services.outside, cloud_id) is None
    assert services.outside.deletes == 2
    assert ledger.remove(services.outside, cloud_id) is None
    assert services.outside.deletes == 2
    ledger.flush()
    assert [row.state for row in one.journal.resources(run_id)] == ["absent"]


def test_a_busy_object_is_looked_at_again(process: Start, services: Services, clock: TestClock) -> None:
    one = process()
    run(one, services)

    ledger = Ledger(one.runtime, Inventory.load(one.journal, one.journal.run("last").run_id), "s", attempt=1)

    def busy(cloud_id: str) -> None:
        raise Conflict("Invalid lease status.")

    services.outside.delete = busy  # type: ignore[method-assign]
    (cloud_id,) = services.outside.objects
    assert ledger.remove(services.outside, cloud_id) is not None


def test_a_stage_looks_through_the_intents_while_another_adds_some(process: Start) -> None:
    """Stages of one run work in parallel, on one inventory."""
    inventory = Inventory("k3j9")

    def add(numbers: range) -> None:
        for number in numbers:
            intent = IntentRecord(
                run_id="k3j9",
                stage="s",
                kind="it",
                number=number,
                name="n",
                request="{}",
                state="sent",
                attempt=1,
                sent_at="",
            )
            inventory.intents["it", number] = intent

    add(range(2000))
    ledger = Ledger(process().runtime, inventory, "s", attempt=1)
    adding = threading.Thread(target=add, args=(range(2000, 4000),))
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        adding.start()
        while adding.is_alive():
            assert ledger.next_number("it") >= 2000
    finally:
        sys.setswitchinterval(switching)
        adding.join()
