"""What happens in a row counts on, though a new process makes each advance of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from envagent.engine.context import Context
from envagent.engine.execution import Outcome, Progress
from envagent.engine.intents import MOST_LOST
from envagent.engine.memory import recall, remembered
from envagent.errors import CloudUnreachable
from tests.unit.engine.world import SETTLE, Request, Services, Start, TestClock, Thought, lost_request

ADVANCES = 200


@pytest.fixture
def advances(process: Start, services: Services, clock: TestClock) -> Iterator[Progress]:
    """Advance a new run, each time in another process and when it is due."""

    def advance() -> Iterator[Progress]:
        run_id = process().runner.begin(Request(), services).run.run_id
        memory = "{}"
        for _ in range(ADVANCES):
            one = process()
            execution = one.runner.pick_up(one.journal.run(run_id), services)
            recall(execution, json.loads(memory), clock)
            progress = one.runner.advance(execution)
            memory = json.dumps(remembered(execution, clock))
            one.close()
            yield progress
            if progress.look_again is None:
                return
            clock.at = progress.look_again

    return advance()


def test_errors_in_a_row_have_growing_pauses_and_end_the_run(
    advances: Iterator[Progress], services: Services, clock: TestClock
) -> None:
    def away(context: Context[Services]) -> Thought:
        raise CloudUnreachable("nobody there")

    services.think = away
    began = clock.now()
    ends = [(clock.now() - began).total_seconds() for _ in advances]
    assert ends == [0.0, 1.0, 3.0, 7.0]  # three tries again


def test_requests_that_are_lost_in_a_row_end_the_run(
    advances: Iterator[Progress], services: Services, clock: TestClock
) -> None:
    services.outside.next_create = [lost_request] * 20
    began = clock.now()
    assert [one.outcome for one in advances][-1] is Outcome.FAILED
    assert services.outside.creates == MOST_LOST
    assert clock.now() - began < (MOST_LOST + 1) * SETTLE


def test_since_when_a_removal_is_waited_for_is_remembered(process: Start, services: Services, clock: TestClock) -> None:
    one = process()
    first = one.runner.begin(Request(), services)
    lease = ("lease", "an id")
    first.run.inventory.asked[lease] = clock.now()
    first.run.inventory.removing[lease] = clock.steady()
    memory = json.dumps(remembered(first, clock))
    clock.at += timedelta(seconds=100)
    second = one.runner.pick_up(one.journal.run("last"), services)
    recall(second, json.loads(memory), clock)
    assert second.run.inventory.removing == {lease: pytest.approx(clock.steady() - 100)}
    assert second.run.inventory.asked == first.run.inventory.asked
