"""The limits that Blazar enforces on leases: their length, and the project's service units."""

from __future__ import annotations

from envagent.sandbox.exchange import Call, ServiceError
from envagent.sandbox.records import Lease
from envagent.sandbox.world import DEFAULT_SERVICE_UNITS, World


def check_length(call: Call, seconds: float, status: int = 403) -> None:
    """Refuse a lease that is too long."""
    most = call.world.profile.max_lease_seconds
    if seconds > most:
        message = (
            f"Lease duration of {seconds:.0f} seconds must be less than or equal to the maximum lease duration of "
            f"{most:.0f} seconds."
        )
        raise ServiceError(status, message)


def check_extension(call: Call, lease: Lease, start: float, end: float) -> None:
    """Refuse an extension that comes too early or is too long."""
    window = call.world.profile.extension_window_seconds
    if end > lease.end and window is not None and lease.end - call.world.at > window:
        message = f"Lease can only be extended within {window:.0f} seconds of the leases current end time."
        raise ServiceError(400, message)
    check_length(call, end - (start if window is None else max(start, lease.end)), 400)


def hourly(world: World, lease: Lease) -> float:
    """Return the price of a lease in service units per hour."""
    hosts = [world.site.hosts[host] for reservation in lease.reservations for host in reservation.hosts]
    return sum(float(host.properties.get("su_factor", "1.0")) for host in hosts)


def _cost(world: World, lease: Lease, end: float) -> float:
    return hourly(world, lease) * max(0.0, end - lease.start) / 3600


def _spent_key(world: World, lease: Lease) -> str:
    return f"spent:{world.site.key}:{lease.owner}"


def charge(world: World, lease: Lease, end: float) -> None:
    """Charge what a deleted lease has used; the rest of its price is released."""
    key = _spent_key(world, lease)
    world.state.set(key, world.state.setting(key, 0.0) + _cost(world, lease, min(end, lease.end)))


def check_budget(call: Call, lease: Lease) -> None:
    """Refuse a lease that costs more than the project has left after the full price of its other leases."""
    world = call.world
    if not world.profile.enforces_budget:
        return
    balance = float(world.state.setting("service_units", DEFAULT_SERVICE_UNITS))
    balance -= world.state.setting(_spent_key(world, lease), 0.0)
    balance -= sum(_cost(world, one, one.end) for one in world.find(Lease, lease.owner) if one.id != lease.id)
    asked = _cost(world, lease, lease.end)
    if asked > balance:
        project = next(p.name for p in call.site.projects.values() if p.id == lease.owner)
        message = f"Reservation for project {project} would spend {asked:.2f} SUs, only {max(balance, 0):.2f} left"
        raise ServiceError(403, message)
