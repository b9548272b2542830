"""What can be done to a server that runs: its power, a rebuild, the lock, metadata, tags, groups; and when it may not.

One server serves the file; the tests stand in the order of its life.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from envagent.cloud.port import HostReservation

from .target import NOBODY, Exchange, Target, Wire, moment

AT = "X-OpenStack-Nova-API-Version"


class Live:
    """A server, and short ways to ask about it."""

    def __init__(self, target: Target, id: str) -> None:
        self.target, self.id = target, id

    def ask(self, method: str, path: str, body: Any = None, version: str = "2.1") -> Exchange:
        return self.target.wire.ask("compute", method, f"/servers/{self.id}{path}", body, headers={AT: version})

    def act(self, name: str, body: Any = None, version: str = "2.1") -> tuple[int, str]:
        """Do something to the server; the status, and what a refusal says of it."""
        answer = self.ask("POST", "/action", {name: body}, version)
        inner: Any = next(iter(answer.body.values()), {}) if isinstance(answer.body, dict) else {}
        return answer.status, inner.get("message", "").replace(self.id, "ID") if isinstance(inner, dict) else ""

    @property
    def state(self) -> str:
        server = self.ask("GET", "").body["server"]
        return f"{server['status']}/{server['OS-EXT-STS:vm_state']}/{server['OS-EXT-STS:task_state']}"

    def reach(self, *last: str) -> list[str]:
        return self.target.walk(lambda: self.state, *last)


@pytest.fixture(scope="module")
def live(target: Target) -> Iterator[Live]:
    lease = target.cloud.create_lease(target.label("act"), None, moment(2), HostReservation(node_type=target.plenty))
    target.walk(lambda: target.lease_status(lease.id), "ACTIVE")
    body = target.server_body("act", lease.reservations[0].id)
    # As openstackclient writes it: the image is named as a block device, too.
    disk = {"boot_index": 0, "uuid": target.image_id, "source_type": "image", "destination_type": "local"}
    body["server"]["block_device_mapping_v2"] = [{**disk, "delete_on_termination": True}]
    made = target.wire.ask("compute", "POST", "/servers", body)
    assert made.status == 202, made.body
    yield Live(target, made.body["server"]["id"])
    target.cloud.delete_lease(lease.id)


def test_nothing_of_this_while_it_is_built(live: Live) -> None:
    building = "Cannot '{}' instance ID while it is in vm_state building"
    assert live.act("reboot", {"type": "SOFT"}) == (409, building.format("reboot"))
    assert live.act("rebuild", {"imageRef": live.target.image_id}) == (409, building.format("rebuild"))
    answer = live.ask("POST", "/metadata", {"metadata": {"a": "1"}})
    assert answer.status == 409 and "'update metadata'" in answer.body["conflictingRequest"]["message"]
    answer = live.ask("PUT", "/tags/a", version="2.26")
    assert answer.status == 409 and "'update tag'" in answer.body["conflictingRequest"]["message"]
    live.reach("ACTIVE/active/None")


def test_bodies_of_actions(live: Live) -> None:
    assert live.act("dance") == (400, "There is no such action: dance")
    assert live.act("reboot", {"type": "odd"})[0] == live.act("reboot", {})[0] == live.act("reboot")[0] == 400
    assert live.act("rebuild", {"imageRef": "x"})[0] == live.act("rebuild", {})[0] == 400
    assert live.act("rebuild", {"imageRef": NOBODY}) == (400, "Cannot find image for rebuild")
    assert live.act("os-getConsoleOutput", {"length": "x"})[0] == 400
    assert live.ask("POST", "/action", {"os-stop": None, "lock": None}).body["badRequest"]["message"] == (
        "Malformed request body"
    )
    assert live.act("os-resetState", {"state": "error"})[0] == 403


def test_power(live: Live) -> None:
    assert live.act("os-start") == (409, "Cannot 'start' instance ID while it is in vm_state active")
    assert live.act("reboot", {"type": "soft"})[0] == 202
    assert {state.split("/")[0] for state in live.reach("ACTIVE/active/None")} <= {"REBOOT", "ACTIVE"}
    assert live.act("os-stop")[0] == 202
    assert set(live.reach("SHUTOFF/stopped/None")) <= {"ACTIVE/active/powering-off", "SHUTOFF/stopped/None"}
    assert live.ask("GET", "").body["server"]["OS-EXT-STS:power_state"] == 4
    assert live.act("os-stop") == (409, "Cannot 'stop' instance ID while it is in vm_state stopped")
    assert live.act("reboot", {"type": "SOFT"}) == (409, "Cannot 'reboot' instance ID while it is in vm_state stopped")
    assert live.act("os-start")[0] == 202
    live.reach("ACTIVE/active/None")


def test_a_rebuild(live: Live) -> None:
    asked = {"imageRef": live.target.image_id, "name": live.target.label("act-again"), "metadata": {"r": "1"}}
    answer = live.ask("POST", "/action", {"rebuild": asked})
    assert answer.status == 202
    shown = answer.body["server"]
    assert (shown["name"], shown["metadata"]) == (asked["name"], {"r": "1"})
    assert "adminPass" in shown and "OS-EXT-STS:vm_state" not in shown
    assert shown["status"] == "REBUILD"
    assert {state.split("/")[0] for state in live.reach("ACTIVE/active/None")} <= {"REBUILD", "ACTIVE"}


def test_the_lock(live: Live) -> None:
    locked = (409, "Instance ID is locked")
    assert live.act("lock", {"locked_reason": "mine"}, "2.73")[0] == 202
    server = live.ask("GET", "", version="2.73").body["server"]
    assert (server["locked"], server["locked_reason"]) == (True, "mine")
    assert live.act("os-stop") == live.act("reboot", {"type": "SOFT"}) == locked
    assert live.act("rebuild", {"imageRef": live.target.image_id}) == locked
    assert live.ask("DELETE", "").status == live.ask("POST", "/metadata", {"metadata": {"b": "2"}}).status == 409
    assert live.act("unlock")[0] == live.act("unlock")[0] == 202


def test_metadata(live: Live) -> None:
    assert live.ask("PUT", "/metadata", {"metadata": {"a": "1"}}).body == {"metadata": {"a": "1"}}
    assert live.ask("POST", "/metadata", {"metadata": {"b": "2"}}).body == {"metadata": {"a": "1", "b": "2"}}
    assert live.ask("PUT", "/metadata/b", {"meta": {"b": "3"}}).body == {"meta": {"b": "3"}}
    assert live.ask("GET", "/metadata/b").body == {"meta": {"b": "3"}}
    assert live.ask("DELETE", "/metadata/b").status == 204
    assert live.ask("GET", "/metadata/b").status == live.ask("DELETE", "/metadata/b").status == 404
    refused: list[dict[str, Any]] = [
        {"meta": {"c": "1"}},
        {"meta": {}},
        {"meta": {"b": "1", "c": "1"}},
        {"meta": {"b": 1}},
        {},
    ]
    for body in refused:
        assert live.ask("PUT", "/metadata/b", body).status == 400, body
    many = {"metadata": {str(number): "1" for number in range(129)}}
    assert live.ask("POST", "/metadata", many).status == 403
    assert live.ask("GET", "/metadata").body == {"metadata": {"a": "1"}}


def test_tags(live: Live) -> None:
    assert live.ask("GET", "/tags").status == 404, "not before 2.26"
    assert [live.ask("PUT", "/tags/a", version="2.26").status for _ in range(2)] == [201, 204]
    assert live.ask("PUT", "/tags", {"tags": ["c", "b", "b"]}, "2.26").body == {"tags": ["b", "c"]}
    assert live.ask("GET", "/tags/b", version="2.26").status == 204
    assert (
        live.ask("GET", "/tags/a", version="2.26").status == live.ask("DELETE", "/tags/a", version="2.26").status == 404
    )
    assert live.ask("PUT", "/tags/d,e", version="2.26").status == 400
    assert live.ask("PUT", "/tags", {"tags": ["d,e"]}, "2.26").status == 400
    listed = live.target.wire.ask("compute", "GET", "/servers?tags=b,c", headers={AT: "2.26"}).body["servers"]
    assert [server["id"] for server in listed] == [live.id]
    assert live.ask("DELETE", "/tags", version="2.26").status == 204
    assert live.ask("GET", "", version="2.26").body["server"]["tags"] == []


def test_security_groups(live: Live) -> None:
    group = {"name": "default"}
    assert (
        live.act("addSecurityGroup", {"name": "nobody"})[0] == live.act("removeSecurityGroup", {"name": "no"})[0] == 404
    )
    assert live.act("addSecurityGroup", {})[0] == live.act("addSecurityGroup", group)[0] == 400
    assert live.act("removeSecurityGroup", group)[0] == 202
    assert live.ask("GET", "/os-security-groups").body == {"security_groups": []}
    assert live.act("removeSecurityGroup", group)[0] == 404
    assert live.act("addSecurityGroup", group)[0] == 202
    (shown,) = live.ask("GET", "/os-security-groups").body["security_groups"]
    assert shown.keys() == {"id", "name", "description", "tenant_id", "rules"} and shown["name"] == "default"


def test_a_new_name(live: Live) -> None:
    name = live.target.label("act-renamed")
    shown = live.ask("PUT", "", {"server": {"name": name}}).body["server"]
    assert shown["name"] == name and "OS-EXT-STS:vm_state" not in shown
    assert "OS-EXT-STS:vm_state" in live.ask("PUT", "", {"server": {}}, "2.75").body["server"]
    for body in ({"server": {"name": ""}}, {"server": {"colour": 1}}, {"server": {"description": "d"}}, {"name": "x"}):
        assert live.ask("PUT", "", body).status == 400, body
    server = live.ask("GET", "", version="2.90").body["server"]
    assert server["OS-EXT-SRV-ATTR:hostname"] == live.target.label("act"), "the host's own name stays"
    (listed,) = live.target.wire.ask("compute", "GET", f"/servers/detail?name={name}", headers={AT: "2.90"}).body[
        "servers"
    ]
    assert server.keys() - listed.keys() == {"server_groups"}
    assert live.ask("PUT", "", {"server": {"description": "d"}}, "2.19").body["server"]["description"] == "d"


def test_what_hangs_on_it(live: Live) -> None:
    (port,) = live.ask("GET", "/os-interface").body["interfaceAttachments"]
    assert port.keys() >= {"net_id", "port_id", "mac_addr", "port_state", "fixed_ips"}
    assert live.ask("GET", f"/os-interface/{port['port_id']}").body["interfaceAttachment"]["net_id"] == port["net_id"]
    assert live.ask("GET", f"/os-interface/{NOBODY}").status == live.ask("GET", "/ips/nowhere").status == 404
    ((network, entries),) = live.ask("GET", "/ips").body["addresses"].items()
    assert entries == [{"version": 4, "addr": port["fixed_ips"][0]["ip_address"]}]
    assert live.ask("GET", f"/ips/{network}").body == {network: entries}
    assert live.ask("GET", "/os-volume_attachments").body == {"volumeAttachments": []}
    assert live.ask("GET", "/diagnostics").status == 403
    done = [entry["action"] for entry in live.ask("GET", "/os-instance-actions").body["instanceActions"]]
    assert done[-1] == "create" and {"reboot", "stop", "start", "rebuild", "lock", "unlock"} <= set(done)


def test_the_project_and_its_limits(live: Live, wire: Wire) -> None:
    project = wire.project_id
    quotas = wire.ask("compute", "GET", f"/os-quota-sets/{project}").body["quota_set"]
    newer = wire.ask("compute", "GET", f"/os-quota-sets/{project}", headers={AT: "2.57"}).body["quota_set"]
    assert quotas.keys() - newer.keys() == {
        *("injected_files", "injected_file_content_bytes", "injected_file_path_bytes"),
        *("fixed_ips", "floating_ips", "security_groups", "security_group_rules"),
    }
    detail = wire.ask("compute", "GET", f"/os-quota-sets/{project}/detail").body["quota_set"]
    limits = wire.ask("compute", "GET", "/limits").body["limits"]["absolute"]
    assert detail["instances"]["in_use"] == limits["totalInstancesUsed"] >= 1
    assert detail["cores"]["in_use"] == limits["totalCoresUsed"] >= 1
    assert wire.ask("compute", "GET", "/os-quota-sets/nobody").status == 403
    assert wire.ask("compute", "PUT", f"/os-quota-sets/{project}", {"quota_set": {"instances": 1}}).status == 403
    zones = wire.ask("compute", "GET", "/os-availability-zone").body["availabilityZoneInfo"]
    assert "nova" in [zone["zoneName"] for zone in zones]


def test_a_deleted_server(live: Live) -> None:
    assert live.ask("DELETE", "").status == 204
    live.target.walk(lambda: live.target.server_status(live.id), "HTTP 404")
    assert live.act("os-start") == (404, "Instance ID could not be found.")
    assert live.ask("GET", "/metadata").status == live.ask("GET", "/tags", version="2.26").status == 404
