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
from tests.kit.waiting import until
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

    def of_type(self, node_type: str) -> list[dict[str, Any]]:
        """Return the hosts of a node type, in the order in which Blazar gives them."""
        hosts = self.rig.operator.ask("reservation", "GET", "/os-hosts").body["hosts"]
        return sorted((one for one in hosts if one["node_type"] == node_type), key=lambda one: int(one["id"]))

    def first(self, node_type: str) -> dict[str, Any]:
        """Return the host that Blazar gives first."""
        return self.of_type(node_type)[0]

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


def test_after_a_teardown_the_other_node_is_used_while_the_first_is_cleaned(
    nodes: Nodes, shell: Shell, judge: Judge
) -> None:
    for _ in range(2):
        done = shell.run("--node-type", PAIR, **PATIENT)
        assert done.code == 0, done.err
        assert "waiting for the node to be cleaned" not in done.err
        judge.complete([done.document["run_id"]])
        assert shell("teardown", done.document["run_id"], "--yes").code == 0


def test_types_under_if_refused_follow_where_deployments_fail(nodes: Nodes, shell: Shell, judge: Judge) -> None:
    planned = shell("plan", str(shell.repository), "--cloud", nodes.rig.name)
    types = [one["node_type"] for one in planned.document["plan"]["candidates"]]
    best = next(one for one in types if nodes.of_type(one))
    with contextlib.ExitStack() as broken:
        for host in nodes.of_type(best):
            broken.enter_context(nodes.in_maintenance(host["hypervisor_hostname"]))
        done = shell.run(**PATIENT)
    assert done.code == 0, done.err
    judge.complete([done.document["run_id"]])
    assert leases(done) > 1, done.err
    assert shell("teardown", done.document["run_id"], "--yes").code == 0


def test_a_node_that_breaks_just_before_the_launch(nodes: Nodes, shell: Shell, judge: Judge, shown: bool) -> None:
    """Nova does not know yet, and gives up at once with the words of a failed deployment."""
    node = nodes.first(SINGLE)
    started = shell.start_run("--node-type", SINGLE, ENVAGENT_LEASE__POLL_SECONDS="6", **PATIENT)
    started.wait_for("created lease")
    until(lambda: any(one["status"] == "ACTIVE" for one in nodes.rig.everything()["user"]["lease"]), "an ACTIVE lease")
    with nodes.in_maintenance(node["hypervisor_hostname"]):
        started.wait_for("went to ERROR")
    done = started.wait()
    assert done.code == 0, done.err
    assert "its deployment failed on the reserved node" not in done.err
    assert "perhaps before it deployed anything" in done.err or "Nova passed over the reserved node" in done.err
    assert not shown or f"on node {node['node_name']} ({node['uid']})" in done.err
    judge.complete([done.document["run_id"]])
    assert shell("teardown", done.document["run_id"], "--yes").code == 0


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
