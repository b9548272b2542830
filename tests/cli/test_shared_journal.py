"""The journal in a PostgreSQL database: the same commands, and the same words where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.kit.postgres import QUICK, Postgres, programs

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
