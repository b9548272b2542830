"""The statements by which the journal writes, compiled once for a kind of database and executed by its driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Dialect,
    bindparam,
    delete,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from envagent.engine.run_query import listed
from envagent.engine.tables import RECORDS, Record, RunRecord, RunState, table


class Statement:
    """A statement, compiled once for a kind of database and executed by its driver."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None = None) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return the values as the driver wants them."""
        return values if self._order is None else tuple(map(values.__getitem__, self._order))


class Writing:
    """How records of one kind are written.

    Attributes:
        surrogate: the key that the database gives, if it gives one.
        returns: whether an insertion returns the new key; SQLite's driver has it anyway.
    """

    def __init__(self, record: type[Record], dialect: Dialect) -> None:
        schema = table(record)
        keys = [column.name for column in schema.primary_key]
        columns = [column.name for column in schema.columns]
        automatic = schema.autoincrement_column
        self.surrogate: str | None = None if automatic is None else automatic.name
        self.returns = dialect.name != "sqlite"
        insert = sqlite.insert(schema) if dialect.name == "sqlite" else postgresql.insert(schema)
        new = insert.returning(automatic) if self.returns and automatic is not None else insert.inline()
        self.insert = Statement(new, dialect, [name for name in columns if name != self.surrogate])
        # The epoch changes when a run is taken, and only then.
        replaced = {name: insert.excluded[name] for name in columns if name not in (*keys, "epoch")}
        self.upsert = Statement(insert.on_conflict_do_update(index_elements=keys, set_=replaced), dialect, columns)


class Statements:
    """All that is written, for one kind of database."""

    def __init__(self, dialect: Dialect) -> None:
        runs = table(RunRecord)
        chosen: BindParameter[str] = bindparam("chosen")
        self.epoch = Statement(select(runs.c.epoch).where(runs.c.run_id == chosen).with_for_update(), dialect)
        moved: ColumnElement[str] = literal_column(f"'{RunState.MOVED}'")
        ours = update(runs).where(runs.c.run_id == chosen, runs.c.state != moved)
        self.run = Statement(select(runs).where(runs.c.run_id == chosen), dialect)
        self.take = Statement(ours.values(epoch=runs.c.epoch + literal_column("1")), dialect)
        away = update(runs).where(runs.c.run_id == chosen, runs.c.state == moved)
        # It changes nothing; the row stays locked, so of two imports one finds it replaced.
        self.claim = Statement(away.where(runs.c.epoch <= bindparam("epoch")).values(state=moved), dialect)
        referring_first = [table(record) for record in reversed(RECORDS)]
        self.forget = [Statement(delete(one).where(one.c.run_id == chosen), dialect) for one in referring_first]
        put_away = update(runs).where(listed(runs.c.run_id, chosen)).values(archived_at=bindparam("archived_at"))
        self.archive = Statement(put_away, dialect)
        self.writing = cache(partial(Writing, dialect=dialect))

    @classmethod
    def of(cls, dialect: Dialect) -> Statements:
        """Return the statements, compiled once in a process."""
        if dialect.name not in _STATEMENTS:
            _STATEMENTS[dialect.name] = cls(dialect)
        return _STATEMENTS[dialect.name]


_STATEMENTS: dict[str, Statements] = {}
