"""What a kind of site rents out, and how that is reserved, booted and listed.

A site rents out whole hosts, instances of a flavor, or both; each is a resource type of Blazar's with its own way to
reserve it and to boot a server on the reservation. Nothing outside this module depends on the kind of a site.

A new site of a known kind is one entry in the catalog (`catalog/data/sites.json`); a new kind is one entry in
`SITE_KINDS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar, Literal

from envagent import catalog
from envagent.catalog import NodeType
from envagent.cloud.port import (
    Cloud,
    FlavorReservation,
    Host,
    HostReservation,
    Identity,
    Lease,
    Occupation,
    Reservation,
)
from envagent.errors import Forbidden, NotFound, NothingSuitable
from envagent.hints import Hint, Option

SiteKindName = Literal["baremetal", "kvm"]
BAREMETAL_FLAVOR = "baremetal"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a site rents out.

    Attributes:
        node_types: as the catalog describes them, refreshed by what the site reports.
        hosts: None where the site does not show them.
        occupations: who has reserved which host; None where the site does not show it.
    """

    node_types: tuple[NodeType, ...]
    hosts: list[Host] | None = None
    occupations: list[Occupation] | None = None


class ResourceType(ABC):
    """One of Blazar's resource types: how a node type is reserved, and a server booted on the reservation."""

    name: ClassVar[str]
    """As in a lease's reservations."""
    filters_traffic: ClassVar[bool]
    """Whether a server needs a security group that lets SSH in."""
    fixed_node: ClassVar[bool]
    """Whether a reservation holds one certain node, which takes no server while it is cleaned after one."""

    @abstractmethod
    def hardware(self, cloud: Cloud, region: str) -> Hardware:
        """List what the site has of this type, from the catalog where the site does not show it."""

    @abstractmethod
    def reservation(self, node_type: NodeType, exclude_uids: tuple[str, ...]) -> HostReservation | FlavorReservation:
        """Describe the reservation of one node, for `Cloud.create_lease`."""

    @abstractmethod
    def server_flavor(self, cloud: Cloud, reservation_id: str) -> str:
        """Return the id of the flavor that a server on the reservation boots with."""

    @abstractmethod
    def scheduler_hint(self, reservation_id: str) -> str | None:
        """Return the reservation to name to Nova's scheduler; None where the flavor stands for it."""

    def reserved(self, lease: Lease) -> Reservation | None:
        """Find the reservation of this type in a lease."""
        return next((one for one in lease.reservations if one.resource_type == self.name), None)


class _Hosts(ResourceType):
    """Whole hosts, filtered by node type; every server boots with the flavor `baremetal` and a scheduler hint."""

    name = "physical:host"
    filters_traffic = False
    fixed_node = True

    def hardware(self, cloud: Cloud, region: str) -> Hardware:
        """List the node types by the site's hosts, or by what it shows instead of them."""
        known = catalog.node_types(region) or _as_elsewhere(region)
        try:
            hosts = cloud.hosts()
            occupations = cloud.occupations()
        except Forbidden:
            return Hardware(_existing(cloud, known))
        return Hardware(tuple(catalog.refresh(known, hosts, region=region)), hosts, occupations)

    def reservation(self, node_type: NodeType, exclude_uids: tuple[str, ...]) -> HostReservation:
        return HostReservation(node_type=node_type.name, exclude_uids=exclude_uids)

    def server_flavor(self, cloud: Cloud, reservation_id: str) -> str:
        for flavor in cloud.flavors():
            if flavor.name == BAREMETAL_FLAVOR:
                return flavor.id
        raise NothingSuitable(
            f"this site has no flavor named {BAREMETAL_FLAVOR}",
            hint=Hint("choose a bare-metal site with", Option("cloud")),
        )

    def scheduler_hint(self, reservation_id: str) -> str:
        return reservation_id


class _FlavorInstances(ResourceType):
    """Instances of a Nova flavor: a virtual machine boots with a flavor that the reservation makes, named by its id."""

    name = "flavor:instance"
    filters_traffic = True
    fixed_node = False

    def hardware(self, cloud: Cloud, region: str) -> Hardware:
        return Hardware(tuple(catalog.refresh_flavors(catalog.flavors(region), cloud.flavors(), region=region)))

    def reservation(self, node_type: NodeType, exclude_uids: tuple[str, ...]) -> FlavorReservation:
        """Name the flavor, by its id where the site gave one."""
        return FlavorReservation(flavor_id=node_type.flavor_id or node_type.name)

    def server_flavor(self, cloud: Cloud, reservation_id: str) -> str:
        return reservation_id

    def scheduler_hint(self, reservation_id: str) -> str | None:
        return None


HOSTS = _Hosts()
FLAVOR_INSTANCES = _FlavorInstances()


@dataclass(frozen=True, slots=True)
class SiteKind:
    """A kind of site: what it rents out, and how Chameleon names the regions of its kind."""

    region_prefix: str
    resource_types: tuple[ResourceType, ...]


SITE_KINDS: dict[SiteKindName, SiteKind] = {
    "baremetal": SiteKind("CHI@", (HOSTS,)),
    "kvm": SiteKind("KVM@", (FLAVOR_INSTANCES,)),
}
"""By the name in the catalog's list of sites and in `Identity.profile`, which journals store."""


def find_kind(region: str, flavor_names: Callable[[], Collection[str]]) -> SiteKindName:
    """Find the kind of a site: by the catalog, then by the region's prefix, then by the flavors.

    Args:
        region: its name; may be empty.
        flavor_names: lists the names of the site's flavors; asked only where the region does not say.
    """
    listed = {site.kind for site in catalog.sites() if site.region.casefold() == region.casefold()}
    named = {name for name, kind in SITE_KINDS.items() if region.upper().startswith(kind.region_prefix)}
    for names in (listed, named):
        for name in SITE_KINDS:
            if name in names:
                return name
    return "baremetal" if BAREMETAL_FLAVOR in flavor_names() else "kvm"


def read_hardware(cloud: Cloud, identity: Identity) -> Hardware:
    """List what a site rents out, of all its resource types."""
    region = identity.region or identity.cloud or "this site"
    found = [one.hardware(cloud, region) for one in SITE_KINDS[identity.profile].resource_types]
    hosted = next((one for one in found if one.hosts is not None), found[0])
    return Hardware(tuple(kind for one in found for kind in one.node_types), hosted.hosts, hosted.occupations)


def node_of(cloud: Cloud, lease_id: str) -> Host | None:
    """Find the host that a lease holds; None where the site does not show it."""
    try:
        held = {one.host_id for one in cloud.occupations() if one.lease_id == lease_id}
        return next((host for host in cloud.hosts() if host.id in held), None) if held else None
    except Forbidden:
        return None


def resource_type_of(node_type: NodeType) -> ResourceType:
    """Return the resource type that a node type is reserved as."""
    return FLAVOR_INSTANCES if node_type.virtual else HOSTS


def _as_elsewhere(region: str) -> tuple[NodeType, ...]:
    """List the node types of all sites as if they were in an unknown region; how many it has of each is not known."""
    by_name = {one.name: one for site in catalog.sites() for one in catalog.node_types(site.region)}
    return tuple(one.model_copy(update={"region": region, "count": 0}) for one in by_name.values())


def _existing(cloud: Cloud, known: tuple[NodeType, ...]) -> tuple[NodeType, ...]:
    """Keep the node types that a site has, as far as it says so without showing its hosts.

    Where it does not, those of the project's own leases count as one node each, so that they are asked for first.
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
