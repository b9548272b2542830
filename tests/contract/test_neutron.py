"""Neutron: networks, floating IPs without a server, quotas and the end of the pool, other people's addresses."""

from __future__ import annotations

from typing import Any

import pytest

from envagent.cloud.port import Cloud, FloatingIp
from envagent.errors import BadRequest, NoCapacity, NotFound, QuotaExceeded

from .target import NOBODY, Target, Wire

POOL_LIMIT = 300


@pytest.fixture
def address(target: Target) -> FloatingIp:
    return target.cloud.create_floating_ip(target.external_id, target.label("address"))


@pytest.fixture(autouse=True)
def released(target: Target) -> object:
    yield
    for each in target.cloud.floating_ips():
        if each.description.startswith(target.mark):
            target.cloud.delete_floating_ip(each.id)
    return None


def test_networks(target: Target, cloud: Cloud, wire: Wire) -> None:
    networks = {network.id: network for network in cloud.networks()}
    assert networks[target.external_id].external
    assert not networks[target.network_id].external
    assert networks[target.network_id].subnet_ids
    assert networks[target.network_id].status == "ACTIVE"
    raw = wire.ask("network", "GET", "/networks").body["networks"]
    assert all({"router:external", "shared", "subnets", "status", "name", "id"} <= entry.keys() for entry in raw)


def test_a_floating_ip_bears_its_description_from_the_first_moment(target: Target, cloud: Cloud, wire: Wire) -> None:
    body = {"floatingip": {"floating_network_id": target.external_id, "description": target.label("address")}}
    answer = wire.ask("network", "POST", "/floatingips", body)
    assert answer.status == 201
    made = answer.body["floatingip"]
    assert made["description"] == target.label("address")
    assert made["status"] == "DOWN"
    assert made["port_id"] is None
    assert made["fixed_ip_address"] is None
    assert made["project_id"] == wire.project_id
    assert made["tags"] == []
    found = cloud.floating_ip(made["id"])
    assert found.address == made["floating_ip_address"]
    assert found.created_at is not None
    assert found in cloud.floating_ips()


def test_release(cloud: Cloud, wire: Wire, address: FloatingIp) -> None:
    assert wire.ask("network", "DELETE", f"/floatingips/{address.id}").status == 204
    with pytest.raises(NotFound):
        cloud.floating_ip(address.id)
    cloud.delete_floating_ip(address.id)


@pytest.mark.parametrize(
    ("network", "status", "kind", "error"),
    [
        (NOBODY, 404, "NetworkNotFound", NotFound),
        ("inner", 400, "BadRequest", BadRequest),
        ("public", 400, "HTTPBadRequest", BadRequest),
    ],
)
def test_no_address_of_that_network(
    network: str, status: int, kind: str, error: type[Exception], target: Target, cloud: Cloud, wire: Wire
) -> None:
    network_id = target.network_id if network == "inner" else network
    answer = wire.ask("network", "POST", "/floatingips", {"floatingip": {"floating_network_id": network_id}})
    assert (answer.status, answer.body["NeutronError"]["type"]) == (status, kind)
    with pytest.raises(error):
        cloud.create_floating_ip(network_id, target.label("never"))


def test_no_floating_ip_of_that_id(cloud: Cloud, wire: Wire) -> None:
    for method in ("GET", "DELETE"):
        answer = wire.ask("network", method, f"/floatingips/{NOBODY}")
        assert (answer.status, answer.body["NeutronError"]["type"]) == (404, "FloatingIPNotFound")
        assert answer.body["NeutronError"]["message"] == f"Floating IP {NOBODY} could not be found"
    with pytest.raises(NotFound):
        cloud.floating_ip(NOBODY)


def test_no_port_of_that_id(cloud: Cloud, wire: Wire, address: FloatingIp) -> None:
    answer = wire.ask("network", "PUT", f"/floatingips/{address.id}", {"floatingip": {"port_id": NOBODY}})
    assert (answer.status, answer.body["NeutronError"]["type"]) == (404, "PortNotFound")
    with pytest.raises(NotFound):
        cloud.attach_floating_ip(address.id, NOBODY)


def test_another_projects_address_does_not_exist(target: Target, cloud: Cloud, wire: Wire) -> None:
    theirs, _ = target.role("other")
    foreign = theirs.create_floating_ip(target.external_id, target.label("foreign"))
    try:
        for method in ("GET", "DELETE"):
            assert wire.ask("network", method, f"/floatingips/{foreign.id}").status == 404
        with pytest.raises(NotFound):
            cloud.floating_ip(foreign.id)
        assert foreign.id not in {each.id for each in cloud.floating_ips()}
        cloud.delete_floating_ip(foreign.id)
        assert theirs.floating_ip(foreign.id) == foreign
    finally:
        theirs.delete_floating_ip(foreign.id)


def test_the_quota(target: Target, cloud: Cloud, wire: Wire) -> None:
    used = len(cloud.floating_ips())
    with target.quota("floatingip", used):
        body = {"floatingip": {"floating_network_id": target.external_id}}
        answer = wire.ask("network", "POST", "/floatingips", body)
        assert (answer.status, answer.body["NeutronError"]["type"]) == (409, "OverQuota")
        assert answer.body["NeutronError"]["message"] == "Quota exceeded for resources: ['floatingip']."
        with pytest.raises(QuotaExceeded):
            cloud.create_floating_ip(target.external_id, target.label("more"))


def test_the_pool_runs_dry(target: Target, cloud: Cloud, wire: Wire) -> None:
    with target.quota("floatingip", -1), pytest.raises(NoCapacity):
        for _ in range(POOL_LIMIT):
            cloud.create_floating_ip(target.external_id, target.label("all"))
    with target.quota("floatingip", -1):
        body = {"floatingip": {"floating_network_id": target.external_id}}
        answer = wire.ask("network", "POST", "/floatingips", body)
    assert (answer.status, answer.body["NeutronError"]["type"]) == (409, "IpAddressGenerationFailure")
    said = f"No more IP addresses available on network {target.external_id}."
    assert answer.body["NeutronError"]["message"] == said


def test_a_group_that_lets_ssh_in_is_made_once(target: Target) -> None:
    from envagent.cloud import ssh_group

    neutron, project = target.cloud._neutron, target.wire.project_id  # type: ignore[attr-defined]
    already, _ = ssh_group.find(neutron, project)
    if already is not None:
        pytest.skip("this project has the group already")
    made = ssh_group.complete(neutron, None)
    try:
        assert ssh_group.find(neutron, project) == (made, True)
        group = target.wire.ask("network", "GET", f"/security-groups/{made}").body["security_group"]
        rule = next(r["id"] for r in group["security_group_rules"] if r["port_range_min"] == 22)
        again = target.wire.ask(
            "network",
            "POST",
            "/security-group-rules",
            {
                "security_group_rule": {
                    "security_group_id": made,
                    "direction": "ingress",
                    "ethertype": "IPv4",
                    "protocol": "tcp",
                    "port_range_min": 22,
                    "port_range_max": 22,
                }
            },
        )
        assert (again.status, again.body["NeutronError"]["type"]) == (409, "SecurityGroupRuleExists")
        assert target.wire.ask("network", "DELETE", f"/security-group-rules/{rule}").status == 204
        assert ssh_group.find(neutron, project) == (made, False)
        assert ssh_group.complete(neutron, made) == made
        assert ssh_group.find(neutron, project) == (made, True)
    finally:
        assert target.wire.ask("network", "DELETE", f"/security-groups/{made}").status == 204


def test_a_group_that_another_run_completes_in_the_meantime_is_taken(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    from envagent.cloud import ssh_group

    neutron, project = target.cloud._neutron, target.wire.project_id  # type: ignore[attr-defined]
    look = ssh_group.find
    already, _ = look(neutron, project)
    if already is not None:
        pytest.skip("this project has the group already")
    body = {"security_group": {"name": ssh_group.NAME}}
    made = target.wire.ask("network", "POST", "/security-groups", body).body["security_group"]["id"]

    def find_and_be_overtaken(*given: Any) -> tuple[str | None, bool]:
        monkeypatch.setattr(ssh_group, "find", look)
        found = look(*given)
        assert found == (made, False)
        ssh_group.complete(neutron, made)
        return found

    try:
        monkeypatch.setattr(ssh_group, "find", find_and_be_overtaken)
        assert target.cloud.ensure_ssh_security_group() == made
    finally:
        assert target.wire.ask("network", "DELETE", f"/security-groups/{made}").status == 204
