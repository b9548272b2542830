"""The command, as a user of the rig starts it, in a home of its own."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kit.commands import Ended, Started
from tests.rig.operator import Rig

POLLS = {
    "ENVAGENT_LEASE__POLL_SECONDS": "2",
    "ENVAGENT_SERVER__POLL_SECONDS": "2",
    "ENVAGENT_RETRY__FIRST_SECONDS": "0.5",
    "ENVAGENT_SSH__ENABLED": "false",
}
"""A look every two seconds, where bare metal would be looked at every half minute; no machine need be there."""


class Shell:
    """Calls the command as a user of one cloud."""

    def __init__(self, rig: Rig, folder: Path, repository: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.repository = repository
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, *arguments: str, **settings: str) -> Ended:
        return self.start(*arguments, **settings).wait()

    def run(self, *arguments: str, cloud: str | None = None, **settings: str) -> Ended:
        """Begin a run and carry it through."""
        return self.start_run(*arguments, cloud=cloud, **settings).wait()

    def start_run(self, *arguments: str, cloud: str | None = None, **settings: str) -> Started:
        """Begin a run."""
        entry = cloud or self.rig.name
        return self.start("run", str(self.repository), "--cloud", entry, "--yes", "--new", *arguments, **settings)

    def start(self, *arguments: str, **settings: str) -> Started:
        """Begin a command."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "ENVAGENT_HOME": str(self.folder / "home"),  # not "envagent": python -m looks into the current folder first
            "OS_CLIENT_CONFIG_FILE": str(self.rig.clouds_file),
            **POLLS,
            **settings,
        }
        return Started(*arguments, "--json", folder=self.folder, environment=environment)
