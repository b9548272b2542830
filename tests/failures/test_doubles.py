"""A request that is carried out twice, or long after it was given up: what was made besides is found and removed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.failures.conftest import Shell
from tests.failures.test_changed_by_hand import resources
from tests.kit.commands import Ended

pytestmark = pytest.mark.scenario

ONE_OF_EACH = {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}
LOST = {"service": "blazar", "method": "POST", "path": "/leases$", "action": "drop", "nth": 1}


def carried_out_late(shell: Shell, done: Ended, who: str = "user", node_type: str | None = None) -> str:
    """Have the cloud carry out the run's lost request for a lease now, or one that somebody made like it."""
    name = next(one["name"] for one in done.document["resources"] if one["kind"] == "lease")
    end = str(done.document["lease"]["end_date"])[:16].replace("T", " ")
    return str(shell.reserve(name, end, who=who, node_type=node_type or done.document["node_type"])["id"])


def leases(shell: Shell) -> set[str]:
    return {one["id"] for one in shell.act("blazar", "GET", "/leases")["leases"]}


@pytest.mark.parametrize("kind", ["lease", "server"])
def test_a_node_that_a_middlebox_doubled_does_not_outlive_the_run(shell: Shell, kind: str) -> None:
    service, path = {"lease": ("blazar", "/leases$"), "server": ("nova", "/servers$")}[kind]
    shell.faults({"service": service, "method": "POST", "path": path, "action": "twice", "nth": 1})
    done = shell.run()
    assert done.code == 0, done.err
    assert shell.live() == ONE_OF_EACH
    assert f"warning: {kind} " in done.err
    assert "created by a repeated request" in done.err


def test_an_address_that_a_middlebox_doubled_goes_with_the_next_resume(shell: Shell) -> None:
    shell.faults({"service": "neutron", "method": "POST", "path": "/floatingips$", "action": "twice", "nth": 1})
    done = shell.run()
    again = shell("resume", "last")
    assert again.code == 0, again.err
    assert again.document["floating_ip"] == done.document["floating_ip"]
    assert shell.live() == ONE_OF_EACH


def test_a_lease_that_came_after_the_end_goes_with_the_next_resume(shell: Shell) -> None:
    shell.faults(LOST)
    done = shell.run()
    assert done.code == 0, done.err
    late = carried_out_late(shell, done)
    seen = shell("status", "last", "--refresh")
    assert "created by a repeated request" in seen.err
    assert late in leases(shell)
    again = shell("resume", "last")
    assert again.code == 0, again.err
    assert leases(shell) == {done.document["lease"]["id"]}
    assert resources(again)["server"] == "present"


def test_a_lease_that_came_after_the_teardown_goes_with_another(shell: Shell) -> None:
    shell.faults(LOST)
    done = shell.run()
    assert shell("teardown", "last", "--yes").code == 0
    carried_out_late(shell, done)
    again = shell("teardown", "last", "--yes")
    assert again.code == 0, again.err
    assert "checking whether it was carried out later" in again.err
    assert leases(shell) == set()


def test_a_clean_run_that_is_torn_down_is_not_looked_at_again(shell: Shell) -> None:
    shell.run()
    shell("teardown", "last", "--yes")
    shell.faults({"service": "keystone", "action": "fail", "status": 500})
    again: Any = shell("teardown", "last", "--yes")
    assert (again.code, "already torn down" in again.err) == (0, True)


@pytest.mark.parametrize(("who", "node_type"), [("mate", None), ("user", "gpu_v100")])
def test_a_lease_that_only_has_our_name_is_left_alone(shell: Shell, who: str, node_type: str | None) -> None:
    done = shell.run()
    other = carried_out_late(shell, done, who, node_type)
    again = shell("resume", "last")
    assert again.code == 0, again.err
    assert other in again.err
    assert "left alone" in again.err
    assert shell("teardown", "last", "--yes").code == 0
    assert leases(shell) == {other}
