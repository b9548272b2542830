"""Read the server once more, log in, and compare the node with what was asked for."""

from __future__ import annotations

from pathlib import Path

from envagent import ssh
from envagent.engine.step import NotYet, Output, Redo, Step, stage
from envagent.errors import ServerFailed
from envagent.hints import Hint, Shell, resume
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.assign_floating_ip import AssignedAddress
from envagent.steps.ensure_keypair import EnsuredKeypair
from envagent.steps.launch_server import LaunchedServer, reserved_type
from envagent.steps.node_check import LOOK, SeenNode, differences, read_node
from envagent.steps.plan import Plan
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.select_image import ImageCandidates
from envagent.steps.services import StepContext


class Verified(Output):
    """The server as the user sees it."""

    server_status: str
    fixed_ip: str | None
    floating_ip: str | None
    ssh_user: str
    ssh_command: str | None
    """None when the server has no address."""
    ssh_port: int = ssh.PORT
    logged_in: bool
    """Whether a login succeeded."""
    seen: SeenNode | None = None
    """What the node has shown of itself; None without a login, and in runs of earlier versions."""
    differences: tuple[str, ...] = ()
    """In which respects the node has less than was asked for, or than its type has."""

    def summary(self) -> str:
        """Say whether the login works."""
        if self.logged_in:
            return f"logged in as {self.ssh_user}"
        if self.ssh_command is None:
            return "the server has no address to log in to"
        return "SSH login not verified"


class Verify(Step):
    """Read the server once more, try to log in by SSH until it works, and look at the node's hardware there.

    Reads: Nova; the server itself.
    Creates: a known_hosts file in the run's own folder, at the first successful login.
    Owner mark: none.
    Undo: nothing to undo.
    """

    @stage
    def check(
        self,
        context: StepContext,
        launched: LaunchedServer,
        assigned: AssignedAddress,
        keypair: EnsuredKeypair,
        candidates: ImageCandidates,
        analyzed: AnalyzedRepository,
        plan: Plan,
        reserved: ReservedHardware,
    ) -> Verified | NotYet:
        """Collect addresses, try to log in, and warn of what the node lacks."""
        from envagent.advice.images import ssh_user

        server = context.services.cloud.server(launched.server_id)
        image = next((one for one in candidates.images if one.id == launched.image_id), None)
        user = "cc" if image is None else ssh_user(image)
        fixed = next(iter(server.fixed_ips), None)
        address = assigned.address or fixed
        login = self._log_in(context, assigned.address, user, keypair.private_key)
        if isinstance(login, NotYet):
            return login
        seen = read_node(login.output) if login is not None else None
        offered = reserved_type(plan, reserved)
        lacking = () if seen is None else differences(seen, analyzed.analysis.requirements, offered)
        for difference in lacking:
            context.warn(difference)
        port = context.services.settings.ssh.port
        command = ssh.command_line(address, user, keypair.private_key, _known_hosts(context), port) if address else None
        return Verified(
            server_status=server.status,
            fixed_ip=fixed,
            floating_ip=assigned.address,
            ssh_user=user,
            ssh_command=command,
            ssh_port=port,
            logged_in=login is not None,
            seen=seen,
            differences=lacking,
        )

    def confirm(self, context: StepContext, output: Verified) -> Redo | None:
        """Log in again if a login succeeded before; otherwise there is nothing to confirm."""
        return Redo("check", "") if output.logged_in else None

    def _log_in(
        self, context: StepContext, address: str | None, user: str, key: Path | None
    ) -> ssh.Login | NotYet | None:
        """Log in and look at the node; None if this machine cannot, or is not to."""
        settings = context.services.settings.ssh
        if not settings.enabled or address is None:
            return None
        wait = context.wait("SSH login", every=settings.poll_seconds, timeout=settings.timeout_seconds)
        login = ssh.try_login(address, user, key, _known_hosts(context), settings.port, LOOK)
        if login.unclear:
            login = ssh.try_login(address, user, key, _known_hosts(context), settings.port)
        if login.logged_in:
            return login
        if login.reached and not login.repeatable:
            context.warn(f"SSH responds at {address}, but the login could not be verified: {login.said}")
            return None
        if login.changed:
            raise ServerFailed(
                f"the server at {address} has another host key than at the last login",
                service_said=login.said,
                hint=Hint(
                    "if it was reinstalled:",
                    Shell("rm", str(_known_hosts(context))),
                    ", then",
                    resume(),
                    "; if not, another machine responds there: do not log in",
                ),
            )
        if wait.over:
            raise ServerFailed(
                f"no SSH login at {user}@{address} within {settings.timeout_seconds / 60:.0f} min of ACTIVE",
                service_said=login.said,
                hint=Hint("try again:", resume(), "; if the node never responds, ask the help desk"),
            )
        return wait.not_yet(login.said)


def _known_hosts(context: StepContext) -> Path:
    return context.services.run_folder / "known_hosts"
