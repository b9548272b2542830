"""A server's life: where it lands, how it fails, how it goes; and what Nova's microversions change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.kit.by_hand import date

from .conftest import PUBLIC_KEY, SPEED, Person, Sandbox, until

NO_VALID_HOST = "No valid host was found. There are not enough hosts available."


def fault_of(me: Person, id: str) -> dict[str, Any]:
    until(lambda: me.server_status(id), "ERROR/None")
    fault: dict[str, Any] = me.conn.compute.get_server(id).fault
    return fault


def test_without_an_active_reservation_no_host_is_valid(sandbox: Sandbox, me: Person) -> None:
    other = sandbox.person("sandbox-other")
    _, foreign = other.active_lease()
    future = me.blazar.lease.create("future", date(24), date(25), [me.reservation()], [])
    for hint in (None, "my-lease", foreign, future["reservations"][0]["id"], future["id"]):
        server = me.server(hint)
        fault = fault_of(me, server.id)
        assert (fault["message"], fault["code"]) == (NO_VALID_HOST, 500)
        me.conn.compute.delete_server(server)
        assert me.server_status(server.id) == "gone", "what never had a host goes at once"


def test_a_reserved_host_takes_one_server(me: Person) -> None:
    _, reservation = me.active_lease()
    first = me.server(reservation, "first")
    until(lambda: me.server_status(first.id), "ACTIVE/None")
    second = me.server(reservation, "second")
    assert fault_of(me, second.id)["message"] == NO_VALID_HOST
    me.conn.compute.delete_server(first)
    assert me.server_status(first.id) in ("ACTIVE/deleting", "gone")
    until(lambda: me.server_status(first.id), "gone")
    third = me.server(reservation, "third")
    until(lambda: me.server_status(third.id), "ACTIVE/None")


@pytest.mark.parametrize("spelling", ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"])
def test_both_spellings_of_the_hint(me: Person, spelling: str) -> None:
    _, reservation = me.active_lease()
    boot = me.boot()
    body = {
        "server": {
            "name": "s",
            "imageRef": boot["image_id"],
            "flavorRef": boot["flavor_id"],
            "networks": boot["networks"],
        },
        spelling: {"reservation": reservation},
    }
    answer = me.http("compute", "POST", "/servers", json=body)
    assert answer.status_code == 202
    created = answer.json()["server"]
    assert answer.headers["Location"] == created["links"][0]["href"]
    assert created.keys() == {"id", "links", "adminPass", "OS-DCF:diskConfig", "security_groups"}
    until(lambda: me.server_status(created["id"]), "ACTIVE/None")


def test_microversions(me: Person) -> None:
    server = me.server(None, "micro")

    def show(version: str) -> tuple[int, dict[str, Any], str]:
        answer = me.http(
            "compute", "GET", f"/servers/{server.id}", headers={"OpenStack-API-Version": f"compute {version}"}
        )
        return answer.status_code, answer.json(), answer.headers["OpenStack-API-Version"]

    status, old, version = show("2.1")
    assert (status, version) == (200, "compute 2.1")
    assert old["server"]["flavor"].keys() == {"id", "links"} and "tags" not in old["server"]
    _, new, version = show("2.90")
    assert version == "compute 2.90"
    assert new["server"]["flavor"]["original_name"] == "baremetal"
    assert new["server"]["OS-EXT-SRV-ATTR:hostname"] == "micro" and new["server"]["tags"] == []
    status, refused, _ = show("2.999")
    assert (status, refused["computeFault"]["code"]) == (406, 406)
    assert show("latest")[2] == "compute 2.95"


def test_lists_filter_and_page(me: Person) -> None:
    ids = [me.server(None, f"page-{number}").id for number in range(5)]
    listed = [server.id for server in me.conn.compute.servers(name="^page-", limit=2)]
    assert listed == ids[::-1], "newest first, through all pages"
    assert [server.name for server in me.conn.compute.servers(name="page-3")] == ["page-3"]
    until(lambda: me.server_status(ids[0]), "ERROR/None")
    assert ids[0] in [server.id for server in me.conn.compute.servers(status="ERROR")]
    assert ids[0] not in [server.id for server in me.conn.compute.servers(status="ACTIVE")]
    assert len(me.http("compute", "GET", "/servers?limit=1").json()["servers"]) == 1


def test_actions_and_console(me: Person) -> None:
    _, reservation = me.active_lease()
    server = me.server(reservation, "console")
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    assert "console login:" in me.conn.compute.get_server_console_output(server)["output"]
    (action,) = me.conn.compute.server_actions(server)
    assert (action.action, action.message) == ("create", None)
    assert me.conn.compute.get_server_action(action.request_id, server).request_id == action.request_id


def test_a_server_shows_what_it_is_busy_with(sandbox: Sandbox, me: Person) -> None:
    _, reservation = me.active_lease()
    server = me.server(reservation, "busy")
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    sandbox.control("settings", {"speed": 100})
    me.conn.compute.reboot_server(server, "SOFT")
    with pytest.raises(Exception, match=r"Cannot 'reboot' instance .* while it is in task_state rebooting"):
        me.conn.compute.reboot_server(server, "SOFT")
    me.conn.compute.reboot_server(server, "HARD")
    assert me.server_status(server.id) == "HARD_REBOOT/rebooting_hard"
    with pytest.raises(Exception, match=r"Cannot 'stop' instance .* while it is in task_state rebooting_hard"):
        me.conn.compute.stop_server(server)
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    me.conn.compute.stop_server(server)
    assert me.server_status(server.id) == "ACTIVE/powering-off"
    until(lambda: me.server_status(server.id), "SHUTOFF/None")
    me.conn.compute.rebuild_server(server, image=me.boot()["image_id"])
    assert me.server_status(server.id) == "REBUILD/rebuilding"
    assert "ACTIVE/powering-off" in until(lambda: me.server_status(server.id), "SHUTOFF/None"), "as stopped as before"
    me.conn.compute.start_server(server)
    assert me.server_status(server.id) == "SHUTOFF/powering-on"
    me.conn.compute.delete_server(server)
    until(lambda: me.server_status(server.id), "gone")


def test_keypairs_of_certificates(me: Person) -> None:
    def post(**asked: str) -> tuple[int, Any]:
        headers = {"OpenStack-API-Version": "compute 2.2"}
        answer = me.http("compute", "POST", "/os-keypairs", json={"keypair": asked}, headers=headers)
        return answer.status_code, answer.json()

    status, body = post(name="cert", type="x509", public_key=certificate())
    assert status == 201 and body["keypair"]["type"] == "x509"
    assert len(body["keypair"]["fingerprint"].split(":")) == 20
    status, body = post(name="no-cert", type="x509", public_key=PUBLIC_KEY)
    assert status == 400 and "failed to generate X509 fingerprint" in body["badRequest"]["message"]
    assert post(name="made", type="x509")[0] == 501
    assert post(name="odd", type="pgp", public_key=PUBLIC_KEY)[0] == 400
    me.conn.compute.delete_keypair("cert")


def certificate() -> str:
    """Return a certificate that vouches for itself."""
    key, name = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, None).public_bytes(Encoding.PEM).decode()


def test_what_only_others_simulate_is_a_501(me: Person) -> None:
    server = me.server(None, "elsewhere")
    for action in ("shelve", "pause", "createImage", "resize", "rescue"):
        answer = me.http("compute", "POST", f"/servers/{server.id}/action", json={action: None})
        assert answer.status_code == 501, action
        assert answer.json()["notImplemented"]["message"].startswith("The sandbox does not simulate")


def test_keypairs_belong_to_the_user(sandbox: Sandbox, me: Person) -> None:
    me.conn.compute.create_keypair(name="mine", public_key=PUBLIC_KEY)
    generated = me.conn.compute.create_keypair(name="generated")
    assert generated.private_key.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert {"mine", "generated"} <= {key.name for key in me.conn.compute.keypairs()}
    assert me.conn.compute.find_keypair("mine").fingerprint == "64:68:22:a2:3d:68:80:10:b0:73:2d:ad:ca:25:5d:e7"
    mate = sandbox.person("sandbox-mate")
    assert mate.conn.compute.find_keypair("mine", ignore_missing=True) is None, "not the project's: the user's"


def test_an_address_needs_a_route(me: Person) -> None:
    _, reservation = me.active_lease()
    fabric = me.conn.network.find_network("fabnetv4").id
    shared = me.conn.network.find_network("sharednet1").id
    boot = {**me.boot(), "networks": [{"uuid": fabric}, {"uuid": shared}]}
    hints = {"reservation": reservation}
    server = me.conn.compute.create_server(name="two-ports", scheduler_hints=hints, **boot)
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    ports = {port.network_id: port for port in me.conn.network.ports(device_id=server.id)}
    first, second = me.address(), me.address()
    with pytest.raises(Exception, match="is not reachable from subnet"):
        me.conn.network.update_ip(first, port_id=ports[fabric].id)
    assert me.conn.network.update_ip(first, port_id=ports[shared].id).status == "ACTIVE"
    with pytest.raises(Exception, match="already has a floating IP on external network"):
        me.conn.network.update_ip(second, port_id=ports[shared].id)
    assert me.conn.network.update_ip(first, port_id=None).status == "DOWN"


def test_kvm_boots_on_a_flavor_reservation(sandbox: Sandbox) -> None:
    kvm = sandbox.person("sandbox-kvm")
    with pytest.raises(Exception, match="The physical:host resource type is not supported"):
        kvm.lease()
    sandbox.control("settings", {"speed": 20})
    asked = {"resource_type": "flavor:instance", "flavor_id": "3", "amount": 1, "affinity": None}
    lease = kvm.blazar.lease.create("kvm", "now", date(1), [asked], [])
    reservation = lease["reservations"][0]["id"]
    assert kvm.conn.compute.find_flavor(reservation, ignore_missing=True) is None, "not before the lease is ACTIVE"
    until(lambda: kvm.lease_status(lease["id"]), "ACTIVE")
    sandbox.control("settings", {"speed": SPEED})
    flavor = kvm.conn.compute.find_flavor(f"reservation:{reservation}")
    assert (flavor.id, flavor.vcpus, flavor.ram) == (reservation, 2, 4096)
    group = kvm.conn.network.create_security_group(name="ssh")
    rule = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    kvm.conn.network.create_security_group_rule(security_group_id=group.id, **rule)
    with pytest.raises(Exception, match="Security group rule already exists"):
        kvm.conn.network.create_security_group_rule(security_group_id=group.id, **rule)
    arguments = {
        "image_id": kvm.conn.image.find_image("CC-Ubuntu24.04").id,
        "networks": [{"uuid": kvm.conn.network.find_network("sharednet1").id}],
        "security_groups": [{"name": "ssh"}],
    }
    unreserved = kvm.conn.compute.create_server(name="u", flavor_id="3", **arguments)
    assert fault_of(kvm, unreserved.id)["message"] == NO_VALID_HOST
    server = kvm.conn.compute.create_server(name="k", flavor_id=flavor.id, **arguments)
    until(lambda: kvm.server_status(server.id), "ACTIVE/None")
    assert [g["name"] for g in kvm.conn.compute.get_server(server.id).security_groups] == ["ssh"]
    second = kvm.conn.compute.create_server(name="k2", flavor_id=flavor.id, **arguments)
    assert fault_of(kvm, second.id)["message"] == NO_VALID_HOST
    kvm.blazar.lease.delete(lease["id"])
    until(lambda: kvm.server_status(server.id), "gone")
    assert kvm.conn.compute.find_flavor(reservation, ignore_missing=True) is None
