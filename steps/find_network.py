"""The server's network."""

from __future__ import annotations

from envagent.cloud.port import Network
from envagent.config import NetworkSettings
from envagent.engine.step import Output, Step, stage
from envagent.errors import NothingSuitable, UsageError
from envagent.hints import Hint, Option
from envagent.steps.initialize import Initialized
from envagent.steps.request import RunRequest
from envagent.steps.services import StepContext


class FoundNetwork(Output):
    """The server's network, and the external one that floating IPs come from (None where there is none)."""

    network_id: str
    network_name: str
    external_id: str | None
    external_name: str

    def summary(self) -> str:
        """Name the network."""
        return self.network_name if self.external_id else f"{self.network_name}, no external network"


class FindNetwork(Step):
    """Find the network by name and check that a server can be attached to it.

    Reads: Neutron's networks.
    Creates: nothing.
    Owner mark: none.
    Undo: nothing to undo.
    """

    @stage
    def find(self, context: StepContext, request: RunRequest, initialized: Initialized) -> FoundNetwork:
        """Look the names up."""
        return choose_network(context.services.cloud.networks(), context.services.settings.network, request.network)


def choose_network(networks: list[Network], settings: NetworkSettings, asked: str | None = None) -> FoundNetwork:
    """Choose the server's network and the external one.

    Args:
        networks: those that the project can see.
        settings: their names.
        asked: the name or id that the user passed; it takes precedence.

    Raises:
        UsageError: the name is ambiguous, or is that of an external network.
        NothingSuitable: there is no such network, or it cannot be used.
    """
    wanted = asked or settings.name
    found = [one for one in networks if wanted in (one.name, one.id)]
    if not found:
        error = UsageError if asked else NothingSuitable
        raise error(
            f"there is no network {wanted!r} at this site; it has: {_names(networks)}",
            hint=Hint("choose one with", Option("network")),
        )
    if len(found) > 1:
        listed = ", ".join(one.id for one in found)
        raise UsageError(
            f"{len(found)} networks are named {wanted!r}: {listed}",
            hint=Hint("choose one by its id with", Option("network")),
        )
    network = found[0]
    if network.external:
        raise UsageError(
            f"network {network.name} is external: it provides addresses, and takes no servers",
            hint=Hint("choose another one, such as sharednet1, with", Option("network")),
        )
    if network.status != "ACTIVE" or not network.subnet_ids:
        raise NothingSuitable(f"network {network.name} ({network.id}) is {network.status} or has no subnet")
    external = [one for one in networks if one.external and one.name == settings.external]
    external = external or [one for one in networks if one.external]
    return FoundNetwork(
        network_id=network.id,
        network_name=network.name,
        external_id=external[0].id if external else None,
        external_name=external[0].name if external else settings.external,
    )


def _names(networks: list[Network]) -> str:
    return ", ".join(sorted({one.name for one in networks if not one.external})) or "none"
