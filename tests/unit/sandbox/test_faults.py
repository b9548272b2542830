"""Faults: each action, matched, counted, and judged by the log and by what the project holds."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from envagent.sandbox import SandboxError

from .conftest import Person, Sandbox, until


def lease_names(me: Person) -> list[str]:
    return [lease["name"] for lease in me.blazar.lease.list()]


def post_lease(me: Person, name: str, timeout: float = 10.0) -> requests.Response:
    root = me.conn.session.get_endpoint(service_type="reservation", region_name=me.region, interface="public")
    body = {"name": name, "start_date": "now", "end_date": "2099-01-01 00:00", "reservations": []}
    body["end_date"] = me.blazar.lease.list()[0]["end_date"][:16].replace("T", " ") if lease_names(me) else "now"
    headers = {"X-Auth-Token": me.conn.session.get_token()}
    return requests.post(f"{root}/leases", json=body, headers=headers, timeout=timeout)


@pytest.fixture
def lease(me: Person) -> dict[str, Any]:
    """A lease that is there already, whose dates serve."""
    return me.lease("there already")


@pytest.mark.usefixtures("lease")
class TestTheExchange:
    def test_fail_in_the_services_envelope(self, sandbox: Sandbox, me: Person) -> None:
        sandbox.faults(
            {
                "action": "fail",
                "service": "blazar",
                "method": "POST",
                "status": 503,
                "message": "busy",
                "headers": {"Retry-After": "7"},
            },
            {"action": "fail", "service": "nova", "status": 429, "message": "slow down"},
            {"action": "fail", "service": "neutron", "status": 500, "body": "<html>proxy</html>"},
            {"action": "fail", "service": "glance", "status": 409, "body": {"a": 1}},
            {"action": "fail", "service": "keystone", "status": 500, "contains": "no such word"},
        )
        before = sandbox.log()
        answer = post_lease(me, "never")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        assert answer.json() == {"error_code": 503, "error_message": "busy", "error_name": 503}
        assert me.http("compute", "GET", "/servers").json() == {"overLimit": {"code": 429, "message": "slow down"}}
        assert me.http("network", "GET", "/v2.0/ports").text == "<html>proxy</html>"
        assert me.http("image", "GET", "/v2/images").json() == {"a": 1}
        assert sandbox.log() == before

    def test_drop_before_and_after_the_commit(self, sandbox: Sandbox, me: Person) -> None:
        match = {"service": "blazar", "method": "POST", "path": "/leases$"}
        sandbox.faults({"action": "drop", "nth": 1, **match}, {"action": "commit_then_drop", "nth": 2, **match})
        for name in ("before", "after"):
            with pytest.raises(requests.ConnectionError):
                post_lease(me, name)
        assert "before" not in lease_names(me) and "after" in lease_names(me)
        assert [w["name"] for w in sandbox.log()][-1] == "after"
        assert post_lease(me, "third").status_code == 201

    def test_an_answer_that_lies_about_the_commit(self, sandbox: Sandbox, me: Person) -> None:
        sandbox.faults({"action": "commit_then_fail", "service": "blazar", "method": "POST", "status": 502})
        assert post_lease(me, "committed").status_code == 502
        assert "committed" in lease_names(me)

    def test_late_commit(self, sandbox: Sandbox, me: Person) -> None:
        sandbox.control("settings", {"speed": 100})
        late = {"action": "late_commit", "service": "blazar", "method": "POST", "seconds": 40}
        sandbox.faults({**late, "nth": 1}, {**late, "nth": 2, "status": 504})
        with pytest.raises(requests.ConnectionError):
            post_lease(me, "late 1")
        assert post_lease(me, "late 2").status_code == 504
        assert not {"late 1", "late 2"} & set(lease_names(me))
        until(lambda: {"late 1", "late 2"} <= set(lease_names(me)), True)

    def test_a_delay_outlasts_the_client_and_commits(self, sandbox: Sandbox, me: Person) -> None:
        sandbox.control("settings", {"speed": 100})
        sandbox.faults({"action": "delay", "service": "blazar", "method": "POST", "seconds": 40, "nth": 1})
        with pytest.raises(requests.ReadTimeout):
            post_lease(me, "delayed", timeout=0.1)
        assert "delayed" not in lease_names(me)
        until(lambda: "delayed" in lease_names(me), True)

    def test_a_slow_answer_comes_after_the_commit(self, sandbox: Sandbox, me: Person) -> None:
        sandbox.control("settings", {"speed": 100})
        sandbox.faults({"action": "slow_answer", "service": "blazar", "method": "POST", "seconds": 60})
        with pytest.raises(requests.ReadTimeout):
            post_lease(me, "slow", timeout=0.1)
        assert "slow" in lease_names(me)

    def test_a_token_expires_in_mid_run(self, sandbox: Sandbox, me: Person) -> None:
        old = me.conn.session.get_token()
        sandbox.faults({"action": "expire_token", "path": "/flavors", "nth": 1})
        assert list(me.conn.compute.flavors())
        assert me.conn.session.get_token() != old
        assert sandbox.control("faults")[0]["seen"] == 2, "the SDK asked again with a new token"

    def test_a_stale_list(self, sandbox: Sandbox, me: Person, lease: dict[str, Any]) -> None:
        time.sleep(1.2)
        me.blazar.lease.delete(lease["id"])
        me.lease("brand new")
        sandbox.control("settings", {"speed": 80})
        stale = {"action": "stale", "service": "blazar", "path": "/leases$", "seconds": 80, "nth": 1}
        sandbox.faults(stale)
        old, new = me.blazar.lease.list(), lease_names(me)
        assert lease["id"] in [one["id"] for one in old] and "brand new" not in [one["name"] for one in old]
        assert "brand new" in new

    def test_a_delete_that_does_nothing(self, sandbox: Sandbox, me: Person, lease: dict[str, Any]) -> None:
        address = me.address()
        server = me.server(None)
        until(lambda: me.server_status(server.id), "ERROR/None")
        before = sandbox.log()
        sandbox.faults({"action": "ignore_delete"})
        me.blazar.lease.delete(lease["id"])
        me.conn.network.delete_ip(address)
        me.conn.compute.delete_server(server)
        assert me.lease_status(lease["id"]) != "gone" and me.server_status(server.id) != "gone"
        assert me.conn.network.get_ip(address.id)
        assert sandbox.log() == before

    def test_counting_every_exchange(self, sandbox: Sandbox, me: Person) -> None:
        sandbox.faults({"action": "count"}, {"action": "fail", "status": 500, "nth": [2, 4]})
        codes = [me.http("compute", "GET", "/flavors").status_code for _ in range(5)]
        assert codes == [200, 500, 200, 500, 200]
        assert sandbox.control("faults")[0]["seen"] == 5

    def test_from_the_third_on(self, sandbox: Sandbox, me: Person) -> None:
        sandbox.faults({"action": "fail", "status": 503, "service": "nova", "from": 3})
        assert [me.http("compute", "GET", "/flavors").status_code for _ in range(4)] == [200, 200, 503, 503]


def test_no_capacity_for_some_types(sandbox: Sandbox, me: Person) -> None:
    sandbox.faults({"action": "no_capacity", "node_types": ["gpu_rtx_6000"]})
    with pytest.raises(Exception, match="Not enough resources available"):
        me.lease(node_type="gpu_rtx_6000")
    assert me.lease(node_type="compute_skylake")["status"] == "PENDING"


def test_a_lease_goes_to_error(sandbox: Sandbox, me: Person) -> None:
    sandbox.faults({"action": "lease_error", "nth": 1})
    broken, sound = me.lease("broken"), me.lease("sound")
    until(lambda: me.lease_status(broken["id"]), "ERROR")
    until(lambda: me.lease_status(sound["id"]), "ACTIVE")
    assert me.blazar.lease.get(broken["id"])["reservations"][0]["status"] == "error"
    me.blazar.lease.delete(broken["id"])
    assert me.lease_status(broken["id"]) == "gone"


def test_a_lease_never_starts(alone: Sandbox) -> None:
    sandbox, me = alone, alone.person()
    sandbox.faults({"action": "lease_stuck", "nth": 1})
    stuck, sound = me.lease("stuck"), me.lease("sound")
    until(lambda: me.lease_status(sound["id"]), "ACTIVE")
    sandbox.control("clock", {"seconds": 900})
    assert me.lease_status(stuck["id"]) == "PENDING"


def test_servers_fail_and_hang(alone: Sandbox) -> None:
    sandbox, me = alone, alone.person()
    _, reservation = me.active_lease()
    text = "Build of instance {id} aborted: no power"
    sandbox.faults(
        {"action": "server_error", "nth": 1, "text": text, "code": 503, "after": 20},
        {"action": "server_stuck", "nth": 3},
    )
    failed = me.server(reservation, "failed")
    until(lambda: me.server_status(failed.id), "ERROR/None")
    fault = me.conn.compute.get_server(failed.id).fault
    assert (fault["message"], fault["code"]) == (text.format(id=failed.id), 503)
    refused = me.server(reservation, "refused")
    until(lambda: me.server_status(refused.id), "ERROR/None")
    assert "No valid host" in me.conn.compute.get_server(refused.id).fault["message"], "a failed server keeps its node"
    me.conn.compute.delete_server(failed)
    until(lambda: me.server_status(failed.id), "gone")
    stuck = me.server(reservation, "stuck")
    until(lambda: me.server_status(stuck.id), "BUILD/spawning")
    sandbox.control("clock", {"seconds": 3000})
    assert me.server_status(stuck.id) == "BUILD/spawning"


def test_pools_and_quotas(sandbox: Sandbox, me: Person) -> None:
    sandbox.faults({"action": "fip_quota", "nth": 1})
    with pytest.raises(Exception, match=r"Quota exceeded for resources: \['floatingip'\]"):
        me.address()
    assert me.address().status == "DOWN"


def test_somebody_else_acts(sandbox: Sandbox, me: Person) -> None:
    lease, reservation = me.active_lease()
    public = me.conn.network.find_network("public").id
    made = sandbox.control(
        "act",
        {
            "as": "mate",
            "service": "neutron",
            "method": "POST",
            "path": "/v2.0/floatingips",
            "body": {"floatingip": {"floating_network_id": public, "description": "not yours"}},
        },
    )
    assert made["status"] == 201
    assert made["body"]["floatingip"]["id"] in [one.id for one in me.conn.network.ips()]
    server = me.server(reservation)
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    gone = sandbox.control("act", {"service": "nova", "method": "DELETE", "path": f"/servers/{server.id}"})
    assert gone["status"] == 204
    until(lambda: me.server_status(server.id), "gone")
    path = f"/leases/{lease['id']}"
    refused = sandbox.control("act", {"as": "other", "service": "blazar", "method": "DELETE", "path": path})
    assert refused["status"] == 403
    sandbox.control("act", {"as": "mate", "service": "blazar", "method": "DELETE", "path": path})
    assert me.lease_status(lease["id"]) == "gone"
    assert sandbox.log()[-1]["path"].startswith("/_sandbox/act/")


def test_bad_schedules_are_refused(sandbox: Sandbox) -> None:
    bad_entries: list[tuple[dict[str, Any], str]] = [
        ({"action": "explode"}, "action must be one of"),
        ({"action": "fail"}, "missing ['status']"),
        ({"action": "drop", "seconds": 3}, "unknown ['seconds']"),
        ({"action": "drop", "path": "("}, "unterminated"),
    ]
    for bad, why in bad_entries:
        with pytest.raises(SandboxError) as refused:
            sandbox.faults(bad)
        assert why in str(refused.value)


def test_real_allocations_make_a_busy_site(sandbox: Sandbox, me: Person) -> None:
    free = [one for one in me.blazar.allocation.list("os-hosts") if not one["reservations"]][:3]
    window = {"start_date": "2025-10-28T18:20:00.000000", "end_date": "2025-11-04T18:29:00.000000"}
    past = {"id": "r", "lease_id": "l", **window}
    loaded = [{"resource_id": one["resource_id"], "reservations": [past]} for one in free]
    assert sandbox.control("allocations", {"allocations": loaded})["leases"] == [], "what has ended is not loaded"
    now = time.time()
    moved = now - 1761676800
    made = sandbox.control("allocations", {"allocations": loaded, "moved_by_seconds": moved})["leases"]
    assert len(made) == 3
    taken = {one["resource_id"]: one["reservations"] for one in me.blazar.allocation.list("os-hosts")}
    assert all(len(taken[one["resource_id"]]) == 1 for one in free)


def mishap(sandbox: Sandbox, what: str, id: str, **more: str) -> None:
    sandbox.control("mishap", {"what": what, "id": id, **more})


def test_mishaps_to_leases_and_servers(sandbox: Sandbox, me: Person) -> None:
    lease, reservation = me.active_lease()
    server = me.server(reservation)
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    mishap(sandbox, "node_lost", lease["id"])
    seen = me.blazar.lease.get(lease["id"])
    assert seen["degraded"] and seen["reservations"][0]["missing_resources"]
    (before,) = me.http("reservation", "GET", f"/leases/{lease['id']}/hosts").json()["hosts"]
    mishap(sandbox, "node_replaced", lease["id"])
    (after,) = me.http("reservation", "GET", f"/leases/{lease['id']}/hosts").json()["hosts"]
    assert after["id"] != before["id"] and after["node_type"] == before["node_type"]
    assert me.blazar.lease.get(lease["id"])["reservations"][0]["resources_changed"]
    until(lambda: me.server_status(server.id), "gone")
    second = me.server(reservation)
    until(lambda: me.server_status(second.id), "ACTIVE/None")
    mishap(sandbox, "server_fails", second.id, text="power lost")
    assert me.conn.compute.get_server(second.id).fault["message"] == "power lost"
    mishap(sandbox, "lease_ends", lease["id"])
    until(lambda: me.lease_status(lease["id"]), "TERMINATED")
    until(lambda: me.server_status(second.id), "gone")
    broken, _ = me.active_lease()
    mishap(sandbox, "lease_fails", broken["id"])
    assert me.lease_status(broken["id"]) == "ERROR"
