from collections.abc import Iterator

import pytest

from tests.crash.world import World
from tests.fleet.fleet import Fleet, around
from tests.kit.postgres import QUICK, Postgres, programs


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    if programs() is None:
        pytest.skip("no PostgreSQL is installed")
    one = Postgres("max_connections=200")  # it is killed as well: what it has acknowledged must be there
    yield one
    one.close()


@pytest.fixture(scope="session")
def quick_server() -> Iterator[Postgres]:
    """A PostgreSQL whose machine loses no power."""
    if programs() is None:
        pytest.skip("no PostgreSQL is installed")
    one = Postgres(*QUICK)
    yield one
    one.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    one = World.start(tmp_path_factory.mktemp("fleet") / "home", speed=600.0)
    yield one
    one.stop()


@pytest.fixture
def fleet(world: World, server: Postgres) -> Iterator[Fleet]:
    yield from around(world, server)
