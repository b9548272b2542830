"""The four kinds of objects that a run makes: how each is found by its mark, removed and looked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envagent.cloud.port import Cloud, FloatingIp, Keypair, Lease, Server
from envagent.engine.intents import Found
from envagent.errors import NotFound
from envagent.steps import mark


def _of(run_id: str | None, owner: tuple[str, int] | None) -> bool:
    return owner is not None and run_id in (None, owner[0])


@dataclass(frozen=True, slots=True)
class LeaseKind:
    """Leases: the mark is in the name. A TERMINATED lease occupies and costs nothing and counts as none."""

    cloud: Cloud
    name: str = "lease"

    def found(self, lease: Lease) -> Found:
        """Describe a lease of ours."""
        run_id, number = mark.read_lease_name(lease.name) or ("", 0)
        return Found(lease.id, lease.name, run_id, number, {"end_date": lease.end.isoformat()})

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's live leases with the mark."""
        return [
            self.found(lease)
            for lease in self.cloud.leases()
            if lease.status not in ("TERMINATED", "DELETED") and _of(run_id, mark.read_lease_name(lease.name))
        ]

    def delete(self, cloud_id: str) -> None:
        """End the lease."""
        self.cloud.delete_lease(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Look for the lease."""
        try:
            self.cloud.lease(cloud_id)
        except NotFound:
            return False
        return True


@dataclass(frozen=True, slots=True)
class ServerKind:
    """Servers: the mark is in the metadata."""

    cloud: Cloud
    name: str = "server"

    def found(self, server: Server) -> Found:
        """Describe a server of ours."""
        run_id, number = mark.read_metadata(server.metadata) or ("", 0)
        return Found(server.id, server.name, run_id, number)

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's servers with the mark."""
        return [self.found(one) for one in self.cloud.servers() if _of(run_id, mark.read_metadata(one.metadata))]

    def delete(self, cloud_id: str) -> None:
        """Ask for the server's removal."""
        self.cloud.delete_server(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Look for the server; Nova may show one that is gone as DELETED for a while."""
        try:
            return self.cloud.server(cloud_id).status not in ("DELETED", "SOFT_DELETED")
        except NotFound:
            return False


@dataclass(frozen=True, slots=True)
class FloatingIpKind:
    """Floating IPs: the mark is in the description."""

    cloud: Cloud
    name: str = "floating_ip"

    def found(self, address: FloatingIp) -> Found:
        """Describe a floating IP of ours."""
        run_id, number = mark.read_description(address.description) or ("", 0)
        return Found(address.id, address.address, run_id, number)

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's floating IPs with the mark."""
        return [
            self.found(one) for one in self.cloud.floating_ips() if _of(run_id, mark.read_description(one.description))
        ]

    def delete(self, cloud_id: str) -> None:
        """Release the address."""
        self.cloud.delete_floating_ip(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Look for the address."""
        try:
            self.cloud.floating_ip(cloud_id)
        except NotFound:
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeypairKind:
    """Keypairs: the mark is the name, or (for a name that the user gave) the public key that only this run has.

    A keypair has no id: what bears the name now may be another key than the one that was registered.

    Attributes:
        named: public keys that runs registered under names of the user's: name to (run id, public key).
    """

    cloud: Cloud
    named: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    name: str = "keypair"

    def find(self, run_id: str | None) -> list[Found]:
        """List the user's keypairs with the mark."""
        owners = ((one, self._owner(one)) for one in self.cloud.keypairs())
        return [Found(one.name, one.name, *owner) for one, owner in owners if owner and run_id in (None, owner[0])]

    def delete(self, cloud_id: str) -> None:
        """Remove the keypair, if it is still the one with the mark."""
        if self.exists(cloud_id):
            self.cloud.delete_keypair(cloud_id)

    def exists(self, cloud_id: str) -> bool:
        """Look for the keypair with the mark."""
        keypair = self.cloud.keypair(cloud_id)
        return keypair is not None and self._owner(keypair) is not None

    def _owner(self, keypair: Keypair) -> tuple[str, int] | None:
        if keypair.name in self.named:
            run_id, public_key = self.named[keypair.name]
            return (run_id, 1) if same_key(keypair.public_key, public_key) else None
        return mark.read_keypair_name(keypair.name)


def same_key(one: str, other: str) -> bool:
    """Compare two OpenSSH public keys, whatever their comments."""
    return one.split()[:2] == other.split()[:2]


def removal_order(
    cloud: Cloud, named: Mapping[str, tuple[str, str]]
) -> Iterable[FloatingIpKind | ServerKind | LeaseKind | KeypairKind]:
    """Give the kinds in the order in which teardown removes them: what depends on others first."""
    return FloatingIpKind(cloud), ServerKind(cloud), LeaseKind(cloud), KeypairKind(cloud, named)


def runs_of_others(cloud: Cloud) -> frozenset[str]:
    """List the runs that other users of the project made, by their leases: a floating IP does not tell its user."""
    own = cloud.identity().user_id
    others = [mark.read_lease_name(lease.name) for lease in cloud.leases() if lease.user_id not in (None, own)]
    return frozenset(owner[0] for owner in others if owner is not None)
