"""KVM@TACC as a target: a flavor is leased, the server boots with the reservation's flavor, a group lets SSH in."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openstack.config import OpenStackConfig

from tests.contract.target import Wire
from tests.failures.conftest import Shell
from tests.kit.git import make_repository

Check = Callable[[], None]

CLOUD = "sandbox-kvm"
GROUP = "envagent-ssh"


@pytest.fixture
def wire(shell: Shell) -> Wire:
    """The site over plain HTTP, as the user."""
    config = OpenStackConfig(config_files=[str(shell.home / "sandbox" / "clouds.yaml")], load_envvars=False)
    return Wire(config.get_one(CLOUD))


def server_of(wire: Wire, document: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = wire.ask("compute", "GET", f"/servers/{document['server']['id']}").body["server"]
    return shown


def groups(wire: Wire) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = wire.ask("network", "GET", f"/security-groups?name={GROUP}").body["security_groups"]
    return found


def test_a_run_from_its_lease_to_its_end(shell: Shell, wire: Wire, nothing_left: Check) -> None:
    done = shell.run("--cloud", CLOUD)
    assert done.code == 0, done.err
    assert done.document["site"] == "KVM@TACC"
    assert shell.live() == {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}

    lease = wire.ask("reservation", "GET", f"/leases/{done.document['lease']['id']}").body["lease"]
    (reservation,) = lease["reservations"]
    assert reservation["resource_type"] == "flavor:instance"
    assert reservation["id"] == done.document["lease"]["reservation_id"]
    named = {one["id"]: one["name"] for one in wire.ask("compute", "GET", "/flavors").body["flavors"]}
    assert named[reservation["id"]] == f"reservation:{reservation['id']}"
    assert done.document["node_type"] in named.values()

    server = server_of(wire, done.document)
    assert server["flavor"].get("id", server["flavor"].get("original_name")) in (
        reservation["id"],
        f"reservation:{reservation['id']}",
    )
    assert [one["name"] for one in server["security_groups"]] == [GROUP]
    (group,) = groups(wire)
    ways_in = [rule for rule in group["security_group_rules"] if rule["direction"] == "ingress"]
    assert [(rule["protocol"], rule["port_range_min"], rule["port_range_max"]) for rule in ways_in] == [("tcp", 22, 22)]

    assert shell("resume", "last").document["server"]["id"] == done.document["server"]["id"]
    nothing_left()
    assert wire.ask("compute", "GET", f"/flavors/{reservation['id']}").status == 404
    assert len(groups(wire)) == 1  # the project's: the next run uses it


def test_a_flavor_that_is_taken_gives_way_to_the_next(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "no_capacity", "site": "kvm", "nth": 1})
    done = shell.run("--cloud", CLOUD)
    assert done.code == 0, done.err
    assert "no such node is free" in done.err
    first = done.document["plan"]["candidates"][0]["node_type"]
    assert done.document["node_type"] != first
    assert shell.live()["lease"] == 1
    nothing_left()


def test_a_flavor_that_the_user_names_and_none_that_the_site_has_not(shell: Shell, nothing_left: Check) -> None:
    done = shell.run("--cloud", CLOUD, "--node-type", "m1.medium")
    assert done.code == 0, done.err
    assert done.document["node_type"] == "m1.medium"
    nothing_left()
    refused = shell.run("--cloud", CLOUD, "--node-type", "gpu_rtx_6000")
    assert refused.code == 2
    assert "CHI@UC" in refused.document["error"]["hint"]
    assert set(shell.live().values()) == {0}


def test_a_gpu_flavor_that_the_user_names_is_taken_with_a_warning(
    shell: Shell, tmp_path: Path, nothing_left: Check
) -> None:
    readme = "# x\n\nNeeds a CUDA GPU with 40 GB of memory, and 100 GB of free disk space.\n"
    shell.repository = make_repository(tmp_path / "gpu", {"README.md": readme})
    refused = shell.run("--cloud", CLOUD)
    assert refused.code == 6
    assert "40 GB of disk" in refused.document["error"]["message"]
    assert "gpu_a100_pcie at CHI@" in refused.document["error"]["hint"]
    done = shell.run("--cloud", CLOUD, "--node-type", "g1.h100.pci.1")
    assert done.code == 0, done.err
    assert "40 GB of disk" in done.err
    nothing_left()


def test_bare_metal_is_not_looked_for_among_flavors(shell: Shell, tmp_path: Path) -> None:
    shell.repository = make_repository(tmp_path / "fpga", {"README.md": "# x\n\nRequires a Xilinx Alveo FPGA.\n"})
    done = shell.run("--cloud", CLOUD)
    assert done.code == 6
    assert "fpga at CHI@" in done.document["error"]["hint"]
    assert set(shell.live().values()) == {0}


def test_a_run_that_is_killed_at_the_server_is_taken_up_again(shell: Shell, wire: Wire, nothing_left: Check) -> None:
    shell.faults({"action": "delay", "service": "nova", "method": "POST", "path": "/servers$", "seconds": 3000})
    run = shell.start("--cloud", CLOUD)
    deadline = time.monotonic() + 60
    while shell.live()["lease"] == 0 or not groups(wire):
        assert run.running
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.send(signal.SIGKILL)
    run.wait(30)
    shell.faults()
    done = shell("resume", "last", ENVAGENT_SETTLE_SECONDS="5")
    assert done.code == 0, done.err
    assert shell.live() == {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}
    assert [one["name"] for one in server_of(wire, done.document)["security_groups"]] == [GROUP]
    assert len(groups(wire)) == 1
    nothing_left()


def test_two_runs_at_once_both_let_ssh_in(shell: Shell, wire: Wire) -> None:
    runs = [shell.start("--cloud", CLOUD) for _ in range(2)]
    ended = [run.wait(90) for run in runs]
    assert [one.code for one in ended] == [0, 0], "\n".join(one.err for one in ended)
    servers = wire.ask("compute", "GET", "/servers/detail").body["servers"]
    assert [[one["name"] for one in server["security_groups"]] for server in servers] == [[GROUP], [GROUP]]
    assert shell("teardown", "--orphans", "--all", "--cloud", CLOUD, "--yes").code == 0
    assert set(shell.live().values()) == {0}
