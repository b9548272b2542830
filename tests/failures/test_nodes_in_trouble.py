"""Bare-metal nodes that cannot be deployed although Blazar leases them: cleaned, in maintenance, broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.failures.conftest import Shell
from tests.kit.commands import Ended
from tests.kit.git import commit

Check = Callable[[], None]
PAIR = "gpu_a100_pcie"
"""A node type with several nodes."""
SINGLE = "gpu_a100_nvlink"
"""A node type with one."""
FIXED = {"busy_hosts_come_last": False}


@pytest.fixture
def ironic(shell: Shell) -> Iterator[Shell]:
    """The sandbox, in which Blazar takes nodes in a fixed order."""
    shell.endpoint.control("settings", {"overrides": FIXED})
    yield shell
    shell.endpoint.control("settings", {"overrides": {}})


def breaks(shell: Shell, what: str, node: str, **more: object) -> None:
    shell.endpoint.control("mishap", {"what": what, "id": node, **more})


def first_node(shell: Shell, node_type: str) -> str:
    """Name the node that Blazar gives first."""
    hosts = shell.act("blazar", "GET", "/os-hosts")["hosts"]
    return str(next(one["node_name"] for one in hosts if one["node_type"] == node_type))


def created(shell: Shell, done: Ended, kind: str) -> int:
    return sum(one["kind"] == kind for one in done.document["resources"])


def test_a_broken_node_is_replaced_before_its_lease_is_released(ironic: Shell, nothing_left: Check) -> None:
    """And the next run leaves it out, and replaces the one that is cleaned after its predecessor's teardown."""
    settings = {**FIXED, "cleaning_seconds": 30_000.0, "node_sync_seconds": 1e6}
    ironic.endpoint.control("settings", {"overrides": settings})
    node = first_node(ironic, PAIR)
    breaks(ironic, "node_maintenance", node, noticed=False)
    done = ironic.run("--node-type", PAIR)
    assert done.code == 0, done.err
    assert (created(ironic, done, "lease"), ironic.live()["lease"], ironic.live()["server"]) == (2, 1, 1)
    assert f"on node {node} (" in done.err
    assert "perhaps before it deployed anything" in done.err
    assert "SU/h; lease " in done.err
    assert done.err.index("created lease", done.err.index("reserving another")) < done.err.index("removing lease")
    assert "the reservation is not active yet" not in done.err
    again = ironic("teardown", "last", "--yes")
    assert again.code == 0, again.err
    once_more = ironic.run("--node-type", PAIR)
    assert (once_more.code, created(ironic, once_more, "lease")) == (0, 2), once_more.err
    assert f"left out: {node}" in once_more.err
    assert "is being cleaned, in maintenance or broken" in once_more.err
    breaks(ironic, "node_repaired", node)
    nothing_left()


HIDDEN = dict.fromkeys(("users_see_hosts", "users_see_properties", "users_see_allocations", "lease_shows_hosts"), False)


@pytest.mark.parametrize(
    ("policy", "need", "broken", "following"),
    [
        ({}, "300 GB of RAM", "compute_nvdimm", "compute_gigaio"),
        # No node can be excluded, and Blazar would give two of them in turn.
        (HIDDEN, "700 GB of disk", "storage_nvme", "compute_nvdimm"),
    ],
    ids=["nodes shown", "nodes hidden"],
)
def test_types_under_if_refused_follow_where_deployments_fail(
    ironic: Shell, nothing_left: Check, policy: dict[str, bool], need: str, broken: str, following: str
) -> None:
    (ironic.repository / "README.md").write_text(f"# thing\n\n## Requirements\n\nAt least {need}.\n")
    commit(ironic.repository)
    for host in ironic.act("blazar", "GET", "/os-hosts")["hosts"]:
        if host["node_type"] == broken:
            breaks(ironic, "node_maintenance", host["node_name"])
    ironic.endpoint.control("settings", {"overrides": {**FIXED, **policy}})
    done = ironic.run()
    assert done.code == 0, done.err
    assert created(ironic, done, "lease") == 3
    assert f"node type {broken}" in done.err
    assert f"reserving another {following} until " in done.err
    assert "usually" not in done.err
    nothing_left()


def test_where_no_other_node_exists_its_cleaning_is_waited_for(ironic: Shell, nothing_left: Check) -> None:
    ironic.endpoint.control("settings", {"overrides": {**FIXED, "cleaning_seconds": 25_000.0}})
    assert ironic.run("--node-type", SINGLE).code == 0
    assert ironic("teardown", "last", "--yes").code == 0
    done = ironic.run("--node-type", SINGLE, ENVAGENT_SERVER__CLEANING_SECONDS="40")
    assert done.code == 0, done.err
    assert "waiting for the node to be cleaned" in done.err
    assert ironic.live()["lease"] == 1
    nothing_left()


def test_the_first_true_cause_is_told_with_the_last(ironic: Shell, nothing_left: Check) -> None:
    ironic.faults({"action": "server_error", "nth": 1, "after": 10})
    node = first_node(ironic, SINGLE)
    breaks(ironic, "node_clean_fails", node)
    done = ironic.run("--node-type", SINGLE)
    assert done.code == 6, done.err
    message = done.document["error"]["message"]
    assert f"on node {node} (" in message
    assert "Nova passed over the reserved node" in message
    assert f"the first attempt failed on node {node}" in message
    assert "not active yet" not in message
    assert "try again on another node" in done.err
    breaks(ironic, "node_repaired", node)
    nothing_left()
