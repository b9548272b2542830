"""What a site has free: each of its node types, how many of its nodes are free now, and when the next one is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from envagent.advice import windows
from envagent.catalog import NodeType
from envagent.cloud.site_kinds import Hardware


@dataclass(frozen=True, slots=True)
class Availability:
    """One node type at one site.

    Attributes:
        node_type: what it is; `count` is how many nodes can be reserved, 0 if unknown.
        free_now: how many of them are free for the whole period; None where the site does not show it.
        next_free: the earliest start of such a period; None if unknown, or if there are no nodes.
    """

    node_type: NodeType
    free_now: int | None
    next_free: datetime | None


def availabilities(hardware: Hardware, now: datetime, hours: int) -> tuple[Availability, ...]:
    """List the node types of a site: those with a free node first, the cheapest of them first.

    Args:
        hardware: what the site shows.
        now: the earliest start (timezone-aware).
        hours: for how long a node must be free.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for host in hardware.hosts or ():
        if host.node_type and host.reservable:
            members[host.node_type].append(host.id)
    busy = None if hardware.occupations is None else windows.by_host(hardware.occupations)

    def of(kind: NodeType) -> Availability:
        if kind.virtual or busy is None:
            return Availability(kind, None, None)
        return Availability(kind, *windows.availability(members[kind.name], busy, now, timedelta(hours=hours)))

    return tuple(sorted(map(of, hardware.node_types), key=_order))


def _order(one: Availability) -> tuple[object, ...]:
    named = (one.node_type.su_factor, one.node_type.name)
    if one.free_now is None:
        return (1, 0.0, *named)
    if one.free_now:
        return (0, 0.0, *named)
    return (2, one.next_free.timestamp() if one.next_free else float("inf"), *named)
