"""Failures after acceptance: a lease or server that was accepted (201, 202) and then went to ERROR.

Nova's fault texts are all that a user sees of what went wrong on the node; they are untrusted.
"""

from __future__ import annotations

from envagent.cloud.port import Lease, Server
from envagent.cloud.rules import Known
from envagent.errors import LeaseFailed, NoCapacity, ProvisioningError, ServerFailed
from envagent.hints import Hint, Option, resume

_AGAIN = Hint("try again on the same lease:", resume())


_NO_ADDRESS = Known(
    r"no fixed ip addresses available|no more ip addresses|failed to allocate the network",
    "its network has no free address",
    Hint("choose another network with", Option("network"), ", or try again later"),
)
_FAULTS = (
    _NO_ADDRESS,
    Known(
        r"no valid host was found",
        "no reserved node could take it: the reservation is not active yet, the node is still busy or broken, "
        "or the image is for another architecture",
        Hint(_AGAIN, "; if it fails again, choose another", Option("node_type"), "or", Option("image")),
    ),
    Known(
        r"exceeded maximum number of retries|exhausted all hosts",
        "it could not be deployed on the reserved node",
        Hint(_AGAIN, "; if it fails again, give the help desk the ids of the node and the server"),
    ),
    Known(
        r"image .*(unacceptable|could not be found|not be converted|too large)|flavor's disk is too small",
        "the image does not fit the node",
        Hint("choose another image with", Option("image")),
    ),
)


def server_failed(server: Server) -> ServerFailed | NoCapacity:
    """Return the error for a server in ERROR, from its fault."""
    said = server.fault_text or ""
    unknown = Known("", "it could not be deployed" if said else "Nova gives no reason", _AGAIN)
    fault = next((one for one in _FAULTS if one.is_in(said)), unknown)
    error = NoCapacity if fault is _NO_ADDRESS else ServerFailed
    message = f"server {server.name} ({server.id}) went to ERROR: {fault.meaning}"
    return error(message, hint=fault.hint, service_said=said or None)


def lease_failed(lease: Lease) -> ProvisioningError:
    """Return the error for a lease in ERROR: Blazar accepted it, and its start or end failed."""
    return LeaseFailed(
        f"lease {lease.name} ({lease.id}) went to ERROR: Blazar could not start it on its node",
        hint=Hint("choose another", Option("node_type"), ", or ask the help desk"),
    )
