"""SIGKILL at every writing exchange of a run and of its teardown, in three places, on real services.

    ENVAGENT_TEST_CLOUD=rig python -m tests.rig.sweep [--at-once 4] [--only leases]

Before it is sent; after the service did it and before the process knows; at the checkpoint that follows. Then the run
is resumed: the operator must see exactly one lease, server, address and keypair of it, and none after the
teardown, which is killed as well. Several runs at a time, each on a node type of its own; beside them live strangers:
a server in another project, and of the same user a server of the same name, a lease of our prefix, a free address and
a keypair. A lost write settles within `SETTLE_SECONDS` here instead of a minute: the services are on loopback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from tests.crash.child import Child, Ended, Home
from tests.crash.hooks import KIND_OF_POST, Exchange, Strike
from tests.crash.oracle import Outcome
from tests.crash.test_kills import PLACES
from tests.crash.world import CLOUD, SERVER_NAME
from tests.kit.git import PLAIN, make_repository
from tests.rig.operator import Judge, Rig

SETTLE_SECONDS = 5
ENOUGH_SECONDS = 400.0

SETTINGS = {
    "ENVAGENT_SETTLE_SECONDS": str(SETTLE_SECONDS),
    "ENVAGENT_REMOVAL_TIMEOUT_SECONDS": "120",
    "ENVAGENT_LEASE__POLL_SECONDS": "2",
    "ENVAGENT_SERVER__POLL_SECONDS": "2",
    "ENVAGENT_RETRY__FIRST_SECONDS": "0.5",
    "ENVAGENT_RETRY__LONGEST_SECONDS": "5",
    "ENVAGENT_SSH__ENABLED": "false",
}


@dataclass(frozen=True)
class Ground:
    """What a `Home` of the crash sweeps needs of its world: a folder, a repository, a clouds.yaml, no PostgreSQL."""

    folder: Path
    repository: Path
    clouds_file: Path
    ssh_port: int = 22
    server: None = None

    @classmethod
    def make(cls, rig: Rig, folder: Path) -> Ground:
        """Write them; the cloud goes by the name that the crash sweeps give it."""
        clouds = folder / "clouds.yaml"
        clouds.write_text(yaml.safe_dump({"clouds": {CLOUD: rig.config.cloud_config["clouds"][rig.name]}}), "utf-8")
        return cls(folder, make_repository(folder / "thing", PLAIN), clouds)

    def home(self, name: str) -> Home:
        """A user's machine."""
        return Home.make(self, name, SETTINGS, used=False)  # type: ignore[arg-type]


@dataclass
class Attempt:
    """One run that is killed, resumed, torn down, killed in that, and torn down to the end."""

    home: Home
    node_type: str
    in_run: Strike | None
    in_teardown: Strike | None
    commands: list[Ended]
    run_id: str = ""

    def start(self, *argv: str, strike: Strike | None = None) -> Child:
        """Start a command."""
        return self.home.start(*argv, strikes=() if strike is None else [strike])

    def run(self) -> Child:
        """Start the run."""
        words = self.home.run_arguments()
        words = (*words[:-1], self.node_type)
        return self.start(*words, strike=self.in_run)

    def created(self) -> Counter[str]:
        """How often the services granted a creation, by kind."""
        granted: Counter[str] = Counter()
        for command in self.commands:
            for line in command.trace:
                if line["event"] == "answer" and line["status"] < 300 and line["what"].startswith("POST"):
                    granted[KIND_OF_POST.get(line["what"].split()[1].rsplit("/", 1)[-1], "")] += 1
        del granted[""]
        return granted


def discover(ground: Ground, judge: Judge, node_type: str) -> tuple[list[Strike], list[Strike]]:
    """Count the writing exchanges of a run and of its teardown."""
    attempt = Attempt(ground.home("counting"), node_type, None, None, [])
    ran = _wait(attempt, attempt.run())
    attempt.run_id = attempt.home.run_id() or ""
    judge.complete([attempt.run_id])
    removed = _wait(attempt, attempt.start("teardown", attempt.run_id, "--yes"))
    assert (ran.code, removed.code) == (0, 0), (str(ran), str(removed))
    judge.gone()
    return _strikes(ran.exchanges), _strikes(removed.exchanges)


def _strikes(exchanges: Sequence[Exchange]) -> list[Strike]:
    return [Strike(place, one) for one in exchanges if one.writes for place in PLACES]


def try_wave(judge: Judge, wave: Sequence[Attempt]) -> dict[str, Outcome]:
    """Take several runs through their kills, side by side; the operator counts between."""
    _together(wave, [one.run() for one in wave])
    for one in wave:
        one.run_id = one.home.run_id() or ""
        judge.expect(one.run_id, f"no run was stored: {one.commands[-1]}")
    run_ids = [one.run_id for one in wave]
    killed = judge.held_by(run_ids)
    _together(wave, [one.start("resume", one.run_id, "--yes") for one in wave])
    resumed = [one.commands[-1].code == 0 for one in wave]
    judge.complete(run_ids)
    now = judge.held_by(run_ids)
    for run_id in run_ids:
        for kind, made in killed[run_id].items():
            judge.expect(now[run_id].get(kind, {}).get("id") == made.get("id"), f"{kind} of {run_id} was made anew")
    _together(wave, [one.start("teardown", one.run_id, "--yes", strike=one.in_teardown) for one in wave])
    judge.held_by(run_ids)
    again = [one for one in wave if one.in_teardown]
    _together(again, [one.start("teardown", one.run_id, "--yes") for one in again])
    judge.gone()
    outcomes = {}
    for one, well in zip(wave, resumed, strict=True):
        for command in one.commands:
            for what in command.unrecorded:
                judge.expect(False, f"sent without a record: {what}")
            judge.expect(command.struck or command.code == 0, f"no success: {command}")
        judge.expect(max(one.created().values(), default=0) <= 1, f"created more than once: {one.created()}")
        for phase, strike in (("run", one.in_run), ("teardown", one.in_teardown)):
            if strike is not None:
                reached = any(command.struck for command in one.commands if command.argv[0] == phase)
                counts = Counter(resumed=int(well and phase == "run"))
                outcomes[f"{phase}: {strike}"] = Outcome(reached, counts=counts)
    first = next(iter(outcomes.values()))
    first.violations = judge.violations
    first.counts.update(doubles=judge.doubles, leftovers=judge.leftovers)
    return outcomes


def _together(wave: Sequence[Attempt], children: Sequence[Child]) -> None:
    for one, child in zip(wave, children, strict=True):
        _wait(one, child)


def _wait(attempt: Attempt, child: Child) -> Ended:
    attempt.commands.append(child.wait(ENOUGH_SECONDS))
    return attempt.commands[-1]


def _print_wave(number: int, outcomes: Mapping[str, Outcome], began: float) -> None:
    wrong = [violation for one in outcomes.values() for violation in one.violations]
    print(
        f"wave {number}: {len(outcomes)} points, {len(wrong)} violations, {time.monotonic() - began:.0f} s", flush=True
    )
    for violation in wrong:
        print(f"    {violation}", flush=True)


def main(arguments: Any) -> int:
    """Sweep."""
    began = time.monotonic()
    rig = Rig.named()
    hosts = rig.hosts()
    plenty = max(hosts, key=lambda name: (hosts[name], name))
    slots = sorted(hosts.keys() - {plenty})  # two at once on one type may be given the same host by Blazar
    rig.remove_all()
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="envagent-rig-") as folder:
        ground = Ground.make(rig, Path(folder))
        try:
            rig.let_others_have_things(plenty)
            rig.let_others_have_servers(plenty, SERVER_NAME)
            first = Judge(rig)
            runs, teardowns = discover(ground, first, slots[0])
            assert first.violations == [], first.violations
            print(f"{len(runs)} points in a run, {len(teardowns)} in its teardown", flush=True)
            runs, teardowns = ([one for one in each if arguments.only in str(one)] for each in (runs, teardowns))
            pairs = list(zip_longest(runs, teardowns))
            at_once = min(arguments.at_once, len(slots))
            for number, start in enumerate(range(0, len(pairs), at_once), 1):
                wave = [
                    Attempt(ground.home(f"{number}-{slot}"), slots[slot], *pair, commands=[])
                    for slot, pair in enumerate(pairs[start : start + at_once])
                ]
                rig.await_nodes()
                found = try_wave(Judge(rig), wave)
                _print_wave(number, found, began)
                outcomes |= found
        finally:
            rig.remove_all()
    missed = [name for name, one in outcomes.items() if not one.reached]
    guilty = [name for name, one in outcomes.items() if one.violations]
    counts: Counter[str] = sum((one.counts for one in outcomes.values()), Counter())
    print(f"rig sweep: {len(outcomes)} points in {time.monotonic() - began:.0f} s, {dict(counts)}")
    print("\n".join([*(f"not reached: {name}" for name in missed), *(f"VIOLATION at {name}" for name in guilty)]))
    return 1 if missed or guilty or not outcomes else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.rig.sweep")
    parser.add_argument("--at-once", type=int, default=4, help="runs side by side")
    parser.add_argument("--only", default="", help="try the points whose name contains this")
    sys.exit(main(parser.parse_args()))
