import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envagent.engine.pipeline import Pipeline
from tests.kit.postgres import QUICK, Postgres, programs
from tests.unit.engine.world import TOY, Process, Services, TestClock


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server for all tests of this process."""
    if programs() is None:
        pytest.skip("no PostgreSQL is installed")
    server = Postgres(*QUICK)
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Path | str:
    """Where the journal is: a file, or with `--journal postgresql` a database of the test's own."""
    chosen = getattr(request, "param", request.config.getoption("journal"))
    if chosen == "sqlite":
        return tmp_path / "journal.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database(f"journal{next(_NUMBERS)}")


_NUMBERS = itertools.count(1)


@pytest.fixture
def process(place: Path | str, services: Services, clock: TestClock) -> Iterator[Callable[..., Process]]:
    """Start processes on one journal; each call is a new one."""
    started: list[Process] = []

    def start(pipeline: Pipeline = TOY) -> Process:
        started.append(Process(place, services, clock, pipeline))
        return started[-1]

    yield start
    for one in started:
        one.close()
