"""Step 9: one file that says everything about the server."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from envagent.engine.step import Output, Step, stage
from envagent.errors import ConfigurationError
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.assign_floating_ip import AssignedAddress
from envagent.steps.ensure_keypair import EnsuredKeypair
from envagent.steps.find_network import FoundNetwork
from envagent.steps.initialize import Initialized
from envagent.steps.launch_server import LaunchedServer
from envagent.steps.request import RunRequest
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.services import StepContext
from envagent.steps.verify import Verified

ENDING = "_info.json"
LONGEST_FILE_NAME = 255
"""Bytes, on all usual file systems."""


class SavedState(Output):
    """Where the file is."""

    path: Path


class SaveState(Step):
    """Write {server_name}_info.json, whole or not at all.

    Reads: what the steps before it found.
    Creates: the file (0600), in the folder in which the run was begun.
    Owner mark: the file's run_id.
    Undo: the file is the user's; teardown leaves it.
    """

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
    ) -> SavedState:
        """Write the file."""
        info = {
            "schema_version": 1,
            "run_id": context.run_id,
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
        path = request.output_folder / f"{_file_name(launched.server_name)}{ENDING}"
        _write(path, info)
        return SavedState(path=path)


def _file_name(server_name: str) -> str:
    """A server may be called anything; its file stays in its folder, and within the length of a file's name."""
    name = server_name.replace("/", "_").replace("\0", "_").lstrip(".") or "server"
    return os.fsencode(name)[: LONGEST_FILE_NAME - len(ENDING)].decode(errors="ignore")


def _write(path: Path, info: dict[str, Any]) -> None:
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".info-")  # created 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(info, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}",
            hint="make the folder writable, then: envagent resume RUN_ID (the server is up and recorded)",
        ) from None
