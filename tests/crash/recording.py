"""A clean run and its teardown, recorded: the exchanges and commits that the sweeps strike at.

Recorded once for a state of the code, and kept in pytest's cache: so that all workers see the same points, and a
single point can be repeated without looking for all of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import tempfile
from dataclasses import astuple, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from envagent.engine.tables import RunState
from tests.crash.child import Home, warm_up
from tests.crash.databases import quick_server
from tests.crash.hooks import KIND_OF_POST, Exchange, Strike
from tests.crash.workers import submitted, work
from tests.crash.world import World

ROOT = Path(__file__).parents[2]
CODE = ("envagent", "steps", "migrations", "tests/crash", "tests/kit")

BAD_NODE = {
    "action": "server_error",
    "nth": 1,
    "after": 10,
    "text": "Exceeded maximum number of retries.",
}
"""The deployment of the first server fails."""

LISTS = {
    "leases": "/uc/reservation/v1/leases",
    "servers": "/uc/compute/v2.1/servers/detail",
    "floatingips": "/uc/network/v2.0/floatingips",
    "os-keypairs": "/uc/compute/v2.1/os-keypairs",
}


@dataclass(frozen=True)
class Recording:
    """What a clean run did."""

    modules: list[str]
    """What a command had imported at its end."""
    run: list[Exchange]
    run_commits: int
    teardown: list[Exchange]
    teardown_commits: int
    resumes: list[tuple[Exchange, list[Exchange]]]
    """Each creation, and the lists that a resume reads after a kill at it."""
    replacing: list[Exchange]
    """A run whose first node cannot be deployed."""
    replacing_commits: int
    worked: list[Exchange]
    """A worker that carries out a submitted run; nothing where no workers are."""
    worked_commits: int
    removed: list[Exchange]
    """A worker that removes it."""
    removed_commits: int

    def to_json(self) -> str:
        """Return it for the cache."""
        return json.dumps(astuple(self))

    @classmethod
    def from_json(cls, text: str) -> Recording:
        """Read it from the cache."""
        modules, run, run_commits, teardown, teardown_commits, resumes, *others = json.loads(text)
        replacing, replacing_commits, worked, worked_commits, removed, removed_commits = others
        return cls(
            modules,
            _exchanges(run),
            run_commits,
            _exchanges(teardown),
            teardown_commits,
            [(Exchange(*creation), _exchanges(lists)) for creation, lists in resumes],
            _exchanges(replacing),
            replacing_commits,
            _exchanges(worked),
            worked_commits,
            _exchanges(removed),
            removed_commits,
        )


def _exchanges(rows: list[list[Any]]) -> list[Exchange]:
    return [Exchange(*row) for row in rows]


@cache
def recorded(config: pytest.Config) -> Recording:
    """Return the recording, made by the first worker that needs it."""
    folder = config.cache.mkdir("envagent-sweeps")
    journal = str(config.getoption("journal"))
    path = folder / f"{journal}-{_digest()}.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = folder / "new"
            made.write_text(_record(config).to_json(), "utf-8")
            for old in folder.glob(f"{journal}-*.json"):
                old.unlink()
            made.rename(path)
    return Recording.from_json(path.read_text("utf-8"))


def _digest() -> str:
    """Return a digest of all that decides what a run does."""
    digest = sha256(sys.version.encode())
    files = [path for name in CODE for path in (ROOT / name).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in sorted([*files, ROOT / "requirements-dev.lock"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _record(config: pytest.Config) -> Recording:
    server = quick_server(config)
    world = World.start(Path(tempfile.mkdtemp(prefix="envagent-crash-")), server=server)
    try:
        modules = _imported(world)
        # The recorded run is to be as warm as those of the sweeps.
        warm_up(modules, world.folder / "warm.db" if server is None else server.database("warm"))
        home = Home.make(world, "recorded")
        ran = home.call(*home.run_arguments()).check()
        removed = home.call("teardown", home.run_id() or "", "--yes").check()
        creations = [one for one in ran.exchanges if one.method == "POST" and one.collection in KIND_OF_POST]
        return Recording(
            modules,
            ran.exchanges,
            ran.commits,
            removed.exchanges,
            removed.commits,
            [(one, _looks(world, one)) for one in creations],
            *_replacing(world),
            *([], 0, [], 0) if server is None else _worked(world),
        )
    finally:
        world.stop()
        if server is not None:
            server.close()


def _replacing(world: World) -> tuple[list[Exchange], int]:
    """Record a run whose first node cannot be deployed, so that another is reserved."""
    home = Home.make(world, "recorded-replacing")
    world.faults(BAD_NODE)
    ran = home.call(*home.run_arguments()).check()
    world.faults()
    home.call("teardown", home.run_id() or "", "--yes").check()
    return ran.exchanges, ran.commits


def _worked(world: World) -> tuple[list[Exchange], int, list[Exchange], int]:
    """Record what workers do."""
    home, _ = submitted(world, "recorded-worked")
    worked = work(home, RunState.SUCCEEDED).check()
    home.call("teardown", home.run_id() or "", "--yes").check()
    removed = work(home, RunState.TORN_DOWN).check()
    return worked.exchanges, worked.commits, removed.exchanges, removed.commits


def _imported(world: World) -> list[str]:
    """Run a command and list the modules that it has imported."""
    home = Home.make(world, "imports", used=False)
    names = home.folder / "modules"

    def list_modules_at_exit() -> None:
        original = os._exit

        def leave(code: int) -> None:
            names.write_text("\n".join(sorted(sys.modules)), "utf-8")
            original(code)

        os._exit = leave  # type: ignore[assignment]

    home.start(*home.run_arguments(), before=list_modules_at_exit).wait(120).check()
    home.call("teardown", home.run_id() or "", "--yes").check()
    return names.read_text("utf-8").splitlines()


def _looks(world: World, creation: Exchange) -> list[Exchange]:
    """List what a resume reads to find what the killed run had made."""
    home = Home.make(world, "recorded-resume")
    killed = home.call(*home.run_arguments(), strikes=[Strike("committed", creation)])
    resumed = home.call("resume", home.run_id() or "", "--yes").check()
    home.call("teardown", home.run_id() or "", "--yes").check()
    if not killed.struck:
        raise AssertionError(f"not killed: {killed}")
    return [one for one in resumed.exchanges if one.method == "GET" and one.path in LISTS.values()]
