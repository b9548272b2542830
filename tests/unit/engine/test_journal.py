"""The journal's file is created, upgraded and protected, and its errors are explained."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from envagent import migrations
from envagent.engine.journal import REVISION, Journal
from envagent.engine.tables import RECORDS, RunRecord, all_tables
from envagent.errors import JournalError
from envagent.fleet.fleet_schema import FLEET
from tests.kit.forked import fork, redirect


def a_run(run_id: str = "abcdefghjk") -> RunRecord:
    return RunRecord(run_id=run_id, pipeline="p", state="running", created_at="1", updated_at="1", request="{}")


def test_the_revision_is_the_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_migrations_and_tables_agree(place: Path | str) -> None:
    with contextlib.closing(Journal.open(place)) as journal, journal.engine.connect() as connection:
        for wanted in (all_tables(), FLEET) if isinstance(place, str) else (all_tables(),):
            options = {
                "include_name": lambda name, kind, _, tables=wanted.tables: kind != "table" or name in tables,
                "compare_server_default": wanted is FLEET,  # the journal's own values are always given
            }
            assert compare_metadata(MigrationContext.configure(connection, opts=options), wanted) == []


def test_an_upgrade_is_whole_or_nothing(tmp_path: Path) -> None:
    class PowerCut(BaseException):
        pass

    def schema(name: str, *, cut_before: int | None) -> tuple[list[tuple[str, str]], int]:
        statements = 0

        def cut(*_: object) -> None:
            nonlocal statements
            statements += 1
            if statements == cut_before:
                raise PowerCut

        for moment in ("before_cursor_execute", "commit"):
            event.listen(Engine, moment, cut)
        try:
            with contextlib.suppress(PowerCut):
                Journal.open(tmp_path / name).close()
        finally:
            for moment in ("before_cursor_execute", "commit"):
                event.remove(Engine, moment, cut)
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
            return connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall(), statements

    whole, statements = schema("whole.db", cut_before=None)
    assert statements > len(RECORDS)
    for number in range(1, statements + 1):
        assert schema(f"{number}.db", cut_before=number)[0] == [], f"half a schema before statement {number}"
        assert schema(f"{number}.db", cut_before=None)[0] == whole


NEXT = f"{int(REVISION) + 1:04}"
NEXT_SCRIPT = f"""
from alembic import op

revision = "{NEXT}"
down_revision = "{REVISION}"


def upgrade() -> None:
    op.execute("CREATE TABLE later (x INTEGER)")
"""


def test_an_upgrade_leaves_a_copy_of_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path)
    with journal.transaction() as transaction:
        transaction.save(a_run())
    journal.close()
    scripts = shutil.copytree(Path(migrations.__file__).parent, tmp_path / "migrations")
    (scripts / "versions" / f"r{NEXT}_next.py").write_text(NEXT_SCRIPT, "utf-8")
    monkeypatch.setattr(migrations, "__file__", str(scripts / "__init__.py"))
    monkeypatch.setattr("envagent.engine.journal.REVISION", NEXT)
    Journal.open(path).close()
    copy = tmp_path / f"journal.db.before-{NEXT}"
    for file, revision in ((path, NEXT), (copy, REVISION)):
        assert file.stat().st_mode & 0o777 == 0o600
        with contextlib.closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)
            assert connection.execute("SELECT run_id FROM runs").fetchall() == [(a_run().run_id,)]


def test_durable_settings(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db")
    assert journal.writer().cursor().execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal.writer().cursor().execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert journal.writer().cursor().execute("PRAGMA foreign_keys").fetchone() == (1,)
    journal.close()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a file system of another kind than the test's own, which is declared to be a network's."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK) or os.statvfs(memory).f_bavail == 0:
        pytest.skip("there is no second file system here")
    monkeypatch.setattr("envagent.engine.filesystem.NETWORK", {0x01021994: "NFS"})  # tmpfs
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def journal_mode(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_on_a_network_file_system_there_is_no_wal_and_that_is_said_once(network: Path, tmp_path: Path) -> None:
    path = network / "journal.db"
    made = Journal.open(path)
    assert made.notice is not None and "network file system (NFS)" in made.notice
    second = Journal.open(path)
    assert second.notice is None
    with made.transaction() as transaction:
        transaction.save(a_run())
    assert [row.run_id for row in second.runs()] == [a_run().run_id]
    assert made.writer().cursor().execute("PRAGMA synchronous").fetchone() == (2,)
    assert {one.name for one in network.iterdir()} <= {"journal.db", "journal.upgrade", "journal.db-journal"}
    made.close()
    second.close()
    assert journal_mode(path) == "delete"
    local = Journal.open(tmp_path / "journal.db")
    assert local.notice is None and journal_mode(tmp_path / "journal.db") == "wal"
    local.close()


def test_a_journal_that_was_moved_there_gives_up_wal(network: Path, tmp_path: Path) -> None:
    local = Journal.open(tmp_path / "journal.db")
    with local.transaction() as transaction:
        transaction.save(a_run())
    local.close()
    path = Path(shutil.copy(tmp_path / "journal.db", network / "journal.db"))
    moved = Journal.open(path)
    assert moved.notice is not None and [row.run_id for row in moved.runs()] == [a_run().run_id]
    moved.close()
    assert journal_mode(path) == "delete"
    again = Journal.open(path)
    assert again.notice is None
    again.close()


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = Journal.open(tmp_path / "home" / "journal.db")
        with journal.transaction() as transaction:
            transaction.save(a_run())
    finally:
        os.umask(before)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "home").iterdir()}
    assert set(modes.values()) == {"0o600"}, modes
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    journal.close()


def test_a_newer_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(JournalError, match="written by a newer envagent"):
        Journal.open(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.parametrize("content", [b"this is no database, whatever it is called", b"SQLite format 3\0" + b"x" * 500])
def test_a_broken_file_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"cannot use the journal .*journal\.db: "):
        Journal.open(path)
    assert path.read_bytes() == content


def test_no_child_is_forked_while_a_journal_is_open(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db")
    with pytest.raises(AssertionError, match=r"journal\.db-wal"):
        fork(["--version"], lambda: redirect(tmp_path / "out", tmp_path / "err"))
    journal.close()


def test_a_path_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot use the journal"):
        Journal.open(tmp_path / "file" / "journal.db")
