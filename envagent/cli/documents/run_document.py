"""The document of one run, made of the journal's rows and the outputs of the steps. It contacts no cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from envagent.cli.documents.costs import cost_part, end_date, latest, over_since
from envagent.cli.documents.durations import History
from envagent.cli.documents.json_models import ErrorPart
from envagent.cli.documents.run_list import Labels, StoredRequest, looked_at, state_of
from envagent.cli.documents.run_models import (
    AnalysisDocument,
    CandidatePart,
    CreationPart,
    DecisionPart,
    ImagePart,
    LeasePart,
    MomentPart,
    NodePart,
    PlanPart,
    RepositoryPart,
    ResourcePart,
    RulesPart,
    RunDocument,
    ServerPart,
    StagePart,
    StepPart,
    StepStateName,
)
from envagent.cli.render import times
from envagent.cli.render.hint_text import command_text
from envagent.cli.render.progress import described
from envagent.engine.journal import Journal
from envagent.engine.kinds import CHANGE
from envagent.engine.loaded_run import Run, stored_summaries
from envagent.engine.step import Output
from envagent.engine.tables import (
    OVER,
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
from envagent.errors import UsageError
from envagent.hints import resume, status, teardown
from envagent.steps import mark
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.ensure_keypair import ChosenKey, EnsuredKeypair
from envagent.steps.find_network import FoundNetwork
from envagent.steps.launch_server import LaunchedServer
from envagent.steps.plan import Plan
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.save_state import SavedState
from envagent.steps.select_image import SelectedImage
from envagent.steps.verify import Verified

if TYPE_CHECKING:
    from envagent.advice.decisions import Decision
    from envagent.repository.results import Analysis, Snapshot

AnyOutput = TypeVar("AnyOutput", bound=Output)

GONE = "DELETED"
"""The status of a lease or server that the run has removed."""

MILESTONES = frozenset(EventKind) - {
    EventKind.STAGE_STARTED,
    EventKind.STAGE_SUCCEEDED,
    EventKind.STAGE_WAITING,
    EventKind.DECISION,
    EventKind.REPORT,
    EventKind.WARNING,
    EventKind.INTENT_SENT,
}
"""The events of the timeline; others are shown with the steps and decisions, or only in the log."""

ENDS_WITH_ITS_LEASE = ("lease", "server")


@dataclass(frozen=True)
class StoredRun:
    """All that is known of one run.

    Attributes:
        working: whether a process works on the run now.
        summaries: by stage key, what each finished stage came to.
    """

    row: RunRecord
    working: bool
    stages: Sequence[StageRecord] = ()
    intents: Sequence[IntentRecord] = ()
    resources: Sequence[ResourceRecord] = ()
    decisions: Sequence[DecisionRecord] = ()
    events: Sequence[EventRecord] = ()
    summaries: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, journal: Journal, row: RunRecord, *, working: bool) -> StoredRun:
        """Read it from the journal."""
        events = journal.events(row.run_id)
        return cls(
            row=row,
            working=working,
            stages=journal.stages(row.run_id),
            intents=journal.intents(row.run_id),
            resources=journal.resources(row.run_id),
            decisions=journal.decisions(row.run_id),
            events=events,
            summaries=stored_summaries(events),
        )

    @classmethod
    def in_memory(cls, run: Run) -> StoredRun:
        """Take it from memory, for when the journal can no longer be read."""
        return cls(
            row=run.row,
            working=False,
            stages=list(run.stages.values()),
            intents=list(run.inventory.intents.values()),
            resources=run.inventory.resources,
            summaries={key: output.summary() for key, output in run.outputs.items()},
        )

    def output(self, model: type[AnyOutput]) -> AnyOutput | None:
        """Return the output of this type; None while its stage is unfinished."""
        return stored_output(self.stages, model)


def stored_output(stages: Sequence[StageRecord], model: type[AnyOutput]) -> AnyOutput | None:
    """Return the stored output of this type, if there is one.

    One that another version of envagent stored counts as none: a screen shows the rest.
    """
    for one in stages:
        if one.output is not None and (one.model, one.model_version) == (model.__name__, model.version):
            try:
                return model.model_validate_json(one.output)
            except ValidationError:
                return None
    return None


def run_document(run: StoredRun) -> RunDocument:
    """Return the document of one run."""
    row, labels, request = run.row, Labels.of(run.row), StoredRequest.of(run.row)
    verified, analyzed, saved = run.output(Verified), run.output(AnalyzedRepository), run.output(SavedState)
    key, network = run.output(EnsuredKeypair) or run.output(ChosenKey), run.output(FoundNetwork)
    moved = row.state == RunState.MOVED  # what it holds and costs now, the other journal knows
    cost = None if moved else cost_part(run.stages, run.resources, run.intents, times.now())
    ended_at = None if cost is None else over_since(cost)
    server_up = not moved and verified is not None and _is_present(latest(run.resources, "server")) and ended_at is None
    address = latest(run.resources, "floating_ip")
    return RunDocument(
        run_id=row.run_id,
        name=row.name,
        state=state_of(row, working=run.working),
        created_at=row.created_at,
        updated_at=row.updated_at,
        looked_at=looked_at(row, run.stages, run.resources),
        cloud=request.cloud,
        site=labels.site,
        project=labels.project,
        repository=RepositoryPart(
            url=analyzed.url if analyzed else request.repository, commit=analyzed.commit if analyzed else None
        ),
        requirements=analyzed.analysis.requirements.model_dump(mode="json") if analyzed else None,
        image=_image(run),
        node_type=labels.node_type,
        lease=_lease(run, ended=ended_at is not None),
        server=_server(run, ended=ended_at is not None),
        key_name=key.name if key else None,
        private_key=_existing_file(key.private_key) if key else None,
        network_id=network.network_id if network else None,
        fixed_ip=verified.fixed_ip if verified and server_up else None,
        floating_ip=address.name if address and _is_present(address) else None,
        ssh=verified.ssh_command if verified and server_up else None,
        ssh_verified=verified.logged_in if verified else None,
        node=_node(verified),
        info_file=str(saved.path) if saved else None,
        plan=plan_part(run),
        cost=cost,
        decisions=decision_parts(run),
        steps=step_parts(run),
        timeline=[
            MomentPart(at=one.at, kind=one.kind, stage=one.stage, message=described(one))
            for one in run.events
            if one.kind in MILESTONES
        ],
        resources=resource_parts(run, ended_at),
        warnings=[one.message for one in run.events if one.kind == EventKind.WARNING],
        error=_stored_error(row.error, row.run_id),
        teardown_started_at=row.teardown_at,
        next=next_commands(row, working=run.working),
    )


def _node(verified: Verified | None) -> NodePart | None:
    if verified is None or verified.seen is None:
        return None
    seen = verified.seen.model_dump(exclude={"devices"})
    return NodePart(**seen, summary=verified.seen.summary(), differences=list(verified.differences))


def next_commands(run: RunRecord, *, working: bool) -> list[str]:
    """List the commands that make sense now, likeliest first."""
    called = run.name or run.run_id
    look, remove = command_text(status(), called), command_text(teardown(), called)
    if run.state in OVER or working:
        return [look]
    error = _stored_error(run.error, run.run_id)
    # The request is stored with the run, so it would be refused again.
    refused = run.state == RunState.FAILED and error is not None and error.type == UsageError.__name__
    if run.teardown_at is not None or run.state == RunState.SUCCEEDED or refused:
        return [remove, look]
    return [command_text(resume(), called), remove, look]


def resource_parts(run: StoredRun, ended_at: str | None) -> list[ResourcePart]:
    """List what the run created or uses, and the requests whose outcome is unknown.

    Args:
        run: the run.
        ended_at: when the run's lease ended or was removed, and its server with it.
    """
    known = [
        resource_part(one).model_copy(
            update={"ended_at": ended_at if one.kind in ENDS_WITH_ITS_LEASE and _is_present(one) else None}
        )
        for one in run.resources
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
        for one in run.intents
        if one.state == IntentState.SENT and run.row.state != RunState.TORN_DOWN and not one.kind.startswith(CHANGE)
    ]
    return known + unknown


def resource_part(row: ResourceRecord) -> ResourcePart:
    """Return the part of an object that the journal knows."""
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


def step_parts(run: StoredRun) -> list[StepPart]:
    """Sum up the stages to steps, in the order of the pipeline."""
    by_step: dict[str, list[StageRecord]] = {}
    for one in run.stages:
        by_step.setdefault(one.step, []).append(one)
    history = History(run.events)
    return [_step(run, name, stages, history) for name, stages in by_step.items()]


def plan_part(run: StoredRun) -> PlanPart | None:
    """Return the plan, once there is one."""
    plan = run.output(Plan)
    if plan is None:
        return None
    limit = StoredRequest.of(run.row).max_su or Labels.of(run.row).approved_amount or plan.most
    candidates = [
        CandidatePart(
            node_type=one.node_type.name,
            site=one.node_type.region,
            why=one.why,
            free_now=one.free_now,
            total=one.total,
            next_free=_json_time(one.next_free),
            su_per_hour=one.su_per_hour,
            service_units=one.cost(plan.hours),
            taken_unasked=one.cost(plan.hours) <= limit,
            hardware=one.node_type.hardware,
        )
        for one in plan.placement.candidates
    ]
    return PlanPart(
        hours=plan.hours,
        hours_reason=plan.hours_reason,
        start=_json_time(plan.start),
        service_units=plan.service_units,
        ceiling=max((one.service_units for one in candidates if one.taken_unasked), default=plan.service_units),
        by_rules=None if plan.by_rules is None else RulesPart(**plan.by_rules.model_dump()),
        candidates=candidates,
        excluded=plan.placement.excluded,
        approved_at=run.row.approved_at,
        image=_image(run),
        creates=creations(run, plan),
    )


def creations(run: StoredRun, plan: Plan) -> list[CreationPart]:
    """List what the run creates once the plan is approved, in the order of their creation."""
    request, key, network = StoredRequest.of(run.row), run.output(ChosenKey), run.output(FoundNetwork)
    slug = mark.slug(request.repository)
    made = [CreationPart(kind="lease", name=mark.lease_name(run.row.run_id, 1, slug))]
    if key is None or key.origin != "existing":
        made.append(CreationPart(kind="keypair", name=mark.keypair_name(run.row.run_id) if key is None else key.name))
    if plan.placement.best.node_type.virtual:
        from envagent.cloud.ssh_group import NAME

        made.append(CreationPart(kind="security_group", name=NAME))
    made.append(CreationPart(kind="server", name=request.server_name or mark.server_name(run.row.run_id, slug)))
    if request.floating_ip and network is not None and network.external_id is not None:
        made.append(CreationPart(kind="floating_ip", name=network.external_name))
    return made


def _json_time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _stored_error(stored: str | None, run_id: str) -> ErrorPart | None:
    return None if stored is None else ErrorPart.stored(stored, run_id)


def _existing_file(path: Path | None) -> str | None:
    """Return the path of a file that the user may have removed, as teardown offers to."""
    return str(path) if path is not None and path.exists() else None


def _is_present(row: ResourceRecord | None) -> bool:
    return row is not None and row.state != ResourceState.ABSENT


def _image(run: StoredRun) -> ImagePart | None:
    launched, selected = run.output(LaunchedServer), run.output(SelectedImage)
    if launched is not None:
        return ImagePart(id=launched.image_id, name=launched.image_name)
    return None if selected is None else ImagePart(id=selected.image.id, name=selected.image.name)


def _lease(run: StoredRun, *, ended: bool) -> LeasePart | None:
    row, reserved = latest(run.resources, "lease"), run.output(ReservedHardware)
    if row is None:
        return None
    return LeasePart(
        id=row.cloud_id,
        name=row.name,
        reservation_id=reserved.reservation_id if reserved else None,
        status=None if ended else _status(run, row, "ACTIVE" if reserved else None),
        end_date=end_date(row) or (_json_time(reserved.end) if reserved else None),
    )


def _server(run: StoredRun, *, ended: bool) -> ServerPart | None:
    row, verified = latest(run.resources, "server"), run.output(Verified)
    if row is None:
        return None
    known = verified.server_status if verified else "ACTIVE" if run.output(LaunchedServer) else None
    return ServerPart(id=row.cloud_id, name=row.name, status=None if ended else _status(run, row, known))


def _status(run: StoredRun, row: ResourceRecord, known: str | None) -> str | None:
    """Return the service's last status word of an object: of the finished stage that created it, or of its wait."""
    if row.state == ResourceState.ABSENT:
        return GONE
    if known is not None:
        return known
    making = (one for one in run.stages if f"{one.step}.{one.stage}" == row.stage)
    return next((one.status for one in making if one.state == StageState.WAITING), None)


def analysis_document(snapshot: Snapshot, analysis: Analysis, decision: Decision) -> AnalysisDocument:
    """Return the document of an analysis that no run made."""
    from envagent.steps import PROVISIONING

    decided = decision.model_dump(mode="json")
    return AnalysisDocument(
        repository=RepositoryPart(url=snapshot.url, commit=snapshot.commit),
        requirements=analysis.requirements.model_dump(mode="json"),
        sizing=analysis.sizing.model_dump(mode="json"),
        evidence=[one.model_dump(mode="json") for one in analysis.evidence],
        assumptions=list(analysis.assumptions),
        languages=analysis.languages,
        workload=analysis.workload,
        notes=list(snapshot.notes),
        decision=DecisionPart(
            **decided, step=PROVISIONING.producer(AnalyzedRepository).key, at=times.now().isoformat()
        ),
    )


def decision_parts(run: StoredRun) -> list[DecisionPart]:
    """List the decisions, in the order in which they were made."""
    return [decision_part(one) for one in run.decisions]


def decision_part(row: DecisionRecord) -> DecisionPart:
    """Return the part of a stored decision."""
    stored = json.loads(row.detail)
    return DecisionPart(**{**stored, "name": row.name, "source": row.source, "step": row.stage, "at": row.at})


def _step(run: StoredRun, name: str, stages: list[StageRecord], history: History) -> StepPart:
    parts = [_stage(run, one) for one in stages]
    error = _step_error(run, name, stages)
    state = _step_state([one.state for one in parts], working=run.working) if error is None else "failed"
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
        summary=run.summaries.get(f"{name}.{stages[-1].stage}", "") if done else "",
        stages=parts,
    )


def _step_error(run: StoredRun, name: str, stages: list[StageRecord]) -> ErrorPart | None:
    """Return why a step failed; a finished one fails when what it created was lost since."""
    error = _stored_error(next((one.error for one in stages if one.error is not None), None), run.row.run_id)
    lost = _stored_error(run.row.error, run.row.run_id)
    if error is None and lost is not None and (lost.step or "").partition(".")[0] == name:
        return lost
    return error


def _step_state(states: list[StepStateName], *, working: bool) -> StepStateName:
    if all(state == states[0] for state in states):
        return states[0]
    for state in ("failed", "running", "waiting", "interrupted"):
        if state in states:
            return state
    return "waiting" if working else "interrupted"


def _stage(run: StoredRun, row: StageRecord) -> StagePart:
    state: StepStateName = StageState(row.state).value
    if state in ("running", "waiting") and not run.working:
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
