"""A network that gets in the way: answers without end, and answers in the cloud's place."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, Sandbox
from tests.unit.cloud.stub import Reply, StubCloud


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """Answer a byte now and then, for as long as anybody listens."""
    handler.close_connection = True
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.1)
    except OSError:
        pass


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubCloud]:
    """A cloud that is in OS_CLIENT_CONFIG_FILE as `stub`, with short limits on its silence."""
    cloud = StubCloud()
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml(tmp_path)))
    for name in ("TIMEOUT_SECONDS", "WRITE_TIMEOUT_SECONDS", "RETRY__FIRST_SECONDS"):
        monkeypatch.setenv(f"ENVAGENT_{name}", "1")
    yield cloud
    cloud.close()


@pytest.mark.parametrize("where", ["login", "reads"])
def test_one_signal_ends_a_run_whose_answers_trickle(where: str, cli: Cli, repository: Path, stub: StubCloud) -> None:
    if where == "login":
        stub.on("POST", "/v3/auth/tokens", Reply(act=trickle))
    else:
        stub.on("GET", "", Reply(act=trickle))
    running = cli.start("run", str(repository), "--cloud", "stub", "--yes")
    deadline = time.monotonic() + 60
    while stub.count("POST" if where == "login" else "GET", "") == 0:
        assert time.monotonic() < deadline, running.told()
        time.sleep(0.05)
    running.send(signal.SIGTERM)
    assert running.wait(30) == 143
    assert "Traceback" not in running.err


def test_a_trickling_cloud_fails_the_run_in_the_end(
    cli: Cli, repository: Path, stub: StubCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_RETRY__TRIES", "1")
    stub.on("GET", "", Reply(act=trickle))
    running = cli.start("run", str(repository), "--cloud", "stub", "--yes")
    assert running.wait(60) == 7
    assert "the response was not complete within 3 s" in running.err


SERVICES = ("keystone", "glance", "nova", "neutron", "blazar")
BODIES: dict[str, Any] = {
    "HTML": "<html><body>Please sign in</body></html>",
    "nothing": "",
    "cut JSON": '{"servers": [{"id": "a1b2", "na',
    "a list": [],
    "an object without keys": {},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_answer_in_the_clouds_place_costs_a_try_and_no_run(
    body: Any, cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_RETRY__FIRST_SECONDS", "0.05")
    faults = [
        {"action": "fail", "status": 200, "body": body, "service": one, "method": method, "nth": [1, 3]}
        for one, method in [(one, "POST" if one == "keystone" else "GET") for one in SERVICES]
    ]
    sandbox.faults(*faults)
    run_id = cli.run(repository)["run_id"]
    writes = sandbox.writes(run_id)
    assert [writes.count(("POST", kind)) for kind in ("lease", "server", "keypair")] == [1, 1, 1], writes
    sandbox.faults(*faults)
    ended = cli("teardown", run_id)
    assert ended.code == 0, ended.err


def test_an_unreadable_answer_to_a_write_makes_nothing_twice(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    html = {"action": "commit_then_fail", "status": 200, "body": BODIES["HTML"], "nth": 1}
    sandbox.faults(*({**html, "service": one, "method": "POST"} for one in ("nova", "neutron", "blazar")))
    run_id = cli.run(repository)["run_id"]
    writes = sandbox.writes(run_id)
    assert [writes.count(("POST", kind)) for kind in ("lease", "server", "keypair")] == [1, 1, 1], writes
    assert cli("teardown", run_id).code == 0
