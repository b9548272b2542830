"""A change of an object happens once, through lost requests, lost responses and kills."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envagent.engine.changes import ChangeLedger
from envagent.engine.kinds import CHANGE, ObjectRequest
from envagent.engine.loaded_run import Inventory
from envagent.engine.removal import in_doubt
from envagent.engine.step import NotYet
from envagent.errors import Conflict, OutcomeUnknown
from tests.unit.engine.world import SETTLE, Killed, Process, Services, Start, TestClock, run

KIND = f"{CHANGE}thing"


class Wanted(ObjectRequest):
    end: int


class Thing:
    """What is changed: its end, and what goes wrong with the next requests."""

    def __init__(self) -> None:
        self.end, self.sent = 0, 0
        self.trouble: list[Callable[[Callable[[], None]], None]] = []

    def change(self, one: Process, end: int = 6) -> NotYet | None:
        row = one.journal.run("last")
        one.journal.take(row)
        ledger = ChangeLedger(one.runtime, Inventory.load(one.journal, row.run_id), "extend")

        def commit() -> None:
            self.end = end

        def send() -> None:
            self.sent += 1
            self.trouble.pop(0)(commit) if self.trouble else commit()

        return ledger.change(KIND, 1, "it", Wanted(end=end), send, lambda: self.end >= end)


def lost_response(commit: Callable[[], None]) -> None:
    commit()
    raise OutcomeUnknown("the response was lost")


def lost_request(commit: Callable[[], None]) -> None:
    raise OutcomeUnknown("the request was lost")


def killed(commit: Callable[[], None]) -> None:
    commit()
    raise Killed


def refused(commit: Callable[[], None]) -> None:
    raise Conflict("it is busy")


def refused_because_done(commit: Callable[[], None]) -> None:
    commit()  # the earlier request, late
    raise Conflict("it has that end already")


@pytest.fixture
def one(process: Start, services: Services) -> Process:
    """A process with a finished run."""
    made = process()
    run(made, services)
    return made


def test_a_lost_response_is_found_in_the_object(one: Process) -> None:
    thing = Thing()
    thing.trouble = [lost_response]
    assert isinstance(thing.change(one), NotYet)
    assert thing.change(one) is None
    assert thing.change(one) is None
    assert (thing.end, thing.sent) == (6, 1)


def test_a_lost_request_is_sent_again_after_the_window(one: Process, clock: TestClock) -> None:
    thing = Thing()
    thing.trouble = [lost_request]
    assert isinstance(thing.change(one), NotYet)
    assert isinstance(thing.change(one), NotYet)
    assert thing.sent == 1
    clock.at += SETTLE
    assert not in_doubt(one.journal, one.journal.run("last").run_id)
    assert thing.change(one) is None
    assert (thing.end, thing.sent) == (6, 2)


def test_a_killed_process_has_sent_it_once(one: Process, process: Start) -> None:
    thing = Thing()
    thing.trouble = [killed]
    with pytest.raises(Killed):
        thing.change(one)
    assert thing.change(process()) is None
    assert (thing.end, thing.sent) == (6, 1)


def test_a_refusal_changes_nothing_unless_an_earlier_request_did(one: Process, clock: TestClock) -> None:
    thing = Thing()
    thing.trouble = [refused, lost_request, refused_because_done]
    with pytest.raises(Conflict):
        thing.change(one)
    assert isinstance(thing.change(one), NotYet)
    clock.at += SETTLE
    assert thing.change(one) is None
    assert (thing.end, thing.sent) == (6, 3)
