"""The server, on the reserved node."""

from __future__ import annotations

from envagent.catalog import NodeType
from envagent.cloud.failures import server_failed
from envagent.cloud.port import Image, Server, ServerRequest, ServerStatus
from envagent.cloud.site_kinds import resource_type_of
from envagent.engine.kinds import Found, Try
from envagent.engine.step import NotYet, Output, Step, stage
from envagent.errors import ResourceLost, ServerFailed
from envagent.hints import Hint, Shell, resume, teardown
from envagent.steps import mark
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.ensure_keypair import EnsuredKeypair
from envagent.steps.find_network import FoundNetwork
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Plan
from envagent.steps.request import RunRequest
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.resources import LaunchRequest, TaggedKind, server_kind
from envagent.steps.select_image import ImageCandidates, SelectedImage
from envagent.steps.services import StepContext, record

WAKE: dict[str, str] = {
    ServerStatus.SHUTOFF: "start",
    ServerStatus.PAUSED: "unpause",
    ServerStatus.SUSPENDED: "resume",
    ServerStatus.SHELVED: "unshelve",
    ServerStatus.SHELVED_OFFLOADED: "unshelve",
    ServerStatus.RESCUE: "unrescue",
}
"""The states that a server does not leave by itself, with the openstack client's command that ends each."""

_LAUNCH_AGAIN = Hint("launch another one on the same lease:", resume(), "; or remove everything:", teardown())


class LaunchedServer(Output):
    """An ACTIVE server."""

    server_id: str
    server_name: str
    image_id: str
    image_name: str
    fixed_ips: tuple[str, ...]

    def summary(self) -> str:
        """Name the server."""
        return self.server_name


class LaunchServer(Step):
    """Launch one server on the reservation; one that goes to ERROR is removed, and another is tried.

    Reads: Nova's flavors.
    Creates: one server.
    Owner mark: the server's metadata, envagent_run and envagent_try.
    Undo: delete the server; its disk is lost.
    """

    @stage
    def launch(
        self,
        context: StepContext,
        request: RunRequest,
        initialized: Initialized,
        analyzed: AnalyzedRepository,
        plan: Plan,
        candidates: ImageCandidates,
        selected: SelectedImage,
        keypair: EnsuredKeypair,
        network: FoundNetwork,
        reserved: ReservedHardware,
    ) -> LaunchedServer | NotYet:
        """Create the server and wait until it is ACTIVE."""
        cloud = context.services.cloud
        kind = server_kind(cloud)
        reserved_as = resource_type_of(reserved_type(plan, reserved))
        while True:
            current = context.ledger.current(kind)
            if current is None:
                image = _image_for(context, analyzed, plan, candidates, selected.image, reserved)
                current = _next_try(context, request, image, reserved_as.server_flavor(cloud, reserved.reservation_id))
            asked = current.request.model_copy(
                update={"key_name": keypair.name, "user_id": initialized.identity.user_id}
            )

            def make(current: Try[LaunchRequest] = current) -> Found:
                wanted = ServerRequest(
                    name=current.name,
                    image_id=current.request.image_id,
                    flavor_id=current.request.flavor_id or reserved_as.server_flavor(cloud, reserved.reservation_id),
                    network_id=network.network_id,
                    key_name=keypair.name,
                    reservation_id=reserved_as.scheduler_hint(reserved.reservation_id),
                    metadata=mark.server_metadata(context.run_id, current.number),
                    security_groups=(cloud.ensure_ssh_security_group(),) if reserved_as.filters_traffic else (),
                )
                return kind.found(cloud.create_server(wanted))

            found = context.ledger.create(kind, current.number, current.name, asked, make)
            if isinstance(found, NotYet):
                return found
            launched = self._await_active(context, kind, current, found)
            if launched is not None:
                return launched

    def confirm(self, context: StepContext, output: LaunchedServer) -> None:
        """Check that the server still exists and is running."""
        server = server_kind(context.services.cloud).read_own(context.ledger, output.server_id, output.server_name)
        if server.status == ServerStatus.ERROR:
            raise ResourceLost(server_failed(server).message, service_said=server.fault_text)
        if server.status in WAKE:
            raise _asleep(context, server)
        if mark.read_metadata(server.metadata) is None:
            context.warn(f"server {server.name} ({server.id}) has lost its tag; this run still finds it by its id")

    def _await_active(
        self, context: StepContext, kind: TaggedKind[Server, LaunchRequest], current: Try[LaunchRequest], found: Found
    ) -> LaunchedServer | NotYet | None:
        """Read the server; None when it went to ERROR and has been removed."""
        settings = context.services.settings.server
        what = "the server to boot" if current.number == 1 else f"the server to boot (try {current.number})"
        wait = context.wait(what, every=settings.poll_seconds, timeout=settings.timeout_seconds)
        if context.ledger.why_removing(kind.name, found.id) is not None:
            return context.ledger.remove(kind, found.id)
        server = kind.read_own(context.ledger, found.id, found.name, hint=_LAUNCH_AGAIN)
        if server.status == ServerStatus.ACTIVE:
            return LaunchedServer(
                server_id=server.id,
                server_name=server.name,
                image_id=current.request.image_id,
                image_name=current.request.image_name,
                fixed_ips=server.fixed_ips,
            )
        if server.status in WAKE:
            raise _asleep(context, server)
        if server.status != ServerStatus.ERROR:
            if wait.over:
                raise ServerFailed(
                    f"server {server.name} ({server.id}) is still {server.status} after {wait.seconds / 60:.0f} min",
                    hint=Hint("continue to wait:", resume(), "; if it stays so, give the help desk the server's id"),
                )
            status = server.status if server.task_state is None else f"{server.status}/{server.task_state}"
            return wait.not_yet(status)
        surplus = context.reconcile((kind,))  # a request that was carried out twice has taken the node
        if surplus is not None:
            return surplus
        # What an earlier attempt of the run sent may be replaced, whatever failed before.
        if len(context.ledger.failed(kind)) + 1 >= settings.tries and current.attempt in (0, context.attempt):
            raise server_failed(server)
        because = f" (Nova says: {server.fault_text})" if server.fault_text else ""
        context.warn(f"{server_failed(server).message}{because}; removing it to try again")
        return context.ledger.remove(kind, found.id, "went to ERROR")


def _next_try(context: StepContext, request: RunRequest, image: Image, flavor_id: str) -> Try[LaunchRequest]:
    name = request.server_name or mark.server_name(context.run_id, mark.slug(request.repository))
    number = context.ledger.next_number("server")
    return Try(number, name, LaunchRequest(image_id=image.id, image_name=image.name, flavor_id=flavor_id))


def _image_for(
    context: StepContext,
    analyzed: AnalyzedRepository,
    plan: Plan,
    candidates: ImageCandidates,
    selected: Image,
    reserved: ReservedHardware,
) -> Image:
    """Keep the selected image, unless another node type than planned was reserved and the image does not suit it."""
    best = plan.placement.best.node_type
    if reserved.node_type == best.name or context.ledger.failed(server_kind(context.services.cloud)):
        return selected
    ordered = [selected, *(one for one in candidates.images if one.id != selected.id)]
    image, decision = context.services.advisor.image(ordered, analyzed.analysis, reserved_type(plan, reserved))
    if image.id != selected.id:
        record(context, decision)
    return image


def reserved_type(plan: Plan, reserved: ReservedHardware) -> NodeType:
    """Return the node type that was reserved, as the plan describes it."""
    return next(one.node_type for one in plan.placement.candidates if one.node_type.name == reserved.node_type)


def _asleep(context: StepContext, server: Server) -> ServerFailed:
    cloud = context.services.cloud.identity().cloud
    chosen = () if cloud is None else ("--os-cloud", cloud)
    return ServerFailed(
        f"server {server.name} ({server.id}) is {server.status}: somebody stopped it",
        hint=Hint(Shell("openstack", *chosen, "server", WAKE[server.status], server.id), "; then:", resume()),
    )
