"""Wrong graphs are found when they are declared."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from envagent.engine.context import Context
from envagent.engine.pipeline import Pipeline
from envagent.engine.step import DefinitionError, NotYet, Output, Step, stage
from tests.unit.engine.world import TOY


class Start(BaseModel):
    pass


class A(Output):
    pass


class B(Output):
    pass


class MakeA(Step):
    @stage
    def run(self, context: Context[None], start: Start) -> A:
        return A()


class AToB(Step):
    @stage
    def run(self, context: Context[None], a: A) -> B | NotYet:
        return B()


class BToA(Step):
    @stage
    def run(self, context: Context[None], b: B) -> A:
        return A()


class AlsoMakeA(Step):
    @stage
    def run(self, context: Context[None], start: Start) -> A:
        return A()


def test_edges_follow_from_the_types() -> None:
    assert TOY.upstream["tell.tell"] == {"make_thing.make", "think.think"}
    assert TOY.sources["think.think"] == {"request": None}
    assert TOY.order.index("think.think") < TOY.order.index("make_thing.make") < TOY.order.index("tell.tell")


def test_cycle() -> None:
    with pytest.raises(DefinitionError, match=r"the stages form a cycle: .*a_to_b\.run"):
        Pipeline("p", Start, [AToB(), BToA()])


def test_missing_producer() -> None:
    with pytest.raises(DefinitionError, match=r"a_to_b\.run: no stage makes A, which `a` reads"):
        Pipeline("p", Start, [AToB()])


def test_two_producers() -> None:
    with pytest.raises(DefinitionError, match=r"A has two producers: make_a\.run, also_make_a\.run"):
        Pipeline("p", Start, [MakeA(), AlsoMakeA()])


def test_two_steps_of_one_name() -> None:
    with pytest.raises(DefinitionError, match="several steps have the same name: make_a"):
        Pipeline("p", Start, [MakeA(), MakeA()])


def test_a_step_without_a_stage() -> None:
    with pytest.raises(DefinitionError, match="Empty has no @stage"):

        class Empty(Step):
            pass


def test_signatures_must_be_typed() -> None:
    class Untyped(Step):
        @stage
        def run(self, context, a) -> A:  # type: ignore[no-untyped-def]
            return A()

    class NoOutput(Step):
        @stage
        def run(self, context: Context[None], start: Start) -> int:
            return 1

    class NoContext(Step):
        @stage
        def run(self, start: Start) -> A:
            return A()

    with pytest.raises(DefinitionError, match="parameter `a` needs a pydantic model"):
        Pipeline("p", Start, [Untyped()])
    with pytest.raises(DefinitionError, match="must return one Output"):
        Pipeline("p", Start, [NoOutput()])
    with pytest.raises(DefinitionError, match="first parameter must be `context`"):
        Pipeline("p", Start, [NoContext()])


def test_the_steps_in_their_order() -> None:
    from envagent.steps import PROVISIONING

    assert list(PROVISIONING.steps) == [
        "initialize",
        "analyze_repository",
        "select_image",
        "ensure_keypair",
        "find_network",
        "reserve_hardware",
        "launch_server",
        "assign_floating_ip",
        "verify",
        "save_state",
    ]
    for step in PROVISIONING.steps.values():
        facts = (type(step).__doc__ or "").lower()
        assert all(fact in facts for fact in ("reads:", "creates:", "owner mark:", "undo:")), step.name


def test_nothing_is_made_in_the_cloud_before_the_plan_is_approved() -> None:
    from envagent.steps import PROVISIONING

    def all_before(key: str) -> set[str]:
        direct = set(PROVISIONING.upstream[key])
        return direct.union(*(all_before(one) for one in direct))

    for writing in ("ensure_keypair.register", "reserve_hardware.reserve", "launch_server.launch"):
        assert "reserve_hardware.approve" in all_before(writing)
