"""The main job from the command line: run, status, resume, teardown on the sandbox."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from envagent.steps import PROVISIONING
from tests.cli.conftest import Cli, Sandbox

STEPS = list(PROVISIONING.steps)

KEYS = {
    "schema_version",
    "run_id",
    "state",
    "repository",
    "requirements",
    "image",
    "node_type",
    "lease",
    "server",
    "key_name",
    "network_id",
    "fixed_ip",
    "floating_ip",
    "ssh",
    "decisions",
    "steps",
    "resources",
}


def test_a_run_from_its_first_to_its_last_line(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    ended = cli("run", str(repository), "--cloud", "sandbox")
    assert ended.code == 0, ended.err
    for number, name in enumerate(STEPS, 1):
        assert f"{number:2}/{len(STEPS)} {name}: done" in ended.err
    run_id = ended.err.split()[1].rstrip(":")
    plan = ended.err[: ended.err.index("created lease")].partition("\nplan: ")[2].splitlines()
    assert re.fullmatch(r"gpu_\w+ at CHI@UC with CC-\S+ for 24 h, now until .+ UTC", plan[0])
    assert re.match(r" +\d+ SU, at most \d+ SU if gpu_\w+ is refused", plan[1])
    up, short, *_, removal = ended.out.splitlines()
    assert up.startswith(f"envagent-{run_id}-toy is up: gpu_")
    assert short.split("log in")[1].strip() == f"envagent ssh {run_id}"
    assert "ssh -i" not in ended.out  # it would fill two lines of a terminal
    [login] = [line for line in cli("status", run_id).out.splitlines() if line.startswith("  or  ")]
    assert f"ssh -i {cli.home}/keys/envagent-{run_id} -o IdentitiesOnly=yes " in login
    assert f" -o UserKnownHostsFile={cli.home}/runs/{run_id}/known_hosts -p " in login
    pasted = subprocess.run(
        f"{login.split('or ', 1)[1]} hostname", shell=True, capture_output=True, text=True, check=False
    )
    assert (pasted.returncode, pasted.stdout) == (0, f"envagent-{run_id}-toy\n"), pasted.stderr
    assert "lease ends" in ended.out
    assert "UTC" in ended.out
    assert " SU for the whole lease" in ended.out
    assert removal.endswith(f"envagent teardown {run_id}")
    assert "\x1b" not in ended.err + ended.out

    status = cli("status", run_id, "--json").document
    assert status["state"] == "succeeded"
    info = json.loads((cli.work / f"envagent-{run_id}-toy_info.json").read_text())
    assert (info["server_id"], info["floating_ip"]) == (status["server"]["id"], status["floating_ip"])

    again = cli("resume", run_id[:6])
    assert (again.code, again.out.splitlines()[1]) == (0, short)
    first, *done_again = again.err.splitlines()
    assert first == f"run {run_id}: {repository} on sandbox"
    assert [line.split()[2] for line in done_again] == ["verify:", "save_state:"]  # the login is tried, nothing else

    gone = cli("teardown", run_id, "--json")
    assert gone.code == 0
    assert gone.document["state"] == "torn_down"
    assert {one["state"] for one in gone.document["resources"]} == {"absent"}
    assert len(gone.document["resources"]) == 4
    assert sorted(sandbox.writes(run_id)) == sorted(
        [(method, kind) for kind in ("lease", "server", "keypair") for method in ("POST", "DELETE")]
    )

    nothing = cli("teardown", run_id)
    assert (nothing.code, nothing.out) == (0, "")
    assert "already torn down" in nothing.err

    over = cli("resume", run_id, "--json")
    assert over.code == 10
    assert over.document["error"]["type"] == "RunStateError"


def test_the_document_of_a_run(cli: Cli, repository: Path) -> None:
    document = cli.run(repository, "--hours", "5", "--server-name", "mine", "--node-type", "gpu_rtx_6000")
    assert document.keys() >= KEYS
    assert document["schema_version"] == 1
    assert document["state"] == "succeeded"
    assert document["repository"]["url"] == str(repository)
    assert document["requirements"]["gpu_required"] is True
    assert document["node_type"] == "gpu_rtx_6000"
    assert document["lease"].keys() == {"id", "name", "reservation_id", "status", "end_date"}
    assert document["lease"]["status"] == "ACTIVE"
    assert document["server"]["name"] == "mine"
    assert document["server"]["status"] == "ACTIVE"
    assert document["ssh"].endswith(f"cc@{document['floating_ip']}")
    assert document["ssh_verified"] is True
    assert Path(document["info_file"]).name == "mine_info.json"
    assert [step["name"] for step in document["steps"]] == STEPS
    for step in document["steps"]:
        assert step.keys() >= {"name", "state", "attempts", "started_at", "finished_at", "error"}
        assert (step["state"], step["attempts"], step["error"]) == ("succeeded", 1, None)
        assert step["started_at"] <= step["finished_at"]
        assert step["summary"]
    assert {one["kind"] for one in document["resources"]} == {"lease", "server", "floating_ip", "keypair"}
    assert all(one["state"] == "present" and one["id"] for one in document["resources"])
    by_name = {one["name"]: one for one in document["decisions"]}
    assert by_name.keys() == {"requirements", "image_candidates", "image", "node_type", "duration"}
    assert by_name["duration"]["source"] == by_name["node_type"]["source"] == "user"
    assert document["plan"]["hours"] == 5
    assert document["cost"]["su_estimate"] == 5 * document["cost"]["su_per_hour"]
    assert document["cost"]["charged_now"] is True
    assert document["next"] == [f"envagent {verb} {document['run_id']}" for verb in ("teardown", "status")]
    assert cli("status", document["run_id"], "--json").document.keys() == document.keys()

    listed = cli("status", "--json").document
    assert listed["schema_version"] == 1
    [line] = [one for one in listed["runs"] if one["run_id"] == document["run_id"]]
    assert line["state"] == "succeeded"
    assert line["repository"] == str(repository)
    assert line["node_type"] == "gpu_rtx_6000"
    assert line["lease_end"] is not None
    assert listed["runs"][0]["run_id"] == document["run_id"]  # the newest

    text = cli("status", "last").out
    assert document["run_id"] in text
    assert all(step in text for step in STEPS)
    assert all(one["id"] in text for one in document["resources"])
    assert cli("teardown", "last", "--delete-key").code == 0
    assert not Path(document["private_key"]).exists()


def test_the_local_key_stays_unless_its_removal_is_asked_for(cli: Cli, repository: Path) -> None:
    document = cli.run(repository)
    key = Path(document["private_key"])
    assert cli("teardown", document["run_id"]).code == 0
    assert key.stat().st_mode & 0o777 == 0o600
    assert cli("teardown", document["run_id"], "--delete-key").code == 0
    assert not key.exists()


def test_a_key_of_the_users_own_name_is_removed_from_the_cloud(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    document = cli.run(repository, "--key-name", "my-laptop")
    assert document["key_name"] == "my-laptop"
    assert cli("teardown", document["run_id"]).code == 0
    assert sandbox.writes("my-laptop") == [("POST", "keypair"), ("DELETE", "keypair")]


def test_what_is_not_known_yet_is_null(cli: Cli, broken_repository: Path) -> None:
    ended = cli("run", str(broken_repository), "--cloud", "sandbox", "--json")
    assert ended.code == 9
    document = ended.document
    assert document.keys() >= KEYS
    assert document["state"] == "failed"
    assert document["error"]["type"] == "RepositoryRefused"
    assert document["error"]["step"] == "analyze_repository.analyze"
    for key in ("requirements", "image", "node_type", "lease", "server", "ssh", "floating_ip", "plan", "cost"):
        assert document[key] is None
    assert [one["state"] for one in document["steps"]][:2] == ["succeeded", "failed"]
    assert document["steps"][1]["error"]["exit_code"] == 9
    assert "This run has no resources in the cloud" in ended.err


@pytest.mark.parametrize(
    ("slip", "hint"),
    [
        ("karpathy/minGPT", "https://github.com/karpathy/minGPT"),
        ("github.com/karpathy/minGPT/", "https://github.com/karpathy/minGPT"),
        ("/nowhere/at/all", "https://host/owner/name"),
    ],
)
def test_a_slip_in_the_repository_begins_no_run(cli: Cli, slip: str, hint: str) -> None:
    before = [one["run_id"] for one in cli("status", "--json").document["runs"]]
    for command in (["run", slip, "--cloud", "sandbox"], ["analyze", slip]):
        ended = cli(*command, "--json")
        assert ended.code == 9
        assert hint in ended.document["error"]["hint"]
    assert [one["run_id"] for one in cli("status", "--json").document["runs"]] == before


def test_a_local_path_is_kept_whole(cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    document = cli.run(Path())
    assert document["repository"]["url"] == str(repository)
    (repository / Path(document["info_file"]).name).unlink()
    assert cli("teardown", document["run_id"]).code == 0


def test_an_earlier_unfinished_run_is_mentioned(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.faults({"action": "fail", "service": "blazar", "method": "POST", "path": "/leases$", "status": 400})
    failed = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert failed.code != 0
    run_id = failed.document["run_id"]
    sandbox.faults()
    second = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert f"envagent resume {run_id}" in second.err
    other = cli("run", str(repository), "--cloud", "sandbox-tacc", "--json")
    assert other.code == 0
    assert run_id not in other.err
    assert other.document["site"] == "CHI@TACC"
    assert cli("resume", run_id, "--json").document["state"] == "succeeded"
    for one in (run_id, second.document["run_id"], other.document["run_id"]):
        assert cli("teardown", one).code == 0


def test_status_shows_a_home_that_is_new(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "new"))
    assert cli("status", "--json").document == {"schema_version": 1, "runs": [], "more": 0, "warnings": []}
    assert "No runs yet" in cli("status").out
    assert cli("status", "last").code == 10
    assert not (tmp_path / "new").exists()


def test_a_journal_of_a_newer_version_is_left_alone(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path))
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    ended = cli("status", "--json")
    assert ended.code == 10
    assert "newer" in ended.document["error"]["message"]


def test_any_site_is_asked_but_the_one_that_cannot_be_used(cli: Cli, repository: Path, real_cloud: str) -> None:
    """The names come from the file that OS_CLIENT_CONFIG_FILE names, too."""
    clouds = Path(os.environ["OS_CLIENT_CONFIG_FILE"])
    half = "  half: {auth_type: v3applicationcredential, auth: {auth_url: 'http://127.0.0.1:9/v3'}, region_name: X}"
    clouds.write_text(clouds.read_text().replace("clouds:\n", f"clouds:\n{half}\n", 1))
    ended = cli("run", str(repository), "--site", "any", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert "site half (skipped): the credentials are incomplete" in ended.err
    assert cli("teardown", ended.document["run_id"], "--yes").code == 0


def test_what_the_node_lacks_is_said_and_fails_nothing(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.faults({"action": "node_shows", "gpus": 0, "memory_gb": 96})
    ended = cli("run", str(repository), "--cloud", "sandbox", "--node-type", "gpu_rtx_6000")
    assert ended.code == 0, ended.err
    lacking = ["asked for 1 GPU, nvidia-smi shows 0", "gpu_rtx_6000 has 192 GB of memory, the node has 93.9"]
    for difference in lacking:
        assert f"verify: warning: {difference}" in ended.err
        assert f"  differs      {difference}" in ended.out
    document = cli("status", "last", "--json").document
    assert document["node"]["differences"] == lacking
    assert set(lacking) <= set(document["warnings"])
    assert (document["node"]["cores"], document["node"]["gpus"]) == (24, [])


def test_a_server_that_never_answers_fails_the_run(
    cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults({"action": "ssh_silent"})
    monkeypatch.setenv("ENVAGENT_SSH__TIMEOUT_SECONDS", "0.3")
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert (ended.code, ended.document["error"]["type"]) == (6, "ServerFailed")
    assert "no SSH login at cc@127.21.0." in ended.document["error"]["message"]
    assert ended.document["error"]["service_said"] == "no response"
