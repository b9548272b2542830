"""What a run's leases have cost and cost now, computed from the leases that the run has or had.

A lease is charged from its start until its end or its removal, whichever comes first; the plan counts for nothing
once a lease exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from envagent.cli.documents.json_models import CostPart, LeasePhase
from envagent.cli.render import times
from envagent.engine.kinds import CHANGE
from envagent.engine.tables import IntentRecord, IntentState, Ownership, ResourceRecord, ResourceState, StageRecord

if TYPE_CHECKING:
    from envagent.steps.resources import LeaseRequest

PLAN, RESERVED = "Plan", "ReservedHardware"
"""The outputs that say what a lease costs. Lists read them without their models, which take long to import."""

EXTENSION = f"{CHANGE}lease"
"""The kind of the intents that extend a lease."""


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

    def hours_left(self, now: datetime) -> float:
        """Return the hours that are still to be charged."""
        if self.phase(now) in ("removed", "ended"):
            return 0.0
        return (self.end - max(self.start, now)).total_seconds() / 3600


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
    requested = times.parsed(_request_of(lease, intents).get("start"))
    start = times.parsed(reported) or max(created, requested or created)
    removed = lease.removed_at if lease.state == ResourceState.ABSENT else None
    return LeasePeriod(start, times.parsed(end_date(lease)), times.parsed(removed))


@dataclass(frozen=True)
class Terms:
    """What a run's stored outputs say of its leases.

    Attributes:
        hours: how long a lease is.
        start: when it begins; None means at once.
        rates: node type to service units per hour.
        rate: that of the first choice.
        reserved: the reservation that succeeded, as stored.
    """

    hours: int
    start: datetime | None
    rates: dict[str, float]
    rate: float
    reserved: dict[str, Any] | None

    @classmethod
    def read(cls, stages: Iterable[StageRecord]) -> Terms | None:
        """Read them; None before there is a plan, and where another version stored it in another form."""
        outputs = {one.model: one.output for one in stages if one.model in (PLAN, RESERVED) and one.output is not None}
        if PLAN not in outputs:
            return None
        try:
            plan = json.loads(outputs[PLAN])
            candidates = plan["placement"]["candidates"]
            rates = {one["node_type"]["name"]: float(one["su_per_hour"]) for one in candidates}
            reserved = json.loads(outputs.get(RESERVED, "null"))
            return cls(plan["hours"], times.parsed(plan["start"]), rates, next(iter(rates.values())), reserved)
        except (ValueError, LookupError, TypeError, StopIteration):
            return None

    def charge(self, lease: ResourceRecord, intents: Iterable[IntentRecord]) -> LeaseCharge:
        """Return what one lease is charged."""
        period = lease_period(lease, intents)
        if self.reserved is not None and self.reserved["lease_id"] == lease.cloud_id:
            start, planned = (datetime.fromisoformat(self.reserved[name]) for name in ("start", "end"))
            end = period.end or planned  # the lease may have been extended or shortened since
            total, hours = self.reserved["service_units"], self.reserved["hours"]
            rate = self.rates.get(self.reserved["node_type"]) or total / hours
            # An end that was moved before is part of the stored charge, and not of the stored hours.
            booked = (total / rate if rate else hours) + (end - planned).total_seconds() / 3600
            return LeaseCharge(rate, start, end, period.removed, booked)
        request = _request_of(lease, intents)
        rate = self.rates.get(request.get("node_type", ""), self.rate)
        start = max(period.start, self.start or period.start)
        end = period.end or times.after_hours(start, self.hours)
        return LeaseCharge(rate, start, end, period.removed, self.hours + _extended_hours(lease, intents))


def cost_part(
    stages: Iterable[StageRecord],
    resources: Sequence[ResourceRecord],
    intents: Sequence[IntentRecord],
    now: datetime,
) -> CostPart | None:
    """Return what a run's leases cost; None while there has been none."""
    lease, terms = latest(resources, "lease"), Terms.read(stages)
    if lease is None or terms is None:
        return None
    current = terms.charge(lease, intents)
    ours = [one for one in resources if one.kind == "lease" and one.ownership != Ownership.FOREIGN]
    charges = [terms.charge(one, intents) for one in ours]
    running = [one for one in charges if one.phase(now) == "running"]
    left = current.hours_left(now)
    return CostPart(
        su_per_hour=current.rate,
        su_estimate=round(current.rate * current.booked, 2),
        su_so_far=round(sum(one.rate * one.hours(now) for one in charges), 2),
        lease_start=current.start.isoformat(),
        lease_end=current.end.isoformat(),
        charged_now=bool(running),
        hours_so_far=round(sum(one.hours(now) for one in charges), 2),
        su_per_hour_now=sum(one.rate for one in running),
        hours_left=round(left, 2),
        su_left=round(current.rate * left, 2),
        lease_removed_at=None if current.removed is None else current.removed.isoformat(),
        phase=current.phase(now),
    )


def over_since(cost: CostPart) -> str | None:
    """Return when the lease ended or was removed; None while it may exist."""
    if cost.phase == "ended":
        return cost.lease_end
    return cost.lease_removed_at if cost.phase == "removed" else None


def _extended_hours(lease: ResourceRecord, intents: Iterable[IntentRecord]) -> float:
    """Return by how much a lease that has not started was extended."""
    done = (json.loads(one.request) for one in intents if (one.kind, one.state) == (EXTENSION, IntentState.DONE))
    return sum(float(one["minutes"]) for one in done if one["lease_id"] == lease.cloud_id) / 60


def _request_of(lease: ResourceRecord, intents: Iterable[IntentRecord]) -> dict[str, Any]:
    """Return the stored request that created a lease; nothing for one that the run only found."""
    asked = next((one for one in intents if (one.kind, one.cloud_id) == ("lease", lease.cloud_id)), None)
    request: dict[str, Any] = {} if asked is None else json.loads(asked.request)
    return request


def lease_request(intent: IntentRecord) -> LeaseRequest | None:
    """Read a stored request for a lease; None where another version stored it in another form."""
    from pydantic import ValidationError

    from envagent.steps.resources import LeaseRequest

    try:
        return LeaseRequest.model_validate_json(intent.request)
    except ValidationError:
        return None
