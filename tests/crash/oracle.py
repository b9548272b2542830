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
from tests.kit import judge
from tests.kit.judge import OURS, key

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


class Judge(judge.Judge):
    """Watches one project from before a run on."""

    def __init__(self, world: World) -> None:
        super().__init__(world.everything)
        self.world = world
        self._cursor = len(world.log())

    def verdict(self, *tags: str, resumed: int = 0, reached: bool = True, optional: bool = False) -> Outcome:
        """Sum up; each tag is counted."""
        counts = Counter(tags)
        counts.update(resumed=resumed, doubles=self.doubles, leftovers=self.leftovers)
        return Outcome(reached, optional, list(dict.fromkeys(self.violations)), counts)

    # What is in the project

    def at_most_one(self, run_id: str | None) -> Ids:
        """Check that no kind exists twice and that everything is tagged with the run; return the ids."""
        held = self.held_by([] if run_id is None else [run_id]).get(run_id or "", {})
        return {kind: {key(kind, held[kind])} if kind in held else set() for kind in OURS}

    def complete(self, run_id: str, *, kinds: Iterable[str] = OURS, kept: Ids | None = None) -> None:
        """Check that exactly one of each exists and works, and that nothing of `kept` was made anew."""
        held = self.held_by([run_id])[run_id]
        self.works(run_id, held, kinds)
        for kind, ids in (kept or {}).items():
            lost = ids - ({key(kind, held[kind])} if kind in held else set())
            self.expect(not lost, f"{kind} {lost} was made before the kill and is gone")

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
        if not home.database.exists:
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
