"""What stays of a run on the user's machine: its file, which never lies, and the private key, which is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.kit.git import make_repository


def read(path: str | Path) -> dict[str, Any]:
    return json.loads(Path(path).read_text())  # type: ignore[no-any-return]


def another(repository: Path, folder: Path) -> Path:
    """Give another repository that needs the same: a second run of one may be refused."""
    files = {file.name: file.read_bytes() for file in (repository / "README.md", repository / "requirements.txt")}
    return make_repository(folder, files)


def test_two_servers_of_one_name_have_a_file_each(cli: Cli, repository: Path) -> None:
    first = cli.run(repository, "--server-name", "mine")
    second = cli.run(another(repository, cli.work / "second"), "--server-name", "mine")
    assert first["info_file"] == str(cli.work / "mine_info.json")
    assert second["info_file"] == str(cli.work / f"mine_{second['run_id']}_info.json")
    for document in (first, second):
        info = read(document["info_file"])
        assert (info["run_id"], info["ssh"], info["state"]) == (document["run_id"], document["ssh"], "up")

    assert cli("teardown", first["run_id"]).code == 0
    gone = read(first["info_file"])
    assert (gone["state"], gone["ssh"], gone["floating_ip"], gone["fixed_ip"]) == ("torn_down", None, None, None)
    assert gone["torn_down_at"] > gone["written_at"]
    assert gone["server_id"] == first["server"]["id"]
    assert read(second["info_file"])["state"] == "up", "another run's file is left alone"

    third = cli.run(another(repository, cli.work / "third"), "--server-name", "mine")
    assert third["info_file"] == first["info_file"], "the name of a server that is gone is free again"
    assert read(third["info_file"])["run_id"] == third["run_id"]
    assert cli("teardown", first["run_id"]).code == 0
    assert read(third["info_file"])["state"] == "up", "nor is the one that followed under its name"
    for document in (second, third):
        assert cli("teardown", document["run_id"]).code == 0
        assert read(document["info_file"])["ssh"] is None


@pytest.mark.parametrize("text", ["", "mine", "[]", '{"run_id": "another"}', None])
def test_a_file_of_the_users_is_not_overwritten(cli: Cli, repository: Path, text: str | None) -> None:
    taken = cli.work / "mine_info.json"
    taken.mkdir() if text is None else taken.write_text(text)
    document = cli.run(repository, "--server-name", "mine")
    assert document["info_file"] == str(cli.work / f"mine_{document['run_id']}_info.json")
    assert taken.is_dir() if text is None else taken.read_text() == text
    assert cli("teardown", document["run_id"]).code == 0


@pytest.mark.parametrize("text", [None, "", "not mine any more", '{"run_id": "another", "ssh": "ssh"}'])
def test_a_file_that_was_removed_or_changed_is_no_error(cli: Cli, repository: Path, text: str | None) -> None:
    document = cli.run(repository)
    path = Path(document["info_file"])
    path.unlink() if text is None else path.write_text(text)
    ended = cli("teardown", document["run_id"])
    assert ended.code == 0, ended.err
    assert not path.exists() if text is None else path.read_text() == text


def test_the_private_key_is_asked_for_on_a_terminal(cli: Cli, repository: Path, real_cloud: str) -> None:
    for answer, stays in (("n\n", True), ("y\n", False)):
        run = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json").document
        key = Path(run["private_key"])
        screen = cli.on_terminal("teardown", run["run_id"])
        screen.until("[y/N]")
        screen.type("y\n")
        screen.until("Remove the private key")
        screen.type(answer)
        assert screen.end() == 0
        assert key.exists() is stays


def test_without_a_terminal_the_command_is_told_and_works(cli: Cli, repository: Path) -> None:
    run = cli.run(repository)
    ended = cli("teardown", run["run_id"])
    command = f"envagent teardown {run['run_id']} --delete-key"
    assert f"The private key {run['private_key']} was kept. To remove it: {command}\n" in ended.err
    assert Path(run["private_key"]).exists()
    assert read(run["info_file"])["private_key"] == run["private_key"]
    assert cli("status", run["run_id"], "--json").document["private_key"] == run["private_key"]
    assert cli(*command.split()[1:]).code == 0
    assert not Path(run["private_key"]).exists()
    assert read(run["info_file"])["private_key"] is None
    assert cli("status", run["run_id"], "--json").document["private_key"] is None
    assert "private key" not in cli("teardown", run["run_id"]).err


def test_a_private_key_that_another_run_needs_is_not_removed(cli: Cli, repository: Path) -> None:
    first = cli.run(repository, "--key-name", "shared")
    second = cli.run(another(repository, cli.work / "second"), "--key-name", "shared")
    assert second["private_key"] == first["private_key"]
    ended = cli("teardown", first["run_id"], "--delete-key")
    assert f"run {second['run_id']} uses it as well" in ended.err
    assert Path(first["private_key"]).exists()
    assert cli("teardown", second["run_id"], "--delete-key").code == 0
    assert cli("teardown", first["run_id"], "--delete-key").code == 0
    assert not Path(first["private_key"]).exists()
