"""The journal: runs, checkpoints, intents, resources, decisions and events, in a database that survives every crash.

By default that is one SQLite file (`sqlite_file.py`); several machines share one in PostgreSQL (`postgres.py`). This
module writes, reads and upgrades the records of `tables.py` on either; what they mean is the runner's business.
Writes are compiled once and run on one connection: the object layer's bookkeeping per commit costs more than the
commit itself (see bench/).

A run is written by one process at a time. Whoever takes it raises its epoch, and every transaction compares: a
process that was stopped, and wakes after another has taken its run, can neither write nor (see `check_taken`) send.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sqlalchemy import (
    ColumnElement,
    Engine,
    PoolProxiedConnection,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError

from envagent.engine.run_query import EVERY_RUN, PART, RunQuery, among, newest_first, visible
from envagent.engine.sqlite_file import SqliteFile
from envagent.engine.statements import Statement, Statements
from envagent.engine.tables import (
    OVER,
    DecisionRecord,
    EventRecord,
    IntentRecord,
    Record,
    ResourceRecord,
    RunRecord,
    StageRecord,
    table,
)
from envagent.errors import JournalError, RunMoved, RunNotFound, RunStateError, RunTakenOver
from envagent.hints import Hint, command

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine.interfaces import DBAPICursor

    from envagent.engine.postgres import Postgres

REVISION = "0006"
"""The schema that this version reads and writes: the head of migrations/ (a test compares them)."""

MOST_NAMED = 5
"""How many runs an ambiguous prefix names."""

AnyRecord = TypeVar("AnyRecord", bound=Record)

Database: TypeAlias = "SqliteFile | Postgres"


class Transaction:
    """Records saved together or not at all; created by `Journal.transaction`.

    When its block ends without an error, everything saved in it is on disk.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._compared: set[str] = set()
        self._keyed: list[tuple[Record, str]] = []
        self._new: set[str] = set()
        self._taken: dict[str, int] = {}

    def __enter__(self) -> Transaction:
        self._journal.lock.acquire()
        try:
            self._connection = self._journal.writer()
            self._cursor = self._connection.cursor()
            self._journal.database.begin(self._cursor)
        except BaseException as error:
            self._journal.lock.release()
            self._explain(error)
            raise
        return self

    def save(self, *records: Record) -> None:
        """Insert or replace each record by primary key; a new surrogate key is set on it.

        Raises:
            RunTakenOver: another process has taken a record's run; nothing of that run was written.
        """
        for record in records:
            if record.run_id not in self._compared:
                self._compare(record)
            self._write(record)

    def take(self, row: RunRecord) -> None:
        """Take a run: from now on only this journal may write to it.

        The row becomes what is stored: whoever had the run may have written since it was read.

        Raises:
            RunMoved: another journal has it.
        """
        statements = self._journal.statements
        if self._execute(statements.take, {"chosen": row.run_id}).rowcount == 0:
            raise moved_away(row.run_id)
        [stored] = self._execute(statements.run, {"chosen": row.run_id}).fetchall()
        row.__dict__.update(zip(table(RunRecord).columns.keys(), stored, strict=True))
        self._compared.add(row.run_id)
        self._taken[row.run_id] = row.epoch

    def archive(self, run_ids: Iterable[str], at: str | None) -> None:
        """Put runs away, or (without a time) back, whoever works on them."""
        self._execute(self._journal.statements.archive, {"chosen": json.dumps(list(run_ids)), "archived_at": at})

    def forget(self, run_id: str, epoch: int) -> None:
        """Delete the record of a run that was moved to another journal, to insert the one that comes back.

        Args:
            run_id: the run.
            epoch: that of the record that comes back; an older one replaces nothing.

        Raises:
            RunStateError: the run was not moved away, or has been elsewhere since.
        """
        chosen, statements = {"chosen": run_id}, self._journal.statements
        if self._execute(statements.claim, {**chosen, "epoch": epoch}).rowcount == 0:
            raise RunStateError(
                f"run {run_id} is in this journal, and was not moved away from it by this export or an earlier one",
                hint=Hint(command("status")),
            )
        for statement in statements.forget:
            self._execute(statement, chosen)
        self._journal.epochs.pop(run_id, None)

    @contextlib.contextmanager
    def alongside(self, run_id: str) -> Iterator[Any]:
        """Give the driver's cursor, to write into other tables what is to be stored together with a run.

        Raises:
            RunTakenOver: another process has taken the run.
        """
        if run_id not in self._compared:
            self._compare_epoch(run_id, self._journal.epochs[run_id])
        with _explained(self._journal.database):
            yield self._cursor

    def _compare(self, record: Record) -> None:
        """Compare the epoch under which this journal has taken the record's run with the stored one."""
        ours = self._journal.epochs.get(record.run_id)
        if ours is not None:
            return self._compare_epoch(record.run_id, ours)
        if not isinstance(record, RunRecord):
            raise AssertionError(f"run {record.run_id} was not taken by whoever writes to it")
        self._new.add(record.run_id)  # its insertion fails if there is one already
        self._taken[record.run_id] = record.epoch
        return self._compared.add(record.run_id)

    def _compare_epoch(self, run_id: str, ours: int) -> None:
        # The row stays locked: another process takes the run before this transaction, or after it.
        if _first(self._execute(self._journal.statements.epoch, {"chosen": run_id})) != ours:
            raise taken_over(run_id)
        self._compared.add(run_id)

    def _write(self, record: Record) -> None:
        values = record.__dict__
        writing = self._journal.statements.writing(type(record))
        key = writing.surrogate
        new = values[key] is None if key is not None else isinstance(record, RunRecord) and record.run_id in self._new
        cursor = self._execute(writing.insert if new else writing.upsert, values)
        if key is not None and new:
            values[key] = _first(cursor) if writing.returns else cursor.lastrowid
            self._keyed.append((record, key))
        elif new:
            self._new.remove(record.run_id)

    def _execute(self, statement: Statement, values: Mapping[str, Any]) -> DBAPICursor:
        try:
            self._cursor.execute(statement.sql, statement.parameters(values))
        except self._journal.database.error as error:
            self._explain(error)
            raise
        return self._cursor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept = False
        try:
            if error is None:
                if self._journal.before_commit is not None:
                    self._journal.before_commit()
                self._connection.commit()
                kept = True
                self._journal.epochs.update(self._taken)
        except BaseException as trouble:
            self._explain(trouble)
            raise
        finally:
            if not kept:
                for record, surrogate in self._keyed:  # whoever inserts next gets these keys
                    record.__dict__[surrogate] = None
                self._journal.roll_back()
            self._journal.lock.release()

    def _explain(self, error: BaseException) -> None:
        """Raise the error that says what is wrong with the journal, if that is what happened."""
        if isinstance(error, self._journal.database.error | DBAPIError | OSError):
            raise _unusable(self._journal.database, error) from error


class Journal:
    """An open journal. Safe to use from several threads; several processes may have it open.

    Raises:
        JournalError: from any method, when the database cannot be opened, read or written.
    """

    def __init__(self, database: Database, engine: Engine) -> None:
        self.database = database
        self.notice = database.notice
        """What the user should know about it; set only when it was created or converted."""
        self.upgrade: Upgrade | None = None
        """What was done to its schema when it was opened; None where nothing was."""
        self.statements = Statements.of(engine.dialect)
        self.engine = engine
        self._readers = database.readers(engine)
        self._writer: PoolProxiedConnection | None = engine.raw_connection()
        self.lock = threading.RLock()
        self.epochs: dict[str, int] = {}
        """By run: the epoch under which this journal has taken it."""
        self.seen_by: str | None = None
        """Whose runs are found and listed, along with those without an owner; None for all."""
        self.before_commit: Callable[[], None] | None = None
        """Called before each commit; tests use it to stop a process at each of them."""

    @classmethod
    def open(cls, place: Path | str) -> Journal:
        """Open a journal; create or upgrade it (a file after a copy) if necessary.

        Args:
            place: a SQLite file, or the URL of a PostgreSQL database.

        Raises:
            ConfigurationError: the URL is none, or the client for PostgreSQL is not installed.
        """
        database = _database(place)
        with _explained(database):
            engine = database.connect()
            try:
                done = None if database.revision(engine) == REVISION else _upgrade(database, engine)
                journal = cls(database, engine)
                journal.upgrade = done
                return journal
            except BaseException:
                engine.dispose()
                raise

    @staticmethod
    def revision(place: Path | str) -> str | None:
        """Return the schema of a journal, which is not upgraded; None where there is none yet.

        Raises:
            ConfigurationError: as from `open`.
            JournalError: it cannot be read, or a newer version wrote it.
        """
        if isinstance(place, Path) and not place.exists():
            return None
        database = _database(place)
        with _explained(database):
            engine = database.connect()
            try:
                found = database.revision(engine)
            finally:
                engine.dispose()
        if found not in (None, REVISION):
            _check_known(database, found)
        return found

    def transaction(self) -> Transaction:
        """Return a context manager that saves records atomically and durably."""
        return Transaction(self)

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        """Run statements on tables next to the journal's, in one transaction of their own."""
        with _explained(self.database), contextlib.closing(self.engine.raw_connection()) as connection:
            yield connection.cursor()
            connection.commit()

    def take(self, row: RunRecord) -> None:
        """Take a run, and so fence off whoever worked on it before; the row becomes what is stored.

        Raises:
            RunMoved: another journal has it.
        """
        with self.transaction() as transaction:
            transaction.take(row)

    def check_taken(self, run_id: str) -> None:
        """Check, before every request to the cloud, that nobody else has taken a run since this journal did.

        Raises:
            RunTakenOver: another process has.
        """
        ours = self.epochs.get(run_id)
        if ours is None:  # it has only been looked at so far
            return
        with _explained(self.database), self._readers.connect() as connection:
            stored = connection.execute(_EPOCH, {"run_id": run_id}).scalar()
        if stored != ours:
            raise taken_over(run_id)

    def run(self, prefix: str) -> RunRecord:
        """Find a run by its id, an unambiguous prefix of it, its name, or `last`.

        Raises:
            RunNotFound: no run matches, or several do.
        """
        runs = table(RunRecord)
        if prefix == "last":
            found = self.runs(limit=1)
        else:
            # An empty prefix (an unset variable in a script) would match the only run there is.
            named = select(runs).where(
                visible(self.seen_by),
                or_(
                    runs.c.run_id == prefix,
                    and_(runs.c.run_id.startswith(prefix, autoescape=True), runs.c.run_id.not_like(f"%{PART}%")),
                ),
            )
            found = self._read(RunRecord, named.order_by(*newest_first()).limit(MOST_NAMED + 1)) if prefix else []
            found = found or self._called(prefix, self.seen_by)[:1]
        if not found and prefix == "last":
            raise RunNotFound("there are no runs yet", hint=Hint(command("run", "URL")))
        if not found:
            raise RunNotFound(f"no run has the name {prefix!r}, or an id that starts with it")
        if len(found) > 1:
            raise RunNotFound(f"{prefix!r} is ambiguous; it matches {_listed([row.run_id for row in found])}")
        return found[0]

    def named(self, name: str, *, everyone: bool = False) -> RunRecord | None:
        """Return the run to which a name belongs now; with `everyone`, also one of another owner."""
        seen_by = None if everyone else self.seen_by
        return next((row for row in self._called(name, seen_by) if row.state not in OVER), None)

    def names(self) -> list[str]:
        """List the names of runs that are not over, newest first."""
        runs = table(RunRecord)
        chosen = select(runs.c.name).where(runs.c.name.is_not(None), runs.c.state.not_in(OVER), visible(self.seen_by))
        return [str(name) for (name,) in self._rows(chosen.order_by(*newest_first()))]

    def _called(self, name: str, seen_by: str | None) -> list[RunRecord]:
        """List the runs that have or had a name: first the one that has it, then the others, newest first."""
        runs = table(RunRecord)
        found = self._read(
            RunRecord, select(runs).where(runs.c.name == name, visible(seen_by)).order_by(*newest_first())
        )
        return sorted(found, key=lambda row: row.state in OVER)

    def runs(self, query: RunQuery = EVERY_RUN, *, limit: int | None = None) -> list[RunRecord]:
        """List the runs that a query selects, newest first, at most `limit`."""
        chosen = select(table(RunRecord)).where(query.condition(self.seen_by)).order_by(*newest_first())
        return self._read(RunRecord, chosen.limit(limit))

    def run_states(self, query: RunQuery = EVERY_RUN) -> list[tuple[str, str, bool]]:
        """List id, stored state and whether the teardown has started of the selected runs, newest first."""
        runs = table(RunRecord).c
        chosen = select(runs.run_id, runs.state, runs.teardown_at.is_not(None)).where(query.condition(self.seen_by))
        rows = self._rows(chosen.order_by(*newest_first()))
        return [(str(run_id), str(state), bool(removing)) for run_id, state, removing in rows]

    def count(self, query: RunQuery = EVERY_RUN) -> int:
        """Return how many runs a query selects."""
        [(number,)] = self._rows(
            select(func.count()).select_from(table(RunRecord)).where(query.condition(self.seen_by))
        )
        return int(number)

    def selected(self, record: type[AnyRecord], run_ids: Iterable[str]) -> list[AnyRecord]:
        """List the records of one kind that belong to these runs: runs newest first, others oldest first."""
        chosen = select(table(record)).where(among(table(record).c.run_id, run_ids))
        order = newest_first() if record is RunRecord else tuple(table(record).primary_key)
        return self._read(record, chosen.order_by(*order))

    def outputs(self, run_ids: Iterable[str], *models: str) -> list[StageRecord]:
        """List the stages of these runs whose output is of one of these models."""
        stages = table(StageRecord)
        chosen = select(stages).where(among(stages.c.run_id, run_ids), stages.c.model.in_(models))
        return self._read(StageRecord, chosen)

    def stages(self, run_id: str) -> list[StageRecord]:
        """List a run's stages in the pipeline's order."""
        return self._of_run(StageRecord, run_id, "position")

    def intents(self, run_id: str) -> list[IntentRecord]:
        """List a run's intents, oldest first."""
        return self._of_run(IntentRecord, run_id, "id")

    def resources(self, run_id: str) -> list[ResourceRecord]:
        """List a run's resources, oldest first."""
        return self._of_run(ResourceRecord, run_id, "id")

    def recent_resources(self, kind: str, key: str, since: str, *, limit: int) -> list[ResourceRecord]:
        """List the resources of a kind, of any run, that were created since then and whose detail has a key."""
        columns = table(ResourceRecord).c
        named = columns.detail.contains(f'"{key}":', autoescape=True)
        chosen = select(table(ResourceRecord)).where(columns.kind == kind, columns.created_at >= since, named)
        return self._read(ResourceRecord, chosen.order_by(columns.id.desc()).limit(limit))

    def decisions(self, run_id: str) -> list[DecisionRecord]:
        """List a run's decisions, oldest first."""
        return self._of_run(DecisionRecord, run_id, "id")

    def events(self, run_id: str, *, after: int = 0) -> list[EventRecord]:
        """List what happened in a run, oldest first; only what follows the event number `after`."""
        return self._of_run(EventRecord, run_id, "seq", table(EventRecord).c.seq > after)

    def archive(self, run_ids: Iterable[str], at: str | None) -> None:
        """Put runs away, or (without a time) back; nothing else of them changes, whoever works on them."""
        with self.transaction() as transaction:
            transaction.archive(run_ids, at)

    def writer(self) -> PoolProxiedConnection:
        """Return the connection through which everything is written; the caller holds the lock."""
        if self._writer is None:
            self._writer = self.engine.raw_connection()
        return self._writer

    def roll_back(self) -> None:
        """Undo what was not committed; a connection that is lost is replaced at the next transaction."""
        if self._writer is None:
            return
        try:
            self._writer.rollback()
        except self.database.error:
            self._writer.invalidate()
            self._writer = None

    def close(self) -> None:
        """Close the database."""
        with self.lock:
            if self._writer is not None:
                self._writer.close()
            self.engine.dispose()

    def _of_run(
        self, record: type[AnyRecord], run_id: str, order: str, *conditions: ColumnElement[bool]
    ) -> list[AnyRecord]:
        columns = table(record).c
        chosen = select(table(record)).where(columns.run_id == run_id, *conditions)
        return self._read(record, chosen.order_by(columns[order]))

    def _read(self, record: type[AnyRecord], chosen: Select[Any]) -> list[AnyRecord]:
        return [record.model_validate(dict(row._mapping)) for row in self._rows(chosen)]

    def _rows(self, chosen: Select[Any]) -> Sequence[Any]:
        with _explained(self.database), self._readers.connect() as connection:
            return connection.execute(chosen).all()


_RUNS = table(RunRecord).c
_EPOCH = select(_RUNS.epoch).where(_RUNS.run_id == bindparam("run_id"))


def _first(cursor: DBAPICursor) -> Any:
    """Return the first value of the first row; None where there is no row."""
    rows = cursor.fetchall()  # all of them: a statement that is not at its end holds the file
    return rows[0][0] if rows else None


def taken_over(run_id: str) -> RunTakenOver:
    """Return the error for a run that another process has taken."""
    return RunTakenOver(f"another process has taken over run {run_id}; this one writes and sends nothing more for it")


def moved_away(run_id: str) -> RunMoved:
    """Return the error for a run that another journal has."""
    error = RunMoved(f"run {run_id} was moved to another journal: this one only keeps a record of it")
    error.run_id = run_id
    return error


def _listed(run_ids: Sequence[str]) -> str:
    """List some run ids, and say whether there are more."""
    return ", ".join(run_ids[:MOST_NAMED]) + (", ..." if len(run_ids) > MOST_NAMED else "")


def _database(place: Path | str) -> Database:
    if isinstance(place, Path):
        return SqliteFile(place)
    from envagent.engine.postgres import Postgres  # only where one is used

    return Postgres(place)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was done to the schema of a journal.

    Attributes:
        found: the schema that it had; None for a new one.
        copy: the file that holds the journal as it was; None for a database, which has its own backups.
    """

    found: str | None
    copy: Path | None


def _migrations() -> Config:
    from alembic.config import Config

    from envagent import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    return config


def _check_known(database: Database, found: str | None) -> None:
    """Refuse a journal that a newer version wrote."""
    from alembic.script import ScriptDirectory

    if found not in {script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions()}:
        raise JournalError(
            f"the journal {database.name} was written by a newer envagent (schema {found}; this one reads {REVISION})",
            hint=Hint("use the newer version; nothing was changed"),
        )


def _upgrade(database: Database, engine: Engine) -> Upgrade | None:
    from alembic import command as alembic

    config, copy = _migrations(), None
    with database.upgrading(engine):
        found = database.revision(engine)
        if found == REVISION:
            return None
        if found is not None:
            _check_known(database, found)
            copy = database.keep_copy(REVISION)
        with engine.begin() as connection:
            database.begin(connection.connection.cursor())  # a half-created schema cannot be upgraded
            config.attributes["connection"] = connection
            alembic.upgrade(config, REVISION)
    return Upgrade(found, copy)


@contextlib.contextmanager
def _explained(database: Database) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _unusable(database, error.orig or error) from error
    except (database.error, OSError) as error:
        raise _unusable(database, error) from error


def _unusable(database: Database, error: BaseException) -> JournalError:
    return JournalError(f"cannot use the journal {database.name}: {database.reason(error)}")
