"""An address that is reachable from outside."""

from __future__ import annotations

from envagent.engine.kinds import Found
from envagent.engine.step import NotYet, Output, Redo, Step, stage
from envagent.errors import (
    CapacityError,
    CloudError,
    NotFound,
    NothingSuitable,
    OutcomeUnknown,
    QuotaExceeded,
    ResourceLost,
)
from envagent.hints import Hint, Shell, resume
from envagent.steps import mark
from envagent.steps.find_network import FoundNetwork
from envagent.steps.launch_server import LaunchedServer
from envagent.steps.request import RunRequest
from envagent.steps.resources import FloatingIpRequest, floating_ip_kind
from envagent.steps.services import StepContext

ALLOCATE_SECONDS = 10.0
"""How long an address is requested again after a refusal for quota: Neutron counts requests in progress as well as what
they have made, so that several at once may be refused somewhat below the limit."""

ATTACH_SECONDS = 60.0
"""How long a port may take to appear, or an address to be routed to it."""


class AllocatedAddress(Output):
    """A floating IP for the run; None where none is wanted, or none is left."""

    floating_ip_id: str | None
    address: str | None

    def summary(self) -> str:
        """Return the address."""
        return self.address or "no floating IP"


class AssignedAddress(AllocatedAddress):
    """The address at which the server is reachable from outside, if any."""

    port_id: str | None = None
    """The server's port that it points at; None without an address, and in journals of 0.1."""


class AssignFloatingIp(Step):
    """Allocate an address tagged with the run's id, and attach it to the server's port.

    An unattached address of the project may be a colleague's: only one with this run's tag is used.

    Reads: Neutron's floating IPs and the server's ports.
    Creates: one floating IP; if none is left, the run continues without, with a warning.
    Owner mark: the floating IP's description.
    Undo: release the floating IP.
    """

    @stage
    def allocate(
        self, context: StepContext, request: RunRequest, network: FoundNetwork, launched: LaunchedServer
    ) -> AllocatedAddress | NotYet:
        """Stage 7A."""
        none = AllocatedAddress(floating_ip_id=None, address=None)
        if not request.floating_ip:
            return none
        if network.external_id is None:
            context.warn("this site has no external network: the server is reachable from inside only")
            return none
        return _allocate(context, network.external_id, launched)

    @stage
    def attach(
        self, context: StepContext, allocated: AllocatedAddress, launched: LaunchedServer, network: FoundNetwork
    ) -> AssignedAddress | NotYet:
        """Stage 7B: a port update at Neutron, sent again only after checking that it is still needed.

        If no port has a way to the outside, the address is released, and the run continues without.
        """
        none = AssignedAddress(floating_ip_id=None, address=None)
        if allocated.floating_ip_id is None:
            return none
        cloud = context.services.cloud
        kind = floating_ip_kind(cloud)
        if context.ledger.why_removing(kind.name, allocated.floating_ip_id) is not None:
            return context.ledger.remove(kind, allocated.floating_ip_id) or none
        if context.ledger.is_gone(kind.name, allocated.floating_ip_id) and network.external_id is not None:
            again = _allocate(context, network.external_id, launched)
            if isinstance(again, NotYet):
                return again
            if again.floating_ip_id is None:
                return none
            allocated = again
            context.ledger.flush()  # recorded before it is used
        wait = context.wait("a port that takes the address", every=5, timeout=ATTACH_SECONDS)
        address = kind.read(context.ledger, allocated.floating_ip_id or "")
        if address is None:
            raise ResourceLost(
                f"floating IP {allocated.address} ({allocated.floating_ip_id}) was released, but not by this run",
                hint=Hint("allocate another one:", resume()),
            )
        ports = cloud.ports(launched.server_id)
        if address.port_id in {port.id for port in ports}:
            return AssignedAddress(floating_ip_id=address.id, address=address.address, port_id=address.port_id)
        ports.sort(key=lambda port: port.network_id != network.network_id)
        refusal: CloudError | None = None
        inside: list[NothingSuitable] = []
        for port in ports:
            try:
                attached = cloud.attach_floating_ip(address.id, port.id)
            except OutcomeUnknown as error:
                refusal = error
                break
            except NothingSuitable as error:  # this port has no way to the external network: another may
                inside.append(error)
                continue
            except NotFound as error:  # the port is gone
                refusal = error
                continue
            return AssignedAddress(floating_ip_id=attached.id, address=attached.address, port_id=port.id)
        if ports and len(inside) == len(ports):
            context.warn(
                f"no floating IP can lead to network {network.network_name} ({inside[0].message}); "
                "the server is reachable from inside only",
                service_said=inside[0].service_said,
            )
            return context.ledger.remove(kind, address.id, "no way to the outside") or none
        if wait.over:
            raise refusal or CloudError(f"server {launched.server_name} has no port to attach an address to")
        return wait.not_yet("not attached to a port yet")

    def confirm(self, context: StepContext, output: AssignedAddress) -> Redo | None:
        """Check that the address still leads to the server, and not to somebody else's."""
        if output.floating_ip_id is None:
            return None
        address = floating_ip_kind(context.services.cloud).read(context.ledger, output.floating_ip_id)
        if address is None:
            return Redo("attach", f"floating IP {output.address} was released; taking another")
        if address.port_id is None:
            return Redo("attach", f"floating IP {output.address} was detached; attaching it to the server again")
        if output.port_id is not None and address.port_id != output.port_id:
            raise ResourceLost(
                f"floating IP {output.address} ({address.id}) was attached to another server",
                hint=Hint(Shell("openstack", "floating", "ip", "unset", "--port", address.id), "; then:", resume()),
            )
        return None


def _go_without(context: StepContext, refusal: CapacityError) -> AllocatedAddress:
    context.warn(
        f"no floating IP is left ({refusal.message}); the server is reachable from inside only",
        service_said=refusal.service_said,
    )
    return AllocatedAddress(floating_ip_id=None, address=None)


def _allocate(context: StepContext, external: str, launched: LaunchedServer) -> AllocatedAddress | NotYet:
    """Allocate an address of the external network; continue without, with a warning, if none is left."""
    cloud = context.services.cloud
    kind = floating_ip_kind(cloud)

    def make() -> Found:
        return kind.found(cloud.create_floating_ip(external, mark.description(context.run_id, 1)))

    wanted = FloatingIpRequest(network_id=external, port_id="")  # one that leads somewhere was not made by this request
    wait = context.wait("a floating IP", every=5, timeout=ALLOCATE_SECONDS)
    try:
        found = context.ledger.create(kind, 1, f"floating IP of {launched.server_name}", wanted, make)
    except QuotaExceeded as refusal:
        return _go_without(context, refusal) if wait.over else wait.not_yet(refusal.message)
    except CapacityError as refusal:
        return _go_without(context, refusal)
    if isinstance(found, NotYet):
        return found
    return AllocatedAddress(floating_ip_id=found.id, address=found.name)
