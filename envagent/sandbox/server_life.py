"""A server after its creation: scheduled, built or failed, deleted.

Scheduling follows Blazar's filter: only an ACTIVE reservation of the same project provides hosts, one server each.
"""

from __future__ import annotations

from typing import Any

from envagent.sandbox import cloud_time, node_life
from envagent.sandbox.inventory import DEFAULT_BUILD_SECONDS, KVM_BUILD_SECONDS, Network
from envagent.sandbox.neutron_addresses import detach, free_fixed_address, new_port
from envagent.sandbox.records import Lease, Port, Reservation, Server
from envagent.sandbox.state import Due
from envagent.sandbox.world import World

NO_VALID_HOST = "No valid host was found. There are not enough hosts available."
BUILD_FAILED = (
    "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance {id}."
)
NO_FIXED_ADDRESS = (
    "Build of instance {id} aborted: Failed to allocate the network(s) with error No fixed IP addresses available "
    "for network: {network}, not rescheduling."
)

NOT_ALLOWED_OUTSIDE = (
    "Build of instance {id} aborted: It is not allowed to create an interface on external network {network}"
)


def reservation_of(world: World, server: Server) -> tuple[Lease, Reservation] | None:
    """Return a server's reservation: from its scheduler hint, or its flavor at KVM@TACC."""
    wanted = {server.hints.get("reservation"), server.flavor}
    for lease in world.find(Lease, server.owner):
        for reservation in lease.reservations:
            if reservation.id in wanted:
                return lease, reservation
    return None


def _free_host(world: World, server: Server) -> str | None:
    """Return a host for the server, None if there is no valid one."""
    found = reservation_of(world, server)
    if found is None or found[0].status != "ACTIVE" or found[1].status != "active":
        return None
    reservation = found[1]
    occupied = [other.host for other in world.find(Server) if other.id != server.id]
    if reservation.resource_type == "flavor:instance":
        slot = f"kvm-{reservation.id}"
        return slot if occupied.count(slot) < int(reservation.asked["amount"]) else None
    usable = (host for host in reservation.hosts if host not in occupied and node_life.takes_servers(world, host))
    return next(usable, None)


def break_down(world: World, server: Server, message: str, code: int = 500) -> None:
    """Set a server to ERROR with a fault."""
    server.status, server.vm_state, server.task_state = "ERROR", "error", None
    server.fault = {"code": code, "created": cloud_time.iso_z(world.at), "message": message}
    server.updated_at = world.at
    world.put(server)


def _plug(world: World, server: Server) -> Network | None:
    """Create a port in each of the server's networks; return the network that has no free address, if any."""
    for id in server.networks:
        network = world.site.networks[id]
        address = free_fixed_address(world, network)
        if address is None:
            return network
        world.put(new_port(world, network, address, server.owner, device=server.id, zone=server.zone))
    return None


def build_seconds(world: World, host: str) -> float:
    """Return the time to deploy a host, in cloud seconds."""
    known = world.site.hosts.get(host)
    if known is not None:
        return known.build_seconds
    return KVM_BUILD_SECONDS if world.site.kind == "kvm" else DEFAULT_BUILD_SECONDS


def schedule(world: World, due: Due) -> None:
    """Find a host and start to build."""
    server = world.get(Server, due.id)
    if server is None or server.task_state != "scheduling":
        return
    host = _free_host(world, server)
    if host is None:
        break_down(world, server, NO_VALID_HOST)
        return
    found = reservation_of(world, server)
    server.zone = f"blazar_{found[1].id}" if found and world.site.kind != "kvm" else "nova"
    outside = next((id for id in server.networks if world.site.networks[id].external), None)
    if outside is not None:
        break_down(world, server, NOT_ALLOWED_OUTSIDE.format(id=server.id, network=outside))
        return
    full = _plug(world, server)
    if full is not None:
        break_down(world, server, NO_FIXED_ADDRESS.format(id=server.id, network=full.id))
        return
    server.host, server.task_state, server.updated_at = host, "networking", world.at
    world.put(server)
    world.schedule(world.after(cloud_time.NETWORKING), "server.spawn", server.id)


def spawn(world: World, due: Due) -> None:
    """Begin the deployment; Ironic refuses it for a node that went into maintenance meanwhile."""
    server = world.get(Server, due.id)
    if server is None or server.task_state != "networking" or server.host is None:
        return
    server.task_state, server.updated_at = "spawning", world.at
    world.put(server)
    seconds = max(0.0, build_seconds(world, server.host) - cloud_time.NETWORKING)
    if not node_life.deploys(world, server.host):
        world.schedule(world.at, "server.fail", server.id)
    elif server.never_builds:
        return
    elif server.doomed is not None:
        world.schedule(world.after(float(server.doomed.get("after", seconds))), "server.fail", server.id)
    else:
        world.schedule(world.after(seconds), "server.active", server.id)


def become_active(world: World, due: Due) -> None:
    """Complete a build: Nova reports ACTIVE when the node begins its final boot."""
    server = world.get(Server, due.id)
    if server is None or server.task_state != "spawning":
        return
    server.status, server.vm_state, server.task_state = "ACTIVE", "active", None
    server.launched_at = server.booted_at = server.updated_at = world.at
    world.put(server)
    for port in ports(world, server):
        port.status, port.updated_at = "ACTIVE", world.at
        world.put(port)


def fail(world: World, due: Due) -> None:
    """Fail a build, in the words of a fault if there is one."""
    server = world.get(Server, due.id)
    if server is None or server.task_state != "spawning":
        return
    doomed: dict[str, Any] = server.doomed or {}
    _unplug(world, server)
    server.zone = ""
    if not world.profile.failed_server_keeps_host and server.host is not None:
        node_life.release(world, server.host)
        server.host = None
    text = str(doomed.get("text") or BUILD_FAILED).format(id=server.id)
    break_down(world, server, text, int(doomed.get("code", 500)))


def ports(world: World, server: Server) -> list[Port]:
    """List the server's ports."""
    return [port for port in world.find(Port, server.owner) if port.device == server.id]


def delete(world: World, server: Server) -> float:
    """Begin to delete a server; return the moment at which it is gone."""
    if server.task_state == "deleting":
        return world.after(cloud_time.SERVER_DELETION)
    if server.host is None and server.task_state is None:
        _remove(world, server)
        return world.at
    server.task_state, server.updated_at = "deleting", world.at
    world.put(server)
    gone = world.after(cloud_time.SERVER_DELETION)
    world.schedule(gone, "server.gone", server.id)
    return gone


def gone(world: World, due: Due) -> None:
    """Complete a deletion."""
    server = world.get(Server, due.id)
    if server is not None:
        _remove(world, server)


def _remove(world: World, server: Server) -> None:
    _unplug(world, server)
    world.remove(server)
    if server.host is not None:
        node_life.release(world, server.host)


def _unplug(world: World, server: Server) -> None:
    """Remove the ports and detach their floating IPs."""
    gone = ports(world, server)
    detach(world, server.owner, [port.id for port in gone])
    for port in gone:
        world.remove(port)
