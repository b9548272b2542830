"""Step 5: find hardware that is really free, and reserve it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product

from envagent.advice.model import Candidate, Placement
from envagent.cloud.failures import lease_failed
from envagent.cloud.port import FlavorReservation, HostReservation, Lease
from envagent.engine.intents import Found, Try
from envagent.engine.step import NotYet, Output, Step, stage
from envagent.errors import CapacityError, LeaseFailed, NoCapacity, NotFound, ResourceLost
from envagent.steps import mark
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Approved, Plan
from envagent.steps.record import record
from envagent.steps.request import RunRequest
from envagent.steps.resources import LeaseKind
from envagent.steps.select_image import AvailableImages
from envagent.steps.services import StepContext
from envagent.steps.site import look

ENDED = ("TERMINATING", "TERMINATED", "DELETING")
NEVER_STARTED = "never became ACTIVE"

MOST_TRIES = 8
"""How many node types are asked for in one attempt; matters where the site hides what is free."""

TRIES_OF_A_TYPE = (2, 4)
"""How many leases of one node type may go to ERROR in one attempt: before another type is taken, and when no other is
left. Blazar gives one host to several leases that are asked for at the same moment, and finds out when the second one
starts: asked again, it takes another host, or says that none is left; one of those who collide gets its."""

MOST_IN_ERROR = 6
"""How many leases may go to ERROR in one attempt, of whatever type: a site with so many starts none now."""

MOST_WINDOWS = 3
"""How many later windows are asked for in one attempt, where others take them as well."""

_WAIT_HINT = "reserve the earliest window with --wait-for-capacity, or ask for other hardware with --node-type"

_RESERVE_AGAIN = "envagent resume RUN_ID reserves again; envagent teardown RUN_ID removes what is left"

STARTING = ("CREATING", "PENDING", "STARTING", "UPDATING")


class ReservedHardware(Output):
    """An ACTIVE lease and the reservation in it that servers are launched into."""

    lease_id: str
    lease_name: str
    reservation_id: str
    node_type: str
    hours: int
    start: datetime
    end: datetime
    service_units: float


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
        from envagent.advice import images
        from envagent.advice.duration import DEFAULT_HOURS, service_units
        from envagent.advice.placement import place as rank_candidates

        advisor = context.services.advisor
        site = look(context.services.cloud, initialized.identity)
        wished_image = images.find_named(available.images, request.image) if request.image else None
        start = request.start or context.now()

        def place(hours: int) -> Placement:
            return rank_candidates(
                analyzed.analysis,
                site.node_types,
                site.hosts,
                site.occupations,
                available.images,
                now=start,
                hours=hours,
                node_type=request.node_type,
                image=wished_image,
            )

        wish = request.hours or context.services.settings.lease.hours
        placement, decision = advisor.node_type(place(wish or DEFAULT_HOURS), analyzed.analysis, wish=request.node_type)
        record(context, decision)
        hours, decided = advisor.duration(analyzed.analysis, placement.best.node_type, wish=wish)
        hours = min(hours, context.services.settings.lease.max_hours) if wish is None else hours
        record(context, decided)
        if hours != placement.hours:
            placement = _keep_first(place(hours), placement.best.node_type.name)
        begin = request.start
        if placement.full:
            begin = _when_free(placement, request)
        best = placement.best.node_type
        context.label(node_type=best.name)
        return Plan(
            placement=placement,
            hours=hours,
            hours_reason=decided.reason,
            start=begin,
            service_units=service_units(best, hours),
        )

    @stage
    def approve(self, context: StepContext, plan: Plan) -> Approved | NotYet:
        """Wait until the user agrees to the plan; nothing is made in the cloud before."""
        if not context.approved:
            return NotYet("approval of the plan", look_again=None)
        return Approved(at=context.now())

    @stage
    def reserve(
        self, context: StepContext, request: RunRequest, plan: Plan, approved: Approved, initialized: Initialized
    ) -> ReservedHardware | NotYet:
        """Create the lease and wait until it is ACTIVE; a refusal or a second ERROR leads to the next candidate."""
        cloud = context.services.cloud
        kind = LeaseKind(cloud)
        ledger = context.ledger
        candidates = {candidate.node_type.name: candidate for candidate in plan.placement.candidates}
        while True:
            current = ledger.current(kind.name) or _next_try(context, request, plan, initialized)
            candidate = candidates[current.request["node_type"]]

            def make(candidate: Candidate = candidate, current: Try = current) -> Found:
                start = _begin(context, _start(plan, current))
                end = _end(context, plan, start)
                return kind.found(cloud.create_lease(current.name, start, end, _reservation(candidate, initialized)))

            try:
                asked = {**current.request, "user_id": initialized.identity.user_id}
                found = context.create(kind, current.number, current.name, asked, make)
            except CapacityError as refusal:
                context.warn(f"{candidate.node_type.name}: {_reason(current.name, refusal.message)}")
                continue
            if isinstance(found, NotYet):
                return found
            answer = self._await_active(context, kind, plan, current, candidate, found)
            if answer is not None:
                return answer

    def confirm(self, context: StepContext, output: ReservedHardware) -> ReservedHardware | None:
        """Check that the lease is still there and still holds a node; its end may have been moved."""
        lease = _read(context, output.lease_id, output.lease_name)
        if lease.status in ENDED:
            raise ResourceLost(f"lease {lease.name} ({lease.id}) has ended, at {lease.end:%Y-%m-%d %H:%M} UTC")
        if lease.status == "ERROR":
            raise ResourceLost(
                f"lease {lease.name} ({lease.id}) is in ERROR; it is charged until {lease.end:%Y-%m-%d %H:%M} UTC"
            )
        if lease.degraded or any(item.missing_resources for item in lease.reservations):
            context.warn(f"lease {lease.name} is degraded: its node failed and Blazar found no replacement")
        elif any(item.resources_changed for item in lease.reservations):
            context.warn(f"Blazar replaced the node of lease {lease.name}: a server that was on the old one is lost")
        if lease.end == output.end:
            return None
        context.report(f"the end of lease {lease.name} was moved to {lease.end:%Y-%m-%d %H:%M} UTC")
        context.label(lease_end=lease.end.isoformat())
        share = (lease.end - output.start) / (output.end - output.start)
        return output.model_copy(update={"end": lease.end, "service_units": output.service_units * share})

    def _await_active(
        self, context: StepContext, kind: LeaseKind, plan: Plan, current: Try, candidate: Candidate, found: Found
    ) -> ReservedHardware | NotYet | None:
        """Look at the lease: ACTIVE, not yet, or (None) in ERROR and removed."""
        why = context.ledger.why_removing(kind.name, found.id)
        if why is not None:
            return _remove(context, kind, found, why)
        lease = _read(context, found.id, found.name, hint=_RESERVE_AGAIN)
        settings = context.services.settings.lease
        # What begins now is waited for from now on, whatever this machine's clock thinks of Blazar's start time.
        begins = None if _start(plan, current) is None else lease.start
        wait = context.wait(
            "lease ACTIVE", every=settings.poll_seconds, timeout=settings.timeout_seconds, counted_from=begins
        )
        if lease.status == "ACTIVE":
            context.label(node_type=candidate.node_type.name, lease_end=lease.end.isoformat())
            return _reserved(plan, candidate, lease)
        if lease.status in STARTING and not wait.over:
            return wait.not_yet(lease.status)
        if lease.status in ENDED:
            raise ResourceLost(f"lease {lease.name} ({lease.id}) is {lease.status}", hint=_RESERVE_AGAIN)
        # A lease that does not start holds its node and is charged until its end: Blazar removes nothing by itself.
        late = f"lease {lease.name} is still {lease.status} {wait.seconds:.0f} s after it was asked for"
        context.warn(f"{late if wait.over else lease_failed(lease).message}; removing it")
        return _remove(context, kind, found, NEVER_STARTED if wait.over else f"went to {lease.status}")


def _read(context: StepContext, lease_id: str, name: str, *, hint: str | None = None) -> Lease:
    """Read the lease.

    Raises:
        ResourceLost: it was deleted; that is on record then.
    """
    try:
        return context.services.cloud.lease(lease_id)
    except NotFound:
        context.ledger.gone("lease", lease_id)
        raise ResourceLost(f"lease {name} ({lease_id}) was deleted, and not by this run", hint=hint) from None


def _remove(context: StepContext, kind: LeaseKind, found: Found, why: str) -> NotYet | None:
    """Remove a lease that came to nothing; None when it is gone and the next candidate may be asked for.

    Raises:
        LeaseFailed: it is gone, and it never started: the site does not start leases now, the next would not either.
    """
    gone = context.remove(kind, found.id, why)
    if gone is None and why == NEVER_STARTED:
        raise LeaseFailed(
            f"lease {found.name} did not become ACTIVE in time; it has been removed",
            hint="envagent resume RUN_ID reserves anew; see the site's status page if it happens again",
        )
    return gone


def _next_try(context: StepContext, request: RunRequest, plan: Plan, initialized: Initialized) -> Try:
    """Take the first candidate that this attempt has not used up; then, where asked for, the next free window.

    Raises:
        NoCapacity: all were tried; says what each answered.
        LeaseFailed: all were granted, and none started.
    """
    failed = context.ledger.failed("lease")
    refused = {one.request["node_type"] for one in failed if not one.removed}
    in_error = Counter(one.request["node_type"] for one in failed if one.removed)
    usable = plan.placement.candidates[:MOST_TRIES] if in_error.total() < MOST_IN_ERROR else ()
    for limit, candidate in product(TRIES_OF_A_TYPE, usable):
        name = candidate.node_type.name
        if name not in refused and in_error[name] < limit:
            return _try(context, request, plan, candidate, None)
    placement = _look_again(context, plan, initialized)
    window = min(placement.candidates, key=_by_window)
    waited = sum(1 for one in failed if one.request.get("start"))
    if placement.full and request.wait_for_capacity and window.next_free is not None and waited < MOST_WINDOWS:
        start = _next_minute(window.next_free)
        context.report(f"others were faster; the next window: {window.node_type.name} at {start:%Y-%m-%d %H:%M} UTC")
        return _try(context, request, plan, window, start)
    told = _answers(failed)
    if not refused and not placement.full:
        raise LeaseFailed(
            f"no lease could be started ({told}); they have been removed",
            hint="envagent resume RUN_ID tries again; choose another --node-type, or ask the help desk",
        )
    raise NoCapacity(
        f"no suitable node can be reserved now ({told}){_next_free(placement)}",
        hint=_WAIT_HINT if placement.full and not request.wait_for_capacity else None,
    )


def _answers(failed: list[Try]) -> str:
    """Tell what each node type was answered, those with the same answer together."""
    answered: dict[str, list[str]] = {}
    for one in failed:
        reason = _reason(one.name, one.error) if one.error else "went to ERROR at its start"
        answered.setdefault(reason, []).append(one.request["node_type"])
    return "; ".join(f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in answered.items())


def _reason(lease_name: str, message: str) -> str:
    """Give what a refusal says beyond which lease it was."""
    return message.partition(f"{lease_name}: ")[2] or message


def _try(context: StepContext, request: RunRequest, plan: Plan, candidate: Candidate, start: datetime | None) -> Try:
    number = context.ledger.next_number("lease")
    name = mark.lease_name(context.run_id, number, mark.slug(request.repository))
    asked = {"node_type": candidate.node_type.name, "hours": plan.hours}
    return Try(number, name, asked if start is None else {**asked, "start": start.isoformat()})


def _start(plan: Plan, current: Try) -> datetime | None:
    later = current.request.get("start")
    return plan.start if later is None else datetime.fromisoformat(later)


def _begin(context: StepContext, planned: datetime | None) -> datetime | None:
    """Give the time for which a lease is asked; None is now, as Blazar refuses a start that has passed meanwhile."""
    if planned is None or planned > context.now():
        return planned
    context.warn(f"the start at {planned:%Y-%m-%d %H:%M} UTC has passed: the lease begins now")
    return None


def _look_again(context: StepContext, plan: Plan, initialized: Initialized) -> Placement:
    """Give the plan's candidates as they are occupied now: since the plan was made others have reserved, too."""
    from envagent.advice import placement

    site = look(context.services.cloud, initialized.identity)
    if site.hosts is None or site.occupations is None:
        return plan.placement
    return placement.look_again(plan.placement, site.hosts, site.occupations, now=plan.start or context.now())


def _by_window(candidate: Candidate) -> tuple[bool, datetime]:
    return candidate.next_free is None, candidate.next_free or datetime.max.replace(tzinfo=UTC)


def _reservation(candidate: Candidate, initialized: Initialized) -> HostReservation | FlavorReservation:
    if initialized.identity.profile == "kvm":
        return FlavorReservation(flavor_id=candidate.node_type.flavor_id or candidate.node_type.name)
    return HostReservation(node_type=candidate.node_type.name, exclude_uids=candidate.exclude_uids)


def _reserved(plan: Plan, candidate: Candidate, lease: Lease) -> ReservedHardware:
    found = [item for item in lease.reservations if item.resource_type in ("physical:host", "flavor:instance")]
    if not found:
        raise LeaseFailed(f"lease {lease.name} ({lease.id}) is ACTIVE and holds no host")
    return ReservedHardware(
        lease_id=lease.id,
        lease_name=lease.name,
        reservation_id=found[0].id,
        node_type=candidate.node_type.name,
        hours=plan.hours,
        start=lease.start,
        end=lease.end,
        service_units=candidate.su_per_hour * plan.hours,
    )


def _end(context: StepContext, plan: Plan, start: datetime | None) -> datetime:
    """Give the lease's end: whole minutes, never beyond the asked hours as Blazar counts them."""
    begin = start or context.now()
    return begin.replace(second=0, microsecond=0) + timedelta(hours=plan.hours)


def _keep_first(placement: Placement, name: str) -> Placement:
    """Keep the decided node type first where the placement for the decided hours still has it free."""
    first = [one for one in placement.candidates if one.node_type.name == name and one.free_now != 0]
    rest = [one for one in placement.candidates if one not in first]
    return placement.model_copy(update={"candidates": (*first, *rest)})


def _when_free(placement: Placement, request: RunRequest) -> datetime:
    """Give the start of the earliest window, where the user is willing to wait for it.

    Raises:
        NoCapacity: the user is not, or there is none.
    """
    earliest = placement.next_free
    if request.wait_for_capacity and earliest is not None:
        return _next_minute(earliest)
    raise NoCapacity(
        f"all suitable nodes are reserved now{_next_free(placement)}",
        hint=_WAIT_HINT,
    )


def _next_minute(moment: datetime) -> datetime:
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + timedelta(minutes=1)


def _next_free(placement: Placement) -> str:
    known = [
        f"{one.node_type.name} at {one.next_free:%Y-%m-%d %H:%M} UTC"
        for one in placement.candidates
        if one.next_free is not None and one.free_now == 0
    ]
    return f"; free again: {', '.join(known)}" if known else ""
