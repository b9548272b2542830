"""`--also`: a document that is read along with the repository, and is not needed any more once a run has begun."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.kit.git import git, make_repository
from tests.kit.pdf import Run, lines, pdf

APPENDIX = pdf([Run("A.2.3 Hardware dependencies", y=720, font="bold"), *lines("At least 180 GB of RAM are required.")])


@pytest.fixture
def appendix(tmp_path: Path) -> Path:
    path = tmp_path / "appendix.pdf"
    path.write_bytes(APPENDIX)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "plain", {"README.md": "# tool\n\nSorts files.\n"})


def test_an_analysis_shows_what_a_document_says_and_where(cli: Cli, plain: Path, appendix: Path) -> None:
    assert cli("analyze", str(plain), "--json").document["requirements"]["ram_gb"] is None
    document = cli("analyze", str(plain), "--json", "--also", str(appendix)).document
    assert document["requirements"]["ram_gb"] == 180
    assert [one["path"] for one in document["evidence"] if one["field"] == "ram_gb"] == ["appendix.pdf, page 1"]
    assert "Also read: appendix.pdf (1 page)." in document["notes"]
    running = cli.start("analyze", str(plain), "--also", str(appendix))
    assert running.wait() == 0
    assert "appendix.pdf, page 1" in running.out and "180 GB" in running.out


def test_a_run_is_resumed_without_the_document(cli: Cli, plain: Path, appendix: Path) -> None:
    tree = git(plain, "rev-parse", "HEAD:")
    stored = plain / ".git" / "objects" / tree[:2] / tree[2:]
    away = stored.rename(plain / "away")  # the run stops before it has read anything
    failed = cli("run", str(plain), "--cloud", "sandbox", "--json", "--also", str(appendix))
    assert failed.code == 9 and failed.document["error"]["step"] == "analyze_repository.analyze"
    away.rename(stored)
    appendix.unlink()
    document = cli("resume", failed.document["run_id"], "--json").document
    assert document["state"] == "succeeded" and document["requirements"]["ram_gb"] == 180
    assert cli("teardown", document["run_id"]).code == 0


def test_the_journal_keeps_no_secret_of_an_address(cli: Cli, plain: Path, appendix: Path) -> None:
    from tests.kit.servers import HttpServer
    from tests.unit.repository.test_also import Handler, send

    Handler.asked, Handler.acts = [], {"/appendix.pdf": send(APPENDIX)}
    server = HttpServer(Handler)
    try:
        run = cli.run(plain, "--also", f"{server.url}/appendix.pdf?token=s3cret")
    finally:
        server.close()
    assert run["requirements"]["ram_gb"] == 180 and "token=s3cret" in Handler.asked[0][0]
    with closing(sqlite3.connect(cli.home / "journal.db")) as journal:
        dump = "\n".join(journal.iterdump())
    assert "appendix.pdf" in dump and "s3cret" not in dump
    assert cli("teardown", run["run_id"]).code == 0


@pytest.mark.parametrize("command", ["analyze", "run"])
def test_a_document_that_cannot_be_read_stops_everything_with_a_hint(cli: Cli, plain: Path, command: str) -> None:
    further = ("--cloud", "sandbox") if command == "run" else ()
    before = cli("status", "--json").document
    ended = cli(command, str(plain), "--also", "absent.pdf", "--json", *further)
    assert ended.code == 2 and "absent.pdf" in ended.document["error"]["message"] and ended.document["error"]["hint"]
    assert cli(command, str(plain), "--also", "http://127.0.0.1:9/x.pdf", *further).code == 9
    assert cli("status", "--json").document == before
