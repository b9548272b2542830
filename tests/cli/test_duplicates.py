"""A second run of one repository, commit and site: never without a word."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import SPEED, Cli, Sandbox
from tests.kit.git import commit, git


def runs(cli: Cli) -> int:
    return len(cli("status", "--limit", "0", "--json").document["runs"])


def test_a_second_run_is_refused_and_the_first_one_named(cli: Cli, repository: Path, tmp_path: Path) -> None:
    first = cli.run(repository)
    before = runs(cli)
    alias = tmp_path / "alias"
    alias.symlink_to(repository)
    for same, more in ((repository, []), (alias, ["--yes"]), (repository, ["--ref", "HEAD"])):
        second = cli("run", str(same), "--cloud", "sandbox", "--json", *more)
        assert second.code == 10, second.err
        assert f"run {first['run_id']} of this repository and commit is up: gpu_" in second.document["error"]["message"]
        assert second.document["error"]["hint"].startswith(f"envagent status {first['run_id']};")
        assert "--new" in second.document["error"]["hint"]
    assert runs(cli) == before

    others = []
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    others.append(cli.run(clone))  # a fork is another repository, though the commit is the same
    others.append(cli.run(repository, "--new"))
    commit(repository)
    other = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert other.code == 0, other.err
    assert f"note: run {first['run_id']} holds a node for another commit" in other.err
    others.append(other.document)
    for one in (first, *others):
        assert cli("teardown", one["run_id"]).code == 0
    after = cli.run(repository)  # what is torn down is in nobody's way
    assert cli("teardown", after["run_id"]).code == 0


def test_a_run_whose_lease_has_ended_is_in_nobodys_way(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    first = cli.run(repository, "--hours", "1")
    with closing(sqlite3.connect(cli.home / "journal.db")) as connection, connection:  # as it is an hour later
        connection.execute(
            "UPDATE resources SET detail = json_set(detail, '$.end_date', '2026-01-01T00:00:00+00:00') "
            "WHERE run_id = ? AND kind = 'lease'",
            (first["run_id"],),
        )
    second = cli.run(repository, "--hours", "1")
    for one in (first, second):
        assert cli("teardown", one["run_id"]).code == 0


def test_a_name_stands_for_one_run(
    cli: Cli, repository: Path, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("paper", "last", "Toy-run", "-x", "a-" * 17, "toy_run", "toy-\n"):
        assert cli("run", str(repository), "--cloud", "sandbox", f"--name={wrong}").code == 2, wrong
    named = ("run", str(repository), "--cloud", "sandbox", "--name", "toy-run")
    sandbox.faults({"action": "fail", "service": "nova", "method": "POST", "path": "/servers$", "status": 400})
    failed = cli(*named, "--json").document
    sandbox.faults()
    assert failed["next"][0] == "envagent resume toy-run"
    second = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert (second.code, f"envagent resume {failed['run_id']}" in second.err) == (10, True)
    resumed = cli("run", str(repository), "--cloud", "sandbox", "--json", "--yes").document
    assert resumed["run_id"] == failed["run_id"]  # -y resumes what is unfinished
    resumed = cli(*named, "--json").document
    assert (resumed["run_id"], resumed["name"], resumed["state"]) == (failed["run_id"], "toy-run", "succeeded")
    shown = cli(*named, "--yes")
    assert (shown.code, "envagent ssh toy-run" in shown.out, "exists and is up" in shown.err) == (0, True, True)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    for words in ([str(clone)], [str(repository), "--new"], [str(repository), "--ref", "HEAD"]):
        refused = cli("run", *words, "--cloud", "sandbox", "--name", "toy-run", "--json")
        assert (refused.code, refused.document["error"]["type"]) == (10, "RunStateError")
        assert "the name toy-run belongs to run" in refused.document["error"]["message"]
    for words in (["status"], ["explain"], ["logs"], ["teardown", "--dry-run"]):
        assert cli(words[0], "toy-run", *words[1:], "--json").code == 0
    assert cli("status").out.split()[:2] == ["run", "name"]
    with monkeypatch.context() as asked:
        asked.setenv("_ENVAGENT_COMPLETE", "complete_bash")
        asked.setenv("COMP_WORDS", "envagent ssh toy")
        asked.setenv("COMP_CWORD", "2")
        assert cli().out.split() == ["toy-run"]
    assert cli("teardown", "toy-run").code == 0
    assert cli("status", "toy-run", "--json").document["run_id"] == failed["run_id"]


def test_a_run_under_way_is_named(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(5)
    running = cli.start("run", str(repository), "--cloud", "sandbox")
    run_id = running.until("reserve_hardware").split()[1].rstrip(":")
    second = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert second.code == 10
    assert f"run {run_id} of this repository and commit is being worked on" in second.document["error"]["message"]
    running.kill()
    second = cli("run", str(repository), "--cloud", "sandbox", "--json")
    sandbox.speed(SPEED)
    if second.code == 10:  # the lease had been asked for
        assert second.document["error"]["hint"].startswith(f"envagent resume {run_id};")
    else:
        assert cli("teardown", second.document["run_id"]).code == 0
    assert cli("teardown", run_id).code == 0


def test_on_a_terminal_the_live_one_is_offered(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.faults({"action": "fail", "service": "nova", "method": "POST", "path": "/servers$", "status": 400})
    failed = cli("run", str(repository), "--cloud", "sandbox", "--json").document
    sandbox.faults()
    screen = cli.on_terminal("run", str(repository), "--cloud", "sandbox")
    screen.until(f"Resume run {failed['run_id']}? [y/N]")
    screen.type("y\n")
    assert screen.end() == 0
    document = cli("status", failed["run_id"], "--json").document
    assert document["state"] == "succeeded"

    before = runs(cli)
    screen = cli.on_terminal("run", str(repository), "--cloud", "sandbox")
    screen.until("Reserve a second server? [y/N]")
    screen.type("n\n")
    assert screen.end() == 130
    assert f"envagent ssh {document['run_id']}" in screen.plain
    assert runs(cli) == before
    assert cli("teardown", failed["run_id"]).code == 0
