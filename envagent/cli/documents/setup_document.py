"""Fill the document of a set-up, from its plan and what the journal has of its jobs."""

from __future__ import annotations

import json
from collections import Counter

from envagent.cli.clouds import is_sandbox
from envagent.cli.documents.json_models import ErrorPart
from envagent.cli.documents.run_list import Labels
from envagent.cli.documents.setup_models import (
    ReasonPart,
    RepairPart,
    SetupDocument,
    SetupState,
    SetupStepPart,
    SetupStepState,
)
from envagent.cli.home import Home
from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord, RunState
from envagent.environment.setup_plan import SetupPlan, SetupStep
from envagent.environment.setup_script import command_text
from envagent.errors import RunNotFound
from envagent.steps.setup_pipeline import OUTCOME, Outcome, SetupRequest, failure_text, setup_id
from envagent.steps.setup_repairs import StoredRepair, stored_repairs


def stored_setup(journal: Journal, run_id: str) -> RunRecord | None:
    """Return the set-up on the server of a run; None if there is none yet."""
    try:
        return journal.run(setup_id(run_id))
    except RunNotFound:
        return None


def is_unfinished(journal: Journal, run_id: str) -> bool:
    """Return whether the server of a run has a set-up that was started and has not succeeded."""
    stored = stored_setup(journal, run_id)
    return stored is not None and stored.state != RunState.SUCCEEDED


def current_setup(home: Home, journal: Journal, row: RunRecord) -> SetupDocument | None:
    """Return the document of the set-up on the server of a run; None if there is none."""
    stored = stored_setup(journal, row.run_id)
    if stored is None:
        return None
    cloud = Labels.of(row).cloud
    working = home.is_worked_on(stored.run_id)
    return setup_document(journal, stored, working=working, simulated=cloud is not None and is_sandbox(cloud))


def setup_document(journal: Journal, row: RunRecord, *, working: bool, simulated: bool) -> SetupDocument:
    """Return the document of a set-up that the journal has."""
    request = SetupRequest.model_validate_json(row.request)
    resources = journal.resources(row.run_id)
    details = [json.loads(one.detail) for one in resources]
    outcomes = {one.step: one for one in (Outcome.model_validate(each[OUTCOME]) for each in details if OUTCOME in each)}
    tries = Counter(one.kind for one in resources)
    plan = request.plan
    steps = []
    for number, step in enumerate(plan.steps, 1):
        started = tries[f"step {number}"]
        steps.append(_step(number, step, outcomes.get(number), started))
    proofs = [(number, step) for number, step in plan.of_phase("proof")]
    return SetupDocument(
        run_id=request.run_id,
        repository=plan.url,
        commit=plan.commit,
        folder=plan.name,
        ecosystem=plan.ecosystem,
        state=_state(row, working=working),
        simulated=simulated,
        steps=steps,
        repairs=[_repair(one, outcomes.get(one.place)) for one in stored_repairs(plan, journal.intents(row.run_id))],
        proved=[]
        if simulated
        else [step.proves for number, step in proofs if number in outcomes and outcomes[number].succeeded],
        not_proved=["anything: the server is simulated"] if simulated else _not_proved(plan, outcomes),
        notes=list(plan.notes),
        error=ErrorPart.stored(row.error, request.run_id) if row.error is not None else None,
    )


def _repair(repair: StoredRepair, outcome: Outcome | None) -> RepairPart:
    return RepairPart(
        number=repair.number,
        step=repair.request.step,
        command=repair.request.command,
        reason=repair.request.reason,
        state="running" if outcome is None else "succeeded" if outcome.succeeded else "failed",
        exit_status=None if outcome is None else outcome.code,
        seconds=None if outcome is None else outcome.seconds,
    )


def _not_proved(plan: SetupPlan, outcomes: dict[int, Outcome]) -> list[str]:
    found = []
    for number, step in plan.of_phase("proof"):
        outcome = outcomes.get(number)
        if outcome is None:
            found.append(f"{step.proves}: not tried")
        elif not outcome.succeeded:
            found.append(f"{step.proves}: step {number} {failure_text(outcome)}")
    return found or ([] if plan.of_phase("proof") else ["the repository offers nothing that could be run as a proof"])


def _state(row: RunRecord, *, working: bool) -> SetupState:
    match row.state:
        case RunState.SUCCEEDED:
            return "succeeded"
        case RunState.FAILED:
            return "failed"
    return "running" if working else "interrupted"


def _step(number: int, step: SetupStep, outcome: Outcome | None, tries: int) -> SetupStepPart:
    state: SetupStepState = "pending" if not tries else "running"
    if outcome is not None:
        state = "succeeded" if outcome.succeeded else "failed"
    return SetupStepPart(
        number=number,
        name=step.name,
        phase=step.phase,
        title=step.title,
        commands=[command_text(one) for one in step.commands],
        from_repository=step.from_repository,
        reasons=[ReasonPart(belief=r.belief, path=r.path, line=r.line, quote=r.quote) for r in step.reasons],
        state=state,
        exit_status=None if outcome is None else outcome.code,
        seconds=None if outcome is None else outcome.seconds,
        tries=tries,
    )
