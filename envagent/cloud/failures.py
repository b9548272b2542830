"""Failures that come after the answer: a lease or server that was accepted (201, 202) and then went to ERROR.

It owns the meaning of Nova's fault texts, which are all that a user sees of what went wrong on the node. The texts
are untrusted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envagent.cloud.port import Lease, Server
from envagent.errors import LeaseFailed, NoCapacity, ProvisioningError, ServerFailed

_AGAIN = "envagent resume RUN_ID tries again on the same lease"


@dataclass(frozen=True)
class _Fault:
    text: str
    error: type[ServerFailed] | type[NoCapacity]
    meaning: str
    hint: str


_FAULTS: tuple[_Fault, ...] = (
    _Fault(
        r"no fixed ip addresses available|no more ip addresses|failed to allocate the network",
        NoCapacity,
        "its network has no free address",
        "choose another network with --network, or try again later",
    ),
    _Fault(
        r"no valid host was found",
        ServerFailed,
        "no reserved node could take it: the reservation is not active yet, the node is still busy or broken, "
        "or the image is for another architecture",
        f"{_AGAIN}; if it stays, choose another --node-type or --image",
    ),
    _Fault(
        r"exceeded maximum number of retries|exhausted all hosts",
        ServerFailed,
        "its deployment failed on the reserved node",
        f"{_AGAIN}; if it stays, tell the help desk the node's and the server's id",
    ),
    _Fault(
        r"image .*(unacceptable|could not be found|not be converted|too large)|flavor's disk is too small",
        ServerFailed,
        "the image does not fit the node",
        "choose another image with --image",
    ),
)


def server_failed(server: Server) -> ServerFailed | NoCapacity:
    """The error for a server in ERROR, from its fault."""
    words = server.fault.message if server.fault else ""
    for fault in _FAULTS:
        if re.search(fault.text, words, re.I):
            return fault.error(
                f"server {server.name} ({server.id}) went to ERROR: {fault.meaning}",
                hint=fault.hint,
                service_said=words,
            )
    why = "its deployment failed" if words else "Nova gives no reason"
    return ServerFailed(
        f"server {server.name} ({server.id}) went to ERROR: {why}", hint=_AGAIN, service_said=words or None
    )


def lease_failed(lease: Lease) -> ProvisioningError:
    """The error for a lease in ERROR: accepted, and then its start or end failed at Blazar."""
    return LeaseFailed(
        f"lease {lease.name} ({lease.id}) went to ERROR: Blazar could not start it on its node",
        hint="choose another --node-type, or ask the help desk",
    )
