"""A lease's life: capacity, the walk of its status, its end, changes of its dates, its price."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit.by_hand import date

from .conftest import Person, Sandbox, until


def test_capacity_is_the_sites_hosts(me: Person) -> None:
    leases = [me.lease(node_type="gpu_v100") for _ in range(4)]
    with pytest.raises(Exception, match="Not enough resources available"):
        me.lease(node_type="gpu_v100")
    hosts = [me.http("reservation", "GET", f"/leases/{one['id']}/hosts").json()["hosts"] for one in leases]
    assert len({host["id"] for (host,) in hosts}) == 4
    assert {host["node_type"] for (host,) in hosts} == {"gpu_v100"}
    me.blazar.lease.delete(leases[0]["id"])
    assert me.lease(node_type="gpu_v100")["status"] == "PENDING", "a deleted lease frees its host at once"
    later = me.blazar.lease.create("later", date(5), date(6), [me.reservation("gpu_v100")], [])
    assert later["status"] == "PENDING", "windows that do not overlap do not compete"


def test_requirements_are_strings_joined_by_and(me: Person) -> None:
    hosts = {host["id"]: host for host in me.blazar.host.list()}
    chosen = next(
        host for host in hosts.values() if host["node_type"] == "compute_gigaio" and host["gpu.gpu"] == "True"
    )
    clauses = ["and", ["==", "$node_type", "compute_gigaio"], ["!=", "$uid", chosen["uid"]], ["=", "$gpu.gpu", "True"]]
    asked = me.reservation(resource_properties=json.dumps(clauses))
    lease = me.blazar.lease.create("and", "now", date(1), [asked], [])
    (host,) = me.http("reservation", "GET", f"/leases/{lease['id']}/hosts").json()["hosts"]
    assert host["node_type"] == "compute_gigaio" and host["id"] != chosen["id"]
    assert hosts[host["id"]]["gpu.gpu"] == "True"


def test_two_leases_of_one_name_are_two_leases(me: Person) -> None:
    ids = {me.lease("same name")["id"] for _ in range(2)}
    assert ids <= {lease["id"] for lease in me.blazar.lease.list() if lease["name"] == "same name"}
    assert len(ids) == 2


def test_shape_of_a_lease(me: Person) -> None:
    lease = me.lease()
    assert lease["created_at"][10] == " " and lease["end_date"].endswith(":00.000000")
    (reservation,) = lease["reservations"]
    assert reservation["status"] == "pending" and reservation["lease_id"] == lease["id"]
    assert json.loads(reservation["resource_properties"]) == ["=", "$node_type", "gpu_rtx_6000"]
    assert {event["event_type"] for event in lease["events"]} == {"start_lease", "end_lease", "before_end_lease"}
    assert {event["status"] for event in lease["events"]} == {"UNDONE"}
    assert me.http("reservation", "GET", "/leases").headers["OpenStack-API-Version"] == "reservation 1.0"
    empty = me.blazar.lease.create("no reservations", "now", date(1), [], [])
    assert empty["reservations"] == []


def test_a_future_lease_waits_for_its_start(alone: Sandbox) -> None:
    sandbox, me = alone, alone.person()
    lease = me.blazar.lease.create("tomorrow", date(24), date(25), [me.reservation()], [])
    sandbox.control("clock", {"seconds": 23 * 3600})
    assert me.lease_status(lease["id"]) == "PENDING"
    sandbox.control("clock", {"seconds": 3600 + 60})
    until(lambda: me.lease_status(lease["id"]), "ACTIVE")


def test_the_end_takes_the_server_and_leaves_the_address(alone: Sandbox) -> None:
    sandbox, me = alone, alone.person()
    lease, reservation = me.active_lease(hours=2)
    server = me.server(reservation)
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    (port,) = me.conn.network.ports(device_id=server.id)
    address = me.address(port_id=port.id)
    sandbox.control("clock", {"seconds": 2 * 3600 + 60})
    walk = until(lambda: me.lease_status(lease["id"]), "TERMINATED")
    assert set(walk) <= {"ACTIVE", "TERMINATING", "TERMINATED"}
    assert me.server_status(server.id) == "gone"
    ended = me.blazar.lease.get(lease["id"])
    assert ended["reservations"][0]["status"] == "deleted"
    assert {event["status"] for event in ended["events"]} == {"DONE"}
    assert me.conn.network.get_ip(address.id).port_id is None
    me.blazar.lease.delete(lease["id"])
    assert me.lease_status(lease["id"]) == "gone"


def test_upstream_a_delete_waits_for_the_servers(sandbox: Sandbox, me: Person) -> None:
    sandbox.control("settings", {"profile": "upstream"})
    lease, reservation = me.active_lease()
    server = me.server(reservation)
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    me.blazar.lease.delete(lease["id"])
    assert (me.lease_status(lease["id"]), me.server_status(server.id)) == ("gone", "gone")


def test_changes_of_a_lease(sandbox: Sandbox, me: Person) -> None:
    lease, _ = me.active_lease(hours=3)

    def put(body: dict[str, Any]) -> tuple[int, str]:
        answer = me.http("reservation", "PUT", f"/leases/{lease['id']}", json=body)
        return answer.status_code, answer.json().get("error_message") or answer.json()["lease"]["status"]

    assert put({"name": "renamed"}) == (200, "UPDATING")
    assert me.blazar.lease.get(lease["id"])["name"] == "renamed"
    assert me.lease_status(lease["id"]) == "ACTIVE"
    assert put({"start_date": date(1)}) == (400, "Cannot modify the start date of already started leases")
    assert put({"end_date": date(-3)}) == (400, "End date must be later than current and start date")
    assert put({"reservations": [{"id": "x"}]}) == (
        400,
        "Please enter valid reservation IDs. Invalid reservation IDs are: x",
    )
    assert me.blazar.lease.update(lease["id"], prolong_for="1h")["status"] == "UPDATING"
    longer = me.blazar.lease.get(lease["id"])["end_date"]
    assert longer > lease["end_date"]
    busy = sandbox.control("allocations", {"node_type": "gpu_rtx_6000", "start_in_hours": 30, "hours": 2})
    assert len(busy["leases"]) == 37
    assert put({"end_date": date(31)}) == (500, "Not enough hosts available")
    assert me.blazar.lease.get(lease["id"])["end_date"] == longer


def test_an_extension_may_come_too_early(me: Person) -> None:
    lease, _ = me.active_lease(node_type="compute_skylake", hours=100)
    answer = me.http("reservation", "PUT", f"/leases/{lease['id']}", json={"end_date": date(110)})
    text = "Lease can only be extended within 172800 seconds of the leases current end time."
    assert (answer.status_code, answer.json()["error_message"]) == (400, text)


def test_ended_leases(alone: Sandbox) -> None:
    sandbox, me = alone, alone.person()
    lease, _ = me.active_lease(hours=1)
    sandbox.control("clock", {"seconds": 3700})
    until(lambda: me.lease_status(lease["id"]), "TERMINATED")
    body = {"end_date": date(200)}
    answer = me.http("reservation", "PUT", f"/leases/{lease['id']}", json=body)
    assert answer.json()["error_message"] == "Terminated leases can only be renamed"
    sandbox.control("settings", {"profile": "upstream"})
    assert me.http("reservation", "PUT", f"/leases/{lease['id']}", json=body).status_code == 200
    assert me.lease_status(lease["id"]) == "TERMINATED", "new dates do not bring it back"


def test_the_budget_and_its_refund(sandbox: Sandbox, me: Person) -> None:
    mate = sandbox.person("sandbox-mate")
    for lease in mate.blazar.lease.list():
        mate.blazar.lease.delete(lease["id"])
    sandbox.control("settings", {"service_units": 100000})
    dear = me.lease(node_type="gpu_a100_pcie", hours=100)
    price = 16 * 100
    sandbox.control("settings", {"service_units": price + 500})
    with pytest.raises(Exception, match=r"would spend 1\d{3}\.\d\d SUs, only \d+\.\d\d left") as caught:
        me.lease(node_type="gpu_a100_pcie", hours=100)
    assert "Reservation for project CHI-240001" in str(caught.value)
    assert caught.value.kwargs["code"] == 403  # type: ignore[attr-defined]
    me.blazar.lease.delete(dear["id"])
    assert me.lease(node_type="gpu_a100_pcie", hours=100)["status"] == "PENDING", "the unused part is given back"
    sandbox.control("settings", {"service_units": 100000})


def test_reserved_addresses_come_and_go_with_the_lease(sandbox: Sandbox, me: Person) -> None:
    public = me.conn.network.find_network("public").id
    asked = [{"resource_type": "virtual:floatingip", "network_id": public, "amount": 1}, me.reservation()]
    lease = me.blazar.lease.create("with address", "now", date(1), asked, [])
    assert [one["resource_type"] for one in lease["reservations"]] == ["virtual:floatingip", "physical:host"]
    until(lambda: me.lease_status(lease["id"]), "ACTIVE")
    tag = f"reservation:{lease['reservations'][0]['id']}"
    (address,) = [one for one in me.conn.network.ips() if tag in one.tags]
    assert address.floating_ip_address.startswith("127.21.0.")
    assert [one.id for one in me.conn.network.ips(tags=tag)] == [address.id]
    me.blazar.lease.delete(lease["id"])
    assert me.http("network", "GET", f"/v2.0/floatingips/{address.id}").status_code == 404


def test_who_has_which_host(sandbox: Sandbox, me: Person) -> None:
    lease = me.lease(node_type="fpga")
    (host,) = me.http("reservation", "GET", f"/leases/{lease['id']}/hosts").json()["hosts"]
    (taken,) = me.blazar.allocation.get("os-hosts", host["id"])["reservations"]
    assert (taken["lease_id"], taken["end_date"]) == (lease["id"], lease["end_date"])
    assert taken["extras"] == {"user_name": "you@example.org"}
    assert len(me.blazar.allocation.list("os-hosts")) == 132
    properties = me.blazar.host.list_properties(detail=True)
    types = next(one["property_values"] for one in properties if one["property"] == "node_type")
    assert "gpu_a100_nvlink" in types and len(types) == 10


def test_without_properties_chameleon_prefers_skylake(alone: Sandbox) -> None:
    me = alone.person()
    asked = [me.reservation(resource_properties="")]

    def node_type() -> str:
        lease = me.blazar.lease.create("any", "now", date(1), asked, [])
        (host,) = me.http("reservation", "GET", f"/leases/{lease['id']}/hosts").json()["hosts"]
        return str(host["node_type"])

    assert node_type() == "compute_skylake"
    alone.control("allocations", {"node_type": "compute_skylake", "hours": 2})
    assert node_type() != "compute_skylake", "then any node"
