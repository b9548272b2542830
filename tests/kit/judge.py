"""The judge of the cloud: what a project holds, against what it held before and what runs were to make.

It looks with eyes of its own and never asks envagent what exists. Violations are collected in words, so that a sweep
goes on; none means innocent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Json = dict[str, Any]
Seen = Mapping[str, Mapping[str, list[Json]]]
"""Everything that exists: by person, then by kind. The runs are "user"'s; everybody else is a stranger."""

OURS = ("lease", "server", "floating_ip", "keypair")
"""What a run makes: one of each."""

_TAGS = {
    "lease": re.compile(r"envagent-([a-z0-9]+)-\d+(-.*)?"),
    "floating_ip": re.compile(r"envagent run ([a-z0-9]+) try \d+"),
    "keypair": re.compile(r"envagent-([a-z0-9]+)"),
}


def key(kind: str, one: Json) -> str:
    """Return what tells objects of a kind apart."""
    return str(one["name"] if kind == "keypair" else one["id"])


def owner(kind: str, one: Json, servers: Iterable[Json]) -> str | None:
    """Return the run that an object is tagged with; a port is its server's."""
    if kind == "port":
        return next((owner("server", server, ()) for server in servers if server["id"] == one["device_id"]), None)
    if kind == "server":
        run_id: str | None = one["metadata"].get("envagent_run")
        return run_id
    tag = _TAGS[kind].fullmatch(one["description" if kind == "floating_ip" else "name"]) if kind in _TAGS else None
    return tag and tag[1]


class Judge:
    """Watches the cloud from before some runs on.

    Args:
        look: Returns everything that exists.
        steady: Returns what must stay the same of a thing that was there before.
    """

    def __init__(self, look: Callable[[], Seen], steady: Callable[[Json], object] = lambda one: one) -> None:
        self.violations: list[str] = []
        self.doubles = 0
        self.leftovers = 0
        self._look = look
        self._steady = steady
        self._before = look()

    def blame(self, violation: str) -> None:
        """Note a violation."""
        self.violations.append(violation)

    def expect(self, truth: object, violation: str) -> None:
        """Note a violation unless something is true."""
        if not truth:
            self.blame(violation)

    def accept(self, *people: str) -> None:
        """Accept what these have now as what they had before."""
        now = self._look()
        self._before = {person: (now if person in people else self._before)[person] for person in now}

    def new(self) -> dict[str, list[Json]]:
        """List what the user has more than before; what was there before must be as it was."""
        found: dict[str, list[Json]] = {}
        for person, kinds in self._look().items():
            for kind, objects in kinds.items():
                before = {key(kind, one): one for one in self._before[person][kind]}
                after = {key(kind, one): one for one in objects}
                for name, one in before.items():
                    same = name in after and self._steady(after[name]) == self._steady(one)
                    self.expect(same, f"{person}'s {kind} {name} was touched: {after.get(name)}")
                added = [one for name, one in after.items() if name not in before]
                if person == "user":
                    found[kind] = added
                else:
                    self.expect(not added, f"{person} got a {kind}: {added}")
        return found

    def held_by(self, run_ids: Iterable[str]) -> dict[str, dict[str, Json]]:
        """Check that all that is new is tagged with one of the runs, and that none has two of a kind.

        Returns:
            The runs' objects: by run id, then by kind.
        """
        held: dict[str, dict[str, Json]] = {run_id: {} for run_id in run_ids}
        new = self.new()
        for kind, objects in new.items():
            for one in objects:
                run_id = owner(kind, one, new["server"])
                if run_id is None or run_id not in held:
                    self.blame(f"{kind} {key(kind, one)} is tagged with {run_id}: {one}")
                elif kind in held[run_id]:
                    self.doubles += 1
                    self.blame(f"run {run_id} has two of kind {kind}: {one} and {held[run_id][kind]}")
                else:
                    held[run_id][kind] = one
        return held

    def works(self, run_id: str, has: Mapping[str, Json], kinds: Iterable[str] = OURS) -> None:
        """Check that a run has exactly these kinds, and that they are ACTIVE and connected."""
        wanted = {*kinds, "port"} if "server" in kinds else set(kinds)
        self.expect(set(has) == wanted, f"run {run_id} has {sorted(has)}, not {sorted(wanted)}")
        for kind in {"lease", "server"} & has.keys():
            self.expect(has[kind]["status"] == "ACTIVE", f"run {run_id}: the {kind} is {has[kind]['status']}")
        if "floating_ip" in has:
            leads_to = has["floating_ip"]["port_id"]
            there = "port" in has and leads_to == has["port"]["id"]
            self.expect(there, f"run {run_id}: the address leads to port {leads_to}")

    def gone(self) -> None:
        """Check that everything is as it was."""
        left = {kind: [key(kind, one) for one in objects] for kind, objects in self.new().items() if objects}
        if left:
            self.leftovers += sum(len(one) for one in left.values())
            self.blame(f"left behind: {left}")
