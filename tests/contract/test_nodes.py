"""A bare-metal node between servers: cleaned, in maintenance, broken. Blazar leases it all the same; Nova does not.

One lease on the only host of its type serves the file. Servers are asked for in the order of the tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from keystoneauth1.exceptions import EndpointNotFound

from envagent.cloud.port import Cloud, Lease, Server

from .target import Exchange, Target, moment

pytestmark = pytest.mark.timeout(400)

NO_VALID_HOST = "No valid host was found. There are not enough hosts available."
GAVE_UP = "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance "
CLEANING_SECONDS = 300.0


@dataclass
class Node:
    """The scarce type's one node, as an operator handles it: by Ironic's API, or the sandbox's control."""

    target: Target
    id: str

    def ask(self, method: str, path: str, body: object = None) -> Exchange:
        _, operator = self.target.role("admin")
        versioned = {"headers": {"X-OpenStack-Ironic-API-Version": "1.80"}}
        answer = operator.ask("baremetal", method, f"/v1/nodes/{self.id}{path}", body, **versioned)
        assert answer.status < 300, answer.body
        return answer

    def mishap(self, what: str) -> None:
        assert self.target.control is not None
        self.target.control("mishap", {"what": what, "id": self.id})

    @contextlib.contextmanager
    def in_maintenance(self) -> Iterator[None]:
        if self.target.control is not None:
            self.mishap("node_maintenance")
            yield
            self.mishap("node_repaired")
            return
        self.ask("PUT", "/maintenance", {"reason": "contract"})
        try:
            yield
        finally:
            self.ask("DELETE", "/maintenance")

    @contextlib.contextmanager
    def broken(self, mishap: str, flag: str, repair: str) -> Iterator[None]:
        """Let it break with the next release, and repair it in the end."""
        if self.target.control is not None:
            self.mishap(mishap)
            yield
            self.mishap("node_repaired")
            return
        self.ask("PATCH", "", [{"op": "add", "path": f"/extra/{flag}", "value": True}])
        try:
            yield
        finally:
            self.target.walk(lambda: str(self.ask("GET", "").body["provision_state"]), "clean failed", "error")
            self.ask("PATCH", "", [{"op": "remove", "path": f"/extra/{flag}"}])
            if self.ask("GET", "").body["maintenance"]:
                self.ask("DELETE", "/maintenance")
            for target in repair.split():
                self.ask("PUT", "/states/provision", {"target": target})
                self.target.walk(lambda: str(self.ask("GET", "").body["target_provision_state"]), "None")
            self.target.walk(lambda: str(self.ask("GET", "").body["provision_state"]), "available")


@pytest.fixture(scope="module")
def node(target: Target) -> Iterator[Node]:
    """The node; in the sandbox its cleaning takes a while here, as elsewhere."""
    if target.control is None:
        _, operator = target.role("admin")
        try:
            operator.session.get_endpoint(service_type="baremetal", interface="public")
        except EndpointNotFound:
            pytest.skip("needs Ironic: the operator's catalog has no service `baremetal`")
        hosts = operator.ask("reservation", "GET", "/os-hosts").body["hosts"]
        yield Node(target, next(one["hypervisor_hostname"] for one in hosts if one["node_type"] == target.scarce))
        return
    before = target.control("settings")["overrides"] or {}
    changed = {"cleaning_seconds": CLEANING_SECONDS, "users_see_hosts": True}
    target.control("settings", {"overrides": {**before, **changed}})
    yield Node(target, next(str(one.uid) for one in target.cloud.hosts() if one.node_type == target.scarce))
    target.control("settings", {"overrides": before})


@pytest.fixture(scope="module")
def lease(target: Target, node: Node) -> Iterator[Lease]:
    """A lease on it, ACTIVE."""
    body = target.lease_body("nodes", start_date="now", end_date=f"{moment(3):%Y-%m-%d %H:%M}")
    made = target.wire.ask("reservation", "POST", "/leases", body).body["lease"]
    target.walk(lambda: target.lease_status(made["id"]), "ACTIVE")
    yield target.cloud.lease(made["id"])
    target.cloud.delete_lease(made["id"])


Launch = Callable[..., tuple[Server, list[str]]]


@pytest.fixture
def launch(target: Target, cloud: Cloud, lease: Lease) -> Iterator[Launch]:
    """Ask for a server on the lease; return it in its last state, and the task states on the way."""
    made: list[str] = []

    def ask(what: str = "node", *, fails: bool = False) -> tuple[Server, list[str]]:
        if fails and target.control is not None:
            target.control("faults", {"faults": [{"action": "server_error", "nth": 1}]})
        body = target.server_body("rig-fail-spawn" if fails else what, lease.reservations[0].id)
        made.append(target.wire.ask("compute", "POST", "/servers", body).body["server"]["id"])
        states: list[str] = []

        def look() -> str:
            shown = cloud.server(made[-1])
            states.append(str(shown.task_state))
            return shown.status

        target.walk(look, "ACTIVE", "ERROR")
        return cloud.server(made[-1]), list(dict.fromkeys(states))

    yield ask
    for one in made:
        cloud.delete_server(one)
        target.walk(lambda id=one: target.server_status(id), "HTTP 404")  # type: ignore[misc]
    if target.control is not None:
        target.control("faults", {"faults": []})


def empty(cloud: Cloud, target: Target) -> None:
    """Delete the servers that the tests have made."""
    for one in cloud.servers():
        if one.name.startswith(target.mark):
            cloud.delete_server(one.id)
            target.walk(lambda id=one.id: target.server_status(id), "HTTP 404")  # type: ignore[misc]


def until_free(launch: Launch, cloud: Cloud, target: Target) -> None:
    """Ask again until the node takes a server."""

    def look() -> str:
        server, _ = launch("again")
        if server.status == "ERROR":
            cloud.delete_server(server.id)
            target.walk(lambda: target.server_status(server.id), "HTTP 404")
        return server.status

    target.walk(look, "ACTIVE")


def fault(server: Server) -> tuple[str, str]:
    return server.status, server.fault_text or ""


def test_in_maintenance_it_is_leased_and_takes_no_server(
    node: Node, launch: Launch, lease: Lease, cloud: Cloud
) -> None:
    with node.in_maintenance():
        server, _ = launch()
        assert fault(server)[0] == "ERROR"
        assert fault(server)[1] == NO_VALID_HOST or fault(server)[1].startswith(GAVE_UP)
        assert server.fault is not None and server.created_at is not None
        assert server.fault.created is not None
        assert timedelta() <= server.fault.created - server.created_at < timedelta(seconds=30)
        shown = cloud.lease(lease.id)
        assert (shown.status, shown.degraded) == ("ACTIVE", False)


def test_a_deployment_that_fails_is_cleaned_after(
    node: Node, launch: Launch, lease: Lease, cloud: Cloud, target: Target
) -> None:
    until_failed: list[str] = []

    def look() -> str:
        server, states = launch(fails=True)
        said = fault(server)[1]
        until_failed.extend(states)
        cloud.delete_server(server.id)
        target.walk(lambda: target.server_status(server.id), "HTTP 404")
        return "deployed" if said.startswith(GAVE_UP) else said

    assert target.walk(look, "deployed")[-1] == "deployed"
    assert "spawning" in until_failed
    server, _ = launch("at once")
    assert fault(server) == ("ERROR", NO_VALID_HOST)
    assert cloud.lease(lease.id).status == "ACTIVE"


def test_once_clean_it_is_deployed_through_these_states(launch: Launch, cloud: Cloud, target: Target) -> None:
    seen: list[str] = []

    def look() -> str:
        server, states = launch("clean")
        seen.extend(states)
        if server.status == "ERROR":
            cloud.delete_server(server.id)
            target.walk(lambda: target.server_status(server.id), "HTTP 404")
        return server.status

    target.walk(look, "ACTIVE")
    assert set(seen) <= {"scheduling", "networking", "block_device_mapping", "spawning", "None"}
    assert "spawning" in seen


@pytest.mark.parametrize(
    ("mishap", "flag", "repair"),
    [("node_clean_fails", "rig-fail-clean", "manage provide"), ("node_delete_fails", "rig-fail-delete", "deleted")],
)
def test_a_node_that_breaks_when_it_is_released_takes_no_server(
    mishap: str, flag: str, repair: str, node: Node, launch: Launch, lease: Lease, cloud: Cloud, target: Target
) -> None:
    until_free(launch, cloud, target)
    with node.broken(mishap, flag, repair):
        empty(cloud, target)
        server, _ = launch("broken")
        assert fault(server) == ("ERROR", NO_VALID_HOST)
        shown = cloud.lease(lease.id)
        assert (shown.status, shown.degraded) == ("ACTIVE", False)
