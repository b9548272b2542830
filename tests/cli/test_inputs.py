"""What cannot be right is refused before anything is made: names, durations, a folder that is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envagent.sandbox import process
from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--server-name", "a" * 256),
        ("--server-name", "a\nb"),
        ("--server-name", "  "),
        ("--server-name", "a\udcff"),
        ("--image", "\udcff"),
        ("--network", "\x1b[31m"),
        ("--key-name", "../../elsewhere"),
        ("--key-name", "/tmp/elsewhere"),
        ("--key-name", ".."),
        ("--key-name", "lab "),
        ("--key-name", "k" * 256),
    ],
)
def test_a_name_that_no_service_takes_is_refused_at_once(cli: Cli, repository: Path, flag: str, value: str) -> None:
    before = process.read_log(cli.home)
    ended = cli("run", str(repository), "--cloud", "sandbox", flag, value, "--json")
    assert ended.code == 2, ended.err
    assert ended.document["error"]["type"] == "UsageError"
    assert flag in ended.err
    assert process.read_log(cli.home) == before


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 255, "a b.c_d"])
def test_the_longest_names_are_served_to_the_end(cli: Cli, repository: Path, name: str) -> None:
    document = cli.run(repository, "--server-name", name)
    assert document["server"]["name"] == name
    (file,) = cli.work.glob("*_info.json")
    assert len(os.fsencode(file.name)) <= 255
    assert cli("teardown", document["run_id"]).code == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SETTLE_SECONDS", "inf"),
        ("REMOVAL_TIMEOUT_SECONDS", "inf"),
        ("WRITE_TIMEOUT_SECONDS", "601"),
        ("TIMEOUT_SECONDS", "1e12"),
        ("LEASE__TIMEOUT_SECONDS", "1e15"),
        ("SERVER__POLL_SECONDS", "1e300"),
        ("KEY__NAME", "../x"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(
    cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ENVAGENT_{name}", value)
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert ended.code == 2, ended.err
    assert name.lower().replace("__", ".") in ended.document["error"]["message"]


def test_in_a_folder_that_is_gone(cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ended = cli("run", str(repository), "--cloud", "sandbox")
    assert ended.code == 2
    assert "current folder" in ended.err
