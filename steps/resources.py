"""The four kinds of objects that a run makes: how each is found by its tag, removed and looked for.

An object's traits are what the cloud shows of the request that made it. They distinguish what the run made from what
merely carries its tag, and are named like the fields of the stored requests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, ClassVar, Generic, TypeVar

from pydantic import PlainSerializer

from envagent.cloud.port import Cloud, FloatingIp, Keypair, Lease, Server, ServerStatus
from envagent.engine.intents import Ledger
from envagent.engine.kinds import Found, ObjectRequest, RequestT, ResourceKind
from envagent.engine.tables import IntentRecord, IntentState
from envagent.errors import NotFound, ResourceLost
from envagent.hints import Hint
from envagent.steps import mark

ShownT = TypeVar("ShownT")
"""What the cloud shows of an object."""


class LeaseRequest(ObjectRequest):
    """A lease of one node."""

    node_type: str
    hours: int
    start: Annotated[datetime, PlainSerializer(datetime.isoformat)] | None = None
    """None for one that starts with the plan."""
    user_id: str | None = None
    end: Annotated[datetime, PlainSerializer(datetime.isoformat)] | None = None
    """Of a lease that replaces another: that one's end, so that no more is spent; None for the planned hours."""


class LaunchRequest(ObjectRequest):
    """A server; the optional fields are not in journals of 0.1."""

    image_id: str
    image_name: str
    flavor_id: str | None = None
    key_name: str | None = None
    user_id: str | None = None
    lease_id: str | None = None
    """The lease that it is launched on."""


class FloatingIpRequest(ObjectRequest):
    """An address that is not attached yet."""

    network_id: str
    port_id: str


class KeypairRequest(ObjectRequest):
    """A public key."""

    public_key: str


@dataclass(frozen=True, slots=True)
class TaggedKind(Generic[ShownT, RequestT]):
    """A kind whose objects have an id and show their tag.

    Attributes:
        listed: lists the project's objects.
        look_up: reads one; None, or NotFound, if it is gone.
        delete: requests the removal.
        owner: reads run id and number from an object's tag; None without a tag.
        describe: returns an object, of that run and number, as the engine sees it.
    """

    name: str
    request: type[RequestT]
    listed: Callable[[], Iterable[ShownT]]
    look_up: Callable[[str], ShownT | None]
    delete: Callable[[str], None]
    owner: Callable[[ShownT], tuple[str, int] | None]
    describe: Callable[[ShownT, str, int], Found]

    def found(self, shown: ShownT) -> Found:
        """Describe an object of ours."""
        return self.describe(shown, *(self.owner(shown) or ("", 0)))

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's tagged objects."""
        tagged = [self.found(one) for one in self.listed() if self.owner(one) is not None]
        return [one for one in tagged if run_id in (None, one.run_id)]

    def exists(self, cloud_id: str) -> bool:
        """Return whether the object exists."""
        return self._shown(cloud_id) is not None

    def read(self, ledger: Ledger, cloud_id: str) -> ShownT | None:
        """Read an object; None if it is gone, which the ledger then records."""
        shown = self._shown(cloud_id)
        if shown is None:
            ledger.record_gone(self.name, cloud_id)
        return shown

    def _shown(self, cloud_id: str) -> ShownT | None:
        with contextlib.suppress(NotFound):
            return self.look_up(cloud_id)
        return None

    def read_own(self, ledger: Ledger, cloud_id: str, name: str, *, hint: Hint | None = None) -> ShownT:
        """Read an object that the run still needs.

        Raises:
            ResourceLost: it was deleted; the ledger then says so.
        """
        shown = self.read(ledger, cloud_id)
        if shown is None:
            raise ResourceLost(f"{self.name} {name} ({cloud_id}) was deleted, but not by this run", hint=hint)
        return shown


def lease_kind(cloud: Cloud) -> TaggedKind[Lease, LeaseRequest]:
    """Return the kind of leases, tagged in their names; one that is over occupies and costs nothing: it is not listed.

    It still exists, so that teardown removes its record, too.
    """

    def describe(lease: Lease, run_id: str, number: int) -> Found:
        node_type = next((one.node_type for one in lease.reservations), None)
        traits = {"name": lease.name, "user_id": lease.user_id, "node_type": node_type}
        detail = {"start_date": lease.start.isoformat(), "end_date": lease.end.isoformat()}
        return Found(lease.id, lease.name, run_id, number, detail, traits)

    return TaggedKind(
        "lease",
        LeaseRequest,
        lambda: [lease for lease in cloud.leases() if not lease.over],
        cloud.lease,
        cloud.delete_lease,
        lambda lease: mark.read_lease_name(lease.name),
        describe,
    )


def server_kind(cloud: Cloud) -> TaggedKind[Server, LaunchRequest]:
    """Return the kind of servers, tagged in their metadata; Nova may show a removed one as DELETED for a while."""

    def look_up(server_id: str) -> Server | None:
        server = cloud.server(server_id)
        return None if server.status in (ServerStatus.DELETED, ServerStatus.SOFT_DELETED) else server

    def describe(server: Server, run_id: str, number: int) -> Found:
        traits: dict[str, str | None] = {
            "name": server.name,
            "user_id": server.user_id,
            "image_id": server.image_id,
            "flavor_id": server.flavor_id,
            "key_name": server.key_name or "",
        }
        return Found(server.id, server.name, run_id, number, traits=traits)

    return TaggedKind(
        "server",
        LaunchRequest,
        cloud.servers,
        look_up,
        cloud.delete_server,
        lambda server: mark.read_metadata(server.metadata),
        describe,
    )


def floating_ip_kind(cloud: Cloud) -> TaggedKind[FloatingIp, FloatingIpRequest]:
    """Return the kind of floating IPs, tagged in their descriptions."""

    def describe(address: FloatingIp, run_id: str, number: int) -> Found:
        traits = {"network_id": address.network_id, "port_id": address.port_id or ""}
        return Found(address.id, address.address, run_id, number, traits=traits)

    return TaggedKind(
        "floating_ip",
        FloatingIpRequest,
        cloud.floating_ips,
        cloud.floating_ip,
        cloud.delete_floating_ip,
        lambda address: mark.read_description(address.description),
        describe,
    )


@dataclass(frozen=True, slots=True)
class KeypairKind:
    """Keypairs, tagged in their names, or (under a name given by the user) known by their public key.

    A keypair has no id: another key than the registered one may have its name now.

    Attributes:
        named: public keys that runs registered under names given by the user: name to (run id, public key).
    """

    cloud: Cloud
    named: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    name: str = "keypair"
    request: ClassVar[type[KeypairRequest]] = KeypairRequest

    def find(self, run_id: str | None) -> list[Found]:
        """List the user's tagged keypairs, and those that replaced one."""
        found = []
        for keypair in self.cloud.keypairs():
            owner = self._owner(keypair)
            if owner is not None:
                found.append(Found(keypair.name, keypair.name, *owner))
            elif run_id is not None and keypair.name in self.named:
                run, _ = self.named[keypair.name]
                other = f"{keypair.name} {keypair.fingerprint}"  # not the id of ours, whose name it has
                found.append(Found(other, keypair.name, run, 1, traits={"public_key": keypair.public_key}))
        return [one for one in found if run_id in (None, one.run_id)]

    def delete(self, cloud_id: str) -> None:
        """Remove the keypair, if it is still the run's."""
        if self.exists(cloud_id):
            self.cloud.delete_keypair(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Return whether the run's keypair exists."""
        keypair = self.cloud.keypair(cloud_id)
        return keypair is not None and self._owner(keypair) is not None

    def _owner(self, keypair: Keypair) -> tuple[str, int] | None:
        if keypair.name in self.named:
            run_id, public_key = self.named[keypair.name]
            return (run_id, 1) if same_key(keypair.public_key, public_key) else None
        return mark.read_keypair_name(keypair.name)


def registered_keys(intents: Iterable[IntentRecord]) -> dict[str, tuple[str, str]]:
    """Return the public keys that runs registered, or may have: name to (run id, public key).

    Args:
        intents: oldest run first; a name that several runs have used belongs to the newest.
    """
    return {
        one.name: (one.run_id, KeypairRequest.model_validate_json(one.request).public_key)
        for one in intents
        if one.kind == "keypair" and one.state != IntentState.REFUSED
    }


def same_key(one: str, other: str) -> bool:
    """Compare two OpenSSH public keys without their comments."""
    return one.split()[:2] == other.split()[:2]


def removal_order(cloud: Cloud, named: Mapping[str, tuple[str, str]]) -> tuple[ResourceKind, ...]:
    """Return the kinds in the order of removal: what depends on others first."""
    return floating_ip_kind(cloud), server_kind(cloud), lease_kind(cloud), KeypairKind(cloud, named)


def runs_of_others(cloud: Cloud) -> frozenset[str]:
    """List the runs of the project's other users, by their leases: a floating IP does not show its user."""
    own = cloud.identity().user_id
    others = [mark.read_lease_name(lease.name) for lease in cloud.leases() if lease.user_id not in (None, own)]
    return frozenset(owner[0] for owner in others if owner is not None)
