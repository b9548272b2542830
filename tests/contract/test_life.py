"""A lease that starts, servers on it that come up and fail, an address, and the end of it all.

One lease serves the file. The tests stand in the order of its life; each looks at one stage of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from envagent.cloud.failures import server_failed
from envagent.cloud.port import Cloud, FloatingIp, HostReservation, Lease, Server, ServerRequest
from envagent.errors import BadRequest, Conflict, NotFound, NothingSuitable, QuotaExceeded, ServerFailed
from tests.kit.by_hand import public_key

from .target import NOBODY, Target, Wire, moment


@dataclass
class Life:
    """What happened, in the order in which it did."""

    target: Target
    lease: Lease
    as_created: str
    short: Lease
    """One that nobody deletes: it ends by itself in the minute after next."""
    lease_walk: list[str] = field(default_factory=list)

    @property
    def reservation(self) -> str:
        return self.lease.reservations[0].id


@dataclass
class Running:
    """The server on the lease."""

    server: Server
    walk: list[str]
    first: Server


@pytest.fixture(scope="module")
def life(target: Target) -> Life:
    """The lease, started."""
    target.cloud.import_keypair(target.label("life"), public_key())
    lease = target.cloud.create_lease(target.label("life"), None, moment(2), HostReservation(node_type=target.scarce))
    end = moment() + timedelta(minutes=2)
    short = target.cloud.create_lease(target.label("short"), None, end, HostReservation(node_type=target.plenty))
    found = Life(target, lease, lease.status, short)
    found.lease_walk = target.walk(lambda: target.lease_status(lease.id), "ACTIVE", "ERROR")
    found.lease = target.cloud.lease(lease.id)
    return found


@pytest.fixture(scope="module")
def running(target: Target, life: Life) -> Running:
    """A server on the lease, ACTIVE."""
    cloud = target.cloud
    first = cloud.create_server(
        ServerRequest(
            name=target.label("server"),
            image_id=target.image_id,
            flavor_id=target.flavor_id,
            network_id=target.network_id,
            key_name=target.label("life"),
            reservation_id=life.reservation,
            metadata={"run": target.mark},
        )
    )
    walk = target.walk(lambda: target.server_status(first.id), "ACTIVE", "ERROR")
    return Running(cloud.server(first.id), walk, first)


@pytest.fixture(scope="module")
def address(target: Target, running: Running) -> FloatingIp:
    """A floating IP on the server."""
    made = target.cloud.create_floating_ip(target.external_id, target.label("life"))
    (port,) = target.cloud.ports(running.server.id)
    return target.cloud.attach_floating_ip(made.id, port.id)


def test_a_lease_starts_within_ticks_of_its_start(life: Life) -> None:
    assert life.as_created == "PENDING"
    assert life.lease_walk[-1] == "ACTIVE"
    assert set(life.lease_walk) <= {"PENDING", "STARTING", "ACTIVE"}


def test_a_started_lease(life: Life, wire: Wire) -> None:
    assert life.lease.reservations[0].status == "active"
    assert not life.lease.degraded
    body = wire.ask("reservation", "GET", f"/leases/{life.lease.id}").body["lease"]
    events = {event["event_type"]: event["status"] for event in body["events"]}
    assert events["start_lease"] == "DONE"
    assert events["end_lease"] == "UNDONE"


def test_now_is_the_minute_that_runs(life: Life) -> None:
    assert life.lease.start.second == 0
    assert life.lease.created_at is not None
    assert 0 <= (life.lease.created_at - life.lease.start).total_seconds() < 125


@pytest.mark.parametrize("whose", ["nobody", "pending", "foreign"])
def test_a_server_on_a_reservation_that_does_not_hold_is_accepted_and_fails(
    whose: str, target: Target, cloud: Cloud, wire: Wire, life: Life
) -> None:
    """One that is not there, one of ours that has not started, and one of another project."""
    reservation, owner = NOBODY, target.role("other")[0] if whose == "foreign" else cloud
    if whose != "nobody":
        wanted = HostReservation(node_type=target.plenty)
        lease = owner.create_lease(target.label(whose), moment(4600), moment(4601), wanted)
        reservation = lease.reservations[0].id
    try:
        answer = wire.ask("compute", "POST", "/servers", target.server_body("lost", reservation))
        assert answer.status == 202
        server_id = answer.body["server"]["id"]
        assert target.walk(lambda: target.server_status(server_id), "ERROR", "ACTIVE")[-1] == "ERROR"
        failed = cloud.server(server_id)
        cloud.delete_server(server_id)
    finally:
        if whose != "nobody":
            owner.delete_lease(lease.id)
    assert failed.fault is not None
    assert failed.fault.code == 500
    assert failed.fault.message == "No valid host was found. There are not enough hosts available."
    assert isinstance(server_failed(failed), ServerFailed)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"imageRef": NOBODY}, "Can not find requested image"),
        (
            {"imageRef": "CC-Ubuntu22.04"},
            "Invalid input for field/attribute imageRef. Value: CC-Ubuntu22.04. "
            "'CC-Ubuntu22.04' is not valid under any of the given schemas",
        ),
        ({"flavorRef": "nope"}, "Flavor nope could not be found."),
        ({"networks": [{"uuid": NOBODY}]}, f"Network {NOBODY} could not be found."),
        (
            {"networks": [{"uuid": "sharednet1"}]},
            "Bad networks format: network uuid is not in proper format (sharednet1)",
        ),
        ({"key_name": "no-such-key"}, "Invalid key_name provided."),
        ({"name": ""}, "Invalid input for field/attribute name. Value: . '' should be non-empty"),
        ({"security_groups": [{"name": "nope"}]}, "Unable to find security_group with name or id 'nope'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_refused_server(changes: dict[str, object], said: str, target: Target, wire: Wire, life: Life) -> None:
    answer = wire.ask("compute", "POST", "/servers", target.server_body("never", life.reservation, **changes))
    assert answer.status == 400
    assert answer.body == {"badRequest": {"code": 400, "message": said}}


def test_a_refused_server_through_the_adapter(target: Target, cloud: Cloud, life: Life) -> None:
    request = ServerRequest(
        name=target.label("never"),
        image_id=target.image_id,
        flavor_id=target.flavor_id,
        network_id=target.network_id,
        key_name="no-such-key",
        reservation_id=life.reservation,
        metadata={},
    )
    with pytest.raises(BadRequest, match="cannot find the keypair"):
        cloud.create_server(request)


def test_the_instances_quota(target: Target, wire: Wire, life: Life) -> None:
    with target.quota("instances", 0):
        answer = wire.ask("compute", "POST", "/servers", target.server_body("never", life.reservation))
        assert answer.status == 403
        assert answer.body["forbidden"]["message"].startswith("Quota exceeded for instances: Requested 1, but already")
        request = ServerRequest(
            name=target.label("never"),
            image_id=target.image_id,
            flavor_id=target.flavor_id,
            network_id=target.network_id,
            key_name=target.label("life"),
            reservation_id=life.reservation,
            metadata={},
        )
        with pytest.raises(QuotaExceeded):
            target.cloud.create_server(request)


def test_no_server_of_that_id(cloud: Cloud, wire: Wire) -> None:
    for method in ("GET", "DELETE"):
        answer = wire.ask("compute", method, f"/servers/{NOBODY}")
        assert answer.status == 404
        assert answer.body["itemNotFound"]["message"] == f"Instance {NOBODY} could not be found."
    with pytest.raises(NotFound):
        cloud.server(NOBODY)
    cloud.delete_server(NOBODY)


def test_a_server_comes_up(target: Target, running: Running) -> None:
    assert running.walk[0] in ("BUILD", "ACTIVE")
    assert running.walk[-1] == "ACTIVE"
    assert running.first.status == "BUILD"
    server = running.server
    assert server.metadata == {"run": target.mark}
    assert server.key_name == target.label("life")
    assert server.image_id == target.image_id
    assert len(server.fixed_ips) == 1
    assert server.floating_ips == ()
    assert server.fault is None
    assert server.created_at is not None


def test_the_shape_of_a_server(wire: Wire, running: Running) -> None:
    body = wire.ask("compute", "GET", f"/servers/{running.server.id}").body["server"]
    assert {"OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "addresses", "flavor", "image", "tenant_id"} <= body.keys()
    assert body["OS-EXT-STS:vm_state"] == "active"
    ((address,),) = body["addresses"].values()
    assert address.keys() >= {"addr", "version", "OS-EXT-IPS:type", "OS-EXT-IPS-MAC:mac_addr"}
    listed = wire.ask("compute", "GET", "/servers/detail").body["servers"]
    assert body["id"] in {entry["id"] for entry in listed}


def test_it_reads_the_same_in_the_list(cloud: Cloud, running: Running) -> None:
    assert running.server in cloud.servers()


def test_names_filter_as_patterns(target: Target, wire: Wire, running: Running) -> None:
    """So a name is never asked for: lists are read whole and compared here."""
    answer = wire.ask("compute", "GET", f"/servers/detail?name={target.mark}-s.rv")
    assert [entry["id"] for entry in answer.body["servers"]] == [running.server.id]


def test_one_host_takes_one_server(target: Target, cloud: Cloud, wire: Wire, life: Life, running: Running) -> None:
    answer = wire.ask("compute", "POST", "/servers", target.server_body("second", life.reservation))
    assert answer.status == 202
    server_id = answer.body["server"]["id"]
    assert target.walk(lambda: target.server_status(server_id), "ERROR", "ACTIVE")[-1] == "ERROR"
    fault = cloud.server(server_id).fault
    cloud.delete_server(server_id)
    assert fault is not None
    assert fault.message == "No valid host was found. There are not enough hosts available."


def test_a_server_has_one_port(cloud: Cloud, target: Target, running: Running) -> None:
    (port,) = cloud.ports(running.server.id)
    assert port.network_id == target.network_id
    assert port.fixed_ips == running.server.fixed_ips
    assert cloud.ports(NOBODY) == []


def test_an_address_attached(target: Target, cloud: Cloud, running: Running, address: FloatingIp) -> None:
    assert address.fixed_ip == running.server.fixed_ips[0]
    assert address.port_id == cloud.ports(running.server.id)[0].id
    assert cloud.floating_ip(address.id).status == "ACTIVE"
    assert address.description == target.label("life")
    target.walk(lambda: ",".join(cloud.server(running.server.id).floating_ips), address.address)
    assert cloud.attach_floating_ip(address.id, str(address.port_id)).port_id == address.port_id


def test_a_second_address_on_the_port(
    target: Target, cloud: Cloud, wire: Wire, running: Running, address: FloatingIp
) -> None:
    second = cloud.create_floating_ip(target.external_id, target.label("second"))
    try:
        body = {"floatingip": {"port_id": address.port_id}}
        answer = wire.ask("network", "PUT", f"/floatingips/{second.id}", body)
        assert (answer.status, answer.body["NeutronError"]["type"]) == (409, "FloatingIPPortAlreadyAssociated")
        with pytest.raises(Conflict, match="has a floating IP already"):
            cloud.attach_floating_ip(second.id, str(address.port_id))
    finally:
        cloud.delete_floating_ip(second.id)


@pytest.fixture
def stranded(target: Target) -> Iterator[str]:
    """A port on a network without a router: one of our own, or where users make none, a server's on such a one."""
    cloud, wire = target.cloud, target.wire
    made = wire.ask("network", "POST", "/networks", {"network": {"name": target.label("island")}})
    if made.status == 201:
        network_id = made.body["network"]["id"]
        subnet = {"network_id": network_id, "ip_version": 4, "cidr": "10.99.0.0/24"}
        assert wire.ask("network", "POST", "/subnets", {"subnet": subnet}).status == 201
        port = wire.ask("network", "POST", "/ports", {"port": {"network_id": network_id}}).body["port"]
        yield port["id"]
        assert wire.ask("network", "DELETE", f"/ports/{port['id']}").status == 204
        assert wire.ask("network", "DELETE", f"/networks/{network_id}").status == 204
        return
    island = next((network for network in cloud.networks() if network.name in ("sharedwan1", "fabnetv4")), None)
    if island is None:
        pytest.skip("this project may not make networks, and no shared network lacks a router")
    lease = cloud.create_lease(target.label("island"), None, moment(2), HostReservation(node_type=target.plenty))
    target.walk(lambda: target.lease_status(lease.id), "ACTIVE")
    body = target.server_body("island", lease.reservations[0].id, networks=[{"uuid": island.id}])
    server_id = wire.ask("compute", "POST", "/servers", body).body["server"]["id"]
    target.walk(lambda: target.server_status(server_id), "ACTIVE")
    yield cloud.ports(server_id)[0].id
    cloud.delete_lease(lease.id)


def test_a_port_without_a_way_out(target: Target, cloud: Cloud, wire: Wire, stranded: str) -> None:
    address = cloud.create_floating_ip(target.external_id, target.label("island"))
    try:
        answer = wire.ask("network", "PUT", f"/floatingips/{address.id}", {"floatingip": {"port_id": stranded}})
        assert (answer.status, answer.body["NeutronError"]["type"]) == (404, "ExternalGatewayForFloatingIPNotFound")
        with pytest.raises(NothingSuitable, match="no way to the outside"):
            cloud.attach_floating_ip(address.id, stranded)
    finally:
        cloud.delete_floating_ip(address.id)


def test_nova_no_longer_attaches_addresses(target: Target, wire: Wire, running: Running) -> None:
    """Above microversion 2.43; below it is a proxy that we do not use."""
    body = {"addFloatingIp": {"address": "127.20.0.1"}}
    headers = {"X-OpenStack-Nova-API-Version": "2.60"}
    answer = wire.ask("compute", "POST", f"/servers/{running.server.id}/action", body, headers=headers)
    assert answer.status in (400, 404)


def test_ending_a_lease_that_runs_removes_its_server_and_leaves_the_address(
    target: Target, cloud: Cloud, life: Life, running: Running, address: FloatingIp
) -> None:
    begun = time.monotonic()
    cloud.delete_lease(life.lease.id)
    assert time.monotonic() - begun < 120
    assert target.walk(lambda: target.lease_status(life.lease.id), "HTTP 404")
    target.walk(lambda: target.server_status(running.server.id), "HTTP 404")
    with pytest.raises(NotFound):
        cloud.lease(life.lease.id)
    assert life.lease.id not in {lease.id for lease in cloud.leases()}
    target.walk(lambda: str(cloud.floating_ip(address.id).port_id), "None")
    left = cloud.floating_ip(address.id)
    assert (left.status, left.fixed_ip) == ("DOWN", None)
    assert left.address == address.address
    cloud.delete_lease(life.lease.id)
    cloud.delete_server(running.server.id)
    cloud.delete_floating_ip(address.id)


def test_a_lease_ends_by_itself_and_stays_in_the_list(target: Target, cloud: Cloud, wire: Wire, life: Life) -> None:
    target.pass_time(until=life.short.end)
    walk = target.walk(lambda: target.lease_status(life.short.id), "TERMINATED", "ERROR")
    assert walk[-1] == "TERMINATED"
    assert set(walk) <= {"PENDING", "STARTING", "ACTIVE", "TERMINATING", "TERMINATED"}
    ended = next(lease for lease in cloud.leases() if lease.id == life.short.id)
    assert ended == cloud.lease(life.short.id)
    assert ended.reservations[0].status == "deleted"
    events = wire.ask("reservation", "GET", f"/leases/{ended.id}").body["lease"]["events"]
    assert {event["status"] for event in events} == {"DONE"}
    cloud.delete_lease(ended.id)
    assert target.lease_status(ended.id) == "HTTP 404"
