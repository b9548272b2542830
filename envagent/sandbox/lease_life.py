"""A lease after its creation: it starts and ends at ticks of Blazar's event loop.

Its servers are deleted at its end; floating IPs that were not reserved stay.
"""

from __future__ import annotations

from envagent.sandbox import cloud_time, server_life
from envagent.sandbox.blazar_usage import charge
from envagent.sandbox.records import Flavor, FloatingIp, Lease, Reservation, Server
from envagent.sandbox.state import Due
from envagent.sandbox.world import World


def plan(world: World, lease: Lease) -> None:
    """Schedule the lease's start, before_end and end events; this supersedes earlier ones."""
    lease.plan += 1
    if lease.status == "PENDING":
        due = world.pace.next_tick(max(lease.start, world.at))
        world.schedule(due, "lease.start", lease.id, plan=lease.plan)
    if lease.status == "ACTIVE":
        _plan_before_end(world, lease)
    world.schedule(world.pace.next_tick(max(lease.end, world.at)), "lease.end", lease.id, plan=lease.plan)


def _plan_before_end(world: World, lease: Lease) -> None:
    """Schedule the before_end event of a started lease."""
    due = world.pace.next_tick(max(lease.event("before_end_lease").time, world.at))
    world.schedule(due, "lease.before_end", lease.id, plan=lease.plan)


def _planned(world: World, due: Due) -> Lease | None:
    lease = world.get(Lease, due.id)
    return lease if lease is not None and lease.plan == due.detail["plan"] else None


def _mark(world: World, lease: Lease, event_type: str, status: str) -> None:
    event = lease.event(event_type)
    event.status, event.updated_at = status, world.at


def start(world: World, due: Due) -> None:
    """Begin the start_lease event."""
    lease = _planned(world, due)
    if lease is None or lease.status != "PENDING" or lease.never_starts:
        return
    lease.status, lease.updated_at = "STARTING", world.at
    _mark(world, lease, "start_lease", "IN_PROGRESS")
    world.put(lease)
    world.schedule(world.after(cloud_time.LEASE_STARTING), "lease.started", lease.id, plan=lease.plan)


def started(world: World, due: Due) -> None:
    """Make the lease ACTIVE, or ERROR if its start fails."""
    lease = world.get(Lease, due.id)
    if lease is None or lease.status != "STARTING":
        return
    failed = lease.start_fails
    lease.status, lease.updated_at = "ERROR" if failed else "ACTIVE", world.at
    _mark(world, lease, "start_lease", "ERROR" if failed else "DONE")
    for reservation in lease.reservations:
        reservation.status, reservation.updated_at = "error" if failed else "active", world.at
        if not failed:
            _hand_over(world, lease, reservation)
    if not failed:
        _plan_before_end(world, lease)
    world.put(lease)


def _hand_over(world: World, lease: Lease, reservation: Reservation) -> None:
    """Create what a started reservation gives its project: reserved addresses, the KVM flavor."""
    for address in reservation.addresses:
        world.put(
            FloatingIp(
                **world.fresh(lease.owner, address),
                network=reservation.asked["network_id"],
                description="",
                updated_at=world.at,
                tags=["blazar", f"reservation:{reservation.id}"],
            )
        )
    if reservation.resource_type == "flavor:instance":
        source = world.site.flavors[reservation.asked["flavor_id"]]
        world.put(
            Flavor(
                **world.fresh(lease.owner, f"reservation:{reservation.id}", id=reservation.id),
                vcpus=source.vcpus,
                ram=source.ram,
                disk=source.disk,
                extra_specs={**source.extra_specs, "aggregate_instance_extra_specs:reservation": reservation.id},
            )
        )


def before_end(world: World, due: Due) -> None:
    """Complete the before_end event."""
    lease = _planned(world, due)
    if lease is None or lease.status != "ACTIVE":
        return
    _mark(world, lease, "before_end_lease", "DONE")
    world.put(lease)


def servers(world: World, lease: Lease) -> list[Server]:
    """List the servers on a lease."""
    own = {reservation.id for reservation in lease.reservations}
    found = world.find(Server, lease.owner)
    return [server for server in found if server.hints.get("reservation") in own or server.flavor in own]


def release(world: World, lease: Lease) -> float:
    """Free the lease's resources and begin to delete its servers; return when the last one is gone."""
    gone = [server_life.delete(world, server) for server in servers(world, lease) if server.host is not None]
    for reservation in lease.reservations:
        world.state.release(reservation.id)
        tag = f"reservation:{reservation.id}"
        for address in world.find(FloatingIp, lease.owner):
            if tag in address.tags:
                world.remove(address)
        flavor = world.get(Flavor, reservation.id)
        if flavor is not None:
            world.remove(flavor)
    return max(gone, default=world.at)


def end(world: World, due: Due) -> None:
    """Begin the end_lease event."""
    lease = _planned(world, due)
    if lease is None or lease.status not in ("ACTIVE", "ERROR", "PENDING"):
        return
    lease.status, lease.updated_at = "TERMINATING", world.at
    _mark(world, lease, "end_lease", "IN_PROGRESS")
    world.put(lease)
    gone = release(world, lease)
    world.schedule(max(gone, world.after(1.0)), "lease.ended", lease.id, plan=lease.plan)


def ended(world: World, due: Due) -> None:
    """Make the lease TERMINATED; it stays listed."""
    lease = _planned(world, due)
    if lease is None or lease.status != "TERMINATING":
        return
    lease.status, lease.updated_at = "TERMINATED", world.at
    _mark(world, lease, "end_lease", "DONE")
    for reservation in lease.reservations:
        reservation.status, reservation.updated_at = "deleted", world.at
    world.put(lease)


def delete(world: World, lease: Lease) -> float:
    """Delete a lease; return the moment at which it and its servers are gone."""
    holding = lease.status in ("PENDING", "STARTING", "ACTIVE", "ERROR")
    gone = release(world, lease) if holding else world.at
    charge(world, lease, world.at)
    if world.profile.lease_delete_waits and gone > world.at:
        lease.status, lease.updated_at = "DELETING", world.at
        lease.plan += 1
        world.put(lease)
        world.schedule(gone, "lease.gone", lease.id, plan=lease.plan)
        return gone
    world.remove(lease)
    return world.at


def gone(world: World, due: Due) -> None:
    """Remove a lease once its servers are deleted."""
    lease = _planned(world, due)
    if lease is not None:
        world.remove(lease)
