"""Teardown from the command line: asks, removes, proves; finds orphans without a journal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from envagent.cloud.adapter import connect
from envagent.cloud.port import Cloud
from envagent.engine.lock import run_lock
from envagent.sandbox import process
from tests.cli.conftest import Cli, Sandbox


def marked(sandbox: Sandbox) -> set[str]:
    """The ids of what was made in the sandbox and not removed."""
    there: set[str] = set()
    for line in process.read_log(sandbox.home):
        if line["method"] == "POST":
            there.add(line["id"])
        elif line["method"] == "DELETE":
            there.discard(line["id"])
    return there


@contextmanager
def by_hand(home: Path) -> Iterator[Cloud]:
    """Reach the simulated cloud as its user does without envagent."""
    cloud = connect("sandbox", clouds_yaml=home / "sandbox" / "clouds.yaml")
    try:
        yield cloud
    finally:
        cloud.close()


def test_on_a_real_cloud_nobody_is_asked_in_a_pipe(cli: Cli, repository: Path, real_cloud: str) -> None:
    made = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json")
    assert made.code == 0, made.err
    run_id = made.document["run_id"]
    refused = cli("teardown", run_id, "--json")
    assert refused.code == 2
    assert f"envagent teardown {run_id} --yes" in refused.document["error"]["hint"]
    assert cli("status", run_id, "--json").document["state"] == "succeeded"
    assert cli("teardown", run_id, "--yes").code == 0


def test_a_removal_that_does_nothing_is_named_and_can_be_repeated(
    cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_REMOVAL_TIMEOUT_SECONDS", "1")
    document = cli.run(repository)
    run_id, lease_id = document["run_id"], document["lease"]["id"]
    sandbox.faults({"action": "ignore_delete", "service": "blazar"})
    ended = cli("teardown", run_id, "--json")
    assert ended.code == 11
    assert lease_id in ended.document["error"]["message"]
    assert ended.document["state"] == "interrupted"
    assert f"try again: envagent teardown {run_id};" in ended.err
    states = {one["kind"]: one["state"] for one in ended.document["resources"]}
    assert states == {"floating_ip": "absent", "server": "absent", "lease": "removing", "keypair": "present"}
    resumed = cli("resume", run_id)
    assert resumed.code == 10
    assert f"envagent teardown {run_id}" in resumed.err
    sandbox.faults()
    assert cli("teardown", run_id).code == 0
    assert lease_id not in marked(sandbox)


def test_credentials_of_another_project_prove_nothing(
    cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_id = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json").document["run_id"]
    clouds = tmp_path / "clouds.yaml"
    mine = clouds.read_text()
    clouds.write_text(mine.replace("  chi:\n", "  was:\n").replace("  sandbox-other:\n", "  chi:\n"))
    ended = cli("teardown", run_id, "--yes", "--json")
    assert ended.code == 10
    assert ended.document["error"]["type"] == "RunMismatch"
    assert cli("resume", run_id).code in (0, 10)
    clouds.write_text(mine)
    assert cli("teardown", run_id, "--yes").code == 0


def test_a_run_that_asked_for_nothing_needs_no_cloud(cli: Cli, broken_repository: Path) -> None:
    run_id = cli("run", str(broken_repository), "--cloud", "sandbox", "--json").document["run_id"]
    ended = cli("teardown", run_id, "--json")
    assert ended.code == 0
    assert ended.document["state"] == "torn_down"


def test_a_run_that_is_worked_on_is_left_to_its_process(cli: Cli, repository: Path) -> None:
    run_id = cli.run(repository)["run_id"]
    with run_lock(cli.home / "runs" / run_id, run_id):
        for command in ("resume", "teardown"):
            ended = cli(command, run_id, "--json")
            assert ended.code == 10
            assert ended.document["error"]["type"] == "RunLocked"
            assert "process " in ended.document["error"]["message"]
            assert f"envagent resume {run_id}" in ended.err
        assert cli("status", run_id, "--json").document["state"] == "running"
        kept = cli("teardown", "--orphans", "--cloud", "sandbox", "--json")
        assert kept.code == 0
        assert {one["outcome"] for one in kept.document["orphans"] if one["run_id"] == run_id} == {"left_alone"}
    assert cli("teardown", run_id).code == 0


def test_orphans_are_found_without_a_journal(
    cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("teardown", "--orphans", "--all", "--cloud", "sandbox")
    before = marked(sandbox)
    documents = [cli.run(repository), cli.run(repository, "--new")]
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (cli.home / name).unlink(missing_ok=True)
    ended = cli("teardown", "--orphans", "--cloud", "sandbox", "--json")
    assert ended.code == 0, ended.err
    assert {one["run_id"] for one in ended.document["orphans"]} == {one["run_id"] for one in documents}
    assert len(ended.document["orphans"]) == 8
    assert {one["outcome"] for one in ended.document["orphans"]} == {"removed"}
    assert marked(sandbox) == before
    again = cli("teardown", "--orphans", "--cloud", "sandbox", "--json")
    assert (again.code, again.document["orphans"]) == (0, [])


@pytest.mark.parametrize("action", ["commit_then_drop", "drop"])
def test_a_delete_of_an_orphan_without_an_answer_is_looked_at_and_asked_again(
    cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr("envagent.cli.orphans.REPEAT_DELETE", timedelta(seconds=0.5))
    cli.run(repository)
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (cli.home / name).unlink(missing_ok=True)
    sandbox.faults(
        {"action": action, "method": "DELETE", "path": "/floatingips/", "nth": 1},
        {"action": action, "method": "DELETE", "path": "/servers/", "nth": 1},
        {"action": "fail", "status": 429, "method": "DELETE", "path": "/leases/", "nth": 1},
    )
    ended = cli("teardown", "--orphans", "--cloud", "sandbox", "--json")
    assert ended.code == 0, ended.err
    assert {one["outcome"] for one in ended.document["orphans"]} == {"removed"}


def test_a_run_that_was_taken_up_while_the_user_was_asked_is_left_alone(
    cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str
) -> None:
    """It has more now than what was listed."""
    cli("teardown", "--orphans", "--all", "--cloud", real_cloud, "--yes")
    sandbox.faults({"action": "server_error", "text": "broken"})
    run_id = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json").document["run_id"]
    sandbox.faults()
    screen = cli.on_terminal("teardown", "--orphans", "--all", "--cloud", real_cloud)
    screen.until("[y/N]")
    assert cli("resume", run_id).code == 0
    there = marked(sandbox)
    screen.type("y\n")
    assert screen.end() == 0, screen.plain
    assert "it is skipped" in screen.plain
    assert marked(sandbox) == there
    assert cli("status", run_id, "--json").document["state"] == "succeeded"
    assert cli("teardown", run_id, "--yes").code == 0


def test_orphans_of_a_known_run_leave_a_true_record(cli: Cli, repository: Path) -> None:
    run_id = cli.run(repository)["run_id"]
    ended = cli("teardown", "--orphans", "--all", "--cloud", "sandbox", "--json")
    assert ended.code == 0
    assert {one["known_as"] for one in ended.document["orphans"] if one["run_id"] == run_id} == {"succeeded"}
    assert cli("status", run_id, "--json").document["state"] == "torn_down"


def test_orphans_are_found_beside_a_journal_that_cannot_be_read(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    before = marked(sandbox)
    cli.run(repository)
    whole = (cli.home / "journal.db").read_bytes()
    for name in ("journal.db-wal", "journal.db-shm"):
        (cli.home / name).unlink(missing_ok=True)
    (cli.home / "journal.db").write_bytes(b"no database" * 1000)
    try:
        assert cli("status").code == 10
        ended = cli("teardown", "--orphans", "--cloud", "sandbox")
        assert ended.code == 0
        assert "continuing without it" in ended.err
        assert marked(sandbox) == before
    finally:
        (cli.home / "journal.db").write_bytes(whole)


def test_orphans_that_stay_are_named(
    cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_REMOVAL_TIMEOUT_SECONDS", "1")
    document = cli.run(repository)
    sandbox.faults({"action": "ignore_delete", "service": "neutron"})
    ended = cli("teardown", "--orphans", "--all", "--cloud", "sandbox", "--json")
    assert ended.code == 11
    assert json.loads(ended.out)["error"]["type"] == "LeftoversExist"
    assert document["floating_ip"] in ended.err
    sandbox.faults()
    assert cli("teardown", "--orphans", "--all", "--cloud", "sandbox").code == 0


def test_what_keeps_orphans_from_being_found_sends_nobody_to_a_run(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clouds = tmp_path / "clouds.yaml"
    auth = "{auth_url: 'http://127.0.0.1:9/v3', username: u, password: p, user_domain_id: d, project_id: x}"
    clouds.write_text(f"clouds:\n  away:\n    auth: {auth}\n")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    ended = cli("teardown", "--orphans", "--cloud", "away", "--json")
    assert ended.code == 7
    assert ended.document["error"]["hint"].endswith("envagent teardown --orphans --cloud away --json")


def test_orphans_on_a_real_cloud_ask(cli: Cli, repository: Path, real_cloud: str) -> None:
    cli("run", str(repository), "--cloud", real_cloud, "--yes")
    refused = cli("teardown", "--orphans", "--all", "--cloud", real_cloud)
    assert refused.code == 2
    hint = refused.err.partition("hint: envagent ")[2].split()
    assert hint == ["teardown", "--orphans", "--cloud", real_cloud, "--all", "--yes"]
    assert cli(*hint).code == 0


def test_what_a_run_in_the_journal_holds_is_no_orphan(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    cli("teardown", "--orphans", "--all", "--cloud", "sandbox")
    lost = cli.run(repository)["run_id"]
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (cli.home / name).unlink(missing_ok=True)
    held = cli.run(repository)
    there = marked(sandbox)
    ended = cli("teardown", "--orphans", "--cloud", "sandbox", "--json")
    assert ended.code == 0, ended.err
    told = {(one["run_id"], one["offered"], one["outcome"]) for one in ended.document["orphans"]}
    assert told == {(lost, True, "removed"), (held["run_id"], False, "left_alone")}
    assert f"Kept: 4 of run {held['run_id']} (succeeded); to remove them: envagent teardown" in ended.err
    assert f"envagent teardown {held['run_id']}\n" in ended.err
    assert "envagent teardown --orphans --cloud sandbox --all" in ended.err
    assert len(there - marked(sandbox)) == 4
    assert held["server"]["id"] in marked(sandbox)
    assert cli("status", held["run_id"], "--json").document["state"] == "succeeded"
    again = cli("teardown", "--orphans", "--cloud", "sandbox")
    assert (again.code, marked(sandbox) & there) == (0, marked(sandbox))
    assert "belong to runs in the local journal" in again.err
    assert cli("teardown", "--orphans", "--all", "--cloud", "sandbox").code == 0
    assert held["server"]["id"] not in marked(sandbox)
    assert cli("status", held["run_id"], "--json").document["state"] == "torn_down"


def test_what_is_left_of_a_run_that_is_torn_down_is_an_orphan(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    run = cli.run(repository)
    with closing(sqlite3.connect(cli.home / "journal.db")) as journal:
        journal.execute(
            "UPDATE runs SET state = 'torn_down', teardown_at = created_at WHERE run_id = ?", [run["run_id"]]
        )
        journal.commit()
    ended = cli("teardown", "--orphans", "--cloud", "sandbox", "--json")
    mine = [one for one in ended.document["orphans"] if one["run_id"] == run["run_id"]]
    assert {(one["known_as"], one["outcome"]) for one in mine} == {("torn_down", "removed")}
    assert run["server"]["id"] not in marked(sandbox)


def test_a_dry_run_lists_with_ids_what_a_teardown_would_remove(
    cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str
) -> None:
    run = cli("run", str(repository), "--cloud", real_cloud, "--json", "--yes").document
    run_id, there = run["run_id"], marked(sandbox)
    row = cli("status", run_id, "--json").document
    ended = cli("teardown", run_id, "--dry-run", "--json")
    assert ended.code == 0, ended.err
    listed = {one["kind"]: one["id"] for one in ended.document["would_remove"]}
    assert listed["server"] == run["server"]["id"]
    assert listed["lease"] == run["lease"]["id"]
    assert len(listed) == 4
    assert all(one in ended.err for one in listed.values())
    assert "Dry run: nothing was removed" in ended.err
    assert marked(sandbox) == there
    assert {**cli("status", run_id, "--json").document, "cost": row["cost"]} == row  # it goes on costing meanwhile
    with by_hand(cli.home) as cloud:
        cloud.delete_floating_ip(listed["floating_ip"])
    fewer = cli("teardown", run_id, "--dry-run", "--json", "--delete-key")
    assert f"the private key {run['private_key']} would be removed as well" in fewer.err
    assert Path(run["private_key"]).exists()
    assert {one["kind"] for one in fewer.document["would_remove"]} == {"server", "lease", "keypair"}
    assert cli("teardown", run_id, "--yes").code == 0
    nothing = cli("teardown", run_id, "--dry-run", "--json")
    assert (nothing.code, nothing.document["would_remove"]) == (0, [])
    assert "There is nothing to remove" in nothing.err


def test_a_dry_run_for_orphans_removes_nothing(cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str) -> None:
    held = cli("run", str(repository), "--cloud", real_cloud, "--json", "--yes").document
    there = marked(sandbox)
    few = cli("teardown", "--orphans", "--cloud", real_cloud, "--dry-run", "--json")
    assert few.code == 0, few.err
    assert not [one for one in few.document["orphans"] if one["run_id"] == held["run_id"] and one["offered"]]
    everything = cli("teardown", "--orphans", "--all", "--cloud", real_cloud, "--dry-run", "--json")
    assert everything.code == 0, everything.err
    offered = {one["id"] for one in everything.document["orphans"] if one["offered"]}
    assert {held["server"]["id"], held["lease"]["id"]} <= offered
    assert {one["outcome"] for one in everything.document["orphans"]} == {"left_alone"}
    assert held["server"]["id"] in everything.err
    assert "Dry run: nothing was removed" in everything.err
    assert marked(sandbox) == there
    assert cli("teardown", held["run_id"], "--yes").code == 0


def test_what_was_already_gone_is_not_counted_as_removed(cli: Cli, repository: Path) -> None:
    run = cli.run(repository)
    ids = {one["kind"]: one["id"] for one in run["resources"]}
    with by_hand(cli.home) as cloud:
        cloud.delete_floating_ip(ids["floating_ip"])
        cloud.delete_server(ids["server"])
        while any(one.id == ids["server"] for one in cloud.servers()):
            pass
    ended = cli("teardown", run["run_id"], "--json")
    assert ended.code == 0, ended.err
    assert "is torn down: 2 removed, nothing is left" in ended.err
    for kind in ("floating_ip", "server"):
        assert f"removed {kind}" not in ended.err
        assert f"({ids[kind]}) is gone" in ended.err
    assert {one["state"] for one in ended.document["resources"]} == {"absent"}
