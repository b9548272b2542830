"""Other people's leases, for tests and demonstrations on a busy site."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from envagent.sandbox import lease_life
from envagent.sandbox.blazar_leases import new_events
from envagent.sandbox.blazar_reservations import hold
from envagent.sandbox.cloud_time import floor_minute
from envagent.sandbox.records import Lease, Reservation
from envagent.sandbox.world import World


def occupy(world: World, wanted: dict[str, Any]) -> list[str]:
    """Create leases and return their ids.

    Either `{"node_type", "count"?, "start_in_hours"?, "hours"}`: that many free hosts of a type (all by default);
    or `{"allocations": [...], "moved_by_seconds"?}`: a list from GET /os-hosts/allocations.
    """
    if "allocations" in wanted:
        shift = float(wanted.get("moved_by_seconds", 0))
        return [
            _lease(world, entry["resource_id"], _moment(one["start_date"]) + shift, _moment(one["end_date"]) + shift)
            for entry in wanted["allocations"]
            for one in entry["reservations"]
            if entry["resource_id"] in world.site.hosts and _moment(one["end_date"]) + shift > world.at
        ]
    start = floor_minute(world.at) + float(wanted.get("start_in_hours", 0)) * 3600
    end = start + float(wanted["hours"]) * 3600
    taken = world.state.taken(world.site.key, start, end)
    hosts = [host for host in world.site.hosts.values() if host.node_type == wanted["node_type"]]
    free = [host.id for host in hosts if host.reservable and host.id not in taken]
    return [_lease(world, host, start, end) for host in free[: int(wanted.get("count", len(free)))]]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


def _lease(world: World, host: str, start: float, end: float) -> str:
    owner = world.site.users["other"]
    reservation = Reservation(world.new_id(), world.new_id(), "physical:host", "pending", world.at, world.at)
    reservation.hosts = [host]
    reservation.asked = {
        "min": 1,
        "max": 1,
        "hypervisor_properties": "",
        "resource_properties": f'["=", "$uid", "{world.site.hosts[host].uid}"]',
        "before_end": "default",
    }
    lease = Lease(
        **world.fresh(owner.projects[0], "somebody's experiment"),
        user=owner.id,
        start=start,
        end=end,
        status="PENDING",
        updated_at=world.at,
        trust_id=world.new_id().replace("-", ""),
        reservations=[reservation],
    )
    lease.events = new_events(world, lease, start)
    hold(world, lease, reservation)
    lease_life.plan(world, lease)
    world.put(lease)
    return lease.id
