"""Nodes that cannot be deployed, on real Ironic: the run takes another one, or waits for the cleaning.

The nodes are broken by the operator, with Ironic's own API; elsewhere than on Ironic these tests are skipped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from envagent.cloud.adapter import connect
from envagent.errors import Forbidden
from tests.kit.commands import Ended
from tests.rig.operator import Judge, Rig
from tests.rig.shell import Shell

PAIR = "gpu_rtx_6000"
SINGLE = "gpu_v100"
VERSION = {"X-OpenStack-Ironic-API-Version": "1.80"}
PATIENT = {"ENVAGENT_SERVER__CLEANING_SECONDS": "240"}


class Nodes:
    """Ironic, as the operator sees it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.rig.operator.ask("baremetal", method, f"/v1/nodes{path}", body, headers=VERSION)
        assert answer.status < 300, (path, answer.status, answer.body)
        return answer.body

    def first(self, node_type: str) -> dict[str, Any]:
        """Return the host that Blazar gives first."""
        hosts = self.rig.operator.ask("reservation", "GET", "/os-hosts").body["hosts"]
        return min((one for one in hosts if one["node_type"] == node_type), key=lambda one: int(one["id"]))

    @contextlib.contextmanager
    def in_maintenance(self, node_id: str) -> Iterator[None]:
        self.ask("PUT", f"/{node_id}/maintenance", {"reason": "a test"})
        try:
            yield
        finally:
            self.ask("DELETE", f"/{node_id}/maintenance")


@pytest.fixture
def nodes(rig: Rig) -> Nodes:
    if not rig.on_ironic:
        pytest.skip("needs Ironic: the operator's catalog has no service `baremetal`")
    return Nodes(rig)


@pytest.fixture
def shown(rig: Rig) -> bool:
    """Whether users may list the hosts."""
    try:
        return bool(connect(rig.name).hosts())
    except Forbidden:
        return False


def leases(done: Ended) -> int:
    return sum(one["kind"] == "lease" for one in done.document["resources"])


def test_a_broken_node_is_replaced_before_its_lease_is_released(
    nodes: Nodes, shell: Shell, judge: Judge, shown: bool
) -> None:
    """And the next plan of the same journal leaves it out."""
    broken = nodes.first(PAIR)
    with nodes.in_maintenance(broken["hypervisor_hostname"]):
        done = shell.run("--node-type", PAIR, **PATIENT)
        assert done.code == 0, done.err
        run_id = done.document["run_id"]
        judge.complete([run_id])
        if leases(done) == 2:  # it was the node that Blazar gave first
            assert done.err.index("created lease", done.err.index("reserving another")) < done.err.index(
                "removing lease"
            )
            assert "the reservation is not active yet" not in done.err
            assert not shown or f"on node {broken['node_name']} ({broken['uid']})" in done.err
        assert shell("teardown", run_id, "--yes").code == 0
        judge.gone()
        again = shell.run("--node-type", PAIR, **PATIENT)
        assert again.code == 0, again.err
        if shown and leases(done) == 2:
            assert f"left out: {broken['node_name']}" in again.err
            assert "not reserved" in again.err
        assert shell("teardown", again.document["run_id"], "--yes").code == 0


def test_where_no_other_node_exists_its_cleaning_is_waited_for(nodes: Nodes, shell: Shell, judge: Judge) -> None:
    first = shell.run("--node-type", SINGLE, **PATIENT)
    assert first.code == 0, first.err
    assert shell("teardown", first.document["run_id"], "--yes").code == 0
    second = shell.run("--node-type", SINGLE, **PATIENT)
    assert second.code == 0, second.err
    assert "waiting for the node to be cleaned" in second.err or "went to ERROR" not in second.err
    judge.complete([second.document["run_id"]])
    assert shell("teardown", second.document["run_id"], "--yes").code == 0


def test_a_failed_deployment_tells_the_first_and_the_last_cause(
    nodes: Nodes, shell: Shell, judge: Judge, shown: bool
) -> None:
    node = nodes.first(SINGLE)
    done = shell.run("--node-type", SINGLE, "--server-name", "rig-fail-spawn", **PATIENT)
    assert done.code == 6, done.err
    message = done.document["error"]["message"]
    assert "failed on the reserved node" in message or "Nova gave up on the reserved node" in message
    assert "not active yet" not in message
    assert not shown or node["uid"] in message
    assert shell("teardown", done.document["run_id"], "--yes").code == 0
