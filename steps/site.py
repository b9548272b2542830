"""What a site has and shows: its node types, hosts and who occupies them."""

from __future__ import annotations

from dataclasses import dataclass

from envagent import catalog
from envagent.catalog import NodeType
from envagent.cloud.port import Cloud, Host, Identity, Occupation
from envagent.errors import Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class Site:
    """Node types, refreshed by the live hosts where the site shows them (None where it does not)."""

    node_types: tuple[NodeType, ...]
    hosts: list[Host] | None
    occupations: list[Occupation] | None


def look(cloud: Cloud, identity: Identity) -> Site:
    """Ask the site; fall back to the catalogue, for an unknown region to what Chameleon has elsewhere."""
    where = identity.region or identity.cloud or "this site"
    if identity.profile == "kvm":
        known = catalog.flavors(where)
        return Site(tuple(catalog.refresh_flavors(known, cloud.flavors(), region=where)), None, None)
    known = catalog.node_types(where) or _as_elsewhere(where)
    try:
        hosts = cloud.hosts()
        occupations = cloud.occupations()
    except Forbidden:
        return Site(_that_exist(cloud, known), None, None)
    return Site(tuple(catalog.refresh(known, hosts, region=where)), hosts, occupations)


def _as_elsewhere(region: str) -> tuple[NodeType, ...]:
    """The node types of all sites as if they were here: how many there are of each, nobody says."""
    by_name = {one.name: one for site in catalog.sites() for one in catalog.node_types(site.region)}
    return tuple(one.model_copy(update={"region": region, "count": 0}) for one in by_name.values())


def _that_exist(cloud: Cloud, known: tuple[NodeType, ...]) -> tuple[NodeType, ...]:
    """Keep the node types that the site has, as far as it tells without showing its hosts.

    Where it does not tell, those of the project's own leases count as one node each: they are asked for first.
    """
    try:
        names = cloud.node_type_names()
    except (Forbidden, NotFound):
        names = set()
    if names:
        return tuple(one.model_copy(update={"count": one.count or 1}) for one in known if one.name in names) or known
    if any(one.count for one in known):
        return known
    seen = {item.node_type for lease in cloud.leases() for item in lease.reservations}
    return tuple(one.model_copy(update={"count": int(one.name in seen)}) for one in known)
