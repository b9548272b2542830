"""Which cloud is tested, and that nothing is left there afterwards."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from openstack.config import OpenStackConfig

from envagent.cloud.adapter import connect
from envagent.cloud.port import InspectableCloud
from envagent.errors import Forbidden

from .target import Target, Wire, find

NAMED = os.environ.get("ENVAGENT_TEST_CLOUD")
SANDBOX_SPEED = 500.0


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Target]]:
    """Give the sandbox of a profile, which runs until the end: to start one for each file would take long."""
    homes: list[Path] = []

    @cache
    def start(profile: str) -> Target:
        from tests.kit import warm_sandbox

        homes.append(home := tmp_path_factory.mktemp("home"))
        endpoint = warm_sandbox.start(home, speed=SANDBOX_SPEED, profile=profile, idle_seconds=3600)
        config = OpenStackConfig(config_files=[str(endpoint.clouds_file)], load_envvars=False)
        return find(
            "sandbox",
            config,
            endpoint.clouds_file,
            scarce="gpu_a100_nvlink",
            plenty="gpu_rtx_6000",
            patience=20.0,
            control=endpoint.control,
        )

    yield start
    if homes:
        from envagent.sandbox.process import stop

        for home in homes:
            stop(home)


@pytest.fixture(scope="session", params=[NAMED] if NAMED else ["sandbox upstream", "sandbox chameleon"])
def target(request: pytest.FixtureRequest, simulated: Callable[[str], Target]) -> Iterator[Target]:
    """The cloud under test; at the end, and when a test fails, what was made there is removed."""
    found = named(NAMED) if NAMED else simulated(request.param.split()[1])
    yield found
    found.remove_all()
    assert found.mine() == []


def named(name: str) -> Target:
    """The cloud of ENVAGENT_TEST_CLOUD, with node types from ENVAGENT_TEST_NODE_TYPES or from an operator's list."""
    config = OpenStackConfig()
    types = [each for each in os.environ.get("ENVAGENT_TEST_NODE_TYPES", "").split(",") if each]
    if len(types) < 2:
        types = node_types(name, config)
    return find(name, config, None, scarce=types[0], plenty=types[1], patience=180.0)


def node_types(name: str, config: OpenStackConfig) -> list[str]:
    """A node type with one host and one with several."""
    for entry in (name, f"{name}-admin"):
        if entry in config.cloud_config["clouds"]:
            try:
                hosts = connect(entry).hosts()
            except Forbidden:
                continue
            counted = Counter(host.node_type for host in hosts if host.node_type and host.reservable)
            ordered = sorted(counted, key=lambda each: (counted[each], each))
            if len(ordered) > 1:
                return [ordered[0], ordered[-1]]
    raise pytest.UsageError(
        "ENVAGENT_TEST_NODE_TYPES must name two node types, one with a single host and one with more: "
        "neither this user nor <name>-admin can list the hosts"
    )


@pytest.fixture(scope="session")
def cloud(target: Target) -> InspectableCloud:
    """The port's adapter."""
    return target.cloud


@pytest.fixture(scope="session")
def wire(target: Target) -> Wire:
    """Plain HTTP as the same user."""
    return target.wire
