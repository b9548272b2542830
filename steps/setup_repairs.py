"""Repairs of a set-up: a command that an AI proposed, carried out as a job of its own before a failed step is repeated.

A repair is stored with its command before it starts, for the job that failed: whoever continues the set-up finds it
and asks for no other. On the server it is one more step, at the end of the script, so that the numbers of the plan's
steps stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envagent.engine.tables import IntentRecord
from envagent.environment.setup_plan import Command, Reason, SetupPlan, SetupStep
from envagent.steps.node_jobs import JobRequest

MOST_REPAIRS = 5
"""In one set-up."""
MINUTES = 15

NAME = "repair"
BY_AI, REMOVE_ENVIRONMENT = "by_ai", "remove_environment"
"""Functions of the script: one runs a command, the other undoes what a step has put into the environment's folder."""


class RepairRequest(JobRequest):
    """A repair, as it is stored before it starts."""

    step: int
    """The number of the step that failed."""
    after: str
    """The name of the job that failed."""
    command: str
    reason: str


@dataclass(frozen=True)
class StoredRepair:
    """A repair of a set-up, numbered from 1."""

    number: int
    request: RepairRequest
    plan: SetupPlan

    @property
    def step(self) -> SetupStep:
        """The step that carries it out."""
        return repair_step(self.plan, self.number, self.request)

    @property
    def place(self) -> int:
        """Its number in the script."""
        return len(self.plan.steps) + self.number


def repair_step(plan: SetupPlan, number: int, request: RepairRequest) -> SetupStep:
    """Return the step that carries a repair out; a step that makes the environment starts without its remains."""
    failed = plan.steps[request.step - 1]
    undo: tuple[Command, ...] = ((REMOVE_ENVIRONMENT,),) if failed.phase == "environment" else ()
    return SetupStep(
        name=f"{NAME}-{number}",
        phase=failed.phase,
        title=f"repair of step {request.step}, proposed by an AI",
        commands=(*undo, (BY_AI, request.command)),
        reasons=(Reason(belief="convention", quote=request.reason),),
        minutes=MINUTES,
        decides=False,
    )


def stored_repairs(plan: SetupPlan, intents: Sequence[IntentRecord]) -> list[StoredRepair]:
    """Return the repairs that a set-up has stored, in their order."""
    places = {f"step {len(plan.steps) + number}": number for number in range(1, MOST_REPAIRS + 1)}
    found = [
        StoredRepair(places[one.kind], RepairRequest.model_validate_json(one.request), plan)
        for one in intents
        if one.kind in places
    ]
    return sorted(found, key=lambda one: one.number)


def with_repairs(plan: SetupPlan, repairs: Sequence[StoredRepair]) -> SetupPlan:
    """Return the plan whose script the server has: the repairs follow the steps of the plan."""
    return plan.model_copy(update={"steps": (*plan.steps, *(one.step for one in repairs))})


def repaired(plan: SetupPlan, repairs: Sequence[StoredRepair]) -> SetupPlan:
    """Return the plan that sets the same up at once: each repair comes before the step that it was for."""
    steps: list[SetupStep] = []
    for number, step in enumerate(plan.steps, 1):
        steps += [_without_undoing(one.step) for one in repairs if one.request.step == number]
        steps.append(step)
    return plan.model_copy(update={"steps": tuple(steps)})


def _without_undoing(step: SetupStep) -> SetupStep:
    return step.model_copy(update={"commands": step.commands[-1:]})
