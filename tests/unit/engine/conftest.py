from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envagent.engine.pipeline import Pipeline
from tests.unit.engine.world import TOY, Process, Services, TestClock


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def process(tmp_path: Path, services: Services, clock: TestClock) -> Iterator[Callable[..., Process]]:
    """Start processes on one journal; each call is a new one."""
    started: list[Process] = []

    def start(pipeline: Pipeline = TOY) -> Process:
        started.append(Process(tmp_path, services, clock, pipeline))
        return started[-1]

    yield start
    for one in started:
        one.close()
