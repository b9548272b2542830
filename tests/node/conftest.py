"""A node for the tests of this folder, and the set-ups on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from envagent.environment.setup_plan import SetupPlan
from envagent.steps.setup_pipeline import SetupRequest
from tests.node import debian

ROOT = Path(__file__).parents[2]


@dataclass
class SetUp:
    """A set-up on a node, worked on by processes."""

    folder: Path
    node: debian.Node

    def start(self, *when: str) -> subprocess.Popen[str]:
        """Start a process that works on it."""
        words = [sys.executable, "-m", "tests.node.client", str(self.folder), *when]
        return subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def work(self, *when: str, seconds: float = 120) -> tuple[int, str]:
        """Work on it until the process ends; give its exit code and what it said."""
        with self.start(*when) as process:
            said = process.communicate(timeout=seconds)[1]
            return process.returncode, said


def begin(folder: Path, node: debian.Node, run_id: str, plan: SetupPlan) -> SetUp:
    """Prepare a set-up in an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    target = node.target
    login = {"address": target.address, "user": target.user, "port": target.port}
    login |= {"key": str(target.private_key), "known_hosts": str(target.known_hosts)}
    (folder / "target.json").write_text(json.dumps(login))
    (folder / "request.json").write_text(SetupRequest(run_id=run_id, plan=plan).model_dump_json())
    return SetUp(folder, node)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[debian.Node]:
    """A node; skip where this machine cannot make one."""
    try:
        with debian.started(tmp_path_factory.mktemp("node") / "files", tmp_path_factory.getbasetemp()) as one:
            yield one
    except debian.NoNode as reason:
        pytest.skip(f"no node: {reason}")
