"""Blazar's leases: create, list, show, change, delete."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from envagent.sandbox import lease_life
from envagent.sandbox.blazar_reservations import check_move, reserve
from envagent.sandbox.blazar_usage import check_budget, check_extension, check_length
from envagent.sandbox.clock import blazar_stamp, floor_minute, iso_micro
from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.records import Lease, LeaseEvent, Reservation

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
        "status": event.status,
        "time": iso_micro(event.time),
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


def _date(call: Call, text: Any) -> float:
    if text == "now":
        return floor_minute(call.world.at)
    try:
        time.strptime(str(text), DATE_FORMAT)
        return datetime.strptime(str(text), DATE_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ServiceError(400, f"{text} is an invalid date. Required format: {DATE_FORMAT}") from None


def _new_events(call: Call, lease: Lease, before_end: float) -> list[LeaseEvent]:
    moments = {"start_lease": lease.start, "end_lease": lease.end, "before_end_lease": before_end}
    return [LeaseEvent(call.world.new_id(), type, "UNDONE", at, call.world.at) for type, at in moments.items()]


def _before_end(call: Call, lease: Lease, asked: Any) -> float:
    if not asked:
        return max(lease.start, lease.end - call.world.profile.before_end_seconds)
    moment = _date(call, asked)
    if not lease.start <= moment <= lease.end:
        raise ServiceError(403, "Datetime is out of lease limits")
    return moment


def create(call: Call) -> Reply:
    """Answer POST /leases: resources are allocated before the answer."""
    if call.identity.restricted and not call.world.profile.restricted_credentials_lease:
        # Keystone refuses Blazar the trust, which comes before Blazar looks at the request, and Blazar hides why.
        raise ServiceError(500, "Internal Server Error", "INTERNAL_SERVER_ERROR")
    asked = call.body
    missing = sorted({"name", "start_date", "end_date"} - asked.keys())
    if missing:
        raise ServiceError(400, f"Missing parameter {', '.join(missing)}")
    world = call.world
    start, end = _date(call, asked["start_date"]), _date(call, asked["end_date"])
    if start < floor_minute(world.at):
        raise ServiceError(400, "Start date must be later than current date")
    if end <= start:
        raise ServiceError(400, "End date must be later than start date.")
    check_length(call, end - start)
    lease = Lease(
        id=world.new_id(),
        site=world.site.key,
        owner=call.identity.project,
        name=str(asked["name"])[:NAME_LENGTH],
        created_at=world.at,
        user=call.identity.user,
        start=start,
        end=end,
        status="PENDING",
        updated_at=world.at,
        trust_id=world.new_id().replace("-", ""),
        start_fails="lease_error" in call.effects,
        never_starts="lease_stuck" in call.effects,
    )
    lease.events = _new_events(call, lease, _before_end(call, lease, asked.get("before_end_date")))
    lease.reservations = [reserve(call, lease, one) for one in asked.get("reservations") or []]
    check_budget(call, lease)
    lease_life.plan(world, lease)
    world.put(lease)
    call.wrote("lease", lease.id, lease.name)
    return Reply(201, {"lease": view(lease)})


def list_all(call: Call) -> Reply:
    """Answer GET /leases: all of the project's, colleagues' and ended ones too."""
    found = call.world.find(Lease, call.identity.project, call.as_of)
    return Reply(200, {"leases": [view(lease) for lease in found]})


def show(call: Call) -> Reply:
    """Answer GET /leases/ID."""
    return Reply(200, {"lease": view(get(call))})


def show_hosts(call: Call) -> Reply:
    """Answer GET /leases/ID/hosts, which Chameleon's fork adds."""
    lease = get(call)
    ids = [host for reservation in lease.reservations for host in reservation.hosts]
    hosts = [call.site.hosts[id] for id in ids]
    shown = [
        {"id": host.id, "hypervisor_hostname": host.uid, "node_name": host.node_name, "node_type": host.node_type}
        for host in hosts
    ]
    return Reply(200, {"hosts": shown})


def update(call: Call) -> Reply:
    """Answer PUT /leases/ID: a new name, new dates. The answer says UPDATING, the next look the stable status."""
    lease = get(call)
    asked = call.body
    if lease.status not in ("PENDING", "ACTIVE", "TERMINATED", "ERROR"):
        raise ServiceError(500, "Invalid lease status.")
    known = {reservation.id for reservation in lease.reservations}
    if any(one.get("id") not in known for one in asked.get("reservations") or []):
        raise ServiceError(400, "Please enter valid reservation IDs")
    if "start_date" in asked or "end_date" in asked:
        _move(call, lease, asked)
    lease.name = str(asked.get("name", lease.name))[:NAME_LENGTH]
    lease.updated_at = call.world.at
    call.world.put(lease)
    call.wrote("lease", lease.id, lease.name)
    return Reply(200, {"lease": {**view(lease), "status": "UPDATING"}})


def _move(call: Call, lease: Lease, asked: dict[str, Any]) -> None:
    world = call.world
    started = lease.event("start_lease").status != "UNDONE"
    start = _date(call, asked["start_date"]) if "start_date" in asked else lease.start
    end = _date(call, asked["end_date"]) if "end_date" in asked else lease.end
    if started and start != lease.start:
        raise ServiceError(400, "Cannot modify the start date of already started leases")
    if lease.status == "TERMINATED" and not world.profile.ended_leases_move:
        raise ServiceError(400, "Terminated leases can only be renamed")
    if not started and start < floor_minute(world.at):
        raise ServiceError(400, "Start date must be later than current date")
    if end < floor_minute(world.at) or end <= start:
        raise ServiceError(400, "End date must be later than current and start date")
    if lease.status != "TERMINATED":
        check_extension(call, lease, end)
        check_move(call, lease, start, end)
    lease.start, lease.end = start, end
    lease.event("start_lease").time, lease.event("end_lease").time = start, end
    before_end = lease.event("before_end_lease")
    before_end.time = max(start, end - world.profile.before_end_seconds)
    before_end.status, before_end.updated_at = "UNDONE", world.at
    if lease.status != "TERMINATED":
        check_budget(call, lease)
        for reservation in lease.reservations:
            world.state.move(reservation.id, start, end)
        lease_life.plan(world, lease)


def delete(call: Call) -> Reply:
    """Answer DELETE /leases/ID, from any status but DELETING; the servers on the lease go with it."""
    lease = get(call)
    if lease.status == "DELETING":
        raise ServiceError(500, "Invalid lease status.")
    if "ignore_delete" in call.effects:
        return Reply(204)
    gone = lease_life.delete(call.world, lease)
    call.wrote("lease", lease.id, lease.name)
    return Reply(204, not_before=gone if gone > call.world.at else None)
