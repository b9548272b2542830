"""What a site has and shows: its node types, hosts and who occupies them."""

from __future__ import annotations

from dataclasses import dataclass

from envagent import catalog
from envagent.catalog import NodeType
from envagent.cloud.port import Cloud, Host, Identity, Occupation
from envagent.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Site:
    """Node types, refreshed by the live hosts where the site shows them (None where it does not)."""

    node_types: tuple[NodeType, ...]
    hosts: list[Host] | None
    occupations: list[Occupation] | None


def look(cloud: Cloud, identity: Identity) -> Site:
    """Ask the site; fall back to the catalogue, for an unknown region to all that Chameleon has."""
    if identity.profile == "kvm":
        known = catalog.flavors(identity.region or "")
        return Site(tuple(catalog.refresh_flavors(known, cloud.flavors())), None, None)
    known = catalog.node_types(identity.region or "") or _all_node_types()
    try:
        hosts = cloud.hosts()
        occupations = cloud.occupations()
    except Forbidden:
        return Site(known, None, None)
    return Site(tuple(catalog.refresh(known, hosts)), hosts, occupations)


def _all_node_types() -> tuple[NodeType, ...]:
    by_name = {one.name: one for site in catalog.sites() for one in catalog.node_types(site.region)}
    return tuple(by_name.values())
