"""Failures without an API call: nodes break, leases end early, servers fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from envagent.sandbox import lease_life, node_life, server_life
from envagent.sandbox.blazar_reservations import hold
from envagent.sandbox.records import Lease, Server
from envagent.sandbox.world import World


def _lease(world: World, id: str) -> Lease:
    lease = world.get(Lease, id)
    if lease is None:
        raise ValueError(f"no lease {id}")
    return lease


def lease_ends(world: World, wanted: dict[str, Any]) -> None:
    """End a lease now: it is TERMINATING at the next tick."""
    lease = _lease(world, wanted["id"])
    lease.end = lease.event("end_lease").time = world.at
    lease_life.plan(world, lease)
    world.put(lease)


def lease_fails(world: World, wanted: dict[str, Any]) -> None:
    """Set a lease to ERROR."""
    lease = _lease(world, wanted["id"])
    lease.status, lease.updated_at = "ERROR", world.at
    for reservation in lease.reservations:
        reservation.status = "error"
    world.put(lease)


def node_lost(world: World, wanted: dict[str, Any]) -> None:
    """Fail a reserved node without a replacement."""
    lease = _lease(world, wanted["id"])
    lease.degraded = True
    for reservation in lease.reservations:
        reservation.missing_resources = bool(reservation.hosts)
    world.put(lease)


def node_replaced(world: World, wanted: dict[str, Any]) -> None:
    """Fail a reserved node and its server, and reserve another node of its type."""
    lease = _lease(world, wanted["id"])
    taken = world.state.taken(world.site.key, lease.start, lease.end)
    for reservation in lease.reservations:
        types = {world.site.hosts[host].node_type for host in reservation.hosts}
        free = [h.id for h in world.site.hosts.values() if h.node_type in types and h.reservable and h.id not in taken]
        if len(free) < len(reservation.hosts):
            raise ValueError("no free node to replace it")
        reservation.hosts = free[: len(reservation.hosts)]
        hold(world, lease, reservation)
        reservation.resources_changed = bool(reservation.hosts)
    world.put(lease)
    for server in lease_life.servers(world, lease):
        server_life.delete(world, server)


def server_fails(world: World, wanted: dict[str, Any]) -> None:
    """Set a server to ERROR, with `text` as its fault."""
    server = world.get(Server, wanted["id"])
    if server is None:
        raise ValueError(f"no server {wanted['id']}")
    server_life.break_down(world, server, str(wanted.get("text", "the node is gone")))


def host_key_changes(world: World, wanted: dict[str, Any]) -> None:
    """Give a server's node other host keys and an empty home, as after an installation by hand."""
    server = world.get(Server, wanted["id"])
    if server is None:
        raise ValueError(f"no server {wanted['id']}")
    server.installed += 1
    world.put(server)


def _host(world: World, name: str) -> str:
    """Find a host by its id, its node's name or the node's uid."""
    for host in world.site.hosts.values():
        if name in (host.id, host.node_name, host.uid):
            return host.id
    raise ValueError(f"no node {name}")


def node_maintenance(world: World, wanted: dict[str, Any]) -> None:
    """Put a node into maintenance; with `"noticed": false`, Nova's scheduler does not know of it yet."""
    node_life.maintain(world, _host(world, wanted["id"]), noticed=bool(wanted.get("noticed", True)))


def node_clean_fails(world: World, wanted: dict[str, Any]) -> None:
    """Let the next cleaning of a node fail: it ends in `clean failed`, in maintenance."""
    node = node_life.node(world, _host(world, wanted["id"]))
    node.clean_fails = True
    world.put(node)


def node_delete_fails(world: World, wanted: dict[str, Any]) -> None:
    """Let a node go to `error` when its server is deleted."""
    node = node_life.node(world, _host(world, wanted["id"]))
    node.delete_fails = True
    world.put(node)


def node_repaired(world: World, wanted: dict[str, Any]) -> None:
    """Make a node available again."""
    node_life.repair(world, _host(world, wanted["id"]))


MISHAPS: dict[str, Callable[[World, dict[str, Any]], None]] = {
    "lease_ends": lease_ends,
    "lease_fails": lease_fails,
    "node_lost": node_lost,
    "node_replaced": node_replaced,
    "server_fails": server_fails,
    "host_key_changes": host_key_changes,
    "node_maintenance": node_maintenance,
    "node_clean_fails": node_clean_fails,
    "node_delete_fails": node_delete_fails,
    "node_repaired": node_repaired,
}
