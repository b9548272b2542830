"""The server, on the reserved node."""

from __future__ import annotations

import contextlib
import shlex

from envagent.catalog import NodeType
from envagent.cloud.failures import server_failed
from envagent.cloud.port import Image, Server, ServerRequest
from envagent.cloud.site_kinds import resource_type_of
from envagent.engine.kinds import Found, Try
from envagent.engine.step import NotYet, Output, Step, stage
from envagent.errors import NotFound, ResourceLost, ServerFailed
from envagent.steps import mark
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.ensure_keypair import EnsuredKeypair
from envagent.steps.find_network import FoundNetwork
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Plan
from envagent.steps.record import record
from envagent.steps.request import RunRequest
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.resources import LaunchRequest, ServerKind
from envagent.steps.select_image import ImageCandidates, SelectedImage
from envagent.steps.services import StepContext

WAKE = {
    "SHUTOFF": "start",
    "PAUSED": "unpause",
    "SUSPENDED": "resume",
    "SHELVED": "unshelve",
    "SHELVED_OFFLOADED": "unshelve",
    "RESCUE": "unrescue",
}
"""States that a server does not leave by itself, and the command of the openstack client that ends each."""

_LAUNCH_AGAIN = "envagent resume RUN_ID launches another on the same lease; envagent teardown RUN_ID removes everything"


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
    """Launch one server into the reservation; one that ends in ERROR is removed, and another is tried.

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
        kind = ServerKind(cloud)
        sold_as = resource_type_of(_reserved_type(plan, reserved))
        while True:
            current = context.ledger.current(kind)
            if current is None:
                image = _image_for(context, analyzed, plan, candidates, selected.image, reserved)
                current = _next_try(context, request, image, sold_as.server_flavor(cloud, reserved.reservation_id))
            asked = current.request.model_copy(
                update={"key_name": keypair.name, "user_id": initialized.identity.user_id}
            )

            def make(current: Try[LaunchRequest] = current) -> Found:
                wanted = ServerRequest(
                    name=current.name,
                    image_id=current.request.image_id,
                    flavor_id=current.request.flavor_id or sold_as.server_flavor(cloud, reserved.reservation_id),
                    network_id=network.network_id,
                    key_name=keypair.name,
                    reservation_id=sold_as.scheduler_hint(reserved.reservation_id),
                    metadata=mark.server_metadata(context.run_id, current.number),
                    security_groups=(cloud.ensure_ssh_security_group(),) if sold_as.filters_traffic else (),
                )
                return kind.found(cloud.create_server(wanted))

            found = context.ledger.create(kind, current.number, current.name, asked, make)
            if isinstance(found, NotYet):
                return found
            answer = self._await_active(context, kind, current, found)
            if answer is not None:
                return answer

    def confirm(self, context: StepContext, output: LaunchedServer) -> None:
        """Check that the server is still there, and on."""
        server = _read(context, output.server_id, output.server_name)
        if server.status == "ERROR":
            raise ResourceLost(server_failed(server).message, service_said=_fault(server))
        if server.status in WAKE:
            raise _asleep(context, server)
        if mark.read_metadata(server.metadata) is None:
            context.warn(f"server {server.name} ({server.id}) has lost its tag; this run still knows it by its id")

    def _await_active(
        self, context: StepContext, kind: ServerKind, current: Try[LaunchRequest], found: Found
    ) -> LaunchedServer | NotYet | None:
        """Look at the server: ACTIVE, not yet, or (None) in ERROR and removed."""
        settings = context.services.settings.server
        wait = context.wait(
            f"server ACTIVE (try {current.number})", every=settings.poll_seconds, timeout=settings.timeout_seconds
        )
        if context.ledger.why_removing(kind.name, found.id) is not None:
            return context.ledger.remove(kind, found.id)
        server = _read(context, found.id, found.name, hint=_LAUNCH_AGAIN)
        if server.status == "ACTIVE":
            return LaunchedServer(
                server_id=server.id,
                server_name=server.name,
                image_id=current.request.image_id,
                image_name=current.request.image_name,
                fixed_ips=server.fixed_ips,
            )
        if server.status in WAKE:
            raise _asleep(context, server)
        if server.status != "ERROR":
            if wait.over:
                raise ServerFailed(
                    f"server {server.name} ({server.id}) is still {server.status} after {wait.seconds / 60:.0f} min",
                    hint="envagent resume RUN_ID waits on; if it stays, give the help desk the server's id",
                )
            status = server.status if server.task_state is None else f"{server.status}/{server.task_state}"
            return wait.not_yet(status)
        surplus = context.reconcile((kind,))  # a request that was carried out twice has taken the node itself
        if surplus is not None:
            return surplus
        if len(context.ledger.failed(kind)) + 1 >= settings.tries and not _from_earlier(context, current):
            raise server_failed(server)
        said = _fault(server) or "nothing"
        context.warn(f"{server_failed(server).message}; Nova says: {said}; removing it to try again")
        return context.ledger.remove(kind, found.id, "went to ERROR")


def _next_try(context: StepContext, request: RunRequest, image: Image, flavor_id: str) -> Try[LaunchRequest]:
    name = request.server_name or mark.server_name(context.run_id, mark.slug(request.repository))
    number = context.ledger.next_number("server")
    return Try(number, name, LaunchRequest(image_id=image.id, image_name=image.name, flavor_id=flavor_id))


def _from_earlier(context: StepContext, current: Try[LaunchRequest]) -> bool:
    """Tell whether the try was sent in an earlier attempt: a resumed run may replace what had failed before it."""
    return current.attempt not in (0, context.attempt)


def _image_for(
    context: StepContext,
    analyzed: AnalyzedRepository,
    plan: Plan,
    candidates: ImageCandidates,
    selected: Image,
    reserved: ReservedHardware,
) -> Image:
    """Keep the selected image unless another node type was reserved than planned and it does not suit that one."""
    best = plan.placement.best.node_type
    if reserved.node_type == best.name or context.ledger.failed(ServerKind(context.services.cloud)):
        return selected
    ordered = [selected, *(one for one in candidates.images if one.id != selected.id)]
    image, decision = context.services.advisor.image(ordered, analyzed.analysis, _reserved_type(plan, reserved))
    if image.id != selected.id:
        record(context, decision)
    return image


def _reserved_type(plan: Plan, reserved: ReservedHardware) -> NodeType:
    return next(one.node_type for one in plan.placement.candidates if one.node_type.name == reserved.node_type)


def _fault(server: Server) -> str | None:
    return server.fault.message if server.fault else None


def _read(context: StepContext, server_id: str, name: str, *, hint: str | None = None) -> Server:
    """Read the server.

    Raises:
        ResourceLost: it was deleted; that is on record then.
    """
    with contextlib.suppress(NotFound):
        server = context.services.cloud.server(server_id)
        if server.status not in ("DELETED", "SOFT_DELETED"):
            return server
    context.ledger.record_gone("server", server_id)
    raise ResourceLost(f"server {name} ({server_id}) was deleted, and not by this run", hint=hint)


def _asleep(context: StepContext, server: Server) -> ServerFailed:
    cloud = context.services.cloud.identity().cloud
    client = "openstack" if cloud is None else f"openstack --os-cloud {shlex.quote(cloud)}"
    return ServerFailed(
        f"server {server.name} ({server.id}) is {server.status}: somebody stopped it",
        hint=f"{client} server {WAKE[server.status]} {server.id}; then: envagent resume RUN_ID",
    )
