"""The port: everything that the steps may ask of a cloud, with its models.

Status words are the services' own, verbatim. Times are aware and in UTC; sizes have their unit in the name. Every
method raises the errors of `envagent.errors`:

- any call: CloudUnreachable (retryable), AuthenticationError, Forbidden, CloudError;
- a read by id: NotFound when the project has no such object;
- a write: OutcomeUnknown when it was sent and no usable response came (timeout, reset, 5xx with an unknown text). A
  write is sent exactly once per call; BadRequest, Conflict, NoCapacity and QuotaExceeded mean that it did not happen.
- a delete returns once the service has accepted the request, and treats 404 as done; reading again proves absence.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field


class LeaseStatus(StrEnum):
    """The states of a lease, as Blazar names them."""

    CREATING = "CREATING"
    PENDING = "PENDING"
    STARTING = "STARTING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    DELETING = "DELETING"
    ERROR = "ERROR"


LEASE_STARTING = (LeaseStatus.CREATING, LeaseStatus.PENDING, LeaseStatus.STARTING, LeaseStatus.UPDATING)
LEASE_ENDING = (LeaseStatus.TERMINATING, LeaseStatus.TERMINATED, LeaseStatus.DELETING)


class ServerStatus(StrEnum):
    """Those states of a server, as Nova names them, that change what a run does; others are waited for."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    SHUTOFF = "SHUTOFF"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    SHELVED = "SHELVED"
    SHELVED_OFFLOADED = "SHELVED_OFFLOADED"
    RESCUE = "RESCUE"
    DELETED = "DELETED"
    SOFT_DELETED = "SOFT_DELETED"


class CloudModel(BaseModel):
    """An immutable object of a service; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Identity(CloudModel):
    """Who is logged in, and where; a resumed run must still match it."""

    cloud: str | None
    """The clouds.yaml name; None with OS_* variables alone."""
    auth_url: str
    region: str | None
    project_id: str
    project_name: str | None
    user_id: str
    profile: Literal["baremetal", "kvm"] = "baremetal"
    """The site's kind, for `envagent.cloud.site_kinds` to read."""

    @property
    def site(self) -> str:
        """The site's name, or its address where it has none."""
        return self.region or self.auth_url


class Image(CloudModel):
    """A Glance image."""

    id: str
    name: str
    status: str
    visibility: str
    owner: str | None = None
    size_bytes: int | None = None
    min_disk_gb: int = 0
    min_ram_mb: int = 0
    created_at: datetime | None = None
    properties: dict[str, str] = Field(default_factory=dict)
    """Custom properties as strings (build-distro, build-release, build-variant, chameleon-supported, ...)."""


class Flavor(CloudModel):
    """A Nova flavor."""

    id: str
    name: str
    vcpus: int = 0
    ram_mb: int = 0
    disk_gb: int = 0
    extra_specs: dict[str, str] = Field(default_factory=dict)


class Keypair(CloudModel):
    """A keypair of the user at this site: the OpenSSH line, and its MD5 fingerprint with colons."""

    name: str
    fingerprint: str
    public_key: str


class Network(CloudModel):
    """A Neutron network."""

    id: str
    name: str
    external: bool = False
    status: str = "ACTIVE"
    subnet_ids: tuple[str, ...] = ()


class Port(CloudModel):
    """A Neutron port of a server."""

    id: str
    network_id: str
    fixed_ips: tuple[str, ...] = ()


class FloatingIp(CloudModel):
    """A Neutron floating IP of the project."""

    id: str
    address: str
    status: str
    description: str = ""
    network_id: str | None = None
    """The external network that it comes from."""
    port_id: str | None = None
    fixed_ip: str | None = None
    created_at: datetime | None = None


class Host(CloudModel):
    """A Blazar host; `properties` are its extra capabilities, flat and as strings (`gpu.gpu`, `su_factor`, ...)."""

    id: str
    node_type: str | None
    uid: str | None = None
    name: str | None = None
    reservable: bool = True
    properties: dict[str, str] = Field(default_factory=dict)


class Occupation(CloudModel):
    """A reservation of a host, from `start` until before `end`."""

    host_id: str
    start: datetime
    end: datetime
    lease_id: str | None = None


class HostReservation(CloudModel):
    """A request for one host of a node type (resource_type physical:host)."""

    node_type: str
    exclude_uids: tuple[str, ...] = ()


class FlavorReservation(CloudModel):
    """A request for one instance of a flavor (resource_type flavor:instance)."""

    flavor_id: str


class Reservation(CloudModel):
    """A reservation in a lease; `resource_type` and lower-case `status` as Blazar writes them."""

    id: str
    resource_type: str
    status: str
    node_type: str | None = None
    """The node type that its filter names, if any."""
    missing_resources: bool = False
    resources_changed: bool = False


class Lease(CloudModel):
    """A Blazar lease."""

    id: str
    name: str
    status: str
    """A LeaseStatus."""
    start: datetime
    end: datetime
    project_id: str | None = None
    user_id: str | None = None
    degraded: bool = False
    created_at: datetime | None = None
    reservations: tuple[Reservation, ...] = ()

    @property
    def starting(self) -> bool:
        """Whether it is on its way to ACTIVE."""
        return self.status in LEASE_STARTING

    @property
    def ending(self) -> bool:
        """Whether it has ended or is about to."""
        return self.status in LEASE_ENDING

    @property
    def over(self) -> bool:
        """Whether it holds nothing any more."""
        return self.status in ("TERMINATED", "DELETED")

    @property
    def lost_node(self) -> bool:
        """Whether its node failed and Blazar found no replacement."""
        return self.degraded or any(one.missing_resources for one in self.reservations)

    @property
    def changed_node(self) -> bool:
        """Whether Blazar replaced its node."""
        return any(one.resources_changed for one in self.reservations)


class ServerFault(CloudModel):
    """Why Nova set a server to ERROR (untrusted)."""

    message: str
    code: int | None = None
    created: datetime | None = None


class Server(CloudModel):
    """A Nova server; `status` is BUILD, ACTIVE, ERROR, SHUTOFF, DELETED, ..."""

    id: str
    name: str
    status: str
    task_state: str | None = None
    fault: ServerFault | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    fixed_ips: tuple[str, ...] = ()
    floating_ips: tuple[str, ...] = ()
    user_id: str | None = None
    image_id: str | None = None
    flavor_id: str | None = None
    key_name: str | None = None
    created_at: datetime | None = None

    @property
    def fault_text(self) -> str | None:
        """Nova's words on why it is in ERROR (untrusted)."""
        return self.fault.message if self.fault else None


class ServerRequest(CloudModel):
    """What to boot; security groups by id or name."""

    name: str
    image_id: str
    flavor_id: str
    network_id: str
    key_name: str
    reservation_id: str | None
    """The scheduler hint; None where the flavor stands for the reservation."""
    metadata: dict[str, str]
    security_groups: tuple[str, ...] = ()


class Account(CloudModel):
    """What a login gives: the roles in the project, and which services the catalog has no address for."""

    roles: tuple[str, ...]
    missing_services: tuple[str, ...]


class ComputeLimits(CloudModel):
    """Nova's limits; None where there is none."""

    servers: int | None
    servers_used: int
    keypairs: int | None


class Cloud(Protocol):
    """One project at one site, for one user. Implementations are safe to call from several threads."""

    # Keystone
    def identity(self) -> Identity:
        """Log in and return who is logged in."""

    # Glance
    def images(self) -> list[Image]:
        """List all images that the project can see."""

    def image(self, image_id: str) -> Image:
        """Read one image."""

    # Nova
    def flavors(self) -> list[Flavor]:
        """List the flavors."""

    def keypair(self, name: str) -> Keypair | None:
        """Read a keypair of the user; None when there is none of that name."""

    def keypairs(self) -> list[Keypair]:
        """List the user's keypairs."""

    def import_keypair(self, name: str, public_key: str) -> Keypair:
        """Register a public key. Raises Conflict when the name is taken."""

    def delete_keypair(self, name: str) -> None:
        """Remove a keypair."""

    def servers(self) -> list[Server]:
        """List the project's servers with details."""

    def server(self, server_id: str) -> Server:
        """Read one server."""

    def create_server(self, request: ServerRequest) -> Server:
        """Boot one server; returns in BUILD, or whatever status Nova gives first."""

    def delete_server(self, server_id: str) -> None:
        """Ask for the server's removal."""

    # Neutron
    def networks(self) -> list[Network]:
        """List the networks that the project can see."""

    def ports(self, server_id: str) -> list[Port]:
        """List the ports of a server."""

    def floating_ips(self) -> list[FloatingIp]:
        """List the project's floating IPs."""

    def floating_ip(self, floating_ip_id: str) -> FloatingIp:
        """Read one floating IP."""

    def create_floating_ip(self, network_id: str, description: str) -> FloatingIp:
        """Allocate an address of an external network. Raises NoCapacity or QuotaExceeded when none is left."""

    def attach_floating_ip(self, floating_ip_id: str, port_id: str) -> FloatingIp:
        """Point a floating IP at a port (a Neutron port update; repeating it is harmless)."""

    def delete_floating_ip(self, floating_ip_id: str) -> None:
        """Release an address."""

    def ensure_ssh_security_group(self) -> str:
        """Return the id of a security group of the project that lets SSH in; made when absent."""

    # Blazar
    def hosts(self) -> list[Host]:
        """List the site's hosts. Raises Forbidden where the site does not show them."""

    def node_type_names(self) -> set[str]:
        """List the node types of the site's hosts. Raises Forbidden where the site does not show them."""

    def occupations(self) -> list[Occupation]:
        """List the reservations of the site's hosts. Raises Forbidden where the site does not show them."""

    def leases(self) -> list[Lease]:
        """List the project's leases, colleagues' included."""

    def lease(self, lease_id: str) -> Lease:
        """Read one lease."""

    def create_lease(
        self, name: str, start: datetime | None, end: datetime, reservation: HostReservation | FlavorReservation
    ) -> Lease:
        """Reserve; None as `start` means now. Raises NoCapacity when nothing is free in that window."""

    def extend_lease(self, lease_id: str, end: datetime) -> Lease:
        """Move a lease's end to a whole minute; repeating it is harmless. Raises NoCapacity when its node is taken."""

    def delete_lease(self, lease_id: str) -> None:
        """End a lease; Blazar removes the servers on it."""

    def close(self) -> None:
        """Close the connections."""


class InspectableCloud(Cloud, Protocol):
    """A cloud that also shows what the credentials are good for; only reads."""

    def account(self) -> Account:
        """Log in and return what the login gives."""

    def server_time(self) -> datetime | None:
        """Read Keystone's clock, to the second; None where it does not show it."""

    def can_make_trusts(self) -> bool | None:
        """Return whether these credentials may create the trust that Blazar needs; None where that is not shown."""

    def compute_limits(self) -> ComputeLimits:
        """Read how many servers and keypairs there may be."""

    def floating_ip_limit(self) -> int | None:
        """Read how many floating IPs the project may have; None without a limit."""
