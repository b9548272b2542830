"""One site at one moment: what a service's code may read and change."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from envagent.sandbox.cloud_time import Pace
from envagent.sandbox.inventory import Site
from envagent.sandbox.profiles import Profile
from envagent.sandbox.records import Record
from envagent.sandbox.state import State

R = TypeVar("R", bound=Record)

DEFAULT_QUOTAS = {"instances": -1, "floatingip": 50, "keypairs": 100, "security_group": 10}
DEFAULT_SERVICE_UNITS = 20000.0


@dataclass(frozen=True)
class World:
    """One site at the moment `at`, with the state, the pace and the site's policies."""

    site: Site
    state: State
    at: float
    pace: Pace
    profile: Profile

    def after(self, cloud_seconds: float) -> float:
        """Return the moment at which an operation of so many cloud seconds ends."""
        return self.at + self.pace.seconds(cloud_seconds)

    def new_id(self) -> str:
        """Return a fresh uuid."""
        return str(uuid.uuid4())

    def fresh(self, owner: str, name: str, id: str | None = None) -> dict[str, Any]:
        """Return the fields that all records have, for one that is created now."""
        return {"id": id or self.new_id(), "site": self.site.key, "owner": owner, "name": name, "created_at": self.at}

    def get(self, record_type: type[R], id: str) -> R | None:
        """Return an object of this site, None if there is none."""
        row = self.state.db.execute(
            "SELECT document FROM objects WHERE site=? AND kind=? AND id=?", (self.site.key, record_type.kind, id)
        ).fetchone()
        return record_type.from_document(json.loads(row[0])) if row else None

    def find(self, record_type: type[R], owner: str | None = None, as_of: float | None = None) -> list[R]:
        """Return the objects of a kind at this site, oldest first; `as_of` returns those of an earlier moment."""
        where = "site=? AND kind=?"
        arguments: list[Any] = [self.site.key, record_type.kind]
        if owner is not None:
            where, arguments = where + " AND owner=?", [*arguments, owner]
        query = f"SELECT document FROM objects WHERE {where} ORDER BY seq"  # noqa: S608
        if as_of is not None:
            query = (
                f"SELECT document FROM history JOIN (SELECT max(seq) AS last, min(seq) AS born FROM history "  # noqa: S608
                f"WHERE {where} AND at<=? GROUP BY id) ON seq=last ORDER BY born"
            )
            arguments.append(as_of)
        rows = self.state.db.execute(query, arguments)
        return [record_type.from_document(json.loads(row[0])) for row in rows if row[0] is not None]

    def removed(self, record_type: type[R], owner: str) -> list[tuple[R, float]]:
        """Return the last version of removed objects, each with the moment of its removal."""
        rows = self.state.db.execute(
            "SELECT last.document, gone.at FROM history gone JOIN history last ON last.seq="
            "(SELECT max(seq) FROM history WHERE site=gone.site AND kind=gone.kind AND id=gone.id AND seq<gone.seq) "
            "WHERE gone.site=? AND gone.kind=? AND gone.owner=? AND gone.document IS NULL ORDER BY gone.seq",
            (self.site.key, record_type.kind, owner),
        )
        return [(record_type.from_document(json.loads(document)), at) for document, at in rows]

    def put(self, record: Record) -> None:
        """Create or replace an object."""
        document = json.dumps(asdict(record))
        self.state.db.execute(
            "INSERT INTO objects (site, kind, id, owner, document) VALUES (?,?,?,?,?) "
            "ON CONFLICT (site, kind, id) DO UPDATE SET owner=excluded.owner, document=excluded.document",
            (record.site, record.kind, record.id, record.owner, document),
        )
        self._append_history(record, document)

    def remove(self, record: Record) -> None:
        """Remove an object."""
        key = (record.site, record.kind, record.id)
        self.state.db.execute("DELETE FROM objects WHERE site=? AND kind=? AND id=?", key)
        self._append_history(record, None)

    def _append_history(self, record: Record, document: str | None) -> None:
        self.state.db.execute(
            "INSERT INTO history (at, site, kind, id, owner, document) VALUES (?,?,?,?,?,?)",
            (self.at, record.site, record.kind, record.id, record.owner, document),
        )

    def schedule(self, at: float, what: str, id: str, **detail: object) -> None:
        """Schedule an event for an object."""
        self.state.db.execute(
            "INSERT INTO due (at, site, what, id, detail) VALUES (?,?,?,?,?)",
            (at, self.site.key, what, id, json.dumps(detail)),
        )

    def quota(self, resource: str) -> int:
        """Return the project's limit, -1 for none."""
        limits: dict[str, int] = {**DEFAULT_QUOTAS, **self.state.setting("quotas", {})}
        return limits[resource]
