"""The judge: what is in the project, what the cloud's log says was written, and what strangers still have.

It never asks envagent's journal what exists. (It does ask the journal how often a write was intended, to compare with
how often it was sent.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.crash.child import Ended, Home
from tests.crash.hooks import KIND_OF_POST
from tests.crash.world import Json, World

OURS = ("lease", "server", "floating_ip", "keypair")
"""What a run makes: one of each."""

Ids = dict[str, set[str]]


TRIES = 3
"""How often a point is tried that a run happens not to reach.

How often a wait is looked at varies, and of two stages that work at the same time either may come first."""


@dataclass
class Outcome:
    """What happened at one point."""

    reached: bool = True
    """Whether the strike or fault really happened."""
    optional: bool = False
    """Whether another outcome of a race may rightly leave it out of reach."""
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """What is counted besides, such as how a case ended."""


def again(attempt: Callable[[], Outcome]) -> Outcome:
    """Try a point until it is reached, at most TRIES times."""
    for _ in range(TRIES):
        outcome = attempt()
        if outcome.reached:
            break
    return outcome


def key(kind: str, one: Json) -> str:
    """Return what tells objects of a kind apart."""
    return str(one["name"] if kind == "keypair" else one["id"])


class Judge:
    """Watches one project from before a run on. Violations are collected in words; none means innocent."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[str] = []
        self.doubles = 0
        self.leftovers = 0
        self._before = world.everything()
        self._cursor = len(world.log())

    def blame(self, violation: str) -> None:
        """Note a violation."""
        self.violations.append(violation)

    def expect(self, truth: bool, violation: str) -> None:
        """Note a violation unless something is true."""
        if not truth:
            self.blame(violation)

    def verdict(self, *tags: str, resumed: int = 0, reached: bool = True, optional: bool = False) -> Outcome:
        """Sum up; each tag is counted."""
        counts = Counter(tags)
        counts.update(resumed=resumed, doubles=self.doubles, leftovers=self.leftovers)
        return Outcome(reached, optional, list(dict.fromkeys(self.violations)), counts)

    # What is in the project

    def new(self) -> dict[str, list[Json]]:
        """List what the user's project has more than before; strangers' things must be as they were."""
        now = self.world.everything()
        found: dict[str, list[Json]] = {}
        for person, kinds in now.items():
            for kind, objects in kinds.items():
                before = {key(kind, one): one for one in self._before[person][kind]}
                after = {key(kind, one): one for one in objects}
                for name, one in before.items():
                    self.expect(after.get(name) == one, f"{person}'s {kind} {name} was touched: {after.get(name)}")
                added = [one for name, one in after.items() if name not in before]
                if person == "user":
                    found[kind] = added
                else:
                    self.expect(not added, f"{person} got a {kind}: {added}")
        return found

    def at_most_one(self, run_id: str | None) -> Ids:
        """Check that no kind exists twice and that everything is tagged with the run; return the ids."""
        new = self.new()
        for kind in OURS:
            if len(new[kind]) > 1:
                self.doubles += 1
                self.blame(f"{len(new[kind])} of kind {kind}: {[key(kind, one) for one in new[kind]]}")
            for one in new[kind]:
                self.expect(run_id is not None and _is_tagged(kind, one, run_id), f"{kind} not tagged: {one}")
        servers = {one["id"] for one in new["server"]}
        for port in new["port"]:
            self.expect(port["device_id"] in servers, f"a port of nothing: {port}")
        self.expect(not new["security_group"], f"security groups: {new['security_group']}")
        return {kind: {key(kind, one) for one in new[kind]} for kind in OURS}

    def complete(self, run_id: str, *, kinds: Iterable[str] = OURS, kept: Ids | None = None) -> Ids:
        """Check that exactly one of each exists and works, and that nothing of `kept` was made anew."""
        ids = self.at_most_one(run_id)
        new = self.new()
        for kind in OURS:
            wanted = 1 if kind in kinds else 0
            self.expect(len(ids[kind]) == wanted, f"after success there are {len(ids[kind])} of kind {kind}")
            lost = (kept or {}).get(kind, set()) - ids[kind]
            self.expect(not lost, f"{kind} {lost} was made before the kill and is gone")
        for kind in ("lease", "server"):
            for one in new[kind]:
                self.expect(one["status"] == "ACTIVE", f"after success {kind} is {one['status']}")
        for address in new["floating_ip"]:
            port = next((one for one in new["port"] if one["id"] == address["port_id"]), None)
            device = None if port is None else port["device_id"]
            self.expect(device in ids["server"], f"the address leads to {device}")
        return ids

    def gone(self) -> None:
        """Check that the project is as it was."""
        left = {kind: [key(kind, one) for one in objects] for kind, objects in self.new().items() if objects}
        if left:
            self.leftovers += sum(len(one) for one in left.values())
            self.blame(f"left behind: {left}")

    def settle_strangers(self) -> None:
        """Accept what strangers have now as what they had before."""
        now = self.world.everything()
        self._before["mate"], self._before["other"] = now["mate"], now["other"]

    # What was written

    def written(self) -> list[Json]:
        """Return the log of what was committed since the start, except for what strangers did."""
        return [one for one in self.world.log()[self._cursor :] if not one["path"].startswith("/_sandbox/")]

    def log_is_clean(self, *, most: int = 1) -> None:
        """Check that no kind was created more than `most` times, and that only what we made was changed or removed."""
        made: dict[str, list[str]] = {}
        for one in self.written():
            kind = one["kind"]
            if one["method"] == "POST" and kind in OURS:
                made.setdefault(kind, []).append(one["name"] if kind == "keypair" else one["id"])
            elif one["method"] in ("PUT", "DELETE", "PATCH"):
                name = one["name"] if kind == "keypair" else one["id"]
                self.expect(name in made.get(kind, ()), f"{one['method']} of a {kind} that is not ours: {one}")
        for kind, ids in made.items():
            if len(ids) > most:
                self.doubles += 1
                self.blame(f"{kind} was created {len(ids)} times: {ids}")

    def sends_are_intended(self, home: Home, commands: Iterable[Ended]) -> None:
        """Check that each write was in the journal before it was sent, and went out once for each time intended."""
        sent: Counter[str] = Counter()
        for command in commands:
            for unrecorded in command.unrecorded:
                self.blame(f"sent without a record: {unrecorded} ({' '.join(command.argv[:1])})")
            sent.update(_creations(command.trace))
        if not home.journal.exists():
            self.expect(not sent, f"no journal, and yet sent: {dict(sent)}")
            return
        intended = dict(home.rows("SELECT kind, sum(sends) FROM intents GROUP BY kind"))
        for kind, times in sent.items():
            self.expect(
                times <= int(intended.get(kind, 0)), f"{kind} sent {times} times, intended {intended.get(kind)}"
            )


def _creations(trace: Iterable[dict[str, Any]]) -> Counter[str]:
    """Count creations sent, by kind; one that was refused with 401 is sent again with a new token and counts once."""
    counted: Counter[str] = Counter()
    for line in trace:
        if line["event"] == "send" and line["method"] == "POST":
            kind = KIND_OF_POST.get(line["path"].rsplit("/", 1)[-1])
            if kind is not None:
                counted[kind] += 1
        elif line["event"] == "answer" and line["status"] == 401 and line["what"].startswith("POST"):
            kind = KIND_OF_POST.get(line["what"].split()[1].rsplit("/", 1)[-1])
            if kind is not None:
                counted[kind] -= 1
    return counted


def _is_tagged(kind: str, one: Json, run_id: str) -> bool:
    match kind:
        case "lease":
            return str(one["name"]).startswith(f"envagent-{run_id}-")
        case "server":
            return bool(one["metadata"].get("envagent_run") == run_id)
        case "floating_ip":
            return str(one["description"]).startswith(f"envagent run {run_id} ")
        case _:
            return bool(one["name"] == f"envagent-{run_id}")
