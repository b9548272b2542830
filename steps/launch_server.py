"""The server, on the reserved node."""

from __future__ import annotations

from envagent.catalog import NodeType
from envagent.cloud.failures import Fault, FaultKind, fault_of, server_failed
from envagent.cloud.port import Image, Server, ServerRequest, ServerStatus
from envagent.cloud.site_kinds import ResourceType, node_of, resource_type_of
from envagent.engine.kinds import Found, Try
from envagent.engine.step import GoBack, NotYet, Output, Step, stage
from envagent.errors import ResourceLost, ServerFailed
from envagent.hints import Hint, Shell, resume, teardown
from envagent.steps import mark
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.deployments import FAULT, Cleaning, Deployments
from envagent.steps.ensure_keypair import EnsuredKeypair
from envagent.steps.find_network import FoundNetwork
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Plan
from envagent.steps.request import RunRequest
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.resources import LaunchRequest, TaggedKind, server_kind
from envagent.steps.select_image import ImageCandidates, SelectedImage
from envagent.steps.services import StepContext, not_its_turn, record
from envagent.steps.watching import shown_status

WAKE: dict[str, str] = {
    ServerStatus.SHUTOFF: "start",
    ServerStatus.PAUSED: "unpause",
    ServerStatus.SUSPENDED: "resume",
    ServerStatus.SHELVED: "unshelve",
    ServerStatus.SHELVED_OFFLOADED: "unshelve",
    ServerStatus.RESCUE: "unrescue",
}
"""The states that a server does not leave by itself, with the openstack client's command that ends each."""

MOST_NODES = 4
"""How many nodes are tried: a site where so many take no server deploys none now. One that Nova passes over costs
seconds, unlike a deployment, and does not count as a try."""

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
    """Launch one server on the reservation; one that goes to ERROR is removed, and another is tried on another node.

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
    ) -> LaunchedServer | NotYet | GoBack:
        """Create the server and wait until it is ACTIVE.

        A whole node that failed takes no server while it is cleaned: another one is reserved, and where there is none
        the cleaning is waited for.
        """
        cloud = context.services.cloud
        kind = server_kind(cloud)
        reserved_as = resource_type_of(reserved_type(plan, reserved))
        while True:
            current = context.ledger.current(kind)
            if current is None:
                instead = self._instead(context, reserved, reserved_as)
                if instead is not None:
                    return instead
                image = _image_for(context, analyzed, plan, candidates, selected.image, reserved)
                flavor_id = reserved_as.server_flavor(cloud, reserved.reservation_id)
                current = _next_try(context, request, image, flavor_id, reserved.lease_id)
                why = context.services.admission.build(current.number, initialized.identity.site)
                if (turn := not_its_turn(context, "build", why)) is not None:
                    return turn
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
            launched = self._await_active(context, kind, current, found, reserved, reserved_as)
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

    def _instead(
        self, context: StepContext, reserved: ReservedHardware, reserved_as: ResourceType
    ) -> NotYet | GoBack | None:
        """Return what to do instead of launching on a node that has failed; None to launch."""
        past = Deployments.read(context.ledger, context.services.cloud)
        failed = past.on_lease(reserved.lease_id)
        if not failed or not reserved_as.fixed_node:
            return None
        settings, last = context.services.settings.server, failed[-1].launch
        deployed, nodes = past.deployments(context.attempt), past.nodes_tried(context.attempt)
        more = deployed < settings.tries and nodes < MOST_NODES
        if last.number > reserved.kept_after and (more or last.attempt != context.attempt):
            return GoBack(ReservedHardware, f"reserving another node before lease {reserved.lease_name} is released")
        cleaning = self._cleaning(context, reserved)
        if cleaning is None or context.now() >= min(cleaning.look_again, cleaning.deadline):
            return None
        alone = "no other node could be reserved" if more else f"{nodes} nodes took no server"
        status = f"it took no server {len(failed)} times" if len(failed) > 1 else alone
        return NotYet("the node to be cleaned", cleaning.look_again, cleaning.deadline, status)

    def _is_last(
        self,
        context: StepContext,
        reserved: ReservedHardware,
        reserved_as: ResourceType,
        past: Deployments,
        fault: Fault,
    ) -> bool:
        """Return whether nothing follows a failure: the deployments are used up, or the wait for a cleaning is over."""
        if fault.kind == FaultKind.NO_HOST and reserved_as.fixed_node:
            cleaning = self._cleaning(context, reserved)
            return cleaning is not None and context.now() >= cleaning.deadline
        before = past.deployments(context.attempt) if reserved_as.fixed_node else past.launches(context.attempt)
        return before + 1 >= context.services.settings.server.tries

    def _cleaning(self, context: StepContext, reserved: ReservedHardware) -> Cleaning | None:
        settings = context.services.settings.server
        failed = Deployments.read(context.ledger, context.services.cloud).on_lease(reserved.lease_id)
        pause, longest = settings.poll_seconds, settings.cleaning_seconds
        return Cleaning.after(failed, context.attempt, pause=pause, longest=longest)

    def _await_active(
        self,
        context: StepContext,
        kind: TaggedKind[Server, LaunchRequest],
        current: Try[LaunchRequest],
        found: Found,
        reserved: ReservedHardware,
        reserved_as: ResourceType,
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
            return wait.not_yet(shown_status(server), kind=kind.name, cloud_id=server.id)
        surplus = context.reconcile((kind,))  # a request that was carried out twice has taken the node
        if surplus is not None:
            return surplus
        node = node_of(context.services.cloud, reserved.lease_id) if reserved_as.fixed_node else None
        fault = fault_of(server, node)
        past = Deployments.read(context.ledger, context.services.cloud)
        context.ledger.annotate(kind.name, found.id, {FAULT: fault.model_dump(mode="json")})
        if current.attempt in (0, context.attempt) and self._is_last(context, reserved, reserved_as, past, fault):
            raise fault.error(past.first(context.attempt))
        before = past.on_lease(reserved.lease_id)
        if not before or (before[-1].fault.meaning, before[-1].fault.said) != (fault.meaning, fault.said):
            because = f" (Nova says: {server.fault_text})" if server.fault_text else ""
            context.warn(f"{fault.error().message}{because}; removing it to try again")
        return context.ledger.remove(kind, found.id, "went to ERROR")


def _next_try(
    context: StepContext, request: RunRequest, image: Image, flavor_id: str, lease_id: str
) -> Try[LaunchRequest]:
    name = request.server_name or mark.server_name(context.run_id, mark.slug(request.repository))
    number = context.ledger.next_number("server")
    asked = LaunchRequest(image_id=image.id, image_name=image.name, flavor_id=flavor_id, lease_id=lease_id)
    return Try(number, name, asked)


def _image_for(
    context: StepContext,
    analyzed: AnalyzedRepository,
    plan: Plan,
    candidates: ImageCandidates,
    selected: Image,
    reserved: ReservedHardware,
) -> Image:
    """Keep the selected image, unless another node type than planned was reserved and the image does not suit it."""
    if reserved.node_type == plan.placement.best.node_type.name:
        return selected
    tried = [one.request for one in context.ledger.tries(server_kind(context.services.cloud))]
    before = next((one.image_id for one in reversed(tried) if one.lease_id == reserved.lease_id), None)
    if before is not None:
        return next((one for one in candidates.images if one.id == before), selected)
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
