"""The state of the cloud: one SQLite file with the objects, their history, due events, and the log of writes.

Only the server process opens it for writing, from one thread. Each write is one transaction, committed before the
response, so a SIGKILL loses nothing acknowledged. (Power loss may: WAL with synchronous=NORMAL.)
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, kind TEXT, id TEXT, owner TEXT, document TEXT,
  UNIQUE (site, kind, id));
CREATE INDEX IF NOT EXISTS objects_by_owner ON objects (site, kind, owner);
CREATE TABLE IF NOT EXISTS history (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, site TEXT, kind TEXT, id TEXT, owner TEXT, document TEXT);
CREATE INDEX IF NOT EXISTS history_by_object ON history (site, kind, id, seq);
CREATE TABLE IF NOT EXISTS due (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, site TEXT, what TEXT, id TEXT, detail TEXT);
CREATE INDEX IF NOT EXISTS due_by_time ON due (at, seq);
CREATE TABLE IF NOT EXISTS allocations (
  site TEXT, resource TEXT, reservation TEXT, lease TEXT, start REAL, "end" REAL, user TEXT);
CREATE INDEX IF NOT EXISTS allocations_by_resource ON allocations (site, resource, "end");
CREATE INDEX IF NOT EXISTS allocations_by_reservation ON allocations (reservation);
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, site TEXT, expires REAL, document TEXT);
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS writes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT, service TEXT, method TEXT, path TEXT, status INTEGER,
  request_id TEXT, kind TEXT, id TEXT, name TEXT);
"""
WRITE_COLUMNS = ("time", "service", "method", "path", "status", "request_id", "kind", "id", "name")


@dataclass(frozen=True)
class Due:
    """A scheduled event."""

    seq: int
    at: float
    site: str
    what: str
    id: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Allocation:
    """A host is allocated in [start, end) to a reservation."""

    resource: str
    reservation: str
    lease: str
    start: float
    end: float
    user: str


class State:
    """The store; `World` reads and writes its objects. All that writes needs an open transaction."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=10000;" + SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, roll back on any exception."""
        self.db.execute("BEGIN IMMEDIATE")
        with self.db:
            yield

    # Due events

    def next_due(self, now: float) -> Due | None:
        """Return the earliest event that is due by now."""
        row = self.db.execute(
            "SELECT seq, at, site, what, id, detail FROM due WHERE at<=? ORDER BY at, seq LIMIT 1", (now,)
        ).fetchone()
        if row is None:
            return None
        seq, at, site, what, id, detail = row
        return Due(seq, at, site, what, id, json.loads(detail))

    def next_moment(self) -> float | None:
        """Return the moment of the earliest event, None if there is none."""
        at: float | None = self.db.execute("SELECT min(at) FROM due").fetchone()[0]
        return at

    def done(self, due: Due) -> None:
        """Remove an event that was carried out."""
        self.db.execute("DELETE FROM due WHERE seq=?", (due.seq,))

    # Allocations

    def allocate(self, site: str, allocation: Allocation) -> None:
        """Allocate a host (or an address, or a flavor) for a window."""
        self.db.execute("INSERT INTO allocations VALUES (?,?,?,?,?,?,?)", (site, *astuple(allocation)))

    def release(self, reservation: str) -> None:
        """Remove the allocations of a reservation."""
        self.db.execute("DELETE FROM allocations WHERE reservation=?", (reservation,))

    def move(self, reservation: str, start: float, end: float) -> None:
        """Change the window of a reservation."""
        self.db.execute('UPDATE allocations SET start=?, "end"=? WHERE reservation=?', (start, end, reservation))

    def allocations(self, site: str) -> list[Allocation]:
        """Return all allocations of a site."""
        rows = self.db.execute(
            'SELECT resource, reservation, lease, start, "end", user FROM allocations WHERE site=? ORDER BY start',
            (site,),
        )
        return [Allocation(*row) for row in rows]

    def taken(self, site: str, start: float, end: float, except_lease: str | None = None) -> dict[str, int]:
        """Count, per resource, the allocations that overlap [start, end)."""
        rows = self.db.execute(
            'SELECT resource, count(*) FROM allocations WHERE site=? AND start<? AND "end">? AND lease IS NOT ? '
            "GROUP BY resource",
            (site, end, start, except_lease),
        )
        return dict(rows.fetchall())

    # Tokens

    def put_token(self, token: str, site: str, expires: float, document: dict[str, Any]) -> None:
        """Store a token."""
        self.db.execute("INSERT INTO tokens VALUES (?,?,?,?)", (token, site, expires, json.dumps(document)))

    def token(self, token: str, site: str, now: float) -> dict[str, Any] | None:
        """Return the document of a valid token."""
        row = self.db.execute(
            "SELECT document FROM tokens WHERE token=? AND site=? AND expires>?", (token, site, now)
        ).fetchone()
        document: dict[str, Any] | None = json.loads(row[0]) if row else None
        return document

    def revoke_token(self, token: str) -> None:
        """Make a token invalid."""
        self.db.execute("DELETE FROM tokens WHERE token=?", (token,))

    # Settings

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a stored value."""
        row = self.db.execute("SELECT value FROM settings WHERE key=?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def set(self, key: str, value: Any) -> None:
        """Store a value."""
        self.db.execute("INSERT OR REPLACE INTO settings VALUES (?,?)", (key, json.dumps(value)))

    # The log of committed writes

    def log(self, *write: str | int) -> None:
        """Append the values of WRITE_COLUMNS to the log."""
        columns = ", ".join(WRITE_COLUMNS)
        self.db.execute(f"INSERT INTO writes ({columns}) VALUES (?,?,?,?,?,?,?,?,?)", write)  # noqa: S608

    def writes(self) -> list[dict[str, Any]]:
        """Return the log."""
        return _writes(self.db)


def _writes(db: sqlite3.Connection) -> list[dict[str, Any]]:
    columns = ("seq", *WRITE_COLUMNS)
    rows = db.execute(f"SELECT {', '.join(columns)} FROM writes ORDER BY seq")  # noqa: S608
    return [dict(zip(columns, row, strict=True)) for row in rows]


def read_writes(path: Path) -> list[dict[str, Any]]:
    """Read the log from the file, with or without a running server; a missing file is an empty log."""
    if not path.exists():
        return []
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        return _writes(db)
    finally:
        db.close()
