"""The fault schedule: what goes wrong, and when. Each fault has a match, a count and an action.

README.md describes the schedule and each action. Counts live in the state, so a schedule continues after the server
was killed. `app` carries out actions on the exchange; services consult `Effects` for actions on objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from envagent.sandbox.state import State

MATCH_KEYS = frozenset({"name", "action", "site", "service", "method", "path", "contains", "nth", "from"})

LEASE_CREATE = {"service": "blazar", "method": "POST", "path": r"/leases$"}
SERVER_CREATE = {"service": "nova", "method": "POST", "path": r"/servers$"}
ADDRESS_CREATE = {"service": "neutron", "method": "POST", "path": r"/floatingips$"}


@dataclass(frozen=True)
class Action:
    """A kind of fault: its parameters, and what it matches by default."""

    parameters: frozenset[str] = frozenset()
    match: dict[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()


def _action(*parameters: str, match: dict[str, str] | None = None, required: Iterable[str] = ()) -> Action:
    return Action(frozenset(parameters) | frozenset(required), match or {}, frozenset(required))


ACTIONS: dict[str, Action] = {
    # The exchange
    "count": _action(),
    "fail": _action("message", "type", "body", "headers", required=["status"]),
    "drop": _action(),
    "commit_then_drop": _action(),
    "twice": _action(),
    "commit_then_fail": _action("message", "type", "body", "headers", required=["status"]),
    "delay": _action(required=["seconds"]),
    "slow_answer": _action(required=["seconds"]),
    "late_commit": _action("status", required=["seconds"]),
    "expire_token": _action(),
    "stale": _action(match={"method": "GET"}, required=["seconds"]),
    "ignore_delete": _action(match={"method": "DELETE"}),
    # The objects. lease_error: so ends the second of two leases that Blazar gave one host because they were asked for
    # at once. fip_quota: several requests at once are refused below the limit, too.
    "no_capacity": _action("node_types", match=LEASE_CREATE),
    "lease_error": _action(match=LEASE_CREATE),
    "lease_stuck": _action(match=LEASE_CREATE),
    "server_error": _action("text", "code", "after", match=SERVER_CREATE),
    "server_stuck": _action(match=SERVER_CREATE),
    # The running node.
    "ssh_silent": _action(match=SERVER_CREATE),
    "ssh_late": _action(match=SERVER_CREATE, required=["seconds"]),
    "ssh_refused": _action("seconds", match=SERVER_CREATE),
    "node_shows": _action("cores", "memory_gb", "disk_gb", "gpus", "driver", match=SERVER_CREATE),
    "fip_pool_empty": _action(match=ADDRESS_CREATE),
    "fip_quota": _action(match=ADDRESS_CREATE),
}

NODE_ACTIONS = ("ssh_silent", "ssh_late", "ssh_refused", "node_shows")
"""The actions that a server carries with it."""


class BadSchedule(ValueError):
    """An unusable fault schedule; the message names the entry."""


@dataclass(frozen=True)
class Request:
    """The request that faults are matched against."""

    site: str
    service: str
    method: str
    path: str
    body: str


@dataclass(frozen=True)
class Fault:
    """One entry of a schedule."""

    name: str
    action: str
    match: dict[str, str]
    nth: tuple[int, ...]
    since: int
    parameters: dict[str, Any]

    @classmethod
    def parse(cls, number: int, entry: Any) -> Fault:
        """Read an entry. Raises BadSchedule."""
        where = f"fault {number}"
        if not isinstance(entry, dict) or entry.get("action") not in ACTIONS:
            raise BadSchedule(f"{where}: action must be one of {', '.join(sorted(ACTIONS))}")
        action = ACTIONS[entry["action"]]
        unknown = entry.keys() - MATCH_KEYS - action.parameters
        missing = action.required - entry.keys()
        if unknown or missing:
            problem = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
            raise BadSchedule(f"{where} ({entry['action']}): {problem}")
        keys = ("site", "service", "method", "path", "contains")
        match = {**action.match, **{key: str(entry[key]) for key in keys if key in entry}}
        try:
            re.compile(match.get("path", ""))
            re.compile(match.get("contains", ""))
        except re.error as error:
            raise BadSchedule(f"{where}: {error}") from None
        nth = entry.get("nth", [])
        return cls(
            name=str(entry.get("name", f"{number}: {entry['action']}")),
            action=entry["action"],
            match=match,
            nth=tuple(nth) if isinstance(nth, list) else (int(nth),),
            since=int(entry.get("from", 1)),
            parameters={key: entry[key] for key in action.parameters if key in entry},
        )

    def matches(self, request: Request) -> bool:
        """Return whether the fault matches a request."""
        wanted = self.match
        exact = all(wanted.get(key) in (None, getattr(request, key)) for key in ("site", "service", "method"))
        return (
            exact
            and re.search(wanted.get("path", ""), request.path) is not None
            and re.search(wanted.get("contains", ""), request.body) is not None
        )

    def fires_at(self, count: int) -> bool:
        """Return whether the fault fires at its count-th request."""
        return count in self.nth if self.nth else count >= self.since


class Effects(dict[str, dict[str, Any]]):
    """The parameters of the faults that fire in one exchange, by action."""

    def seconds(self, action: str) -> float:
        """Return the cloud seconds of a fault, 0 if it does not fire."""
        return float(self.get(action, {}).get("seconds", 0))


class Faults:
    """The active schedule."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._entries: list[Any] = state.setting("faults", [])
        self._faults = [Fault.parse(number, entry) for number, entry in enumerate(self._entries, 1)]
        self._seen: list[int] = state.setting("faults_seen", [0] * len(self._faults))

    def load(self, schedule: Any, *, add: bool = False) -> None:
        """Activate a schedule, `{"faults": [...]}` or the list; `add` keeps the present faults. Raises BadSchedule."""
        entries = schedule.get("faults") if isinstance(schedule, dict) else schedule
        if not isinstance(entries, list):
            raise BadSchedule('a schedule is {"faults": [...]}')
        kept = self._entries if add else []
        faults = [Fault.parse(number, entry) for number, entry in enumerate([*kept, *entries], 1)]
        self._entries, self._faults = [*kept, *entries], faults
        self._seen = [*(self._seen if add else []), *([0] * len(entries))]
        with self._state.transaction():
            self._state.set("faults", self._entries)
            self._state.set("faults_seen", self._seen)

    def report(self) -> list[dict[str, Any]]:
        """Return each fault with the number of requests that it has matched."""
        return [
            {**entry, "name": fault.name, "seen": seen}
            for entry, fault, seen in zip(self._entries, self._faults, self._seen, strict=True)
        ]

    def fire(self, request: Request) -> Effects:
        """Count a request and return the faults that fire."""
        fired = Effects()
        counted = False
        for number, fault in enumerate(self._faults):
            if fault.matches(request):
                self._seen[number] += 1
                counted = True
                if fault.fires_at(self._seen[number]):
                    fired[fault.action] = fault.parameters
        if counted:
            with self._state.transaction():
                self._state.set("faults_seen", self._seen)
        return fired
