"""What all sweeps share: worlds for workers, counting, samples by seed, the table of counts and the exit code."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.crash.child import preload
from tests.crash.world import World

Point = TypeVar("Point")


TRIES = 3
"""How often a point is tried that a run happens not to reach.

How often a wait is looked at varies, and of two stages that work at the same time either may come first."""


@dataclass
class Outcome:
    """What came of one point."""

    point: str
    reached: bool = True
    """Whether the strike or fault really happened."""
    optional: bool = False
    """Whether another outcome of a race may rightly leave it out of reach."""
    resumed: int = 0
    """How many times a run was taken up again with success."""
    doubles: int = 0
    leftovers: int = 0
    violations: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    """What is counted besides, such as how a case ended."""


@dataclass(frozen=True)
class Options:
    """How a sweep is run."""

    workers: int = 1
    sample: int | None = None
    seed: int = 1
    only: str = ""
    rounds: int | None = None
    store: bool = False

    @classmethod
    def read(cls, name: str) -> Options:
        """Read the command line of a sweep."""
        parser = argparse.ArgumentParser(prog=f"python -m tests.crash.{name}")
        parser.add_argument("--workers", type=int, default=1, help="sandboxes side by side")
        parser.add_argument("--sample", type=int, help="try so many points, drawn by the seed, instead of all")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--only", default="", help="try the points whose name contains this")
        parser.add_argument("--rounds", type=int, help="how many rounds, where a sweep has rounds")
        parser.add_argument("--store", action="store_true", help="make the stored fixtures anew, where a sweep has any")
        return cls(**vars(parser.parse_args()))

    def choose(self, points: Sequence[Point]) -> list[Point]:
        """Take all points, or the sample of them that the seed draws."""
        chosen = [point for point in points if self.only in str(point)]
        if self.sample is not None and self.sample < len(chosen):
            picked = random.Random(self.seed).sample(range(len(chosen)), self.sample)
            chosen = [chosen[index] for index in sorted(picked)]
        return chosen


def in_world(task: Callable[[World], list[Point]], *, speed: float = 2000.0) -> list[Point]:
    """Do a task in a world of its own, with everything imported; used for counting runs."""
    world = World.start(Path(tempfile.mkdtemp(prefix="envagent-crash-")), speed)
    try:
        preload(world)
        return task(world)
    finally:
        world.stop()


def run(
    points: Sequence[Point],
    try_point: Callable[[World, Point], list[Outcome]],
    options: Options,
    *,
    speed: float = 2000.0,
) -> list[Outcome]:
    """Try every point, in as many worker processes as asked, each with a world of its own."""
    if options.workers == 1:
        return _work(points, try_point, speed)
    with tempfile.TemporaryDirectory(prefix="envagent-crash-") as name:
        folder = Path(name)
        children = []
        for number in range(options.workers):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    outcomes = _work(points[number :: options.workers], try_point, speed)
                    (folder / str(number)).write_text(json.dumps([asdict(one) for one in outcomes]), "utf-8")
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            children.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        if any(codes):
            raise AssertionError(f"workers ended with {codes}")
        found = [json.loads((folder / str(number)).read_text("utf-8")) for number in range(options.workers)]
    return [Outcome(**one) for part in found for one in part]


def again(attempt: Callable[[], Outcome]) -> Outcome:
    """Try a point until it is reached, at most TRIES times."""
    for _ in range(TRIES):
        outcome = attempt()
        if outcome.reached:
            break
    return outcome


def _work(points: Sequence[Point], try_point: Callable[[World, Point], list[Outcome]], speed: float) -> list[Outcome]:
    world = World.start(Path(tempfile.mkdtemp(prefix="envagent-crash-")), speed)
    outcomes: list[Outcome] = []
    try:
        for number, point in enumerate(points, 1):
            try:
                found = try_point(world, point)
            except AssertionError as error:
                found = [Outcome(str(point), violations=[str(error)])]
            outcomes += found
            for one in found:
                _tell(number, len(points), one)
            if any(one.violations for one in found):  # what is left must not be blamed on the next point
                world.stop()
                world = World.start(Path(tempfile.mkdtemp(prefix="envagent-crash-")), speed)
    finally:
        world.stop()
    return outcomes


def _tell(number: int, total: int, outcome: Outcome) -> None:
    if outcome.violations or sys.stderr.isatty():
        state = "VIOLATION" if outcome.violations else "ok" if outcome.reached else "not reached"
        sys.stderr.write(f"{number}/{total} {outcome.point}: {state}\n")
    for violation in outcome.violations:
        sys.stderr.write(f"    {violation}\n")
    sys.stderr.flush()


def report(name: str, outcomes: Sequence[Outcome], began: float) -> int:
    """Print the counts; give the exit code: 1 for a violation, or a point that was not reached and had to be."""
    guilty = [one for one in outcomes if one.violations]
    missed = [one for one in outcomes if not one.reached]
    tags: dict[str, int] = {}
    for outcome in outcomes:
        for tag in outcome.tags:
            tags[tag] = tags.get(tag, 0) + 1
    lines = [
        f"{name}: {len(outcomes)} points tried in {time.monotonic() - began:.0f} s",
        f"  resumed     {sum(one.resumed for one in outcomes)}",
        f"  not reached {len(missed)}",
        f"  doubles     {sum(one.doubles for one in outcomes)}",
        f"  leftovers   {sum(one.leftovers for one in outcomes)}",
        f"  violations  {sum(len(one.violations) for one in outcomes)} at {len(guilty)} points",
        *(f"  {tag:<11} {count}" for tag, count in sorted(tags.items())),
    ]
    lines += [f"  not reached: {one.point}" for one in missed]
    for one in guilty:
        lines += [f"VIOLATION {one.point}", *(f"    {text.splitlines()[0][:300]}" for text in one.violations)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if guilty or any(not one.optional for one in missed) or not outcomes else 0
