"""The journal in a PostgreSQL database, which several machines share (`pip install envagent[fleet]`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import ArgumentError

from envagent.errors import ConfigurationError
from envagent.hints import Hint, Shell

UPGRADE_LOCK = 7_236_851_904
"""The advisory lock of an upgrade: any number that nobody else in the database uses."""

_KEEPALIVE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "envagent",
    "options": "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000 -c synchronous_commit=on",
}
"""A half-open socket is noticed within 30 s; no statement waits for ever, and a commit is on disk when it returns."""


class Postgres:
    """A PostgreSQL database as the place of a journal.

    Args:
        url: `postgresql://USER@HOST:PORT/DATABASE`; a password belongs in ~/.pgpass or in PGPASSWORD.

    Attributes:
        name: the URL, as messages show it.
        notice: None; a file may have one.

    Raises:
        ConfigurationError: the URL does not name PostgreSQL, holds a password, or the client is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigurationError("the journal's URL cannot be read", hint=_EXAMPLE) from None
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise ConfigurationError(f"a journal cannot be kept in {parsed.get_backend_name()}", hint=_EXAMPLE)
        if parsed.password is not None:  # it would be shown by whatever shows settings and processes
            raise ConfigurationError("a journal's URL must not hold a password", hint=_PASSWORD)
        self.url: URL = parsed.set(drivername="postgresql+psycopg")
        self.name = parsed.set(drivername="postgresql").render_as_string()
        self.notice: str | None = None
        if any(find_spec(name) is None for name in ("psycopg", "procrastinate")):  # the schema has the jobs' tables
            raise ConfigurationError(
                "a journal in PostgreSQL needs the fleet's packages",
                hint=Hint(Shell("pip", "install", "envagent[fleet]")),
            )
        import psycopg

        self.error: type[Exception] = psycopg.Error

    def connect(self) -> Engine:
        """Return what connects to the database."""
        return create_engine(self.url, connect_args=_KEEPALIVE, pool_pre_ping=True, pool_size=4)

    @staticmethod
    def readers(engine: Engine) -> Engine:
        """Return what connects readers: each of their statements sees the newest commit, and needs no second one."""
        return engine.execution_options(isolation_level="AUTOCOMMIT")

    @staticmethod
    def begin(cursor: DBAPICursor) -> None:
        """Begin a transaction that writes; the driver does so with its first statement."""

    def revision(self, engine: Engine) -> str | None:
        """Return the database's schema; None for one without."""
        with engine.connect() as connection:
            known = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar()
            row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first() if known else None
            return None if row is None else str(row[0])

    @contextlib.contextmanager
    def upgrading(self, engine: Engine) -> Iterator[None]:
        """Hold the sole right to upgrade the database."""
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({UPGRADE_LOCK})")
            connection.commit()
            try:
                yield
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({UPGRADE_LOCK})")
                connection.commit()

    def keep_copy(self, revision: str) -> None:
        """Do nothing: a database has its own backups, and its upgrade is whole or nothing."""

    def reason(self, error: BaseException) -> str:
        """Return why the database cannot be used: the first line of what it or the client says."""
        lines = str(error).strip().splitlines()
        return lines[0] if lines else type(error).__name__


_PASSWORD = Hint("put it in ~/.pgpass, or in PGPASSWORD, and leave it out of the URL")
_EXAMPLE = Hint("write postgresql://USER@HOST/DATABASE")
