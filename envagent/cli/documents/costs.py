"""What a run's leases have cost and cost now, computed from the leases that the run has or had.

A lease is charged from its begin until its end or its removal, whichever comes first; what was planned counts for
nothing once a lease exists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from envagent.cli.documents.json_models import CostPart, LeasePhase, PlanPart
from envagent.cli.render import times
from envagent.engine.tables import IntentRecord, Ownership, ResourceRecord, ResourceState

if TYPE_CHECKING:
    from envagent.cli.documents.run_document import Rows


@dataclass(frozen=True)
class LeaseTime:
    """When one lease is charged, and how much an hour."""

    rate: float
    begin: datetime
    end: datetime
    """When it ends by itself."""
    removed: datetime | None
    booked: float
    """Hours."""

    def phase(self, now: datetime) -> LeasePhase:
        """Tell where the lease is."""
        if self.removed is not None and self.removed < self.end:
            return "removed"
        if now >= self.end:
            return "ended"
        return "running" if now >= self.begin else "not_begun"

    def hours(self, now: datetime) -> float:
        """Give the hours that have been used."""
        stop = min(now, self.end, self.removed or now)
        return max(0.0, (stop - self.begin).total_seconds()) / 3600


def lease_time(rows: Rows, lease: ResourceRecord, plan: PlanPart) -> LeaseTime:
    """Find out about one lease of a run."""
    reserved = rows.output("reserve_hardware.reserve")
    asked = next((one for one in rows.intents if (one.kind, one.cloud_id) == ("lease", lease.cloud_id)), None)
    created = datetime.fromisoformat(lease.created_at)
    booked: float = plan.hours
    told_end = times.parsed(end_date(lease))
    if reserved is not None and reserved["lease_id"] == lease.cloud_id:
        rate = reserved["service_units"] / reserved["hours"]
        begin, end = datetime.fromisoformat(reserved["start"]), datetime.fromisoformat(reserved["end"])
        if told_end is not None:  # perhaps prolonged or shortened since
            booked, end = booked + (told_end - end).total_seconds() / 3600, told_end
    else:
        rate = _rate(asked, plan)
        begin = max(created, times.parsed(_asked_start(asked) or plan.start) or created)
        end = told_end or times.after_hours(begin, plan.hours)
    removed = times.parsed(lease.removed_at) if lease.state == ResourceState.ABSENT else None
    return LeaseTime(rate, begin, end, removed, booked)


def end_date(lease: ResourceRecord) -> str | None:
    """Give when a lease ends by itself, as the service has told it last."""
    told: str | None = json.loads(lease.detail).get("end_date")
    return told


def cost_part(rows: Rows, plan: PlanPart | None, now: datetime) -> CostPart | None:
    """Compute what the run's leases cost; None while there has been none."""
    lease = rows.held("lease")
    if lease is None or plan is None:
        return None
    held = lease_time(rows, lease, plan)
    ours = [one for one in rows.resources if one.kind == "lease" and one.ownership != Ownership.FOREIGN]
    all_times = [lease_time(rows, one, plan) for one in ours]
    charged = [one for one in all_times if one.phase(now) == "running"]
    return CostPart(
        su_per_hour=held.rate,
        su_estimate=round(held.rate * held.booked, 2),
        su_so_far=round(sum(one.rate * one.hours(now) for one in all_times), 2),
        lease_start=held.begin.isoformat(),
        lease_end=held.end.isoformat(),
        charged_now=bool(charged),
        hours_so_far=round(sum(one.hours(now) for one in all_times), 2),
        su_per_hour_now=sum(one.rate for one in charged),
        lease_removed_at=None if held.removed is None else held.removed.isoformat(),
        phase=held.phase(now),
    )


def over_since(cost: CostPart) -> str | None:
    """Give when the lease ended or was removed; None while it may be there."""
    if cost.phase == "ended":
        return cost.lease_end
    return cost.lease_removed_at if cost.phase == "removed" else None


def _asked_start(asked: IntentRecord | None) -> str | None:
    start: str | None = None if asked is None else json.loads(asked.request).get("start")
    return start


def _rate(asked: IntentRecord | None, plan: PlanPart) -> float:
    name = None if asked is None else json.loads(asked.request).get("node_type")
    rates = {one.node_type: one.su_per_hour for one in plan.candidates}
    return rates.get(name or "", plan.candidates[0].su_per_hour)
