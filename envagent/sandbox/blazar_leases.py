"""Blazar's leases: create, list, show, delete."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from envagent.sandbox import lease_life
from envagent.sandbox.blazar_reservations import internal_error, reserve
from envagent.sandbox.blazar_usage import check_budget, check_length
from envagent.sandbox.cloud_time import blazar_stamp, floor_minute, iso_micro
from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.records import Lease, LeaseEvent, Reservation
from envagent.sandbox.world import World

DATE_FORMAT = "%Y-%m-%d %H:%M"
NAME_LENGTH = 80


def view(lease: Lease) -> dict[str, Any]:
    """Return a lease as Blazar shows it."""
    return {
        "id": lease.id,
        "name": lease.name,
        "user_id": lease.user,
        "project_id": lease.owner,
        "start_date": iso_micro(lease.start),
        "end_date": iso_micro(lease.end),
        "status": lease.status,
        "degraded": lease.degraded,
        "trust_id": lease.trust_id,
        "created_at": blazar_stamp(lease.created_at),
        "updated_at": blazar_stamp(lease.updated_at),
        "reservations": [_reservation_view(lease, reservation) for reservation in lease.reservations],
        "events": [_event_view(lease, event) for event in lease.events],
    }


def _reservation_view(lease: Lease, reservation: Reservation) -> dict[str, Any]:
    view = {
        "id": reservation.id,
        "lease_id": lease.id,
        "resource_id": reservation.resource_id,
        "resource_type": reservation.resource_type,
        "status": reservation.status,
        "missing_resources": reservation.missing_resources,
        "resources_changed": reservation.resources_changed,
        "created_at": blazar_stamp(reservation.created_at),
        "updated_at": blazar_stamp(reservation.updated_at),
        **reservation.asked,
    }
    if reservation.resource_type == "flavor:instance":
        view["flavor_id"] = reservation.id
    return view


def _event_view(lease: Lease, event: LeaseEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "lease_id": lease.id,
        "event_type": event.event_type,
        "time": iso_micro(event.time),
        "status": event.status,
        "created_at": blazar_stamp(event.created_at),
        "updated_at": blazar_stamp(event.updated_at) if event.updated_at else None,
    }


def get(call: Call) -> Lease:
    """Return the lease of the path: 404 for an unknown one, 403 for another project's."""
    lease = call.world.get(Lease, call.params["id"])
    if lease is None:
        raise ServiceError(404, f"Object with {{'lease_id': '{call.params['id']}'}} not found")
    if lease.owner != call.identity.project:
        raise ServiceError(403, "Policy doesn't allow blazar:leases:get to be performed")
    return lease


def date(call: Call, text: Any) -> float:
    """Return the moment of a date in Blazar's only format, or of `now`. Raises its refusals."""
    if text == "now":
        return floor_minute(call.world.at)
    if not isinstance(text, str):
        raise internal_error()
    try:
        return datetime.strptime(text, DATE_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ServiceError(400, f"{text} is an invalid date. Required format: {DATE_FORMAT}") from None


def new_events(world: World, lease: Lease, before_end: float) -> list[LeaseEvent]:
    """Return the events of a new lease."""
    moments = {"start_lease": lease.start, "end_lease": lease.end, "before_end_lease": before_end}
    return [LeaseEvent(world.new_id(), type, "UNDONE", at, world.at) for type, at in moments.items()]


def lease_name(asked: Any) -> str:
    """Return a lease's name; one that does not fit the database column breaks Blazar."""
    if asked is None or isinstance(asked, (dict, list)) or len(str(asked)) > NAME_LENGTH:
        raise internal_error()
    return str(asked)


def before_end_date(call: Call, asked: Any, start: float, end: float) -> float:
    """Return the moment requested for the before_end event, which must lie inside the lease."""
    moment = date(call, asked)
    if not start < moment < end:
        raise ServiceError(403, "Datetime is out of lease limits")
    return moment


def items(asked: Any) -> list[dict[str, Any]]:
    """Return the objects of a list in the body; anything else breaks Blazar."""
    if asked != {} and not (isinstance(asked, list) and all(isinstance(item, dict) for item in asked)):
        raise internal_error()
    return list(asked)


def create(call: Call) -> Reply:
    """Handle POST /leases; resources are allocated before the response."""
    if call.identity.restricted and not call.world.profile.restricted_credentials_lease:
        # Keystone refuses the trust before Blazar reads the request, and Blazar hides the reason.
        raise internal_error()
    asked = call.body
    missing = sorted({"name", "start_date", "end_date"} - asked.keys())
    if missing:
        raise ServiceError(400, f"Missing parameter {', '.join(missing)}")
    world = call.world
    reservations = items(asked.get("reservations", []))
    items(asked.get("events", []))
    if any("resource_type" not in one for one in reservations):
        raise ServiceError(400, "Missing parameter resource_type")
    start, end = date(call, asked["start_date"]), date(call, asked["end_date"])
    if start < floor_minute(world.at):
        raise ServiceError(400, "Start date must be later than current date")
    if end <= start:
        raise ServiceError(400, "End date must be later than start date.")
    check_length(call, end - start)
    lease = Lease(
        **world.fresh(call.identity.project, lease_name(asked["name"])),
        user=call.identity.user,
        start=start,
        end=end,
        status="PENDING",
        updated_at=world.at,
        trust_id=world.new_id().replace("-", ""),
        start_fails="lease_error" in call.effects,
        never_starts="lease_stuck" in call.effects,
    )
    reminder = asked.get("before_end_date")
    before_end = before_end_date(call, reminder, start, end) if reminder else end - world.profile.before_end_seconds
    lease.events = new_events(world, lease, max(start, before_end))
    lease.reservations = [reserve(call, lease, one) for one in reservations]
    check_budget(call, lease)
    lease_life.plan(world, lease)
    call.store(lease)
    return Reply(201, {"lease": view(lease)})


def list_all(call: Call) -> Reply:
    """Handle GET /leases: all leases of the project, including ended ones."""
    found = call.world.find(Lease, call.identity.project, call.as_of)
    return Reply(200, {"leases": [view(lease) for lease in found]})


def show(call: Call) -> Reply:
    """Handle GET /leases/ID."""
    return Reply(200, {"lease": view(get(call))})


def show_hosts(call: Call) -> Reply:
    """Handle GET /leases/ID/hosts, which Chameleon's fork adds."""
    lease = get(call)
    ids = [host for reservation in lease.reservations for host in reservation.hosts]
    hosts = [call.site.hosts[id] for id in ids]
    shown = [
        {"id": host.id, "hypervisor_hostname": host.uid, "node_name": host.node_name, "node_type": host.node_type}
        for host in hosts
    ]
    return Reply(200, {"hosts": shown})


def delete(call: Call) -> Reply:
    """Handle DELETE /leases/ID, in any status but DELETING; its servers are deleted too."""
    lease = get(call)
    if lease.status == "DELETING":
        raise ServiceError(500, "Invalid lease status.")
    if "ignore_delete" in call.effects:
        return Reply(204)
    gone = lease_life.delete(call.world, lease)
    call.wrote("lease", lease.id, lease.name)
    return Reply(204, not_before=gone if gone > call.world.at else None)
