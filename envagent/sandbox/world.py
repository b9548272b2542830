"""One site at one moment: what a service's code may read and change."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
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
        """Return an object of this site."""
        return self.state.get(record_type, self.site.key, id)

    def find(self, record_type: type[R], owner: str | None = None, as_of: float | None = None) -> list[R]:
        """Return the objects of a kind at this site."""
        return self.state.find(record_type, self.site.key, owner, as_of)

    def removed(self, record_type: type[R], owner: str) -> list[tuple[R, float]]:
        """Return the last version of removed objects, each with the moment of its removal."""
        return self.state.removed(record_type, self.site.key, owner)

    def put(self, record: Record) -> None:
        """Store an object."""
        self.state.put(record, self.at)

    def remove(self, record: Record) -> None:
        """Remove an object."""
        self.state.remove(record, self.at)

    def schedule(self, at: float, what: str, id: str, **detail: object) -> None:
        """Schedule an event for an object."""
        self.state.schedule(at, self.site.key, what, id, **detail)

    def quota(self, resource: str) -> int:
        """Return the project's limit, -1 for none."""
        limits: dict[str, int] = {**DEFAULT_QUOTAS, **self.state.setting("quotas", {})}
        return limits[resource]
