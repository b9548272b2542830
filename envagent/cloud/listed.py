"""A cloud as it was at one moment: for a look at many runs, its objects are listed once instead of read one by one."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from envagent.cloud.port import Cloud, FloatingIp, Identity, Keypair, Lease, Server


class ListedCloud:
    """Answers reads from lists that are made at their first use; what is not listed is looked up in the cloud.

    So an object counts as gone only if the service says so by its id. Not for several threads.

    Args:
        cloud: the cloud; it is not closed with this view of it.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)

    @cached_property
    def _identity(self) -> Identity:
        return self._cloud.identity()

    @cached_property
    def _leases(self) -> dict[str, Lease]:
        return {one.id: one for one in self._cloud.leases()}

    @cached_property
    def _servers(self) -> dict[str, Server]:
        return {one.id: one for one in self._cloud.servers()}

    @cached_property
    def _floating_ips(self) -> dict[str, FloatingIp]:
        return {one.id: one for one in self._cloud.floating_ips()}

    @cached_property
    def _keypairs(self) -> dict[str, Keypair]:
        return {one.name: one for one in self._cloud.keypairs()}

    def identity(self) -> Identity:
        """Return who is logged in."""
        return self._identity

    def leases(self) -> list[Lease]:
        """List the project's leases."""
        return list(self._leases.values())

    def lease(self, lease_id: str) -> Lease:
        """Return one lease."""
        return self._leases.get(lease_id) or self._cloud.lease(lease_id)

    def servers(self) -> list[Server]:
        """List the project's servers."""
        return list(self._servers.values())

    def server(self, server_id: str) -> Server:
        """Return one server."""
        return self._servers.get(server_id) or self._cloud.server(server_id)

    def floating_ips(self) -> list[FloatingIp]:
        """List the project's floating IPs."""
        return list(self._floating_ips.values())

    def floating_ip(self, floating_ip_id: str) -> FloatingIp:
        """Return one floating IP."""
        return self._floating_ips.get(floating_ip_id) or self._cloud.floating_ip(floating_ip_id)

    def keypairs(self) -> list[Keypair]:
        """List the user's keypairs."""
        return list(self._keypairs.values())

    def keypair(self, name: str) -> Keypair | None:
        """Return a keypair; None when there is none of that name."""
        return self._keypairs.get(name) or self._cloud.keypair(name)

    def close(self) -> None:
        """Do nothing: other runs are looked at next."""


def listed(cloud: Cloud) -> Cloud:
    """Return a view of a cloud for a look at many runs."""
    return cast(Cloud, ListedCloud(cloud))
