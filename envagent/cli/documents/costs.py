"""What a run's leases have cost and cost now, computed from the leases that the run has or had.

A lease is charged from its start until its end or its removal, whichever comes first; the plan counts for nothing
once a lease exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from envagent.cli.documents.json_models import CostPart, LeasePhase
from envagent.cli.render import times
from envagent.engine.tables import IntentRecord, Ownership, ResourceRecord, ResourceState

if TYPE_CHECKING:
    from envagent.cli.documents.run_document import StoredRun
    from envagent.steps.plan import Plan
    from envagent.steps.reserve_hardware import ReservedHardware
    from envagent.steps.resources import LeaseRequest


@dataclass(frozen=True)
class LeasePeriod:
    """When one lease is charged.

    Attributes:
        end: when it ends by itself; None where nothing says so.
    """

    start: datetime
    end: datetime | None
    removed: datetime | None


@dataclass(frozen=True)
class LeaseCharge:
    """What one lease is charged.

    Attributes:
        rate: service units per hour.
        end: when it ends by itself.
        booked: hours.
    """

    rate: float
    start: datetime
    end: datetime
    removed: datetime | None
    booked: float

    def phase(self, now: datetime) -> LeasePhase:
        """Return where the lease is."""
        if self.removed is not None and self.removed < self.end:
            return "removed"
        if now >= self.end:
            return "ended"
        return "running" if now >= self.start else "not_begun"

    def hours(self, now: datetime) -> float:
        """Return the hours that have been used."""
        stop = min(now, self.end, self.removed or now)
        return max(0.0, (stop - self.start).total_seconds()) / 3600


def latest(resources: Iterable[ResourceRecord], kind: str) -> ResourceRecord | None:
    """Return the object of a kind that a run has now, or had last."""
    ours = [one for one in resources if one.kind == kind and one.ownership != Ownership.FOREIGN]
    present = [one for one in ours if one.state != ResourceState.ABSENT]
    return next(reversed(present or ours), None)


def end_date(lease: ResourceRecord) -> str | None:
    """Return when a lease ends by itself, as the service last reported it."""
    reported: str | None = json.loads(lease.detail).get("end_date")
    return reported


def lease_period(lease: ResourceRecord, intents: Iterable[IntentRecord]) -> LeasePeriod:
    """Return when a lease is charged, from the journal's rows alone."""
    created = datetime.fromisoformat(lease.created_at)
    reported = json.loads(lease.detail).get("start_date")  # not in journals of earlier versions
    start = times.parsed(reported) or max(created, _start_requested(lease, intents) or created)
    removed = lease.removed_at if lease.state == ResourceState.ABSENT else None
    return LeasePeriod(start, times.parsed(end_date(lease)), times.parsed(removed))


def cost_part(run: StoredRun, now: datetime) -> CostPart | None:
    """Return what the run's leases cost; None while there has been none."""
    from envagent.steps.plan import Plan
    from envagent.steps.reserve_hardware import ReservedHardware

    lease, plan, reserved = latest(run.resources, "lease"), run.output(Plan), run.output(ReservedHardware)
    if lease is None or plan is None:
        return None
    current = _charge(run, lease, plan, reserved)
    ours = [one for one in run.resources if one.kind == "lease" and one.ownership != Ownership.FOREIGN]
    charges = [_charge(run, one, plan, reserved) for one in ours]
    running = [one for one in charges if one.phase(now) == "running"]
    return CostPart(
        su_per_hour=current.rate,
        su_estimate=round(current.rate * current.booked, 2),
        su_so_far=round(sum(one.rate * one.hours(now) for one in charges), 2),
        lease_start=current.start.isoformat(),
        lease_end=current.end.isoformat(),
        charged_now=bool(running),
        hours_so_far=round(sum(one.hours(now) for one in charges), 2),
        su_per_hour_now=sum(one.rate for one in running),
        lease_removed_at=None if current.removed is None else current.removed.isoformat(),
        phase=current.phase(now),
    )


def over_since(cost: CostPart) -> str | None:
    """Return when the lease ended or was removed; None while it may exist."""
    if cost.phase == "ended":
        return cost.lease_end
    return cost.lease_removed_at if cost.phase == "removed" else None


def _charge(run: StoredRun, lease: ResourceRecord, plan: Plan, reserved: ReservedHardware | None) -> LeaseCharge:
    period = lease_period(lease, run.intents)
    if reserved is not None and reserved.lease_id == lease.cloud_id:
        end = period.end or reserved.end  # the lease may have been prolonged or shortened since
        booked = plan.hours + (end - reserved.end).total_seconds() / 3600
        rate = reserved.service_units / reserved.hours
        return LeaseCharge(rate, reserved.start, end, period.removed, booked)
    rates = {one.node_type.name: one.su_per_hour for one in plan.placement.candidates}
    request = _request_of(lease, run.intents)
    rate = rates.get("" if request is None else request.node_type, plan.placement.best.su_per_hour)
    start = max(period.start, plan.start or period.start)
    return LeaseCharge(rate, start, period.end or times.after_hours(start, plan.hours), period.removed, plan.hours)


def _start_requested(lease: ResourceRecord, intents: Iterable[IntentRecord]) -> datetime | None:
    request = _request_of(lease, intents)
    return None if request is None else request.start


def _request_of(lease: ResourceRecord, intents: Iterable[IntentRecord]) -> LeaseRequest | None:
    """Return the request that created a lease; None for one that the run only found."""
    asked = next((one for one in intents if (one.kind, one.cloud_id) == ("lease", lease.cloud_id)), None)
    return None if asked is None else lease_request(asked)


def lease_request(intent: IntentRecord) -> LeaseRequest | None:
    """Read a stored request for a lease; None where another version stored it in another form."""
    from pydantic import ValidationError

    from envagent.steps.resources import LeaseRequest

    try:
        return LeaseRequest.model_validate_json(intent.request)
    except ValidationError:
        return None
