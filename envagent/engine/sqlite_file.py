"""The journal as one SQLite file that survives every crash (WAL, synchronous=FULL).

On a network file system it uses a rollback journal instead: WAL needs shared memory, which two hosts do not have.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPICursor

from envagent.engine.filesystem import network_kind
from envagent.engine.lock import file_lock

BUSY_SECONDS = 30.0
"""How long a write waits for a transaction of another process."""

_PRIMARY_CODES = 0xFF
"""SQLite's error codes above this one tell more than its message."""


class SqliteFile:
    """A SQLite file as the place of a journal.

    Attributes:
        name: its path, as messages show it.
        notice: what the user should know about this file; set only when it is created or converted.
    """

    error = sqlite3.Error

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.notice: str | None = None

    def connect(self) -> Engine:
        """Create the file where there is none, readable by its owner alone, and return what connects to it.

        Raises:
            OSError: the file cannot be made.
            sqlite3.Error: the file is not a database, or cannot be read.
        """
        path = self.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the main file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        network = network_kind(path.parent)
        if network is not None and self._changes_to_delete():
            self.notice = (
                f"the journal {path} is on a network file system ({network}): it runs without WAL, slightly slower"
            )
        mode = "WAL" if network is None else "DELETE"
        options: dict[str, Any] = {
            "timeout": BUSY_SECONDS,
            "check_same_thread": False,
            "isolation_level": None,
            "cached_statements": 64,
        }
        engine = create_engine(URL.create("sqlite", database=str(path)), connect_args=options)
        event.listen(engine, "connect", lambda connection, _record: _configure(connection, mode))
        return engine

    @staticmethod
    def readers(engine: Engine) -> Engine:
        """Return what connects readers; outside a transaction each of their statements sees the newest commit."""
        return engine

    @staticmethod
    def begin(cursor: DBAPICursor) -> None:
        """Begin a transaction that writes: one that began by reading could not go on after another's commit."""
        cursor.execute("BEGIN IMMEDIATE")

    def revision(self, engine: Engine) -> str | None:
        """Return the file's schema without the cost of importing Alembic; None for a new file."""
        with engine.connect() as connection:
            known = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first()
            row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first() if known else None
            return None if row is None else str(row[0])

    @contextlib.contextmanager
    def upgrading(self, engine: Engine) -> Iterator[None]:
        """Hold the sole right to upgrade the file."""
        with file_lock(self.path.with_suffix(".upgrade")):
            yield

    def keep_copy(self, revision: str) -> Path:
        """Copy the file before it is upgraded to a revision, and return the copy."""
        target = self.path.with_name(f"{self.path.name}.before-{revision}")
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with (
            contextlib.closing(sqlite3.connect(self.path)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
        return target

    def reason(self, error: BaseException) -> str:
        """Return why the file cannot be used, in words."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        # "disk I/O error" alone has some thirty causes; an error of Python's own has no code.
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) > _PRIMARY_CODES:
            reason += f" ({error.sqlite_errorname})"
        return reason

    def _changes_to_delete(self) -> bool:
        """Return whether the file is new or still uses WAL."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
            return self.path.stat().st_size == 0 or connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def _configure(connection: sqlite3.Connection, mode: str) -> None:
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
