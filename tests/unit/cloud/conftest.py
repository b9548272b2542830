from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envagent.cloud.adapter import connect
from envagent.cloud.port import Cloud

from .stub import StubCloud


@pytest.fixture(autouse=True)
def no_credentials_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("openstack.config.loader.CONFIG_FILES", [])
    monkeypatch.setattr("envagent.cloud.login.CONFIG_FILES", [])


@pytest.fixture
def stub() -> Iterator[StubCloud]:
    cloud = StubCloud()
    yield cloud
    cloud.close()


@pytest.fixture
def connected(stub: StubCloud, tmp_path: Path) -> Iterator[Callable[..., Cloud]]:
    """Connect to the stub; keywords go into its clouds.yaml entry, timeouts to `connect`."""
    made: list[Cloud] = []

    def make(timeout: float = 5.0, write_timeout: float = 5.0, **entry: object) -> Cloud:
        path = stub.clouds_yaml(tmp_path, stub=stub.entry(**entry))
        made.append(connect("stub", clouds_yaml=path, timeout=timeout, write_timeout=write_timeout))
        return made[-1]

    yield make
    for cloud in made:
        cloud.close()
