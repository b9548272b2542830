"""Neutron's writes: security groups and their rules, ports, tags; what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .target import NOBODY, Exchange, Target, Wire

Body = dict[str, Any]


def refused(answer: Exchange) -> tuple[int, str, str]:
    """The status, type and message of a refusal."""
    error = answer.body["NeutronError"]
    return answer.status, error["type"], error["message"]


@pytest.fixture
def group(target: Target, wire: Wire) -> Iterator[str]:
    body = {"security_group": {"name": target.label("group")}}
    made = wire.ask("network", "POST", "/security-groups", body).body["security_group"]["id"]
    yield made
    wire.ask("network", "DELETE", f"/security-groups/{made}")


@pytest.fixture
def port(target: Target, wire: Wire) -> Iterator[str]:
    body = {"port": {"network_id": target.network_id, "name": target.label("port")}}
    made = wire.ask("network", "POST", "/ports", body).body["port"]["id"]
    yield made
    wire.ask("network", "DELETE", f"/ports/{made}")


@pytest.fixture
def foreign(target: Target) -> Iterator[str]:
    """A security group of another project."""
    _, other = target.role("other")
    body = {"security_group": {"name": target.label("foreign")}}
    made = other.ask("network", "POST", "/security-groups", body).body["security_group"]["id"]
    yield made
    other.ask("network", "DELETE", f"/security-groups/{made}")


def default_group(wire: Wire) -> str:
    groups = wire.ask("network", "GET", "/security-groups?name=default").body["security_groups"]
    return str(groups[0]["id"])


BAD_GROUPS = [
    ({}, "HTTPBadRequest", "Resource body required"),
    ({"thing": 1}, "HTTPBadRequest", "Unable to find 'security_group' in request body"),
    ({"security_group": 5}, "HTTPBadRequest", "Object 'security_group' contains invalid data"),
    ({"security_group": {"name": 5}}, "HTTPBadRequest", "Invalid input for name. Reason: '5' is not a valid string."),
    ({"security_group": {"thing": 1}}, "HTTPBadRequest", "Unrecognized attribute(s) 'thing'"),
    ({"security_group": {"id": "x"}}, "HTTPBadRequest", "Attribute 'id' not allowed in POST"),
    (
        {"security_group": {"stateful": "maybe"}},
        "InvalidInput",
        "Invalid input for operation: 'maybe' cannot be converted to boolean.",
    ),
]


@pytest.mark.parametrize(("body", "type", "message"), BAD_GROUPS)
def test_groups_that_are_refused(wire: Wire, body: Body, type: str, message: str) -> None:
    assert refused(wire.ask("network", "POST", "/security-groups", body)) == (400, type, message)


def test_a_group_is_renamed_and_its_read_only_attributes_stay(target: Target, wire: Wire, group: str) -> None:
    path = f"/security-groups/{group}"
    renamed = wire.ask("network", "PUT", path, {"security_group": {"name": target.label("renamed")}})
    assert renamed.body["security_group"]["name"] == target.label("renamed")
    answer = wire.ask("network", "PUT", path, {"security_group": {"created_at": "x"}})
    assert refused(answer) == (400, "HTTPBadRequest", "Cannot update read-only attribute created_at")


def test_there_is_one_default_group(wire: Wire) -> None:
    exists = (409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    assert refused(wire.ask("network", "POST", "/security-groups", {"security_group": {"name": "Default"}})) == exists
    path = f"/security-groups/{default_group(wire)}"
    renamed = wire.ask("network", "PUT", path, {"security_group": {"name": "x"}})
    assert refused(renamed)[:2] == (409, "SecurityGroupCannotUpdateDefault")
    assert refused(wire.ask("network", "DELETE", path))[0] == 409


def test_a_group_in_use_stays(target: Target, wire: Wire, group: str) -> None:
    body = {"port": {"network_id": target.network_id, "security_groups": [group], "name": target.label("port")}}
    port = wire.ask("network", "POST", "/ports", body).body["port"]["id"]
    used = (409, "SecurityGroupInUse", f"Security Group {group} in use.")
    assert refused(wire.ask("network", "DELETE", f"/security-groups/{group}")) == used
    assert wire.ask("network", "DELETE", f"/ports/{port}").status == 204
    assert wire.ask("network", "DELETE", f"/security-groups/{group}").status == 204


def test_other_projects_groups_do_not_exist(wire: Wire, group: str, foreign: str) -> None:
    absent = (404, "SecurityGroupNotFound", f"Security group {foreign} does not exist")
    for method in ("GET", "DELETE"):
        assert refused(wire.ask("network", method, f"/security-groups/{foreign}")) == absent
    rule = {"direction": "ingress", "security_group_id": group, "remote_group_id": foreign}
    answer = wire.ask("network", "POST", "/security-group-rules", {"security_group_rule": rule})
    assert refused(answer) == absent
    rule = {"direction": "ingress", "security_group_id": foreign}
    answer = wire.ask("network", "POST", "/security-group-rules", {"security_group_rule": rule})
    assert refused(answer)[:2] == (403, "PolicyNotAuthorized")


BAD_RULES = [
    ({"direction": "up"}, "HTTPBadRequest"),
    ({"ethertype": "x"}, "SecurityGroupRuleInvalidEtherType"),
    ({"protocol": "x"}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": "tcp", "port_range_min": "x"}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "tcp", "port_range_min": 70000, "port_range_max": 70000}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "tcp", "port_range_min": 5, "port_range_max": 4}, "SecurityGroupInvalidPortRange"),
    ({"protocol": "tcp", "port_range_min": 5}, "SecurityGroupInvalidPortRange"),
    ({"port_range_min": 5, "port_range_max": 5}, "SecurityGroupProtocolRequiredWithPorts"),
    ({"protocol": "esp", "port_range_min": 5, "port_range_max": 6}, "SecurityGroupInvalidProtocolForPort"),
    ({"protocol": "icmp", "port_range_max": 6}, "SecurityGroupMissingIcmpType"),
    ({"protocol": "icmp", "port_range_min": 300}, "SecurityGroupInvalidIcmpValue"),
    ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"),
    ({"remote_ip_prefix": "x"}, "InvalidCIDR"),
    ({"remote_ip_prefix": "2001:db8::/32"}, "SecurityGroupRuleParameterConflict"),
    ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": NOBODY}, "SecurityGroupMultipleRemoteEntites"),
]


@pytest.mark.parametrize(("rule", "type"), BAD_RULES)
def test_rules_that_are_refused(wire: Wire, group: str, rule: Body, type: str) -> None:
    body = {"security_group_rule": {"direction": "ingress", "security_group_id": group, **rule}}
    assert refused(wire.ask("network", "POST", "/security-group-rules", body))[:2] == (400, type)


def test_rules_that_say_the_same_are_one(wire: Wire, group: str) -> None:
    base = {"direction": "ingress", "security_group_id": group, "port_range_min": 22, "port_range_max": 22}
    first = wire.ask("network", "POST", "/security-group-rules", {"security_group_rule": {**base, "protocol": 6}})
    assert first.status == 201
    assert first.body["security_group_rule"]["protocol"] == "6"
    again = {**base, "protocol": "tcp", "remote_ip_prefix": "0.0.0.0/0"}
    answer = wire.ask("network", "POST", "/security-group-rules", {"security_group_rule": again})
    message = f"Security group rule already exists. Rule id is {first.body['security_group_rule']['id']}."
    assert refused(answer) == (409, "SecurityGroupRuleExists", message)


def test_a_host_becomes_a_prefix_and_all_ports_none(wire: Wire, group: str) -> None:
    base = {"direction": "ingress", "security_group_id": group, "protocol": "tcp"}
    rule = {**base, "remote_ip_prefix": "10.0.0.1", "port_range_min": 1, "port_range_max": 65535}
    made = wire.ask("network", "POST", "/security-group-rules", {"security_group_rule": rule}).body
    shown = made["security_group_rule"]
    assert (shown["remote_ip_prefix"], shown["port_range_min"]) == ("10.0.0.1/32", None)


BAD_PORTS = [
    ({"network_id": None}, 400, "Invalid input for network_id. Reason: 'None' is not a valid UUID."),
    ({"network_id": NOBODY}, 404, f"Network {NOBODY} could not be found."),
    ({"security_groups": [NOBODY]}, 404, f"Security group {NOBODY} does not exist"),
    ({"fixed_ips": [{"subnet_id": NOBODY}]}, 404, f"Subnet {NOBODY} could not be found."),
    ({"mac_address": "x"}, 400, "Invalid input for mac_address. Reason: 'x' is not a valid MAC address."),
    (
        {"mac_address": "fa:16:3e:00:00:01"},
        403,
        "(rule:create_port and rule:create_port:mac_address) is disallowed by policy",
    ),
]


@pytest.mark.parametrize(("more", "status", "message"), BAD_PORTS)
def test_ports_that_are_refused(target: Target, wire: Wire, more: Body, status: int, message: str) -> None:
    body = {"port": {"network_id": target.network_id, **more}}
    found = refused(wire.ask("network", "POST", "/ports", body))
    assert (found[0], found[2]) == (status, message)


def test_a_port_takes_an_address_and_gives_up_its_floating_ip_with_itself(
    target: Target, wire: Wire, port: str
) -> None:
    shown = wire.ask("network", "GET", f"/ports/{port}").body["port"]
    assert (shown["status"], shown["device_owner"], len(shown["fixed_ips"])) == ("DOWN", "", 1)
    assert shown["security_groups"] == [default_group(wire)]
    asked = {"floating_network_id": target.external_id, "description": target.label("address"), "port_id": port}
    address = wire.ask("network", "POST", "/floatingips", {"floatingip": asked}).body["floatingip"]
    assert address["fixed_ip_address"] == shown["fixed_ips"][0]["ip_address"]
    assert wire.ask("network", "DELETE", f"/ports/{port}").status == 204
    left = wire.ask("network", "GET", f"/floatingips/{address['id']}").body["floatingip"]
    assert (left["port_id"], left["status"]) == (None, "DOWN")
    assert wire.ask("network", "DELETE", f"/floatingips/{address['id']}").status == 204


def test_tags_come_one_by_one_or_all_at_once(wire: Wire, port: str) -> None:
    tags = f"/ports/{port}/tags"
    assert wire.ask("network", "PUT", f"{tags}/one").status == 201
    assert wire.ask("network", "GET", f"{tags}/one").status == 204
    assert refused(wire.ask("network", "DELETE", f"{tags}/two"))[:2] == (404, "TagNotFound")
    assert wire.ask("network", "PUT", tags, {"tags": ["two"]}).body == {"tags": ["two"]}
    assert wire.ask("network", "GET", "/ports?tags=two&fields=id").body["ports"] == [{"id": port}]
    doubled = wire.ask("network", "PUT", tags, {"tags": ["a", "a"]})
    assert refused(doubled)[2] == "Invalid input for operation: Duplicate items in the list: 'a'."
    assert wire.ask("network", "DELETE", tags).status == 204


BAD_QUERIES = [
    ("limit=x", 400, "Bad limit request: Limit must be an integer 0 or greater and not 'x'."),
    ("sort_key=name", 400, "The number of sort_keys and sort_dirs must be same"),
    ("sort_key=thing&sort_dir=asc", 400, "['thing'] is invalid attribute for sort_keys"),
    ("sort_key=name&sort_dir=up", 400, "['up'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'"),
    ("shared=maybe", 400, "Invalid input for operation: 'maybe' cannot be converted to boolean."),
    (f"limit=1&marker={NOBODY}", 404, f"Network {NOBODY} could not be found."),
]


@pytest.mark.parametrize(("query", "status", "message"), BAD_QUERIES)
def test_queries_that_are_refused(wire: Wire, query: str, status: int, message: str) -> None:
    found = refused(wire.ask("network", "GET", f"/networks?{query}"))
    assert (found[0], found[2]) == (status, message)


def test_lists_are_sorted_trimmed_and_paged(wire: Wire) -> None:
    names = [
        [item["name"] for item in wire.ask("network", "GET", f"/networks?{query}").body["networks"]]
        for query in ("sort_key=name&sort_dir=asc", "sort_key=name&sort_dir=desc")
    ]
    assert names[0] == sorted(names[0]) == names[1][::-1]
    first = wire.ask("network", "GET", "/networks?limit=1&fields=id").body
    assert [list(item) for item in first["networks"]] == [["id"]]
    assert {link["rel"] for link in first["networks_links"]} == {"next", "previous"}
    marker = first["networks"][0]["id"]
    second = wire.ask("network", "GET", f"/networks?limit=1&fields=id&marker={marker}").body
    assert second["networks"][0]["id"] != marker


def test_the_operators_things_are_not_the_users(target: Target, wire: Wire) -> None:
    path = f"/networks/{target.network_id}"
    assert refused(wire.ask("network", "PUT", path, {"network": {"name": "x"}}))[0] == 403
    assert refused(wire.ask("network", "DELETE", path))[2] == "rule:delete_network is disallowed by policy"
    assert refused(wire.ask("network", "GET", f"/quotas/{NOBODY}"))[2] == "rule:get_quota is disallowed by policy"
