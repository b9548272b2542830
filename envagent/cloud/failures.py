"""Failures after acceptance: a lease or server that was accepted (201, 202) and then went to ERROR.

Nova's fault texts are all that a user sees of what went wrong on the node; they are untrusted.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from envagent.cloud.port import Host, Lease, Server
from envagent.errors import LeaseFailed, NoCapacity, ProvisioningError, ServerFailed
from envagent.hints import Hint, Option, resume


class FaultKind(StrEnum):
    """What kept a server from being deployed."""

    NO_HOST = "no_host"
    """Nova's scheduler passed over the reserved node."""
    DEPLOYMENT = "deployment"
    """Nova chose the node and gave up on it."""
    NO_ADDRESS = "no_address"
    IMAGE = "image"
    OTHER = "other"


NO_DEPLOYMENT_YET = timedelta(seconds=30)
"""A server's firmware alone takes longer before a deployment over the network can begin to fail."""

_AGAIN = Hint("try again on another node, if one is free:", resume())
_HELP_DESK = Hint(_AGAIN, "; if it fails again, give the help desk the ids above")
_MEANINGS: dict[FaultKind, tuple[str, str, Hint]] = {
    FaultKind.NO_ADDRESS: (
        r"no fixed ip addresses available|no more ip addresses|failed to allocate the network",
        "its network has no free address",
        Hint("choose another network with", Option("network"), ", or try again later"),
    ),
    FaultKind.NO_HOST: (
        r"no valid host was found",
        "Nova passed over the reserved node: it is being cleaned, in maintenance or broken, "
        "or the image is for another architecture",
        Hint(_AGAIN, "; if it fails again, choose another", Option("node_type"), "or", Option("image")),
    ),
    FaultKind.DEPLOYMENT: (
        r"exceeded maximum number of retries|exhausted all hosts",
        "its deployment failed on the reserved node",
        _HELP_DESK,
    ),
    FaultKind.IMAGE: (
        r"image .*(unacceptable|could not be found|not be converted|too large)|flavor's disk is too small",
        "the image does not fit the node",
        Hint("choose another image with", Option("image")),
    ),
}
"""In the order in which they are looked for: Nova's text, what it means, what to do."""


class Fault(BaseModel):
    """Why a server went to ERROR, and on which node; stored with the server that it befell."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: FaultKind
    server: str
    """The server's name and id."""
    said: str | None
    """Nova's words (untrusted)."""
    seconds: float | None = None
    """From the request to the fault, by Nova's clock."""
    at: datetime | None = None
    node_id: str | None = None
    """None where the site does not show which node a lease holds."""
    node_name: str | None = None

    @property
    def of_the_node(self) -> bool:
        """Whether another node may do better."""
        return self.kind in (FaultKind.NO_HOST, FaultKind.DEPLOYMENT, FaultKind.OTHER)

    @property
    def meaning(self) -> str:
        """Say what happened, and no more than is known."""
        if self.kind == FaultKind.OTHER:
            return "it could not be deployed" if self.said else "Nova gives no reason"
        if self.kind == FaultKind.DEPLOYMENT and self.seconds is not None and self.seconds < NO_DEPLOYMENT_YET.seconds:
            return (
                f"Nova gave up on the reserved node after {self.seconds:.0f} s, perhaps before it deployed anything, "
                "as with a node in maintenance"
            )
        return _MEANINGS[self.kind][1]

    @property
    def node(self) -> str:
        """Name the node, or return nothing where it is not known."""
        return "" if self.node_id is None else f" on node {self.node_name or self.node_id} ({self.node_id})"

    def error(self, before: Fault | None = None) -> ServerFailed | NoCapacity:
        """Return the error that ends a run, with what went wrong first if that was something else."""
        failed = NoCapacity if self.kind == FaultKind.NO_ADDRESS else ServerFailed
        message = f"server {self.server} went to ERROR{self.node}: {self.meaning}"
        if before is not None and (before.meaning, before.node_id) != (self.meaning, self.node_id):
            why = " in the same way" if before.meaning == self.meaning else f": {before.meaning}"
            message += f"; the first attempt failed{before.node}{why}"
        hint = _MEANINGS[self.kind][2] if self.kind in _MEANINGS else _AGAIN
        return failed(message, hint=hint, service_said=self.said)


def fault_of(server: Server, node: Host | None = None) -> Fault:
    """Return the fault of a server in ERROR.

    Args:
        server: the server.
        node: the one that it was to be deployed on, if that is known.
    """
    said, fault = server.fault_text or "", server.fault
    kind = next((kind for kind, (text, *_) in _MEANINGS.items() if re.search(text, said, re.I)), FaultKind.OTHER)
    at = None if fault is None else fault.created
    return Fault(
        kind=kind,
        server=f"{server.name} ({server.id})",
        said=said or None,
        seconds=None if at is None or server.created_at is None else (at - server.created_at).total_seconds(),
        at=at,
        node_id=None if node is None else node.uid,
        node_name=None if node is None else node.name,
    )


def server_failed(server: Server) -> ServerFailed | NoCapacity:
    """Return the error for a server in ERROR, from its fault."""
    return fault_of(server).error()


def lease_failed(lease: Lease) -> ProvisioningError:
    """Return the error for a lease in ERROR: Blazar accepted it, and its start or end failed."""
    return LeaseFailed(
        f"lease {lease.name} ({lease.id}) went to ERROR: Blazar could not start it on its node",
        hint=Hint("choose another", Option("node_type"), ", or ask the help desk"),
    )
