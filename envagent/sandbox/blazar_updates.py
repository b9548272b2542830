"""Blazar's update of a lease: a new name, new dates, another before_end event, other hosts."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import lease_life
from envagent.sandbox.blazar_leases import before_end_date, date, get, items, lease_name, view
from envagent.sandbox.blazar_reservations import NOT_ENOUGH_HOSTS, check_move, count, free_hosts, hold, requirements
from envagent.sandbox.blazar_usage import check_budget, check_extension
from envagent.sandbox.cloud_time import floor_minute
from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.records import Lease, Reservation

HOST_KEYS = ("min", "max", "hypervisor_properties", "resource_properties")


def update(call: Call) -> Reply:
    """Handle PUT /leases/ID; the response says UPDATING, the next GET the stable status."""
    lease = get(call)
    asked = call.body
    if lease.status not in ("PENDING", "ACTIVE", "TERMINATED", "ERROR"):
        raise ServiceError(500, "Invalid lease status.")
    if asked.keys() - {"name"}:
        _change(call, lease, asked)
    if "name" in asked:
        lease.name = lease_name(asked["name"])
    lease.updated_at = call.world.at
    call.store(lease)
    return Reply(200, {"lease": {**view(lease), "status": "UPDATING"}})


def _change(call: Call, lease: Lease, asked: dict[str, Any]) -> None:
    """Change dates and reservations; a refusal rolls everything back."""
    start = date(call, asked["start_date"]) if "start_date" in asked else lease.start
    end = date(call, asked["end_date"]) if "end_date" in asked else lease.end
    _check_dates(call, lease, start, end)
    reminder = asked.get("before_end_date")
    before_end = before_end_date(call, reminder, start, end) if reminder else None
    changes = _changes(lease, asked)
    if lease.status != "TERMINATED":
        check_extension(call, lease, start, end)
        check_move(call, lease, start, end)
    wider = start < lease.start or end > lease.end
    _move(call, lease, start, end, before_end)
    if lease.status == "TERMINATED":
        return
    for reservation in lease.reservations:
        if reservation.resource_type == "physical:host":
            wanted = {key: value for key, value in changes.get(reservation.id, {}).items() if key in HOST_KEYS}
            if wanted or wider:
                _choose_again(call, lease, reservation, wanted)
    check_budget(call, lease)
    for reservation in lease.reservations:
        call.world.state.move(reservation.id, start, end)
    lease_life.plan(call.world, lease)


def _check_dates(call: Call, lease: Lease, start: float, end: float) -> None:
    now = floor_minute(call.world.at)
    started = lease.event("start_lease").status != "UNDONE"
    if started and start != lease.start:
        raise ServiceError(400, "Cannot modify the start date of already started leases")
    if lease.status == "TERMINATED" and not call.world.profile.ended_leases_move:
        raise ServiceError(400, "Terminated leases can only be renamed")
    if not started and start < now:
        raise ServiceError(400, "Start date must be later than current date")
    if end < now or end < start:
        raise ServiceError(400, "End date must be later than current and start date")


def _changes(lease: Lease, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the changed reservations by id. Raises Blazar's refusals."""
    known = {reservation.id: reservation for reservation in lease.reservations}
    changes = items(asked.get("reservations", []))
    if any("id" not in one for one in changes):
        raise ServiceError(400, "Missing parameter reservation ID")
    strange = [str(one["id"]) for one in changes if one["id"] not in known]
    if strange:
        message = f"Please enter valid reservation IDs. Invalid reservation IDs are: {','.join(strange)}"
        raise ServiceError(400, message)
    for one in changes:
        if one.get("resource_type", known[one["id"]].resource_type) != known[one["id"]].resource_type:
            raise ServiceError(409, "resource_type cannot be updated")
    return {one["id"]: one for one in changes}


def _move(call: Call, lease: Lease, start: float, end: float, before_end: float | None) -> None:
    """Set the dates; the before_end event keeps its distance from the end unless another moment is requested."""
    reminder = lease.event("before_end_lease")
    moment = end - (lease.end - reminder.time) if before_end is None else before_end
    lease.start, lease.end = start, end
    lease.event("start_lease").time, lease.event("end_lease").time = start, end
    reminder.time = max(start, moment)
    reminder.status, reminder.updated_at = "UNDONE", call.world.at


def _choose_again(call: Call, lease: Lease, reservation: Reservation, wanted: dict[str, Any]) -> None:
    """Keep the hosts that still match and are free, and find others for the rest; a started lease loses none."""
    asked = {**reservation.asked, **wanted}
    least, most = count(asked)
    free = [host.id for host in free_hosts(call, lease, requirements(asked))]
    kept = [host for host in reservation.hosts if host in free][:most]
    started = reservation.status == "active"
    others = [host for host in free if host not in kept]
    chosen = kept + others[: most - len(kept)]
    if len(chosen) < least or (started and len(kept) < len(reservation.hosts)):
        raise ServiceError(500, NOT_ENOUGH_HOSTS)
    reservation.hosts, reservation.asked = chosen, asked
    hold(call.world, lease, reservation)
