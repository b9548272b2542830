"""Find hardware that is free, and reserve it."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from envagent.advice.decisions import Candidate, Placement
from envagent.cloud.failures import lease_failed
from envagent.cloud.port import Lease, LeaseStatus
from envagent.cloud.site_kinds import read_hardware, resource_type_of
from envagent.engine.kinds import Found, ResourceKind, Try
from envagent.engine.step import NotYet, Output, Question, Step, stage
from envagent.engine.tables import IntentState
from envagent.errors import CapacityError, LeaseFailed, ResourceLost
from envagent.hints import Hint, resume, teardown
from envagent.steps import mark
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.attempts import AskFirst, Failure, Terms, earliest_window, highest_cost, next_attempt
from envagent.steps.choice import Chooser, ranking, set_aside, too_dear
from envagent.steps.deployments import FAULT, REMEMBERED, REPLACED, Deployments, end_of
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Approved, Plan
from envagent.steps.request import RunRequest
from envagent.steps.resources import LeaseRequest, TaggedKind, lease_kind
from envagent.steps.select_image import AvailableImages
from envagent.steps.services import StepContext, not_its_turn, record
from envagent.steps.watching import shown_status

NEVER_STARTED = "never became ACTIVE"

SHORTEST = timedelta(minutes=15)
"""A lease that replaces another ends when that one would have; for less than this it is not worth it."""

OVERLAP = timedelta(minutes=2)
"""For how long a lease and the one that replaces it may both be charged: Blazar counts whole minutes."""

IN_TURN = 2
"""After so many failures on nodes of one type that the site does not show, other types come first: nobody can exclude
the nodes, and Blazar would give two of them in turn."""

_RESERVE_AGAIN = Hint("reserve again:", resume(), "; or remove what is left:", teardown())


class ReservedHardware(Output):
    """An ACTIVE lease, and its reservation that servers are launched on."""

    lease_id: str
    lease_name: str
    reservation_id: str
    node_type: str
    hours: int
    start: datetime
    end: datetime
    service_units: float
    kept_after: int = 0
    """The number of the last server that its node did not take when no other node could be reserved; 0 before."""

    def summary(self) -> str:
        """Say what is reserved."""
        return f"{self.node_type} for {self.hours} h"


class ReserveHardware(Step):
    """Plan, have it approved, reserve; a refused node type is followed by the next of the plan.

    Reads: Blazar's hosts and allocations where the site shows them; the AI where there is one.
    Creates: one lease.
    Owner mark: the lease's name, envagent-RUN_ID-NUMBER-...
    Undo: delete the lease.
    """

    @stage
    def plan(
        self,
        context: StepContext,
        request: RunRequest,
        initialized: Initialized,
        analyzed: AnalyzedRepository,
        available: AvailableImages,
    ) -> Plan:
        """Rank what satisfies the needs by what is free; decide node type and duration."""
        from envagent.advice.advisor import Advisor

        services = context.services
        site = read_hardware(services.cloud, initialized.identity)
        lately = context.ledger.recent("server", FAULT, context.now() - REMEMBERED)
        bad = frozenset(str(one["node_id"]) for one in lately if one.get("node_id"))
        rank = ranking(site, available.images, request, request.start or context.now(), bad)
        chooser = Chooser(rank, request, services.settings.lease)
        alone = chooser.choose(Advisor(), analyzed.by_rules or analyzed.analysis)
        usual = alone.cost * services.settings.ai.max_cost_factor
        most = request.max_su or (math.inf if services.dearer == "ask" else usual)
        choice = chooser.choose(services.advisor, analyzed.analysis, most)
        without_ai = choice.cost > most
        if without_ai:
            choice = set_aside(choice, alone, most)
        record(context, choice.node_type)
        record(context, choice.duration)
        begin = request.start
        affordable = choice.placement.within(request.max_su) or choice.placement
        if affordable.full:
            begin = earliest_window(affordable, may_wait=request.wait_for_capacity)
        context.label(node_type=choice.placement.best.node_type.name)
        limit = request.max_su or (math.inf if services.dearer == "take" else choice.cost)
        return Plan(
            placement=choice.placement,
            hours=choice.hours,
            hours_reason=choice.duration.reason,
            start=begin,
            service_units=choice.cost,
            ceiling=highest_cost(choice.placement, limit),
            by_rules=None if choice.price == alone.price else alone.price,
            without_ai=without_ai,
            needs_person=request.max_su is None and choice.cost > usual,
        )

    @stage
    def approve(self, context: StepContext, request: RunRequest, plan: Plan) -> Approved | NotYet:
        """Wait until the user approves the plan; nothing is created in the cloud before.

        Raises:
            QuotaExceeded: nothing of the plan is within a `--max-su` given since.
        """
        best, most = plan.placement.best.node_type.name, highest_cost(plan.placement, request.max_su or plan.most)
        if most is None:
            raise too_dear(request, f"{best} for {plan.hours} h", plan.service_units)
        by_person = context.approved_amount is not None or request.max_su is not None
        if context.approved and (by_person or not plan.needs_person):
            return Approved(at=context.now())
        return NotYet(
            "approval of the plan",
            look_again=None,
            question=Question(f"Reserve {best} for {plan.hours} h, at most {most:g} SU?", most),
        )

    @stage
    def reserve(
        self, context: StepContext, request: RunRequest, plan: Plan, approved: Approved, initialized: Initialized
    ) -> ReservedHardware | NotYet:
        """Create the lease and wait until it is ACTIVE; `attempts` decides what follows a failure.

        A lease whose node could not be deployed is replaced: the next is granted before it is released, so that Blazar
        does not give the same node again. There are never more than two.
        """
        cloud = context.services.cloud
        kind = lease_kind(cloud)
        ledger = context.ledger
        candidates = {candidate.node_type.name: candidate for candidate in plan.placement.candidates}
        while True:
            current, past = ledger.current(kind), Deployments.read(ledger, cloud)
            failed = () if current is None else past.on_lease(current.cloud_id)
            if current is None:
                following = _next_try(context, request, plan, initialized)
                if isinstance(following, NotYet):
                    return following
                current = following
            elif failed:
                instead = _replacement(context, request, plan, initialized, current, past)
                if instead is None:
                    kept = self._keep(context, kind, plan, current)
                    return kept.model_copy(update={"kept_after": failed[-1].launch.number})
                current = instead
            candidate = candidates[current.request.node_type]
            excluded = past.avoiding(candidate)
            if current.is_new:
                cost, site = candidate.cost(_hours(context, plan, current)), initialized.identity.site
                why = context.services.admission.lease(current.number, site, cost)
                if (turn := not_its_turn(context, "reserve", why)) is not None:
                    return turn

            def make(
                candidate: Candidate = candidate,
                current: Try[LeaseRequest] = current,
                excluded: tuple[str, ...] = excluded,
            ) -> Found:
                start = _begin(context, _start(plan, current))
                end = current.request.end or _end(context, plan, start)
                wanted = resource_type_of(candidate.node_type).reservation(candidate.node_type, excluded)
                return kind.found(cloud.create_lease(current.name, start, end, wanted))

            try:
                asked = current.request.model_copy(update={"user_id": initialized.identity.user_id})
                found = context.ledger.create(kind, current.number, current.name, asked, make)
            except CapacityError as refusal:
                context.warn(f"{candidate.node_type.name}: {_reason(current.name, refusal.message)}")
                continue
            if isinstance(found, NotYet):
                return found
            left = _release_replaced(context, kind, current.number)
            if left is not None:
                return left
            reserved = self._await_active(context, kind, plan, current, candidate, found)
            if reserved is not None:
                return reserved

    def confirm(self, context: StepContext, output: ReservedHardware) -> ReservedHardware | None:
        """Check that the lease still exists and holds a node; its end may have been moved."""
        kind = lease_kind(context.services.cloud)
        lease = kind.read_own(context.ledger, output.lease_id, output.lease_name)
        context.ledger.record_found(kind.name, kind.found(lease))
        if lease.ending:
            raise ResourceLost(f"lease {lease.name} ({lease.id}) has ended at {lease.end:%Y-%m-%d %H:%M} UTC")
        if lease.status == LeaseStatus.ERROR:
            raise ResourceLost(
                f"lease {lease.name} ({lease.id}) is in ERROR; it is charged until {lease.end:%Y-%m-%d %H:%M} UTC"
            )
        if lease.lost_node:
            context.warn(f"lease {lease.name} is degraded: its node failed and Blazar found no replacement")
        elif lease.changed_node:
            context.warn(f"Blazar replaced the node of lease {lease.name}: a server that was on the old one is lost")
        if lease.end == output.end:
            return None
        context.report(f"the end of lease {lease.name} was moved to {lease.end:%Y-%m-%d %H:%M} UTC")
        context.label(lease_end=lease.end.isoformat())
        share = (lease.end - output.start) / (output.end - output.start)
        return output.model_copy(update={"end": lease.end, "service_units": output.service_units * share})

    def _keep(
        self, context: StepContext, kind: TaggedKind[Lease, LeaseRequest], plan: Plan, current: Try[LeaseRequest]
    ) -> ReservedHardware:
        """Read the lease whose node failed, and that nothing can replace.

        Raises:
            ResourceLost: it is over as well.
        """
        lease = kind.read_own(context.ledger, current.cloud_id or "", current.name, hint=_RESERVE_AGAIN)
        if lease.status != LeaseStatus.ACTIVE:
            raise ResourceLost(f"lease {lease.name} ({lease.id}) is {lease.status}", hint=_RESERVE_AGAIN)
        candidate = next(one for one in plan.placement.candidates if one.node_type.name == current.request.node_type)
        return _reserved(plan, candidate, lease, replaces=current.request.end is not None)

    def _await_active(
        self,
        context: StepContext,
        kind: TaggedKind[Lease, LeaseRequest],
        plan: Plan,
        current: Try[LeaseRequest],
        candidate: Candidate,
        found: Found,
    ) -> ReservedHardware | NotYet | None:
        """Read the lease; None when it went to ERROR and has been removed."""
        why = context.ledger.why_removing(kind.name, found.id)
        if why is not None:
            return _remove(context, kind, found, why)
        lease = kind.read_own(context.ledger, found.id, found.name, hint=_RESERVE_AGAIN)
        settings = context.services.settings.lease
        # A lease that starts now is waited for from now on, whatever this machine's clock makes of Blazar's start time.
        begins = None if _start(plan, current) is None else lease.start
        wait = context.wait(
            "the lease to start", every=settings.poll_seconds, timeout=settings.timeout_seconds, counted_from=begins
        )
        if lease.status == LeaseStatus.ACTIVE:
            context.label(node_type=candidate.node_type.name, lease_end=lease.end.isoformat())
            return _reserved(plan, candidate, lease, replaces=current.request.end is not None)
        if lease.starting and not wait.over:
            return wait.not_yet(shown_status(lease), kind=kind.name, cloud_id=lease.id)
        if lease.ending:
            raise ResourceLost(f"lease {lease.name} ({lease.id}) is {lease.status}", hint=_RESERVE_AGAIN)
        # A lease that does not start keeps its node and is charged until its end: Blazar does not remove it.
        late = f"lease {lease.name} is still {lease.status} {wait.seconds:.0f} s after it was asked for"
        context.warn(f"{late if wait.over else lease_failed(lease).message}; removing it")
        return _remove(context, kind, found, NEVER_STARTED if wait.over else f"went to {lease.status}")


def _remove(context: StepContext, kind: ResourceKind, found: Found, why: str) -> NotYet | None:
    """Remove a lease that failed; None when it is gone and the next candidate may be asked for.

    Raises:
        LeaseFailed: it is gone, and it never started: the site does not start leases now, nor would it the next one.
    """
    gone = context.ledger.remove(kind, found.id, why)
    if gone is None and why == NEVER_STARTED:
        raise LeaseFailed(
            f"lease {found.name} did not become ACTIVE in time; it has been removed",
            hint=Hint("reserve again:", resume(), "; if it happens again, check the site's status page"),
        )
    return gone


def _release_replaced(context: StepContext, kind: TaggedKind[Lease, LeaseRequest], number: int) -> NotYet | None:
    """Remove the leases that one which was granted later replaces; None once they are gone."""
    for older in context.ledger.tries(kind):
        if older.number < number and older.state == IntentState.DONE and older.cloud_id and not older.removed:
            left = context.ledger.remove(kind, older.cloud_id, REPLACED)
            if left is not None:
                return left
    return None


def _replacement(
    context: StepContext,
    request: RunRequest,
    plan: Plan,
    initialized: Initialized,
    bad: Try[LeaseRequest],
    past: Deployments,
) -> Try[LeaseRequest] | None:
    """Prepare the lease that replaces one whose node failed; None if none is to be had.

    The same type comes first, unless nodes of it have failed that the site does not show.
    It ends when the failed one would have, so the run costs what was approved; the two overlap by minutes.
    """
    end = end_of(bad)
    now = context.now()
    if end is None or end - now < SHORTEST:
        return None
    rates = {one.node_type.name: one.su_per_hour for one in plan.placement.candidates}
    ceiling = request.max_su or context.approved_amount or plan.most
    hours, overlap = (end - now) / timedelta(hours=1), OVERLAP / timedelta(hours=1)
    left = ceiling - past.spent(rates, now)
    affordable = [one for one in plan.placement.candidates if one.su_per_hour * (hours - overlap) <= left]
    affordable.sort(
        key=lambda one: (past.unseen(one.node_type.name) >= IN_TURN, one.node_type.name != bad.request.node_type)
    )
    if not affordable:
        return None
    placement = plan.placement.model_copy(update={"candidates": tuple(affordable)})
    try:
        attempt = next_attempt(
            placement,
            _failures(context),
            Terms(ceiling=math.inf),
            lambda: _look_again(context, placement, plan.start, initialized),
        )
    except (CapacityError, LeaseFailed) as nothing:
        context.report(f"no other node can be reserved: {nothing.message}")
        return None
    chosen = attempt.candidate
    context.report(
        f"reserving another {chosen.node_type.name} until {end:%Y-%m-%d %H:%M} UTC, {chosen.su_per_hour:g} SU/h; "
        f"lease {bad.name} ({rates[bad.request.node_type]:g} SU/h) is released as soon as it is granted"
    )
    asked = LeaseRequest(node_type=chosen.node_type.name, hours=plan.hours, end=end)
    return _try(context, request, asked)


def _failures(context: StepContext) -> list[Failure]:
    """List the leases of this attempt that came to nothing; one that was replaced did start."""
    return [
        Failure(
            one.request.node_type,
            None if one.removed else _reason(one.name, one.error or "refused"),
            later=one.request.start is not None,
        )
        for one in context.ledger.failed(lease_kind(context.services.cloud))
        if one.detail.get("why") != REPLACED
    ]


def _next_try(
    context: StepContext, request: RunRequest, plan: Plan, initialized: Initialized
) -> Try[LeaseRequest] | NotYet:
    """Prepare the next attempt; for a node type beyond the ceiling, wait for a person's approval.

    Raises:
        NoCapacity: nothing can be reserved.
        LeaseFailed: all leases were granted, and none started.
    """
    terms = Terms(
        ceiling=request.max_su or context.approved_amount or plan.most,
        may_ask=request.max_su is None and context.services.dearer == "ask",
        may_wait=request.wait_for_capacity,
    )
    attempt = next_attempt(
        plan.placement,
        _failures(context),
        terms,
        lambda: _look_again(context, plan.placement, plan.start, initialized),
    )
    name = attempt.candidate.node_type.name
    if isinstance(attempt, AskFirst):
        return NotYet(
            f"approval of {name}: {attempt.cost:g} SU",
            look_again=None,
            status=attempt.failures,
            question=Question(f"Reserve {name} for {plan.hours} h instead, at most {attempt.cost:g} SU?", attempt.cost),
        )
    asked = LeaseRequest(node_type=name, hours=plan.hours)
    if attempt.start is not None:
        context.report(f"all nodes were taken meanwhile; next window: {name} at {attempt.start:%Y-%m-%d %H:%M} UTC")
        asked = asked.model_copy(update={"start": attempt.start})
    return _try(context, request, asked)


def _try(context: StepContext, request: RunRequest, asked: LeaseRequest) -> Try[LeaseRequest]:
    number = context.ledger.next_number("lease")
    return Try(number, mark.lease_name(context.run_id, number, mark.slug(request.repository)), asked)


def _reason(lease_name: str, message: str) -> str:
    """Return a refusal's message without the name of the lease."""
    return message.partition(f"{lease_name}: ")[2] or message


def _start(plan: Plan, current: Try[LeaseRequest]) -> datetime | None:
    return current.request.start or plan.start


def _begin(context: StepContext, planned: datetime | None) -> datetime | None:
    """Return the start to ask for; None, which is now, for one that has passed, because Blazar refuses it."""
    if planned is None or planned > context.now():
        return planned
    context.warn(f"the planned start ({planned:%Y-%m-%d %H:%M} UTC) has passed: the lease starts now")
    return None


def _look_again(
    context: StepContext, planned: Placement, start: datetime | None, initialized: Initialized
) -> Placement:
    """Return the planned candidates as they are occupied now: others may have reserved since."""
    from envagent.advice import placement

    site = read_hardware(context.services.cloud, initialized.identity)
    if site.hosts is None or site.occupations is None:
        return planned
    return placement.look_again(planned, site.hosts, site.occupations, now=start or context.now())


def _hours(context: StepContext, plan: Plan, current: Try[LeaseRequest]) -> float:
    """Return for how long a lease is requested."""
    end = current.request.end
    return float(plan.hours) if end is None else max(0.0, (end - context.now()) / timedelta(hours=1))


def _reserved(plan: Plan, candidate: Candidate, lease: Lease, *, replaces: bool) -> ReservedHardware:
    reservation = resource_type_of(candidate.node_type).reserved(lease)
    if reservation is None:
        raise LeaseFailed(f"lease {lease.name} ({lease.id}) is ACTIVE but holds no host")
    hours = (lease.end - lease.start) / timedelta(hours=1)
    if not replaces and round(hours - plan.hours, 1) <= 0:  # else it was extended before it started
        hours = plan.hours
    return ReservedHardware(
        lease_id=lease.id,
        lease_name=lease.name,
        reservation_id=reservation.id,
        node_type=candidate.node_type.name,
        hours=max(1, int(hours)),
        start=lease.start,
        end=lease.end,
        service_units=candidate.cost(hours),
    )


def _end(context: StepContext, plan: Plan, start: datetime | None) -> datetime:
    """Return the lease's end: whole minutes, never beyond the planned hours as Blazar counts them."""
    begin = start or context.now()
    return begin.replace(second=0, microsecond=0) + timedelta(hours=plan.hours)
