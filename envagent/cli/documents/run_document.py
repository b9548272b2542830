"""The JSON documents made of journal rows, without the steps' own models: `status` must not load them.

It reads and computes; it asks no cloud.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envagent.cli.documents.costs import cost_part, end_date, over_since
from envagent.cli.documents.durations import History
from envagent.cli.documents.json_models import (
    CandidatePart,
    CostPart,
    DecisionPart,
    ErrorPart,
    ImagePart,
    LeasePart,
    PlanPart,
    RepositoryPart,
    ResourcePart,
    RulesPart,
    RunDocument,
    RunLine,
    RunStateName,
    ServerPart,
    StagePart,
    StepPart,
    StepStateName,
)
from envagent.cli.documents.summary import summary
from envagent.cli.render import times
from envagent.cli.render.hint_text import hint_text
from envagent.engine.context import APPROVED_AMOUNT
from envagent.engine.journal import Journal
from envagent.engine.tables import (
    DecisionRecord,
    EventKind,
    EventRecord,
    IntentRecord,
    IntentState,
    Ownership,
    ResourceRecord,
    ResourceState,
    RunRecord,
    RunState,
    StageRecord,
    StageState,
)
from envagent.errors import AuthenticationError, CloudError, EnvagentError, UsageError
from envagent.hints import Hint

if TYPE_CHECKING:
    from envagent.engine.loaded_run import Run

GONE = "DELETED"
"""The status of a lease or server that the run has removed."""

NO_ANSWER = (AuthenticationError.exit_code, CloudError.exit_code)
"""Failures after which nothing more is known of the cloud than before."""

ENDS_WITH_ITS_LEASE = ("lease", "server")


@dataclass(frozen=True)
class Rows:
    """All that the journal has of one run.

    Attributes:
        working: whether a process works on the run now.
    """

    run: RunRecord
    working: bool
    stages: Sequence[StageRecord] = ()
    intents: Sequence[IntentRecord] = ()
    resources: Sequence[ResourceRecord] = ()
    decisions: Sequence[DecisionRecord] = ()
    events: Sequence[EventRecord] = ()
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Stage key to its output's fields."""

    @classmethod
    def load(cls, journal: Journal, run: RunRecord, *, working: bool) -> Rows:
        """Read them."""
        stages = journal.stages(run.run_id)
        return cls(
            run=run,
            working=working,
            stages=stages,
            intents=journal.intents(run.run_id),
            resources=journal.resources(run.run_id),
            decisions=journal.decisions(run.run_id),
            events=journal.events(run.run_id),
            outputs={f"{one.step}.{one.stage}": json.loads(one.output) for one in stages if one.output is not None},
        )

    @classmethod
    def of(cls, run: Run) -> Rows:
        """Take them from memory, for when the journal cannot be read any more."""
        inventory = run.inventory
        outputs = {key: output.model_dump(mode="json") for key, output in run.outputs.items()}
        return cls(
            run=run.row,
            working=False,
            stages=list(run.stages.values()),
            intents=list(inventory.intents.values()),
            resources=inventory.resources,
            outputs=outputs,
        )

    def output(self, key: str) -> dict[str, Any] | None:
        """Give a stage's output, None while it has none."""
        return self.outputs.get(key)

    def held(self, kind: str) -> ResourceRecord | None:
        """Find the object of a kind that the run has now, or had last."""
        ours = [one for one in self.resources if one.kind == kind and one.ownership != Ownership.FOREIGN]
        present = [one for one in ours if one.state != ResourceState.ABSENT]
        return next(reversed(present or ours), None)


def run_document(rows: Rows) -> RunDocument:
    """Make the document of one run."""
    run, labels = rows.run, json.loads(rows.run.labels)
    verified = rows.output("verify.check") or {}
    server_there = _is_there(rows.held("server"))
    address_there = _is_there(rows.held("floating_ip"))
    analyzed = rows.output("analyze_repository.analyze")
    request = json.loads(run.request)
    key = rows.output("ensure_keypair.register") or rows.output("ensure_keypair.choose") or {}
    plan = plan_part(rows)
    cost = cost_part(rows, plan, times.now())
    ended_at = None if cost is None else over_since(cost)
    server_up = server_there and ended_at is None
    return RunDocument(
        run_id=run.run_id,
        state=state_of(run, working=rows.working),
        created_at=run.created_at,
        updated_at=run.updated_at,
        looked_at=looked_at(run, rows.stages, rows.resources),
        cloud=request.get("cloud"),
        site=labels.get("site"),
        project=labels.get("project"),
        repository=RepositoryPart(
            url=analyzed["url"] if analyzed else request.get("repository", ""),
            commit=analyzed["commit"] if analyzed else None,
        ),
        requirements=analyzed["analysis"]["requirements"] if analyzed else None,
        image=_image(rows),
        node_type=labels.get("node_type"),
        lease=_lease(rows, ended=ended_at is not None),
        server=_server(rows, ended=ended_at is not None),
        key_name=key.get("name"),
        private_key=_existing_file(key.get("private_key")),
        network_id=(rows.output("find_network.find") or {}).get("network_id"),
        fixed_ip=verified.get("fixed_ip") if server_up else None,
        floating_ip=_address(rows) if address_there else None,
        ssh=verified.get("ssh_command") if server_up else None,
        ssh_verified=verified.get("logged_in"),
        info_file=(rows.output("save_state.save") or {}).get("path"),
        plan=plan,
        cost=cost,
        decisions=[_decision(one) for one in rows.decisions],
        steps=step_parts(rows),
        resources=resource_parts(rows, ended_at),
        warnings=[one.message for one in rows.events if one.kind == EventKind.WARNING],
        error=error_part(run.error, run.run_id),
        teardown_started_at=run.teardown_at,
        next=next_commands(run, working=rows.working),
    )


def _existing_file(path: str | None) -> str | None:
    """Give the path of a file that the user may have removed, as teardown offers to."""
    return path if path is not None and Path(path).exists() else None


def run_line(run: RunRecord, *, working: bool, cost: CostPart | None = None) -> RunLine:
    """Make a run's entry in the list; `cost` is that of its leases."""
    labels, request = json.loads(run.labels), json.loads(run.request)
    error = error_part(run.error, run.run_id)
    lease = cost if cost is not None and cost.phase != "removed" else None
    return RunLine(
        run_id=run.run_id,
        state=state_of(run, working=working),
        repository=request.get("repository", ""),
        cloud=request.get("cloud"),
        site=labels.get("site"),
        node_type=labels.get("node_type"),
        image=labels.get("image"),
        lease_start=None if lease is None else lease.lease_start,
        lease_end=None if lease is None else lease.lease_end,
        created_at=run.created_at,
        updated_at=run.updated_at,
        looked_at=looked_at(run),
        error=None if error is None else error.message,
    )


def state_of(run: RunRecord, *, working: bool) -> RunStateName:
    """Tell where a run is: the stored state, unless work on it began and nobody goes on with it."""
    if run.state == RunState.TORN_DOWN:
        return "torn_down"
    if working:
        return "running"
    if run.state == RunState.RUNNING or run.teardown_at is not None:
        return "interrupted"
    return RunState(run.state).value


def next_commands(run: RunRecord, *, working: bool) -> list[str]:
    """List the commands that make sense now, likeliest first."""
    look, remove = f"envagent status {run.run_id}", f"envagent teardown {run.run_id}"
    if run.state == RunState.TORN_DOWN or working:
        return [look]
    error = error_part(run.error, run.run_id)
    # What was asked for stays with the run: it would be refused again.
    refused = run.state == RunState.FAILED and error is not None and error.type == UsageError.__name__
    if run.teardown_at is not None or run.state == RunState.SUCCEEDED or refused:
        return [remove, look]
    return [f"envagent resume {run.run_id}", remove, look]


def error_part(stored: str | None, run_id: str) -> ErrorPart | None:
    """Read an error as the journal stores it."""
    if stored is None:
        return None
    told = json.loads(stored)
    return ErrorPart(
        type=told["error"],
        message=told["message"],
        hint=hint_text(Hint.load(told["hint"]) or EnvagentError.default_hint, run_id),
        service_said=told.get("service_said"),
        request_id=told.get("request_id"),
        exit_code=told["exit_code"],
        step=told.get("stage"),
    )


def error_of(error: EnvagentError, run_id: str | None = None, *, again: str = "", removing: bool = False) -> ErrorPart:
    """Return the part of an error in hand.

    Args:
        error: the error.
        run_id: the run that it belongs to, where the error does not know it.
        again: the command that is being carried out, for an error that belongs to no run.
        removing: whether the run's teardown has started: it is never resumed then.
    """
    return ErrorPart(
        type=type(error).__name__,
        message=error.message,
        hint=hint_text(error.hint, error.run_id or run_id, again=again, removing=removing),
        service_said=error.service_said,
        request_id=error.request_id,
        exit_code=error.exit_code,
    )


def line_cost(journal: Journal, run: RunRecord) -> CostPart | None:
    """Compute the cost of a run in the list, read from the journal only where the run may have a lease."""
    if run.state == RunState.TORN_DOWN:
        return None
    if not any(one.kind == "lease" and _is_there(one) for one in journal.resources(run.run_id)):
        return None
    rows = Rows.load(journal, run, working=False)
    return cost_part(rows, plan_part(rows), times.now())


def looked_at(run: RunRecord, stages: Sequence[StageRecord] = (), resources: Sequence[ResourceRecord] = ()) -> str:
    """Give when the cloud was last known to have answered.

    What was recorded of it was recorded then, and so was the run's last change, unless that tells of no answer.
    """
    known = [json.loads(run.labels).get("looked_at"), *(one.created_at for one in resources)]
    known += [one.finished_at for one in stages if one.state == StageState.SUCCEEDED]
    known += [one.removed_at for one in resources]
    error = error_part(run.error, run.run_id)
    if error is None or error.exit_code not in NO_ANSWER:
        known.append(run.updated_at)
    return max((one for one in known if one is not None), key=datetime.fromisoformat, default=run.created_at)


def resource_parts(rows: Rows, ended_at: str | None) -> list[ResourcePart]:
    """List what the run made or uses, and the requests whose outcome nobody knows.

    Args:
        ended_at: when the run's lease ended or was removed, and its server with it.
    """
    known = [
        resource_part(one).model_copy(
            update={"ended_at": ended_at if one.kind in ENDS_WITH_ITS_LEASE and _is_there(one) else None}
        )
        for one in rows.resources
    ]
    unknown = [
        ResourcePart(
            kind=one.kind,
            id=None,
            name=one.name,
            state="unknown",
            ownership="owned",
            created_at=one.sent_at,
            removed_at=None,
        )
        for one in rows.intents
        if one.state == IntentState.SENT and rows.run.state != RunState.TORN_DOWN
    ]
    return known + unknown


def resource_part(row: ResourceRecord) -> ResourcePart:
    """Make the part of an object that the journal knows."""
    return ResourcePart(
        kind=row.kind,
        id=row.cloud_id,
        name=row.name,
        state=ResourceState(row.state).value,
        ownership=Ownership(row.ownership).value,
        created_at=row.created_at,
        removed_at=row.removed_at,
        end_date=end_date(row),
    )


def step_parts(rows: Rows) -> list[StepPart]:
    """Sum up the stages to steps, in the order of the pipeline."""
    by_step: dict[str, list[StageRecord]] = {}
    for one in rows.stages:
        by_step.setdefault(one.step, []).append(one)
    history = History(rows.events)
    return [_step(rows, name, stages, history) for name, stages in by_step.items()]


def plan_part(rows: Rows) -> PlanPart | None:
    """Give the plan, once there is one."""
    plan = rows.output("reserve_hardware.plan")
    if plan is None:
        return None
    hours, first = plan["hours"], plan["service_units"]
    limit = (
        json.loads(rows.run.request).get("max_su")
        or json.loads(rows.run.labels).get(APPROVED_AMOUNT)
        or plan.get("ceiling")
        or first
    )
    candidates = [
        CandidatePart(
            node_type=one["node_type"]["name"],
            site=one["node_type"]["region"],
            why=one["why"],
            free_now=one["free_now"],
            total=one["total"],
            next_free=one["next_free"],
            su_per_hour=one["su_per_hour"],
            service_units=round(one["su_per_hour"] * hours, 2),
            taken_unasked=round(one["su_per_hour"] * hours, 2) <= limit,
        )
        for one in plan["placement"]["candidates"]
    ]
    return PlanPart(
        hours=hours,
        hours_reason=plan["hours_reason"],
        start=plan["start"],
        service_units=first,
        ceiling=max((one.service_units for one in candidates if one.taken_unasked), default=first),
        by_rules=RulesPart(**plan["by_rules"]) if plan.get("by_rules") else None,
        candidates=candidates,
        excluded=plan["placement"]["excluded"],
        approved_at=rows.run.approved_at,
    )


def _is_there(row: ResourceRecord | None) -> bool:
    return row is not None and row.state != ResourceState.ABSENT


def _image(rows: Rows) -> ImagePart | None:
    launched = rows.output("launch_server.launch")
    if launched is not None:
        return ImagePart(id=launched["image_id"], name=launched["image_name"])
    selected = rows.output("select_image.choose_image")
    return None if selected is None else ImagePart(id=selected["image"]["id"], name=selected["image"]["name"])


def _lease(rows: Rows, *, ended: bool) -> LeasePart | None:
    row = rows.held("lease")
    if row is None:
        return None
    reserved = rows.output("reserve_hardware.reserve") or {}
    return LeasePart(
        id=row.cloud_id,
        name=row.name,
        reservation_id=reserved.get("reservation_id"),
        status=None if ended else _status(rows, row, "reserve_hardware", "ACTIVE" if reserved else None),
        end_date=end_date(row) or reserved.get("end"),
    )


def _server(rows: Rows, *, ended: bool) -> ServerPart | None:
    row = rows.held("server")
    if row is None:
        return None
    verified = rows.output("verify.check") or {}
    launched = rows.output("launch_server.launch")
    known = verified.get("server_status") or ("ACTIVE" if launched else None)
    status = None if ended else _status(rows, row, "launch_server", known)
    return ServerPart(id=row.cloud_id, name=row.name, status=status)


def _status(rows: Rows, row: ResourceRecord, step: str, known: str | None) -> str | None:
    """Give the service's last status word: of the finished stage, or of its wait."""
    if row.state == ResourceState.ABSENT:
        return GONE
    if known is not None:
        return known
    waiting = (one.status for one in rows.stages if one.step == step and one.state == StageState.WAITING)
    return next(waiting, None)


def _address(rows: Rows) -> str | None:
    row = rows.held("floating_ip")
    return None if row is None else row.name


def _decision(row: DecisionRecord) -> DecisionPart:
    told = json.loads(row.detail)
    return DecisionPart(
        name=row.name,
        source=row.source,
        reason=row.reason,
        value=told.get("value"),
        rules_value=told.get("rules_value"),
        alternatives=list(told.get("alternatives", ())),
        rejected=list(told.get("rejected", ())),
        warnings=list(told.get("warnings", ())),
        usage=told.get("usage"),
        step=row.stage,
        at=row.at,
    )


def _step(rows: Rows, name: str, stages: list[StageRecord], history: History) -> StepPart:
    parts = [_stage(rows, one) for one in stages]
    states = [one.state for one in parts]
    error = _step_error(rows, name, stages)
    state = _summary(states, working=rows.working) if error is None else "failed"
    done = state == "succeeded"
    started = [one.started_at for one in parts if one.started_at is not None]
    finished = [one.finished_at for one in parts if one.finished_at is not None]
    ended = done or error is not None
    return StepPart(
        name=name,
        state=state,
        attempts=max(one.attempts for one in parts),
        started_at=min(started, default=None),
        finished_at=max(finished, default=None) if ended else None,
        seconds=history.step_seconds(stages) if ended else None,
        error=error,
        summary=summary(name, rows.outputs) if done else "",
        stages=parts,
    )


def _step_error(rows: Rows, name: str, stages: list[StageRecord]) -> ErrorPart | None:
    """Give why a step failed; what a finished one had made may have been lost since."""
    error = error_part(next((one.error for one in stages if one.error is not None), None), rows.run.run_id)
    lost = error_part(rows.run.error, rows.run.run_id)
    if error is None and lost is not None and (lost.step or "").partition(".")[0] == name:
        return lost
    return error


def _summary(states: list[StepStateName], *, working: bool) -> StepStateName:
    if all(state == states[0] for state in states):
        return states[0]
    for state in ("failed", "running", "waiting", "interrupted"):
        if state in states:
            return state
    return "waiting" if working else "interrupted"


def _stage(rows: Rows, row: StageRecord) -> StagePart:
    state: StepStateName = StageState(row.state).value
    if state in ("running", "waiting") and not rows.working:
        state = "interrupted"
    return StagePart(
        name=row.stage,
        state=state,
        attempts=row.attempts,
        started_at=row.started_at,
        finished_at=row.finished_at,
        wait=row.wait,
        wait_since=row.wait_since,
        deadline=row.deadline,
        status=row.status,
    )
