"""The simulated cloud from the command line: served for any client, looked at, forgotten."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from envagent.config import SandboxSettings
from envagent.sandbox.files import Paths
from envagent.sandbox.process import control
from tests.cli.conftest import Cli


def served(cli: Cli, home: Path) -> str:
    deadline = time.monotonic() + 30
    while not Paths(home).server.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return str(json.loads(Paths(home).server.read_text())["url"])


def test_it_is_served_until_ctrl_c_and_used_by_runs(
    cli: Cli, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("ENVAGENT_HOME", str(home))
    serving = cli.start("sandbox", "serve")
    served(cli, home)
    assert control(home, "health")["speed"] == SandboxSettings().speed  # as a run would have made it
    assert str(home / "sandbox" / "clouds.yaml") in serving.err
    second = cli("sandbox", "serve")
    assert second.code == 2
    assert "already running" in second.err
    assert "until Ctrl-C" not in second.err
    control(home, "settings", {"speed": 1000})
    document = cli("run", str(repository), "--cloud", "sandbox", "--json").document
    assert document["state"] == "succeeded"
    log = json.loads(cli("sandbox", "log", "--json").out)
    assert [one["seq"] for one in log] == list(range(1, len(log) + 1))
    assert {"lease", "server", "keypair", "floating_ip"} <= {one["kind"] for one in log}
    assert document["server"]["id"] in {one["id"] for one in log}
    assert document["server"]["name"] in cli("sandbox", "log").out
    serving.send(signal.SIGINT)
    assert serving.wait() == 0

    assert cli("sandbox", "reset").code == 0
    assert json.loads(cli("sandbox", "log", "--json").out) == []
    assert cli("status", "--json").document["runs"][0]["run_id"] == document["run_id"]
    assert cli("teardown", document["run_id"]).code == 0  # nothing of it is there any more
    assert cli("sandbox", "reset").code == 0  # ends the one that the teardown asked


def test_a_port_that_was_asked_for_and_is_taken_is_2(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = cli("sandbox", "serve", "--port", str(port))
    assert ended.code == 2
    assert str(port) in ended.err


def test_a_sandbox_that_does_not_start_is_7_and_reset_helps(
    cli: Cli, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "home"))
    assert cli("sandbox", "reset").code == 0
    Paths(tmp_path / "home").state.write_text("not a database " * 100)
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    error = json.loads(ended.out)["error"]
    assert (ended.code, error["exit_code"], error["type"]) == (7, 7, "SandboxError")
    assert "not a database" in error["service_said"]
    assert "envagent sandbox reset" in error["hint"]
    assert cli("sandbox", "log", "--json").code == 7
    assert cli("sandbox", "reset").code == 0
    assert cli("sandbox", "log", "--json").code == 0


def test_a_fault_schedule_that_cannot_be_used_is_2(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "home"))
    faults = tmp_path / "faults.json"
    faults.write_text('{"faults": [{"action": "explode"}]}')
    ended = cli("sandbox", "serve", "--faults", str(faults))
    assert ended.code == 2
    assert "fault 1" in ended.err
    assert cli("sandbox", "serve", "--faults", str(tmp_path / "none.json")).code == 2
    assert cli("sandbox", "reset").code == 0
