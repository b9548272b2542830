"""The journal in a PostgreSQL database: the same commands, and the same words where it cannot be used."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.kit.postgres import QUICK, Postgres, programs

NUMBERS = count(1)

pytestmark = pytest.mark.skipif(programs() is None, reason="no PostgreSQL is installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    one = Postgres(*QUICK)
    yield one
    one.close()


def test_a_run_is_recorded_and_taken_over_from_another_machine(
    cli: Cli, repository: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_JOURNAL", server.database("one"))
    run_id = cli.run(repository, "--new")["run_id"]
    assert [one["run_id"] for one in cli("status", "--json").document["runs"]] == [run_id]
    assert cli("resume", run_id[:5], "--json").document["state"] == "succeeded"
    assert cli("logs", run_id).code == 0
    assert cli("teardown", "last").code == 0
    assert cli("status", run_id, "--json").document["state"] == "torn_down"
    monkeypatch.delenv("ENVAGENT_JOURNAL")
    assert run_id not in cli("status", "--json").out


@pytest.fixture
def shared(cli: Cli, server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that ada and bob share; nobody works on it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    monkeypatch.setenv("ENVAGENT_JOURNAL", server.database(f"shared{next(NUMBERS)}"))
    monkeypatch.setenv("ENVAGENT_KEY__PUBLIC_KEY", str(tmp_path / "key.pub"))
    monkeypatch.setenv("ENVAGENT_FLEET__OWNER", "ada")


@pytest.mark.usefixtures("shared")
def test_a_file_is_submitted_once_and_what_has_not_begun_is_cancelled(
    cli: Cli, repository: Path, tmp_path: Path
) -> None:
    file = tmp_path / "repos.txt"
    file.write_text(f"{repository}\n{repository} --hours 3\n")
    words = ["run", "--file", str(file), "--submit", "--yes", "--cloud", "sandbox", "--json"]
    first = [one["run_id"] for one in cli(*words).document["lines"]]
    with file.open("a") as more:
        more.write(f"{repository} --hours 4\n")
    again = cli(*words)
    assert [one["run_id"] for one in again.document["lines"]][:2] == first
    assert "1 submitted, 2 already submitted" in again.err
    assert cli("cancel", first[0], "--json").document["state"] == "torn_down"  # without any worker
    assert cli("cancel", first[0]).code == 10
    states = Counter(one["state"] for one in cli("status", "--json").document["runs"])
    assert states == {"running": 2, "torn_down": 1}


@pytest.mark.usefixtures("shared")
def test_runs_of_others_are_neither_shown_nor_acted_upon(
    cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = cli("run", str(repository), "--submit", "--yes", "--cloud", "sandbox", "--json").document["run_id"]
    monkeypatch.setenv("ENVAGENT_FLEET__OWNER", "bob")
    assert cli("status", "--json").document["runs"] == []
    for words in (["status"], ["logs"], ["explain"], ["teardown"], ["resume"], ["cancel"], ["extend"], ["export"]):
        ended = cli(*words, run_id, *(["1h", "--yes"] if words == ["extend"] else []))
        assert (ended.code, f"{run_id!r}" in ended.err) == (10, True), words
    assert cli("status", "--all").code == 2
    monkeypatch.setenv("ENVAGENT_FLEET__OPERATOR", "true")
    assert cli("status", "--json").document["runs"] == []
    assert [one["owner"] for one in cli("status", "--all", "--json").document["runs"]] == ["ada"]
    assert cli("cancel", run_id, "--json").document["state"] == "torn_down"


def test_a_run_of_ones_own_journal_is_not_cancelled(cli: Cli, repository: Path) -> None:
    run_id = cli.run(repository, "--new")["run_id"]
    ended = cli("cancel", run_id)
    assert ended.code == 10 and "was not submitted to workers" in ended.err
    cli("teardown", run_id)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://x/y", "a journal cannot be kept in mysql"),
        ("postgresql://me:secret@localhost/x", "must not hold a password"),
        ("nonsense", "cannot be read"),
        ("postgresql://me@127.0.0.1:9/x", "cannot use the journal postgresql://me@127.0.0.1:9/x: "),
    ],
)
def test_one_that_cannot_be_used_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    monkeypatch.setenv("ENVAGENT_JOURNAL", url)
    ended = cli("status")
    assert ended.code in (2, 10)
    assert said in ended.err and "secret" not in ended.err and "Traceback" not in ended.err
