"""What every sweep in this folder needs: a world per worker, and the verdict on each point."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.child import warm_up
from tests.crash.databases import quick_server
from tests.crash.oracle import Outcome
from tests.crash.recording import recorded
from tests.crash.world import World
from tests.kit.postgres import Postgres

LONGEST_POINT = 900
"""Seconds; a command that hangs ends its test much sooner (`HUNG_SECONDS`)."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Allow for the points that consist of many commands."""
    item.add_marker(pytest.mark.timeout(LONGEST_POINT))


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Postgres | None]:
    """Start the PostgreSQL that the journals are in, if they are to be in one."""
    found = quick_server(pytestconfig)
    yield found
    if found is not None:
        found.close()


@pytest.fixture(scope="session")
def warm(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, server: Postgres | None) -> None:
    """Import once what the commands import: a forked child then costs only what it does."""
    folder = tmp_path_factory.mktemp("warm")
    warm_up(recorded(pytestconfig).modules, folder / "journal.db" if server is None else server.database("warm"))


class Worlds:
    """The world of one sweep, replaced after a failure so that its remains are not blamed on the next point."""

    def __init__(self, speed: float, failures: int, server: Postgres | None) -> None:
        self._speed = speed
        self._server = server
        self._failures = failures
        self._world = self._start()

    def _start(self) -> World:
        return World.start(Path(tempfile.mkdtemp(prefix="envagent-crash-")), self._speed, self._server)

    def after(self, failures: int) -> World:
        """Return the world, a new one if there are more failures than at the last call."""
        if failures > self._failures:
            self._failures = failures
            self.stop()
            self._world = self._start()
        return self._world

    def stop(self) -> None:
        """End it."""
        self._world.stop()


@pytest.fixture(scope="module")
def worlds(request: pytest.FixtureRequest, warm: None, server: Postgres | None) -> Iterator[Worlds]:
    """Keep the worlds of a sweep, at the speed that its module names."""
    worlds = Worlds(request.module.SPEED, request.session.testsfailed, server)
    yield worlds
    worlds.stop()


@pytest.fixture
def world(request: pytest.FixtureRequest, worlds: Worlds) -> World:
    """Return a simulated cloud in which other people have things."""
    return worlds.after(request.session.testsfailed)


@pytest.fixture
def check(record_property: Callable[[str, object], None]) -> Callable[[Outcome], None]:
    """Fail for a violation, or for a point that every run comes to and this one did not."""

    def check(outcome: Outcome) -> None:
        record_property("counts", {"points": 1, "not reached": int(not outcome.reached), **outcome.counts})
        if outcome.violations:
            pytest.fail("\n".join(outcome.violations), pytrace=False)
        if not outcome.reached:
            (pytest.skip if outcome.optional else pytest.fail)("not reached")

    return check
