"""Where the journal of a home is, and how a test reads it by hand: a SQLite file, or a database in PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from uuid import uuid4

import psycopg
import pytest

from envagent.engine.journal import Journal
from tests.kit.postgres import QUICK, Postgres, programs

Rows: TypeAlias = list[tuple[Any, ...]]

EMPTY = "empty"
"""The database without runs that the others are copies of."""


def quick_server(config: pytest.Config) -> Postgres | None:
    """Start the PostgreSQL that `--journal postgresql` asks for; None for SQLite."""
    if config.getoption("journal") == "sqlite":
        return None
    if programs() is None:
        pytest.skip("no PostgreSQL is installed")
    return Postgres(*QUICK)


@dataclass
class FileDatabase:
    """A SQLite file.

    Attributes:
        place: what `Journal.open` takes.
        error: what a question without an answer raises.
        environment: the settings that lead to it.
    """

    place: Path
    error: ClassVar = sqlite3.DatabaseError
    environment: ClassVar[dict[str, str]] = {}

    @classmethod
    def make(cls, place: Path, empty: Path | None) -> FileDatabase:
        """Make one, a copy of a journal without runs; without that, there is none yet."""
        if empty is not None:
            place.parent.mkdir(mode=0o700)
            shutil.copy(empty, place)
        return cls(place)

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.place.exists()

    def rows(self, question: str, *parameters: Any) -> Rows:
        """Ask a question."""
        with contextlib.closing(sqlite3.connect(f"{self.place.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(question, parameters).fetchall()

    def text(self) -> str:
        """Return nothing: the file is in the folder."""
        return ""

    def lose(self) -> None:
        """Remove the file."""
        self.place.unlink()

    def remove(self) -> None:
        """Leave it to the folder that it is in."""


@dataclass
class ServerDatabase:
    """A database of its own in PostgreSQL.

    Attributes:
        server: where it is.
        place: what `Journal.open` takes.
        lost: whether its records were lost.
        error: what a question without an answer raises.
    """

    server: Postgres
    place: str
    lost: bool = False
    error: ClassVar = psycopg.Error

    @classmethod
    def make(cls, server: Postgres, *, used: bool) -> ServerDatabase:
        """Make one; `used` copies a journal without runs into it."""
        name = f"journal_{uuid4().hex}"
        return cls(server, server.copy(name, _empty(server)) if used else server.database(name))

    @property
    def environment(self) -> dict[str, str]:
        """The setting that names it."""
        return {"ENVAGENT_JOURNAL": self.place}

    @property
    def exists(self) -> bool:
        """Whether it was not lost."""
        return not self.lost

    def rows(self, question: str, *parameters: Any) -> Rows:
        """Ask a question."""
        with psycopg.connect(self.place, autocommit=True) as connection:
            return connection.execute(question.replace("?", "%s").encode(), parameters).fetchall()

    def text(self) -> str:
        """Return all rows of all tables."""
        tables = self.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return "\n".join(str(row) for [name] in tables for row in self.rows(f'SELECT * FROM "{name}"'))

    def lose(self) -> None:
        """Replace it by one without anything."""
        self.server.database(self.server.drop(self.place))
        self.lost = True

    def remove(self) -> None:
        """Drop it, whoever is connected."""
        self.server.drop(self.place)


def _empty(server: Postgres) -> str:
    """Return the database without runs, which is made when it is wanted first."""
    if EMPTY not in server.databases:
        Journal.open(server.database(EMPTY)).close()
    return EMPTY


Database: TypeAlias = FileDatabase | ServerDatabase
