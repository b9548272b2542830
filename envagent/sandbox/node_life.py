"""A bare-metal node between servers, as Ironic and Nova treat it: cleaned, in maintenance, or broken.

Blazar looks at none of this: it leases a node that cannot be deployed like any other. Only Nova's scheduler passes it
over, and learns of a maintenance with some delay.
"""

from __future__ import annotations

from envagent.sandbox.records import Node
from envagent.sandbox.state import Due
from envagent.sandbox.world import World

CLEAN_FAILED, CLEANING, ERROR, AVAILABLE = "clean failed", "cleaning", "error", "available"


def node(world: World, host: str) -> Node:
    """Return a host's node."""
    return world.get(Node, host) or Node(**world.fresh("", world.site.hosts[host].node_name, host))


def takes_servers(world: World, host: str) -> bool:
    """Return whether Nova's scheduler considers a host's node."""
    found = world.get(Node, host)
    if found is None:
        return True
    return found.state == AVAILABLE and not (found.maintenance and found.scheduler_knows <= world.at)


def deploys(world: World, host: str) -> bool:
    """Return whether Ironic begins to deploy a node that the scheduler chose."""
    found = world.get(Node, host)
    return found is None or not found.maintenance


def release(world: World, host: str) -> None:
    """Clean a node that its server has left, or break it as its record says."""
    if host not in world.site.hosts:
        return
    found = node(world, host)
    seconds = world.profile.cleaning_seconds
    if found.delete_fails:
        found.state = ERROR
    elif seconds > 0 or found.clean_fails:
        found.state = CLEANING
        found.releases += 1
        world.schedule(world.after(seconds), "node.cleaned", host, release=found.releases)
    else:
        return
    world.put(found)


def cleaned(world: World, due: Due) -> None:
    """End the cleaning of a node."""
    found = world.get(Node, due.id)
    if found is None or found.state != CLEANING or found.releases != due.detail["release"]:
        return
    if found.clean_fails:
        found.state, found.maintenance = CLEAN_FAILED, True
        world.put(found)
    elif found.maintenance:
        found.state = AVAILABLE
        world.put(found)
    else:
        world.remove(found)


def maintain(world: World, host: str, *, noticed: bool) -> None:
    """Put a node into maintenance; unless `noticed`, Nova learns of it only at its next look at its nodes."""
    found = node(world, host)
    found.maintenance = True
    found.scheduler_knows = world.at if noticed else world.after(world.profile.node_sync_seconds)
    world.put(found)


def repair(world: World, host: str) -> None:
    """Make a node available again."""
    found = world.get(Node, host)
    if found is not None:
        world.remove(found)
