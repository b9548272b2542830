"""The record is compared with what the cloud shows: tags prove nothing, and every change is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from envagent.engine.context import Context
from envagent.engine.execution import Outcome
from envagent.engine.kinds import Found
from envagent.engine.loaded_run import stored_summaries
from envagent.engine.pipeline import Pipeline
from envagent.engine.removal import Teardown
from envagent.engine.step import NotYet, Output, Redo, Step, stage
from envagent.engine.tables import EventKind
from envagent.errors import ResourceLost
from tests.unit.engine.world import (
    Killed,
    Process,
    Report,
    Request,
    Services,
    Start,
    TestClock,
    Thing,
    ThingRequest,
    Thought,
    killed_before,
    lost_request,
    resume,
    run,
)


class Watch(Step):
    """The first step: on resume it holds the record against the outside."""

    @stage
    def think(self, context: Context[Services], request: Request) -> Thought | NotYet:
        return Thought(words=1) if context.services.think is None else context.services.think(context)

    def confirm(self, context: Context[Services], output: Output) -> NotYet | None:
        return context.reconcile([context.services.outside])


class Make(Step):
    """The second step: a thing that was taken away is lost; otherwise the test says what came of it."""

    @stage
    def make(self, context: Context[Services], thought: Thought) -> Thing | NotYet:
        context.services.entered.append("make")
        outside = context.services.outside
        found = context.ledger.create(
            outside, 1, f"thing-{context.run_id}-1", ThingRequest(), lambda: outside.make(context.run_id, 1)
        )
        return found if isinstance(found, NotYet) else Thing(id=found.id)

    def confirm(self, context: Context[Watched], output: Thing) -> Thing | Redo | None:
        if output.id not in context.services.outside.objects:
            raise ResourceLost("the thing is gone")
        return context.services.answer


class Write(Step):
    """The last step writes down what the others found."""

    derived = True

    @stage
    def write(self, context: Context[Services], thing: Thing, thought: Thought) -> Report:
        context.services.entered.append("write")
        return Report(text=f"{thing.id} {thought.words}")


class Watched(Services):
    def __init__(self) -> None:
        super().__init__()
        self.answer: Thing | Redo | None = None


PIPELINE = Pipeline("watched", Request, [Watch(), Make(), Write()])


@pytest.fixture
def services() -> Watched:
    return Watched()


@pytest.fixture
def start(process: Start) -> Callable[[], Process]:
    return lambda: process(PIPELINE)


def teardown(one: Process, services: Services, clock: TestClock) -> list[str]:
    removed = Teardown(one.runtime, [services.outside]).run(one.journal.run("last"))
    return [row.cloud_id for row in removed]


def warnings(one: Process) -> list[str]:
    return [
        line.message for line in one.journal.events(one.journal.run("last").run_id) if line.kind == EventKind.WARNING
    ]


def summaries(one: Process) -> dict[str, str]:
    return stored_summaries(one.journal.events(one.journal.run("last").run_id))


def impostor(one: Process, number: int = 1) -> Found:
    """Something that carries the run's tag and that this run never requested."""
    run_id = one.journal.run("last").run_id
    return Found("impostor", "theirs", run_id, number, traits={"name": "theirs"})


@pytest.mark.parametrize("number", [1, 7])
def test_what_only_carries_the_tag_is_not_adopted(start: Callable[[], Process], services: Watched, number: int) -> None:
    services.outside.next_create = [killed_before]
    one = start()
    with pytest.raises(Killed):
        run(one, services)
    services.outside.objects["impostor"] = impostor(one, number)
    two = start()
    assert resume(two, services) is Outcome.SUCCEEDED
    assert services.outside.creates == 2
    (output,) = [row.output for row in two.journal.stages(two.journal.run("last").run_id) if row.step == "make"]
    assert json.loads(output or "")["id"] != "impostor"
    assert [("theirs (impostor)" in line, "left alone" in line) for line in warnings(two)] == [(True, True)]


@pytest.mark.parametrize("number", [1, 7])
def test_what_only_carries_the_tag_survives_a_teardown(
    start: Callable[[], Process], services: Watched, clock: TestClock, number: int
) -> None:
    one = start()
    run(one, services)
    services.outside.objects["impostor"] = impostor(one, number)
    assert len(teardown(one, services, clock)) == 1
    assert set(services.outside.objects) == {"impostor"}
    assert one.journal.run("last").state == "torn_down"
    rows = {row.cloud_id: row.ownership for row in one.journal.resources(one.journal.run("last").run_id)}
    assert rows["impostor"] == "foreign"


def later(one: Process, services: Services) -> None:
    """A request believed lost is carried out long after the run has its thing."""
    (thing,) = services.outside.objects.values()
    services.outside.objects["late"] = replace(thing, id="late")


def test_what_came_after_the_end_is_removed_by_a_resume(start: Callable[[], Process], services: Watched) -> None:
    services.outside.next_create = [lost_request]
    one = start()
    assert run(one, services) is Outcome.SUCCEEDED
    (kept,) = services.outside.objects
    later(one, services)
    assert resume(start(), services) is Outcome.SUCCEEDED
    assert set(services.outside.objects) == {kept}
    assert any("repeated request" in line for line in warnings(one))


def test_what_came_after_the_teardown_is_removed_by_another(
    start: Callable[[], Process], services: Watched, clock: TestClock
) -> None:
    services.outside.next_create = [lost_request]
    one = start()
    run(one, services)
    (thing,) = services.outside.objects.values()
    teardown(one, services, clock)
    services.outside.objects["late"] = replace(thing, id="late")
    assert teardown(start(), services, clock) == ["late"]
    assert services.outside.objects == {}
    assert one.journal.run("last").state == "torn_down"


def test_a_look_removes_nothing_and_tells(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    later(one, services)
    two = start()
    two.runner.refresh(two.journal.run("last"), services)
    assert len(services.outside.objects) == 2
    assert any("repeated request" in line for line in warnings(two))
    assert two.journal.run("last").state == "succeeded"


def test_what_was_taken_away_is_put_on_record(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    services.outside.objects.clear()
    two = start()
    assert resume(two, services) is Outcome.FAILED
    row = two.journal.run("last")
    assert (row.state, json.loads(row.error or "{}")["message"]) == ("failed", "the thing is gone")
    assert [one.state for one in two.journal.resources(row.run_id)] == ["absent"]


def test_a_run_that_is_well_again_has_succeeded_again(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    kept = dict(services.outside.objects)
    services.outside.objects.clear()
    assert resume(start(), services) is Outcome.FAILED
    services.outside.objects.update(kept)
    two = start()
    assert resume(two, services) is Outcome.SUCCEEDED
    row = two.journal.run("last")
    assert (row.state, row.error) == ("succeeded", None)
    assert [one.state for one in two.journal.resources(row.run_id)] == ["present"]


def test_a_new_name_is_put_on_record(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    (thing,) = services.outside.objects.values()
    services.outside.objects[thing.id] = replace(thing, name="renamed", traits={"name": "renamed"})
    two = start()
    assert resume(two, services) is Outcome.SUCCEEDED
    assert [row.name for row in two.journal.resources(two.journal.run("last").run_id)] == ["renamed"]
    assert len(services.outside.objects) == 1


def test_a_correction_is_stored_and_written_down_again(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    (thing_id,) = services.outside.objects
    assert summaries(one) == {"make.make": f"thing {thing_id}"}
    services.entered.clear()
    services.answer = Thing(id=f"{thing_id}-moved")
    two = start()
    services.outside.objects[thing_id] = services.outside.objects[thing_id]
    assert resume(two, services) is Outcome.SUCCEEDED
    assert services.entered == ["write"]
    outputs = {row.step: json.loads(row.output or "{}") for row in two.journal.stages(two.journal.run("last").run_id)}
    assert outputs["make"] == {"id": f"{thing_id}-moved"}
    assert outputs["write"]["text"] == f"{thing_id}-moved 1"
    assert summaries(two) == {"make.make": f"thing {thing_id}-moved"}


def test_a_stage_is_done_again_with_all_that_follows(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    services.entered.clear()
    services.answer = Redo("make", "made again")
    two = start()
    assert resume(two, services) is Outcome.SUCCEEDED
    assert services.entered == ["make", "write"]
    assert services.outside.creates == 1
    assert warnings(two) == ["made again"]


def test_a_look_does_nothing_again(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    services.entered.clear()
    services.answer = Redo("make", "made again")
    two = start()
    two.runner.refresh(two.journal.run("last"), services)
    assert services.entered == []
    assert warnings(two) == ["made again when the run is resumed"]
    assert two.journal.run("last").state == "succeeded"
    assert "looked_at" in json.loads(two.journal.run("last").labels)


def test_a_surplus_that_does_not_go_is_waited_for(start: Callable[[], Process], services: Watched) -> None:
    one = start()
    run(one, services)
    later(one, services)
    services.outside.deaf = True
    two = start()
    assert resume(two, services) is Outcome.FAILED
    assert "still there" in (two.journal.run("last").error or "")
    services.outside.deaf = False
    assert resume(start(), services) is Outcome.SUCCEEDED
    assert len(services.outside.objects) == 1


def test_nothing_is_asked_where_nothing_was_asked_for(start: Callable[[], Process], services: Watched) -> None:
    def think(context: Context[Services]) -> Thought | NotYet:
        return Thought(words=1) if context.approved else NotYet("approval", look_again=None)

    services.think = think
    one = start()
    assert run(one, services) is Outcome.BLOCKED
    assert resume(start(), services) is Outcome.BLOCKED
    assert services.outside.looks == 0
