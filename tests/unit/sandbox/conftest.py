"""A running sandbox per test file, and people who use it with the real clients over real HTTP."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
import requests
from blazarclient.client import Client as blazar_client
from openstack.config import OpenStackConfig

from envagent.sandbox import Endpoint, read_log
from envagent.sandbox.files import Paths
from envagent.sandbox.process import stop
from tests.kit import warm_sandbox
from tests.kit.by_hand import date, host_reservation

SPEED = 2000
NODE_TYPE = "gpu_rtx_6000"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQ3r0x4zQ1yJq5qgX6Zt3cJ08bq2nQbGJxXl3Yk5b6M test"


def until(look: Callable[[], Any], wanted: Any, seconds: float = 10.0) -> list[Any]:
    """Look until the wanted value is seen; return the values on the way, each once."""
    seen: list[Any] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = look()
        if not seen or seen[-1] != value:
            seen.append(value)
        if value == wanted:
            return seen
        time.sleep(0.005)
    raise AssertionError(f"{wanted!r} never seen, but {seen}")


class Person:
    """Somebody with an account: the two real clients, and plain HTTP for what they hide."""

    def __init__(self, endpoint: Endpoint, cloud: str) -> None:
        config = OpenStackConfig(config_files=[str(endpoint.clouds_file)]).get_one(cloud)
        self.conn: Any = openstack.connection.Connection(config=config)
        self.blazar = blazar_client(session=self.conn.session, region_name=config.region_name, interface="public")
        self.region = config.region_name

    def http(self, service_type: str, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Make one raw request, with this person's token unless the headers bring one."""
        wanted = {"service_type": service_type, "region_name": self.region, "interface": "public"}
        if "X-Auth-Token" in kwargs.get("headers", {}):
            return requests.request(method, self.conn.session.get_endpoint(**wanted) + path, timeout=10, **kwargs)
        answer: requests.Response = self.conn.session.request(
            path, method, endpoint_filter=wanted, raise_exc=False, **kwargs
        )
        return answer

    def reservation(self, node_type: str = NODE_TYPE, **more: Any) -> dict[str, Any]:
        """Return a request for one host of a type."""
        return host_reservation(node_type, **more)

    def lease(self, name: str = "a lease", node_type: str = NODE_TYPE, hours: float = 4) -> dict[str, Any]:
        """Make a lease that starts now."""
        asked = [self.reservation(node_type)]
        lease: dict[str, Any] = self.blazar.lease.create(name, "now", date(hours), asked, [])
        return lease

    def active_lease(self, node_type: str = NODE_TYPE, hours: float = 4) -> tuple[dict[str, Any], str]:
        """Make a lease, wait until it is ACTIVE; return it and its reservation's id."""
        lease = self.lease(node_type=node_type, hours=hours)
        until(lambda: self.lease_status(lease["id"]), "ACTIVE")
        return lease, lease["reservations"][0]["id"]

    def lease_status(self, id: str) -> str:
        """Return a lease's status, `gone` for a 404."""
        answer = self.http("reservation", "GET", f"/leases/{id}")
        return "gone" if answer.status_code == 404 else str(answer.json()["lease"]["status"])

    def server(self, reservation: str | None, name: str = "a-server", **more: Any) -> Any:
        """Boot a server."""
        hints = {} if reservation is None else {"scheduler_hints": {"reservation": reservation}}
        return self.conn.compute.create_server(name=name, **{**self.boot(), **hints, **more})

    @functools.cached_property
    def _boot(self) -> dict[str, Any]:
        return {
            "image_id": self.conn.image.find_image("CC-Ubuntu24.04").id,
            "flavor_id": self.conn.compute.find_flavor("baremetal").id,
            "networks": [{"uuid": self.conn.network.find_network("sharednet1").id}],
        }

    def boot(self) -> dict[str, Any]:
        """Return the arguments that every server needs."""
        return dict(self._boot)

    def server_status(self, id: str) -> str:
        """Return a server's status and task, `gone` for a 404."""
        answer = self.http("compute", "GET", f"/servers/{id}")
        if answer.status_code == 404:
            return "gone"
        server = answer.json()["server"]
        return f"{server['status']}/{server['OS-EXT-STS:task_state']}"

    def address(self, **more: Any) -> Any:
        """Allocate a floating IP."""
        public = self.conn.network.find_network("public").id
        return self.conn.network.create_ip(floating_network_id=public, **more)


class Sandbox:
    """A running sandbox and its control endpoints."""

    def __init__(self, home: Path, **more: Any) -> None:
        self.home = home
        self.endpoint = warm_sandbox.start(home, **{"speed": SPEED, "idle_seconds": 60.0, **more})

    def person(self, cloud: str = "sandbox") -> Person:
        """Return somebody with an account."""
        return Person(self.endpoint, cloud)

    def control(self, name: str, body: Any = None) -> Any:
        """Ask a control endpoint."""
        return self.endpoint.control(name, body)

    def faults(self, *faults: dict[str, Any]) -> None:
        """Put a schedule in force."""
        self.control("faults", {"faults": list(faults)})

    def log(self) -> list[dict[str, Any]]:
        """Return the log of writes."""
        return read_log(self.home)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for the file."""
    home = tmp_path_factory.mktemp("home")
    yield Sandbox(home)
    stop(home)
    assert Paths(home).output.read_text() == "", "no traceback in the server's output"


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    """The file's sandbox, at its defaults again after each test."""
    yield shared
    shared.faults()
    shared.control("settings", {"speed": SPEED, "profile": "chameleon", "overrides": {}, "quotas": {}})


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox for one test, which may move its clock."""
    yield Sandbox(tmp_path)
    stop(tmp_path)
    assert Paths(tmp_path).output.read_text() == "", "no traceback in the server's output"


@pytest.fixture(scope="module")
def user(shared: Sandbox) -> Person:
    """The user of the file's sandbox, who logs in once."""
    return shared.person()


@pytest.fixture
def me(sandbox: Sandbox, user: Person) -> Person:
    """The user of the sandbox."""
    return user
