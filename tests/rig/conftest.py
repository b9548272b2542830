"""The rig, the command on it, and an operator who counts before and after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.git import PLAIN, make_repository
from tests.rig.operator import Judge, Rig
from tests.rig.shell import Shell


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a real OpenStack."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.rig)
            item.add_marker(pytest.mark.timeout(600))
            if not os.environ.get("ENVAGENT_TEST_CLOUD"):
                item.add_marker(pytest.mark.skip("needs a real OpenStack: ENVAGENT_TEST_CLOUD names none"))


@pytest.fixture(scope="session")
def rig() -> Rig:
    """The cloud under test."""
    return Rig.named()


@pytest.fixture
def shell(rig: Rig, tmp_path: Path) -> Shell:
    """The command line at home in an empty folder."""
    return Shell(rig, tmp_path / "home", make_repository(tmp_path / "thing", PLAIN))


@pytest.fixture
def judge(rig: Rig) -> Iterator[Judge]:
    """An operator; at the end both projects must be as they were."""
    rig.await_nodes()
    one = Judge(rig)
    yield one
    one.gone()
    assert one.violations == []
