"""A failed step of a set-up that an AI repairs: what it is asked, what runs, and that it can be turned off.

The jobs are real: their supervisor works in a folder of this machine, in place of the simulated node.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envagent import ssh
from envagent.advice.repair import NoRepair, checked_command
from envagent.cli import setup_session
from envagent.cli.wiring import make_repairer
from envagent.config import Settings
from envagent.environment.setup_plan import SetupPlan, SetupStep
from envagent.environment.setup_script import setup_script
from envagent.steps.node_jobs import Node
from envagent.steps.setup_repairs import RepairRequest, StoredRepair, repaired
from tests.cli.conftest import Cli
from tests.kit.chat import ChatServer, said

SECRET = "hunter2hunter2"
PLAN = SetupPlan(
    url="https://github.com/owner/toy",
    commit=None,
    name="toy",
    steps=(
        SetupStep(name="clone", phase="system", title="clone it", commands=(("bash", "-c", "mkdir -p ~/toy"),)),
        SetupStep(
            name="packages",
            phase="dependencies",
            title="install them",
            commands=(("bash", "-c", f"[ -e ~/toy/fixed ] || {{ echo password={SECRET}; echo no libfoo; exit 9; }}"),),
        ),
        SetupStep(name="test", phase="proof", title="test it", commands=(("true",),), proves="it runs"),
    ),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of this machine that serves as the home of the node."""
    home = tmp_path / "node"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "sudo").write_text("#!/bin/sh\nexit 1\n")  # no unit of systemd
    (home / "bin" / "sudo").chmod(0o755)

    def run(target: ssh.Target, command: str, *, given: Path | None = None, seconds: float = 60) -> ssh.Ran:
        environment = {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin"}
        with (given or Path("/dev/null")).open("rb") as source:
            done = subprocess.run(["bash", "-c", command], cwd=home, env=environment, stdin=source, capture_output=True)
        return ssh.Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    monkeypatch.setattr(setup_session, "Node", lambda target, run_id: Node(target, run_id, run))
    monkeypatch.setattr(setup_session.SetupSession, "_plan", lambda *_: PLAN)
    return home


@pytest.fixture
def ai() -> Iterator[ChatServer]:
    """An AI that proposes a harmful command first, and then one that helps."""
    answers = iter(["sudo reboot", "echo repairs >> ran; touch fixed"])

    def answer(request: dict[str, Any]) -> Any:
        return said({"command": next(answers), "reasoning": "libfoo is missing."})

    server = ChatServer(answer)
    yield server
    server.close()


def test_a_failed_step_is_repaired_once_unless_that_is_turned_off(
    cli: Cli, repository: Path, here: Path, ai: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = cli.run(repository)["run_id"]
    monkeypatch.setenv("ENVAGENT_AI__BASE_URL", ai.url)
    monkeypatch.setenv("ENVAGENT_AI__API_KEY", "none")
    assert cli("setup", run_id, "--no-repair").code == 6
    assert ai.requests == []

    refused = cli("setup", run_id)
    assert (refused.code, "could cut off the server (reboot)" in refused.err) == (6, True), refused.err
    ended = cli("setup", run_id)
    assert ended.code == 0, ended.err
    shown = "step 2 failed; the AI proposes, and the server now runs: echo repairs >> ran; touch fixed (repair 1 of"
    assert shown in ended.err
    assert "step 2, as the AI proposed: echo repairs >> ran; touch fixed (exit status 0)" in ended.out
    assert ended.err.index("the AI proposes") < ended.err.index("created step 4")
    assert (here / "toy" / "ran").read_text() == "repairs\n"
    asked = ai.requests[-1]["messages"]
    assert "no libfoo" in asked[1]["content"] and SECRET not in str(ai.requests)
    setup = cli("status", run_id, "--json").document["setup"]
    assert [(one["command"], one["state"]) for one in setup["repairs"]] == [
        ("echo repairs >> ran; touch fixed", "succeeded")
    ]
    assert setup["steps"][1]["tries"] == 4 and setup["state"] == "succeeded"
    assert "04-repair-1.1" in cli("logs", run_id, "--setup").out
    assert cli("setup", run_id, "--json").document == setup and len(ai.requests) == 2


def test_only_a_configured_ai_is_asked_and_a_setting_turns_it_off() -> None:
    assert make_repairer(Settings(), threading.Event()) is None
    asked = {"base_url": "http://127.0.0.1:1", "api_key": "none"}
    assert make_repairer(Settings.model_validate({"ai": asked}), threading.Event()) is not None
    assert make_repairer(Settings.model_validate({"ai": {**asked, "repair": False}}), threading.Event()) is None


def test_the_plan_of_a_pack_has_each_repair_before_its_step() -> None:
    request = RepairRequest(digest="", step=2, after="02-packages.1", command="touch fixed", reason="It is missing.")
    plan = repaired(PLAN, [StoredRepair(1, request, PLAN)])
    assert [one.name for one in plan.steps] == ["clone", "repair-1", "packages", "test"]
    assert "step_2() {\n    by_ai 'touch fixed'\n}" in setup_script(plan)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "echo one\necho two",
        "echo \x1b[2J",
        "true" * 200,
        "sudo shutdown -h now",
        "rm -rf / --no-preserve-root",
        "rm -rf ~",
        "echo key >> ~/.ssh/authorized_keys",
        "systemctl stop sshd",
        "rm -r .envagent",
    ],
)
def test_a_command_that_may_not_run(command: str) -> None:
    with pytest.raises(NoRepair):
        checked_command(command)


@pytest.mark.parametrize(
    "command", ["sudo -n apt-get install -y libssh-dev", "rm -rf /tmp/build build", "pip install wheel"]
)
def test_a_command_that_may_run(command: str) -> None:
    assert checked_command(command) == command
