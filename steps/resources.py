"""The four kinds of objects that a run makes: how each is found by its tag, removed and looked for.

An object's traits are what the cloud shows of the request that made it. They distinguish what the run made from what
merely carries its tag, and are named like the fields of the stored requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import PlainSerializer

from envagent.cloud.port import Cloud, FloatingIp, Keypair, Lease, Server
from envagent.engine.kinds import Found, ObjectRequest
from envagent.engine.tables import IntentRecord, IntentState
from envagent.errors import NotFound
from envagent.steps import mark


def _of(run_id: str | None, owner: tuple[str, int] | None) -> bool:
    return owner is not None and run_id in (None, owner[0])


class LeaseRequest(ObjectRequest):
    """A lease of one node."""

    node_type: str
    hours: int
    start: Annotated[datetime, PlainSerializer(datetime.isoformat)] | None = None
    """None for one that starts with the plan."""
    user_id: str | None = None


class LaunchRequest(ObjectRequest):
    """A server; the optional fields are not in journals of 0.1."""

    image_id: str
    image_name: str
    flavor_id: str | None = None
    key_name: str | None = None
    user_id: str | None = None


class FloatingIpRequest(ObjectRequest):
    """An address that is not attached yet."""

    network_id: str
    port_id: str


class KeypairRequest(ObjectRequest):
    """A public key."""

    public_key: str


@dataclass(frozen=True, slots=True)
class LeaseKind:
    """Leases, tagged in their names; one that is over occupies and costs nothing, and is not listed."""

    cloud: Cloud
    name: str = "lease"
    request: ClassVar[type[LeaseRequest]] = LeaseRequest

    def found(self, lease: Lease) -> Found:
        """Describe one of our leases."""
        run_id, number = mark.read_lease_name(lease.name) or ("", 0)
        node_type = next((one.node_type for one in lease.reservations), None)
        traits = {"name": lease.name, "user_id": lease.user_id, "node_type": node_type}
        detail = {"start_date": lease.start.isoformat(), "end_date": lease.end.isoformat()}
        return Found(lease.id, lease.name, run_id, number, detail, traits)

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's tagged leases that are not over."""
        return [
            self.found(lease)
            for lease in self.cloud.leases()
            if not lease.over and _of(run_id, mark.read_lease_name(lease.name))
        ]

    def delete(self, cloud_id: str) -> None:
        """End the lease."""
        self.cloud.delete_lease(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Tell whether the lease exists; teardown removes the record of one that is over, too."""
        try:
            self.cloud.lease(cloud_id)
        except NotFound:
            return False
        return True


@dataclass(frozen=True, slots=True)
class ServerKind:
    """Servers, tagged in their metadata."""

    cloud: Cloud
    name: str = "server"
    request: ClassVar[type[LaunchRequest]] = LaunchRequest

    def found(self, server: Server) -> Found:
        """Describe one of our servers."""
        run_id, number = mark.read_metadata(server.metadata) or ("", 0)
        traits = {
            "name": server.name,
            "user_id": server.user_id,
            "image_id": server.image_id,
            "flavor_id": server.flavor_id,
            "key_name": server.key_name or "",
        }
        return Found(server.id, server.name, run_id, number, traits=traits)

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's tagged servers."""
        return [self.found(one) for one in self.cloud.servers() if _of(run_id, mark.read_metadata(one.metadata))]

    def delete(self, cloud_id: str) -> None:
        """Ask for the server's removal."""
        self.cloud.delete_server(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Tell whether the server exists; Nova may show a removed one as DELETED for a while."""
        try:
            return self.cloud.server(cloud_id).status not in ("DELETED", "SOFT_DELETED")
        except NotFound:
            return False


@dataclass(frozen=True, slots=True)
class FloatingIpKind:
    """Floating IPs, tagged in their descriptions."""

    cloud: Cloud
    name: str = "floating_ip"
    request: ClassVar[type[FloatingIpRequest]] = FloatingIpRequest

    def found(self, address: FloatingIp) -> Found:
        """Describe one of our floating IPs."""
        run_id, number = mark.read_description(address.description) or ("", 0)
        traits = {"network_id": address.network_id, "port_id": address.port_id or ""}
        return Found(address.id, address.address, run_id, number, traits=traits)

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's tagged floating IPs."""
        return [
            self.found(one) for one in self.cloud.floating_ips() if _of(run_id, mark.read_description(one.description))
        ]

    def delete(self, cloud_id: str) -> None:
        """Release the address."""
        self.cloud.delete_floating_ip(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Tell whether the address exists."""
        try:
            self.cloud.floating_ip(cloud_id)
        except NotFound:
            return False
        return True


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
        """Tell whether the run's keypair exists."""
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


def removal_order(
    cloud: Cloud, named: Mapping[str, tuple[str, str]]
) -> Iterable[FloatingIpKind | ServerKind | LeaseKind | KeypairKind]:
    """Return the kinds in the order of removal: what depends on others first."""
    return FloatingIpKind(cloud), ServerKind(cloud), LeaseKind(cloud), KeypairKind(cloud, named)


def runs_of_others(cloud: Cloud) -> frozenset[str]:
    """List the runs of the project's other users, by their leases: a floating IP does not show its user."""
    own = cloud.identity().user_id
    others = [mark.read_lease_name(lease.name) for lease in cloud.leases() if lease.user_id not in (None, own)]
    return frozenset(owner[0] for owner in others if owner is not None)
