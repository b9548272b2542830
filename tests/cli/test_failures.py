"""What a failure says: the step, the service's own words, what exists and is charged, the commands that go on."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from envagent.sandbox import process
from tests.cli.conftest import SPEED, Cli, Sandbox

EVIL = "No valid host was found. \x1b]0;owned\x07[bold red]x[/bold red] \u202e"
SHOWN = "No valid host was found. \\x1b]0;owned\\x07[bold red]x[/bold red] \\u202e"


def test_the_block_after_a_failure(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.faults({"action": "server_error", "text": EVIL})
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert ended.code == 6
    document = ended.document
    run_id = document["run_id"]
    assert document["state"] == "failed"
    assert document["error"]["type"] == "ServerFailed"
    assert document["error"]["service_said"] == EVIL
    assert "RUN_ID" not in json.dumps(document)
    _, _, block = ended.err.partition("error: ")
    assert block.startswith("launch_server failed: server ")
    assert f"the service said: {SHOWN}" in block
    [hint] = [line for line in block.splitlines() if line.startswith("hint: ")]
    assert f"envagent resume {run_id}" in hint
    assert "Still running, 2 SU/h:" in block
    for kind in ("lease", "server", "keypair"):
        [one] = [one for one in document["resources"] if one["kind"] == kind and one["state"] == "present"]
        assert one["id"] in block
    assert document["cost"]["lease_end"][:10] in block or " UTC" in block
    commands = [line.split("  ")[1] for line in block.partition("Next:\n")[2].splitlines()]
    assert commands == [f"envagent {verb} {run_id}" for verb in ("resume", "teardown", "status")]
    for text in (ended.err, cli("status", run_id).out):
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert ended.out.isascii()

    sandbox.faults()
    assert cli("resume", run_id, "--json").document["state"] == "succeeded"
    assert cli("teardown", run_id).code == 0


def test_on_failure_teardown_removes_and_keeps_the_code(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.faults({"action": "server_error", "text": "broken"})
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json", "--on-failure", "teardown")
    assert ended.code == 6
    document = ended.document
    assert document["state"] == "torn_down"
    assert document["error"]["type"] == "ServerFailed"
    assert {one["state"] for one in document["resources"]} == {"absent"}
    assert document["cost"]["charged_now"] is False
    assert "removed lease" in ended.err
    assert "This run has no resources in the cloud" in ended.err
    made = sandbox.writes(document["run_id"])
    assert sorted(kind for method, kind in made if method == "POST") == sorted(
        kind for method, kind in made if method == "DELETE"
    )


def test_on_failure_teardown_holds_for_the_resumed_run(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(10)
    running = cli.start("run", str(repository), "--cloud", "sandbox", "--on-failure", "teardown")
    running.until("waiting for the lease to start")
    running.send(signal.SIGKILL)
    running.wait()
    sandbox.speed(SPEED)
    sandbox.faults({"action": "server_error", "text": "broken"})
    ended = cli("resume", "last", "--json")
    assert (ended.code, ended.document["state"]) == (6, "torn_down"), ended.err
    assert {one["state"] for one in ended.document["resources"]} == {"absent"}


def test_leftovers_of_that_teardown_are_named_and_the_code_stays(
    cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_REMOVAL_TIMEOUT_SECONDS", "0.5")
    sandbox.faults({"action": "server_error", "text": "broken"}, {"action": "ignore_delete", "service": "blazar"})
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json", "--on-failure", "teardown")
    assert ended.code == 6
    run_id, lease_id = ended.document["run_id"], ended.document["lease"]["id"]
    assert lease_id in ended.err.partition("still there")[2]
    assert "envagent resume" not in ended.err, "a run whose teardown has begun is not resumed"
    sandbox.faults()
    assert cli("teardown", run_id).code == 0


@pytest.mark.parametrize(
    ("fault", "code", "kind"),
    [
        ({"action": "no_capacity"}, 5, "NoCapacity"),
        ({"action": "fail", "service": "keystone", "method": "POST", "path": "/auth/tokens", "status": 401}, 4, None),
        ({"action": "fail", "service": "neutron", "method": "GET", "status": 403}, 4, "Forbidden"),
        ({"action": "drop", "service": "glance"}, 7, "CloudUnreachable"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_each_failure_has_its_code_and_leaves_a_run_that_goes_on(
    cli: Cli,
    repository: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, object],
    code: int,
    kind: str | None,
) -> None:
    monkeypatch.setenv("ENVAGENT_RETRY__TRIES", "0")
    sandbox.faults(fault)
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert ended.code == code, ended.err
    assert ended.document["error"]["exit_code"] == code
    assert kind in (None, ended.document["error"]["type"])
    sandbox.faults()
    run_id = ended.document["run_id"]
    assert cli("resume", run_id).code == 0
    assert cli("teardown", run_id).code == 0


def test_what_can_never_be_is_not_to_be_resumed(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    """What was asked for stays with the run: it would fail in the same way."""
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json", "--network", "nowhere")
    assert ended.code == 2, ended.err
    assert "there is no network 'nowhere' at this site" in ended.document["error"]["message"]
    assert ended.document["next"] == [f"envagent {verb} {ended.document['run_id']}" for verb in ("teardown", "status")]
    assert cli("teardown", ended.document["run_id"]).code == 0


def test_a_cloud_that_is_away_and_comes_back(
    cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_RETRY__TRIES", "0")
    process.stop(cli.home)
    ended = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json")
    assert ended.code == 7
    assert ended.document["steps"][0]["state"] == "failed"
    process.ensure_running(cli.home)  # at the address that it had
    assert cli("resume", ended.document["run_id"], "--json").document["state"] == "succeeded"
    assert cli("teardown", "last", "--yes").code == 0


def test_an_ai_that_is_demanded_and_missing(cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_AI__REQUIRED", "true")
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert ended.code == 8
    assert "--no-ai" in ended.document["error"]["hint"]
    monkeypatch.setenv("ENVAGENT_AI__BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ENVAGENT_AI__RETRIES", "0")
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert ended.code == 8
    assert ended.document["error"]["type"] == "AdviceUnavailable"
    assert cli("analyze", str(repository)).code == 8
    resting = cli("run", str(repository), "--cloud", "sandbox", "--no-ai", "--json")
    assert resting.code == 0
    assert cli("teardown", "last").code == 0


def test_nothing_configured_names_the_sandbox_and_begins_nothing(
    cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    ended = cli("run", str(repository), "--json")
    assert ended.code == 2
    assert "--cloud sandbox" in ended.document["error"]["hint"]
    assert cli("status", "--json").document["runs"] == []


def test_a_full_disk_says_what_exists_and_loses_nothing(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):  # the limit is for a journal of its own
        (cli.home / name).unlink(missing_ok=True)

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (420_000, 420_000))

    since = len(process.read_log(cli.home))
    command = [sys.executable, "-m", "envagent", "run", str(repository), "--cloud", "sandbox", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=fill_the_disk)
    assert ended.returncode == 10, ended.stderr
    document = json.loads(ended.stdout)
    assert document["error"]["type"] == "JournalError"
    assert "disk I/O error (SQLITE_IOERR_" in document["error"]["message"]
    assert document["state"] == "interrupted"
    assert cli("resume", document["run_id"]).code == 0
    created = [line["kind"] for line in process.read_log(cli.home)[since:] if line["method"] == "POST"]
    assert sorted(created) == sorted(["lease", "server", "keypair", "floating_ip"])
    assert cli("teardown", document["run_id"]).code == 0
