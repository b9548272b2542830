"""One file with everything about the server."""

from __future__ import annotations

from pathlib import Path

from envagent.engine.step import NotYet, Output, Step, stage
from envagent.errors import ConfigurationError
from envagent.hints import Hint, resume
from envagent.steps import info_file
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.assign_floating_ip import AssignedAddress
from envagent.steps.ensure_keypair import EnsuredKeypair
from envagent.steps.find_network import FoundNetwork
from envagent.steps.initialize import Initialized
from envagent.steps.launch_server import LaunchedServer
from envagent.steps.request import RunRequest
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.resources import lease_kind
from envagent.steps.services import StepContext
from envagent.steps.verify import Verified


class SavedState(Output):
    """The file."""

    path: Path

    def summary(self) -> str:
        """Return the file's path."""
        return str(self.path)


class SaveState(Step):
    """Check for surplus leases once more, then write {server_name}_info.json, whole or not at all.

    If another run's file has that name, the run's id becomes part of it.

    Reads: Blazar's leases; what the steps before it found.
    Creates: the file (0600), in the folder where the run was started.
    Owner mark: the file's run_id.
    Undo: the file is the user's; teardown removes the login from it and keeps it.
    """

    derived = True

    @stage
    def save(
        self,
        context: StepContext,
        request: RunRequest,
        initialized: Initialized,
        analyzed: AnalyzedRepository,
        keypair: EnsuredKeypair,
        network: FoundNetwork,
        reserved: ReservedHardware,
        launched: LaunchedServer,
        assigned: AssignedAddress,
        verified: Verified,
    ) -> SavedState | NotYet:
        """Write the file, once it is certain that no lease, which costs, was created twice."""
        surplus = context.reconcile((lease_kind(context.services.cloud),))
        if surplus is not None:
            return surplus
        info = {
            "schema_version": 1,
            "run_id": context.run_id,
            "state": info_file.UP,
            "server_name": launched.server_name,
            "server_id": launched.server_id,
            "lease_id": reserved.lease_id,
            "lease_name": reserved.lease_name,
            "lease_end": reserved.end.isoformat(),
            "reservation_id": reserved.reservation_id,
            "floating_ip": verified.floating_ip,
            "fixed_ip": verified.fixed_ip,
            "image_name": launched.image_name,
            "image_id": launched.image_id,
            "node_type": reserved.node_type,
            "key_name": keypair.name,
            "private_key": None if keypair.private_key is None else str(keypair.private_key),
            "network_id": network.network_id,
            "network_name": network.network_name,
            "ssh_user": verified.ssh_user,
            "ssh": verified.ssh_command,
            "ssh_verified": verified.logged_in,
            "repository": analyzed.url,
            "commit": analyzed.commit,
            "site": initialized.identity.region,
            "project_id": initialized.identity.project_id,
            "written_at": context.now().isoformat(),
        }
        try:
            path = info_file.save(request.output_folder, info)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the server's file in {request.output_folder}: {error.strerror}",
                hint=Hint("the server is up; make the folder writable, then:", resume()),
            ) from None
        return SavedState(path=path)
