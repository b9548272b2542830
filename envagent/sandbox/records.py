"""The objects of the simulated cloud, one dataclass per kind, as stored.

Records are plain data, saved as JSON; moments are seconds since the epoch. The services' modules build the views
that clients see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self


@dataclass
class Record:
    """Any stored object; `owner` is a project id (a user id for keypairs)."""

    kind: ClassVar[str]

    id: str
    site: str
    owner: str
    name: str
    created_at: float

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Rebuild from the JSON form."""
        return cls(**document)


@dataclass
class Reservation:
    """An item of a lease. `hosts` are Blazar host ids; `asked` holds keys of the request that responses repeat."""

    id: str
    resource_id: str
    resource_type: str
    status: str
    created_at: float
    updated_at: float
    asked: dict[str, Any] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    missing_resources: bool = False
    resources_changed: bool = False


@dataclass
class LeaseEvent:
    """An entry of a lease's `events`; `status` is UNDONE, IN_PROGRESS, DONE or ERROR."""

    id: str
    event_type: str
    status: str
    time: float
    created_at: float
    updated_at: float | None = None


@dataclass
class Lease(Record):
    """A Blazar lease; `plan` counts the changes of its dates, which identifies superseded events."""

    kind = "lease"

    user: str
    start: float
    end: float
    status: str
    updated_at: float
    trust_id: str
    degraded: bool = False
    plan: int = 0
    reservations: list[Reservation] = field(default_factory=list)
    events: list[LeaseEvent] = field(default_factory=list)
    start_fails: bool = False
    never_starts: bool = False

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Rebuild, nested parts included."""
        nested = {
            "reservations": [Reservation(**item) for item in document["reservations"]],
            "events": [LeaseEvent(**item) for item in document["events"]],
        }
        return cls(**{**document, **nested})

    def event(self, event_type: str) -> LeaseEvent:
        """Return the event of that type."""
        return next(event for event in self.events if event.event_type == event_type)


@dataclass
class Server(Record):
    """A Nova server; `host` is the Blazar host id that it occupies.

    `given` holds fields shown as given (accessIPv4, ...), `actions` the actions since its creation. `public_key` is the
    keypair's at its creation, `faults` are the parameters of faults of the running node by action, and `installed`
    counts its installations: each has host keys and files of its own.
    """

    kind = "server"

    user: str
    image: str
    flavor: str
    key_name: str | None
    networks: list[str]
    metadata: dict[str, str]
    hints: dict[str, Any]
    updated_at: float
    status: str = "BUILD"
    task_state: str | None = "scheduling"
    vm_state: str = "building"
    security_groups: list[str] = field(default_factory=lambda: ["default"])
    description: str | None = None
    tags: list[str] = field(default_factory=list)
    zone: str = ""
    host: str | None = None
    launched_at: float | None = None
    fault: dict[str, Any] | None = None
    doomed: dict[str, Any] | None = None
    never_builds: bool = False
    action_request_id: str = ""
    locked: bool = False
    locked_reason: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    actions: list[dict[str, Any]] = field(default_factory=list)
    public_key: str | None = None
    booted_at: float | None = None
    installed: int = 1
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Node(Record):
    """What is unusual of a bare-metal node; `id` is its Blazar host's, and one that is simply available has no record.

    `state` is Ironic's provision state. `scheduler_knows` is when Nova learns of a maintenance; `clean_fails` and
    `delete_fails` say how the node's next release ends.
    """

    kind = "node"

    state: str = "available"
    maintenance: bool = False
    scheduler_knows: float = 0.0
    clean_fails: bool = False
    delete_fails: bool = False
    releases: int = 0


@dataclass
class Port(Record):
    """A Neutron port with one fixed address, created by Nova (`device_owner` None) or by a user."""

    kind = "port"

    network: str
    subnet: str
    address: str
    mac: str
    device: str
    zone: str
    updated_at: float
    security_groups: list[str] = field(default_factory=list)
    status: str = "DOWN"
    device_owner: str | None = None
    description: str = ""
    admin_state_up: bool = True
    tags: list[str] = field(default_factory=list)
    revision: int = 4

    @property
    def shown_owner(self) -> str:
        """What Neutron shows as device_owner."""
        return f"compute:{self.zone}" if self.device_owner is None else self.device_owner


@dataclass
class FloatingIp(Record):
    """A Neutron floating IP; `name` is the address."""

    kind = "floating_ip"

    network: str
    description: str
    updated_at: float
    port: str | None = None
    fixed: str | None = None
    tags: list[str] = field(default_factory=list)
    revision: int = 0


@dataclass
class Keypair(Record):
    """A Nova keypair; the id is `<user id>/<name>`, `number` what Nova shows as id."""

    kind = "keypair"

    fingerprint: str
    public_key: str
    type: str
    number: int


@dataclass
class ApplicationCredential(Record):
    """A Keystone application credential of the user `owner`; `builtin` ones are in clouds.yaml and not stored."""

    kind = "application_credential"

    project: str
    secret_digest: str
    description: str | None = None
    expires: float | None = None
    unrestricted: bool | None = None
    builtin: bool = False


@dataclass
class SecurityGroup(Record):
    """A Neutron security group with its rules as Neutron shows them."""

    kind = "security_group"

    description: str
    updated_at: float
    rules: list[dict[str, Any]] = field(default_factory=list)
    stateful: bool = True
    tags: list[str] = field(default_factory=list)
    revision: int = 1


@dataclass
class Flavor(Record):
    """A Nova flavor that Blazar created for a flavor:instance reservation, with the reservation's id."""

    kind = "flavor"

    vcpus: int
    ram: int
    disk: int
    extra_specs: dict[str, str] = field(default_factory=dict)
