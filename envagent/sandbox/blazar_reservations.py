"""How Blazar finds resources for a lease's reservations: one plugin per resource type."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from envagent.sandbox.blazar_requirements import Requirement, choose, parse
from envagent.sandbox.cloud_time import utc
from envagent.sandbox.exchange import Call, ServiceError
from envagent.sandbox.inventory import Host
from envagent.sandbox.neutron_addresses import pool
from envagent.sandbox.records import Lease, Reservation, Server
from envagent.sandbox.state import Allocation
from envagent.sandbox.world import World

NOT_ENOUGH_HOSTS = "Not enough hosts available"
HOST_KEYS = ("hypervisor_properties", "resource_properties")
ADDRESS_KEYS = ("amount", "network_id")
FLAVOR_KEYS = ("affinity", "amount", "flavor_id")


def _require(asked: dict[str, Any], keys: tuple[str, ...]) -> None:
    missing = sorted(key for key in keys if key not in asked)
    if missing:
        raise ServiceError(400, f"Missing parameter {', '.join(missing)}")


def _number(asked: dict[str, Any], key: str) -> int:
    try:
        return int(asked[key])
    except (TypeError, ValueError):
        raise ServiceError(400, f"Malformed parameter {key}") from None


def internal_error() -> ServiceError:
    """Return the 500 behind which Blazar hides its own exceptions."""
    return ServiceError(500, "Internal Server Error", "INTERNAL_SERVER_ERROR")


def count(asked: dict[str, Any]) -> tuple[int, int]:
    """Return the least and the greatest number of hosts. Raises Blazar's refusals; a quoted number breaks its code."""
    for key in ("min", "max"):
        value = asked.get(key)
        if value is None:
            raise ServiceError(400, f"Missing parameter {key}")
        if isinstance(value, (bool, float)) or not re.fullmatch(r"-?\d+", str(value)):
            raise ServiceError(400, f"Malformed parameter {key}")
    least, most = asked["min"], asked["max"]
    if not (isinstance(least, int) and isinstance(most, int)):
        raise internal_error()
    if least < 1 or most < 1:
        raise ServiceError(400, "Malformed parameter min and max (must be greater than or equal to 1)")
    if least > most:
        raise ServiceError(400, "Invalid values for min/max of hosts. Max must be equal to or larger than min.")
    return least, most


def requirements(asked: dict[str, Any]) -> list[Requirement]:
    """Parse what the hosts must satisfy."""
    return [*parse(asked["hypervisor_properties"]), *parse(asked["resource_properties"])]


def reserve(call: Call, lease: Lease, asked: Any) -> Reservation:
    """Create one reservation of a lease and allocate its resources. Raises the refusals of Blazar's plugins."""
    if not isinstance(asked, dict) or "resource_type" not in asked:
        raise ServiceError(400, "Missing parameter resource_type")
    kind = str(asked["resource_type"])
    allowed = {"flavor:instance"} if call.site.kind == "kvm" else call.world.profile.reservation_types
    plugins = {"physical:host": _hosts, "virtual:floatingip": _addresses, "flavor:instance": _instances}
    if kind not in allowed:
        raise ServiceError(500, f"The {kind} resource type is not supported")
    world = call.world
    reservation = Reservation(world.new_id(), world.new_id(), kind, "pending", world.at, world.at)
    plugins[kind](call, lease, reservation, asked)
    return reservation


def _take(world: World, lease: Lease, reservation: Reservation, resource: str) -> None:
    user = next(user.name for user in world.site.users.values() if user.id == lease.user)
    allocation = Allocation(resource, reservation.id, lease.id, lease.start, lease.end, user)
    world.state.allocate(world.site.key, allocation)


def _hosts(call: Call, lease: Lease, reservation: Reservation, asked: dict[str, Any]) -> None:
    """Reserve whole nodes, between min and max of them (physical:host)."""
    least, most = count(asked)
    for key in HOST_KEYS:
        _require(asked, (key,))
    before_end = asked.get("before_end", "default")
    if before_end not in call.world.profile.before_end_actions:
        raise ServiceError(400, "Malformed parameter before_end")
    searches = [asked["resource_properties"] or call.world.profile.default_properties, asked["resource_properties"]]
    for search in searches:
        free = free_hosts(call, lease, requirements({**asked, "resource_properties": search}))
        if len(free) >= least:
            break
    else:
        query = {**asked, "start_date": _naive(lease.start), "end_date": _naive(lease.end), "project_id": lease.owner}
        query |= {"count_range": f"{least}-{most}", "before_end": before_end, "on_start": "default"}
        raise ServiceError(500, call.world.profile.host_search_text.format(query=query))
    reservation.hosts = [host.id for host in free[:most]]
    kept = {key: asked[key] for key in ("hypervisor_properties", "resource_properties")}
    reservation.asked = {**kept, "min": least, "max": most, "before_end": before_end}
    hold(call.world, lease, reservation)


def hold(world: World, lease: Lease, reservation: Reservation) -> None:
    """Allocate exactly a reservation's hosts for the window of its lease."""
    world.state.release(reservation.id)
    for host in reservation.hosts:
        _take(world, lease, reservation, host)


def _naive(moment: float) -> datetime:
    return utc(moment).replace(tzinfo=None)


def free_hosts(call: Call, lease: Lease, wanted: list[Requirement]) -> list[Host]:
    """Return the matching hosts that are free in the window; whether they can be deployed is not looked at."""
    fitting = choose(call.site.hosts.values(), wanted)
    none_of = call.effects.get("no_capacity")
    if none_of is not None:
        types = none_of.get("node_types")
        fitting = [host for host in fitting if types and host.node_type not in types]
    taken = call.world.state.taken(call.site.key, lease.start, lease.end, except_lease=lease.id)
    free = [host for host in fitting if host.id not in taken]
    if not call.world.profile.busy_hosts_come_last:
        return free
    lingering = {server.host for server in call.world.find(Server)}
    return sorted(free, key=lambda host: host.id in lingering)


def _addresses(call: Call, lease: Lease, reservation: Reservation, asked: dict[str, Any]) -> None:
    """Reserve addresses of Blazar's own pool, which appear in the project at the lease's start (virtual:floatingip)."""
    _require(asked, ADDRESS_KEYS)
    amount, network = _number(asked, "amount"), call.site.networks.get(asked["network_id"])
    if network is None or not network.external:
        raise ServiceError(400, f"Malformed parameter network_id: {asked['network_id']}")
    taken = call.world.state.taken(call.site.key, lease.start, lease.end)
    free = [address for address in pool(network)[1] if f"ip {address}" not in taken]
    if len(free) < amount or "no_capacity" in call.effects:
        raise ServiceError(500, "Not enough floating IPs available")
    reservation.addresses = free[:amount]
    reservation.asked = {"network_id": network.id, "amount": amount, "required_floatingips": []}
    for address in reservation.addresses:
        _take(call.world, lease, reservation, f"ip {address}")


def _instances(call: Call, lease: Lease, reservation: Reservation, asked: dict[str, Any]) -> None:
    """Reserve capacity for instances of a flavor (flavor:instance, KVM@TACC)."""
    _require(asked, FLAVOR_KEYS)
    amount, flavor = _number(asked, "amount"), call.site.flavors.get(str(asked["flavor_id"]))
    if flavor is None:
        raise ServiceError(400, f"Malformed parameter flavor_id: {asked['flavor_id']}")
    taken = call.world.state.taken(call.site.key, lease.start, lease.end).get(f"flavor {flavor.id}", 0)
    if taken + amount > flavor.instances or "no_capacity" in call.effects:
        raise ServiceError(500, NOT_ENOUGH_HOSTS)
    source = {"id": flavor.id, "name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram, "disk": flavor.disk}
    reservation.asked = {
        "amount": amount,
        "affinity": asked["affinity"],
        "vcpus": flavor.vcpus,
        "memory_mb": flavor.ram,
        "disk_gb": flavor.disk,
        "flavor_id": flavor.id,
        "resource_properties": json.dumps(source),
        "aggregate_id": 0,
        "server_group_id": None,
    }
    for _ in range(amount):
        _take(call.world, lease, reservation, f"flavor {flavor.id}")


def check_move(call: Call, lease: Lease, start: float, end: float) -> None:
    """Refuse new dates that reservations of addresses or flavors do not allow."""
    taken = call.world.state.taken(call.site.key, start, end, except_lease=lease.id)
    if any(f"ip {address}" in taken for reservation in lease.reservations for address in reservation.addresses):
        raise ServiceError(400, "Floating IP reservation cannot be updated. Not enough floating IPs available")
    flavors = any(reservation.resource_type == "flavor:instance" for reservation in lease.reservations)
    if flavors and not call.world.profile.flavor_leases_move:
        text = "Updating leases for 'flavor:instance' type reservations is not yet supported."
        raise ServiceError(400, text)
