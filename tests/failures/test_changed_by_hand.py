"""Somebody changes the cloud behind a run's back: the next resume finds it, and says only what is so."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.failures.conftest import Shell
from tests.kit.commands import Ended
from tests.kit.waiting import until

pytestmark = pytest.mark.scenario

Check = Callable[[], None]


def resources(done: Ended) -> dict[str, str]:
    return {one["kind"]: one["state"] for one in done.document["resources"]}


@pytest.fixture
def nothing_left(shell: Shell) -> Iterator[Check]:
    """Whatever happened, a teardown leaves nothing in the project."""

    def check() -> None:
        done = shell("teardown", "last", "--yes")
        assert done.code == 0, done.err
        for service, path, key in (
            ("blazar", "/leases", "leases"),
            ("nova", "/servers", "servers"),
            ("neutron", "/v2.0/floatingips", "floatingips"),
            ("nova", "/os-keypairs", "keypairs"),
        ):
            assert shell.act(service, "GET", path)[key] == []

    yield check


@pytest.fixture
def up(shell: Shell) -> Ended:
    """A run that has succeeded."""
    done = shell.run()
    assert done.code == 0, done.err
    return done


def server_of(shell: Shell, done: Ended) -> dict[str, Any]:
    return dict(shell.act("nova", "GET", f"/servers/{done.document['server']['id']}")["server"])


# What a resume repairs or corrects


def test_what_was_moved_or_renamed_is_found_and_shown_as_it_is(shell: Shell, up: Ended, nothing_left: Check) -> None:
    ids = {one["kind"]: one["id"] for one in up.document["resources"]}
    shell.act("neutron", "PUT", f"/v2.0/floatingips/{ids['floating_ip']}", {"floatingip": {"port_id": None}})
    shell.act("nova", "PUT", f"/servers/{ids['server']}", {"server": {"name": "renamed"}})
    longer = datetime.fromisoformat(up.document["lease"]["end_date"]) + timedelta(hours=5)
    shell.act("blazar", "PUT", f"/leases/{ids['lease']}", {"end_date": longer.strftime("%Y-%m-%d %H:%M")})
    seen = shell("status", "last", "--refresh")
    assert seen.code == 0, seen.err
    assert "was detached" in seen.err
    assert "was renamed to renamed" in seen.err
    assert datetime.fromisoformat(seen.document["lease"]["end_date"]) == longer.replace(second=0, microsecond=0)
    again = shell("resume", "last")
    assert again.code == 0, again.err
    assert again.document["floating_ip"] == up.document["floating_ip"]
    address = shell.act("neutron", "GET", f"/v2.0/floatingips/{ids['floating_ip']}")["floatingip"]
    assert address["port_id"] is not None
    assert {one["kind"]: one["name"] for one in again.document["resources"]}["server"] == "renamed"
    assert shell.live() == {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}
    nothing_left()


def test_a_keypair_that_was_deleted_before_the_server_is_registered_again(shell: Shell, nothing_left: Check) -> None:
    fault = {"service": "nova", "method": "POST", "path": "/servers$", "action": "fail", "status": 400, "nth": 1}
    shell.faults({**fault, "message": "Invalid key_name provided."})
    done = shell.run()
    assert done.code == 7, done.err
    assert "envagent resume" in done.document["error"]["hint"]
    (name,) = [one["name"] for one in done.document["resources"] if one["kind"] == "keypair"]
    shell.act("nova", "DELETE", f"/os-keypairs/{name}")
    again = shell("resume", "last", "--yes")
    assert again.code == 0, again.err
    assert "was deleted; registering it again" in again.err
    assert shell.live() == {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}
    nothing_left()


def test_a_keypair_that_was_deleted_after_the_server_is_not_missed(shell: Shell, up: Ended) -> None:
    (name,) = [one["name"] for one in up.document["resources"] if one["kind"] == "keypair"]
    shell.act("nova", "DELETE", f"/os-keypairs/{name}")
    again = shell("resume", "last")
    assert again.code == 0, again.err
    assert resources(again)["keypair"] == "absent"


def test_an_address_that_was_released_is_replaced(shell: Shell, up: Ended, nothing_left: Check) -> None:
    (address,) = [one["id"] for one in up.document["resources"] if one["kind"] == "floating_ip"]
    shell.act("neutron", "DELETE", f"/v2.0/floatingips/{address}")
    again = shell("resume", "last")
    assert again.code == 0, again.err
    assert "was released; taking another" in again.err
    assert again.document["ssh"].endswith(f"cc@{again.document['floating_ip']}")
    assert shell.live() == {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}
    nothing_left()


# What a resume can only report


def test_a_deleted_server_is_on_record_and_its_login_gone(shell: Shell, up: Ended, nothing_left: Check) -> None:
    shell.act("nova", "DELETE", f"/servers/{up.document['server']['id']}")
    until(lambda: shell.live()["server"] == 0)
    time.sleep(0.5)
    again = shell("resume", "last")
    assert again.code == 6
    assert "was deleted, but not by this run" in again.document["error"]["message"]
    assert "envagent teardown" in again.document["error"]["hint"]
    assert again.document["ssh"] is None
    assert resources(again) == {"lease": "present", "server": "absent", "floating_ip": "present", "keypair": "present"}
    assert shell("status", "last").document["state"] == "failed"
    nothing_left()


def test_a_deleted_lease_is_on_record_and_nothing_is_called_charged(
    shell: Shell, up: Ended, nothing_left: Check
) -> None:
    shell.act("blazar", "DELETE", f"/leases/{up.document['lease']['id']}")
    seen = until(lambda: (now := shell("status", "last", "--refresh")) and resources(now)["server"] == "absent" and now)
    assert resources(seen)["lease"] == "absent"
    assert seen.document["state"] == "failed"
    again = shell("resume", "last")
    assert again.code == 6
    assert "was deleted, but not by this run" in again.document["error"]["message"]
    assert "SU/h:" not in again.err
    nothing_left()


@pytest.mark.parametrize("during", ["after the run", "during the run"])
def test_a_stopped_server_is_called_stopped(shell: Shell, during: str, nothing_left: Check) -> None:
    if during == "after the run":
        shell.run()
    else:
        shell.faults({"action": "fail", "service": "neutron", "method": "POST", "path": "floatingips", "status": 401})
        assert shell.run().code == 4
        shell.faults()
    document = shell("status", "last").document
    (server,) = [one["id"] for one in document["resources"] if one["kind"] == "server"]
    shell.act("nova", "POST", f"/servers/{server}/action", {"os-stop": None})
    until(lambda: shell.act("nova", "GET", f"/servers/{server}")["server"]["status"] == "SHUTOFF")
    stopped = shell("resume", "last", "--yes")
    assert stopped.code == 6
    assert "SHUTOFF: somebody stopped it" in stopped.document["error"]["message"]
    assert f"openstack --os-cloud sandbox server start {server}" in stopped.document["error"]["hint"]
    shell.act("nova", "POST", f"/servers/{server}/action", {"os-start": None})
    until(lambda: shell.act("nova", "GET", f"/servers/{server}")["server"]["status"] == "ACTIVE")
    again = shell("resume", "last", "--yes")
    assert again.code == 0, again.err
    assert again.document["state"] == "succeeded"
    nothing_left()


def test_a_run_whose_lease_is_lost_midway_reserves_again(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "server_stuck"})
    run = shell.start("--yes")
    lease = until(lambda: [one for one in _held(shell) if one["kind"] == "server"] and _lease(shell))
    run.send(signal.SIGTERM)
    run.wait(60)
    shell.act("blazar", "DELETE", f"/leases/{lease}")
    shell.faults()
    gone = shell("resume", "last", "--yes")
    assert gone.code == 6, gone.err
    assert resources(gone)["lease"] == "absent"
    nothing_left()


def _held(shell: Shell) -> list[dict[str, Any]]:
    done = shell("status", "last")
    return list(done.document["resources"]) if done.code == 0 else []


def _lease(shell: Shell) -> str:
    return next(str(one["id"]) for one in _held(shell) if one["kind"] == "lease")


# What is not the run's


def colleagues_server(shell: Shell, run_id: str, name: str) -> str:
    """A colleague launches a server with the run's tag, as a copy of its metadata would have."""
    end = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M")
    lease = shell.reserve("mine", end, who="mate")
    until(lambda: shell.act("blazar", "GET", f"/leases/{lease['id']}", who="mate")["lease"]["status"] == "ACTIVE")
    server = {
        "name": name,
        "flavorRef": shell.act("nova", "GET", "/flavors")["flavors"][0]["id"],
        "imageRef": shell.act("glance", "GET", "/v2/images")["images"][0]["id"],
        "networks": [{"uuid": _network(shell)}],
        "metadata": {"envagent_run": run_id, "envagent_try": "1"},
    }
    hints = {"reservation": lease["reservations"][0]["id"]}
    body = {"server": server, "os:scheduler_hints": hints}
    return str(shell.act("nova", "POST", "/servers", body, who="mate")["server"]["id"])


def _network(shell: Shell) -> str:
    networks = shell.act("neutron", "GET", "/v2.0/networks")["networks"]
    return str(next(one["id"] for one in networks if one["name"] == "sharednet1"))


def test_a_colleagues_server_with_our_tag_is_neither_adopted_nor_removed(shell: Shell) -> None:
    shell.faults({"service": "nova", "method": "POST", "path": "/servers$", "action": "drop", "nth": 1})
    shell.settings["ENVAGENT_SETTLE_SECONDS"] = "10"
    run = shell.start("--yes")
    intents = until(lambda: [one for one in _held(shell) if one["kind"] == "server" and one["state"] == "unknown"])
    run_id = shell("status", "last").document["run_id"]
    theirs = colleagues_server(shell, run_id, intents[0]["name"])
    ended = run.wait(120)
    assert ended.code == 0, ended.out
    done = shell("status", "last")
    assert done.document["server"]["id"] != theirs
    assert any(theirs in line and "left alone" in line for line in done.document["warnings"])
    assert shell("teardown", "last", "--yes").code == 0
    assert shell.act("nova", "GET", f"/servers/{theirs}", who="mate")["server"]["status"] == "ACTIVE"
