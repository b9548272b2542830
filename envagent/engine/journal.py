"""The journal: one SQLite file that survives every crash (WAL, synchronous=FULL).

On a network file system it uses a rollback journal instead: WAL needs shared memory, which two hosts do not have.

This module writes, reads and upgrades the records of `tables.py`; what they mean is the runner's business. Statements
are compiled once and run on one connection: the object layer's bookkeeping per commit costs more than the commit
itself (see bench/).
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from envagent.engine.filesystem import network_kind
from envagent.engine.lock import file_lock
from envagent.engine.run_query import EVERY_RUN, NEWEST_FIRST, RunQuery
from envagent.engine.tables import (
    TABLES,
    DecisionRecord,
    EventRecord,
    IntentRecord,
    Record,
    ResourceRecord,
    RunRecord,
    StageRecord,
)
from envagent.errors import JournalError, RunNotFound
from envagent.hints import Hint, command

REVISION = "0002"
"""The schema that this version reads and writes: the head of migrations/ (a test compares them)."""

BUSY_SECONDS = 30.0
"""How long a write waits for a transaction of another process."""

MOST_NAMED = 5
"""How many runs an ambiguous prefix names."""

_ABOVE_ALL = "\U0010ffff"
"""The last character: ids that start with a prefix sort before the prefix with it."""

_PRIMARY_CODES = 0xFF
"""SQLite's error codes above this one tell more than its message."""

AnyRecord = TypeVar("AnyRecord", bound=Record)


class Transaction:
    """Records saved together or not at all; created by `Journal.transaction`.

    When its block ends without an error, everything saved in it is on disk.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> Transaction:
        self._journal.lock.acquire()
        try:
            self._cursor = self._journal.connection.cursor()
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._journal.lock.release()
            raise _unusable(self._journal.path, error) from error
        self._keyed: list[tuple[Record, str]] = []
        return self

    def save(self, *records: Record) -> None:
        """Insert or replace each record by primary key; a new surrogate key is set on it."""
        for record in records:
            statement = _upsert(type(record))
            values = record.__dict__
            try:
                self._cursor.execute(statement.sql, [values[name] for name in statement.columns])
            except sqlite3.Error as error:
                raise _unusable(self._journal.path, error) from error
            if statement.surrogate is not None and values[statement.surrogate] is None:
                values[statement.surrogate] = self._cursor.lastrowid
                self._keyed.append((record, statement.surrogate))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept = False
        try:
            if error is None:
                if self._journal.before_commit is not None:
                    self._journal.before_commit()
                self._cursor.execute("COMMIT")
                kept = True
        except sqlite3.Error as trouble:
            raise _unusable(self._journal.path, trouble) from trouble
        finally:
            if self._journal.connection.in_transaction:
                self._cursor.execute("ROLLBACK")
            if not kept:
                for record, surrogate in self._keyed:  # whoever inserts next gets these keys
                    record.__dict__[surrogate] = None
            self._journal.lock.release()


class Journal:
    """An open journal. Safe to use from several threads; several processes may have it open.

    Raises:
        JournalError: from any method, when the file cannot be opened, read or written.
    """

    def __init__(self, path: Path, engine: Engine, connection: sqlite3.Connection, notice: str | None = None) -> None:
        self.path = path
        self.notice = notice
        """What the user should know about this file; set only when it was created or converted."""
        self._engine = engine
        self.connection = connection
        self.lock = threading.RLock()
        self.before_commit: Callable[[], None] | None = None
        """Called before each commit; tests use it to stop a process at each of them."""

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open the file; create or upgrade it (after a copy) if necessary."""
        with _explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its -wal and -shm files the mode of the main file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            options: dict[str, Any] = {"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None}
            engine = create_engine(URL.create("sqlite", database=str(path)), connect_args=options)
            network = network_kind(path.parent)
            mode = "WAL" if network is None else "DELETE"
            event.listen(engine, "connect", lambda connection, _record: _configure(connection, mode))
            news = network is not None and _changes_to_delete(path)
            if _revision(path) != REVISION:
                _upgrade(path, engine)
            connection = sqlite3.connect(path, cached_statements=64, **options)
            _configure(connection, mode)
            notice = f"the journal {path} is on a network file system ({network}): it runs without WAL, slightly slower"
            return cls(path, engine, connection, notice if news else None)

    def transaction(self) -> Transaction:
        """Return a context manager that saves records atomically and durably."""
        return Transaction(self)

    def run(self, prefix: str) -> RunRecord:
        """Find a run by its id, an unambiguous prefix of it, or `last`.

        Raises:
            RunNotFound: no run matches, or several do.
        """
        if prefix == "last":
            found = self.runs(limit=1)
        else:
            # An empty prefix (an unset variable in a script) would match the only run there is.
            named = f"WHERE run_id >= ? AND run_id < ? {NEWEST_FIRST} LIMIT {MOST_NAMED + 1}"
            found = self._read(RunRecord, named, (prefix, f"{prefix}{_ABOVE_ALL}")) if prefix else []
        if not found and prefix == "last":
            raise RunNotFound("there are no runs yet", hint=Hint(command("run", "URL")))
        if not found:
            raise RunNotFound(f"no run id starts with {prefix!r}")
        if len(found) > 1:
            raise RunNotFound(f"{prefix!r} is ambiguous; it matches {_listed([row.run_id for row in found])}")
        return found[0]

    def runs(self, query: RunQuery = EVERY_RUN, *, limit: int | None = None) -> list[RunRecord]:
        """List the runs that a query selects, newest first, at most `limit`."""
        condition, values = query.condition()
        bound = "" if limit is None else f" LIMIT {limit:d}"
        return self._read(RunRecord, f"WHERE {condition} {NEWEST_FIRST}{bound}", values)

    def run_states(self, query: RunQuery = EVERY_RUN) -> list[tuple[str, str, bool]]:
        """List id, stored state and whether the teardown has started of the selected runs, newest first."""
        condition, values = query.condition()
        statement = f"SELECT run_id, state, teardown_at IS NOT NULL FROM runs WHERE {condition} {NEWEST_FIRST}"  # noqa: S608
        rows = self._execute(statement, values)
        return [(str(run_id), str(state), bool(removing)) for run_id, state, removing in rows]

    def count(self, query: RunQuery = EVERY_RUN) -> int:
        """Return how many runs a query selects."""
        condition, values = query.condition()
        [(number,)] = self._execute(f"SELECT count(*) FROM runs WHERE {condition}", values)  # noqa: S608
        return int(number)

    def selected(self, record: type[AnyRecord], run_ids: Iterable[str]) -> list[AnyRecord]:
        """List the records of one kind that belong to these runs: runs newest first, others oldest first."""
        order = NEWEST_FIRST if record is RunRecord else "ORDER BY rowid"
        chosen = "WHERE run_id IN (SELECT value FROM json_each(?))"  # a statement has a limited number of parameters
        return self._read(record, f"{chosen} {order}", (json.dumps(list(run_ids)),))

    def outputs(self, run_ids: Iterable[str], *models: str) -> list[StageRecord]:
        """List the stages of these runs whose output is of one of these models."""
        chosen = "WHERE run_id IN (SELECT value FROM json_each(?)) AND model IN (SELECT value FROM json_each(?))"
        return self._read(StageRecord, chosen, (json.dumps(list(run_ids)), json.dumps(models)))

    def stages(self, run_id: str) -> list[StageRecord]:
        """List a run's stages in the pipeline's order."""
        return self._of_run(StageRecord, run_id, "position")

    def intents(self, run_id: str) -> list[IntentRecord]:
        """List a run's intents, oldest first."""
        return self._of_run(IntentRecord, run_id, "id")

    def resources(self, run_id: str) -> list[ResourceRecord]:
        """List a run's resources, oldest first."""
        return self._of_run(ResourceRecord, run_id, "id")

    def decisions(self, run_id: str) -> list[DecisionRecord]:
        """List a run's decisions, oldest first."""
        return self._of_run(DecisionRecord, run_id, "id")

    def events(self, run_id: str, *, after: int = 0) -> list[EventRecord]:
        """List what happened in a run, oldest first; only what follows the event number `after`."""
        return self._read(EventRecord, "WHERE run_id = ? AND seq > ? ORDER BY seq", (run_id, after))

    def archive(self, run_ids: Iterable[str], at: str | None) -> None:
        """Put runs away, or (without a time) back; nothing else of them changes, whoever works on them."""
        chosen = json.dumps(list(run_ids))
        statement = "UPDATE runs SET archived_at = ? WHERE run_id IN (SELECT value FROM json_each(?))"
        with _explained(self.path), self.lock:
            self.connection.execute(statement, (at, chosen))

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.connection.close()
            self._engine.dispose()

    def _of_run(self, record: type[AnyRecord], run_id: str, order: str) -> list[AnyRecord]:
        return self._read(record, f"WHERE run_id = ? ORDER BY {order}", (run_id,))

    def _read(self, record: type[AnyRecord], rest: str, values: Sequence[Any] = ()) -> list[AnyRecord]:
        """Read records of one kind; `rest` is the statement from WHERE on."""
        names, select_all = _select(record)
        rows = self._execute(f"{select_all} {rest}", values)
        return [record.model_validate(dict(zip(names, row, strict=True))) for row in rows]

    def _execute(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with _explained(self.path), self._engine.connect() as connection:
            return list(connection.exec_driver_sql(statement, tuple(values)))


class _Upsert:
    """INSERT ... ON CONFLICT DO UPDATE for one kind of record, compiled once."""

    def __init__(self, record: type[Record]) -> None:
        schema: Any = TABLES[record]
        schema = schema.__table__
        keys = [column.name for column in schema.primary_key]
        self.columns = [column.name for column in schema.columns]
        insert = sqlite.insert(schema)
        replaced = {name: insert.excluded[name] for name in self.columns if name not in keys}
        statement = insert.on_conflict_do_update(index_elements=keys, set_=replaced)
        self.sql = str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))
        autoincrement = schema.autoincrement_column
        self.surrogate: str | None = None if autoincrement is None else autoincrement.name


_upsert = cache(_Upsert)


@cache
def _select(record: type[Record]) -> tuple[tuple[str, ...], str]:
    """Return the columns of a kind of record and its SELECT, compiled once: that costs more than reading some."""
    table: Any = TABLES[record]
    columns = tuple(column.name for column in table.__table__.columns)
    return columns, str(select(table).compile(dialect=sqlite.dialect(paramstyle="qmark")))


def _listed(run_ids: Sequence[str]) -> str:
    """List some run ids, and say whether there are more."""
    return ", ".join(run_ids[:MOST_NAMED]) + (", ..." if len(run_ids) > MOST_NAMED else "")


def _configure(connection: sqlite3.Connection, mode: str) -> None:
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _changes_to_delete(path: Path) -> bool:
    """Return whether the file is new or still uses WAL."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        return path.stat().st_size == 0 or connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def _revision(path: Path) -> str | None:
    """Return the file's schema without the cost of importing Alembic; None for a new file."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
        return None if row is None else str(row[0])


def _upgrade(path: Path, engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from envagent import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    with file_lock(path.with_suffix(".upgrade")):
        found = _revision(path)
        if found == REVISION:
            return
        if found is not None:
            if found not in {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}:
                raise JournalError(
                    f"the journal {path} was written by a newer envagent (schema {found}; this one reads {REVISION})",
                    hint=Hint("use the newer version; nothing was changed"),
                )
            _copy(path, path.with_name(f"{path.name}.before-{REVISION}"))
        with engine.begin() as connection:
            # With isolation_level=None the driver starts no transaction, and a half-created schema cannot be upgraded.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, REVISION)


def _copy(path: Path, target: Path) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with (
        contextlib.closing(sqlite3.connect(path)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the file system into one that a user can act on."""
    try:
        yield
    except DBAPIError as error:
        raise _unusable(path, error.orig or error) from error
    except (sqlite3.Error, OSError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: BaseException) -> JournalError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    # "disk I/O error" alone has some thirty causes; an error of Python's own has no code.
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) > _PRIMARY_CODES:
        reason += f" ({error.sqlite_errorname})"
    return JournalError(f"cannot use the journal {path}: {reason}")
