"""KVM@TACC: how the adapter knows it, and what it does differently there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from envagent.cloud.port import Cloud, ServerRequest
from envagent.cloud.site_kinds import FLAVOR_INSTANCES
from envagent.errors import OutcomeUnknown

from .stub import Reply, StubCloud, cut

Connect = Callable[..., Cloud]
SSH = {
    "direction": "ingress",
    "ethertype": "IPv4",
    "protocol": "tcp",
    "port_range_min": 22,
    "port_range_max": 22,
    "remote_group_id": None,
}


def at(stub: StubCloud, region: str) -> None:
    """Give the catalog another region."""
    catalog: list[dict[str, Any]] = [
        stub.service("compute", "/compute/v2.1"),
        stub.service("network", "/network"),
        stub.service("image", "/image"),
    ]
    for service in catalog:
        service["endpoints"][0]["region"] = service["endpoints"][0]["region_id"] = region
    stub.on("POST", "/v3/auth/tokens", stub.login(catalog=catalog))


@pytest.mark.parametrize(
    ("region", "flavors", "profile", "looks"),
    [
        ("KVM@TACC", ["m1.large"], "kvm", 0),
        ("CHI@UC", ["baremetal"], "baremetal", 0),
        ("RegionOne", ["baremetal"], "baremetal", 1),
        ("RegionOne", ["m1.large", "m1.small"], "kvm", 1),
    ],
)
def test_the_profile(
    region: str, flavors: list[str], profile: str, looks: int, stub: StubCloud, connected: Connect
) -> None:
    at(stub, region)
    stub.on("GET", "/flavors", Reply(200, {"flavors": [{"id": name, "name": name} for name in flavors]}))
    cloud = connected(region_name=region)
    assert cloud.identity().profile == profile
    assert cloud.identity().profile == profile
    assert stub.count("GET", "/flavors") == looks


def test_a_server_boots_with_the_reservations_flavor(stub: StubCloud, connected: Connect) -> None:
    at(stub, "KVM@TACC")
    stub.on("POST", "/servers", Reply(202, {"server": {"id": "1", "adminPass": "canary"}}))
    cloud = connected(region_name="KVM@TACC")
    request = ServerRequest(
        name="s",
        image_id="i",
        flavor_id=FLAVOR_INSTANCES.server_flavor(cloud, "r"),
        network_id="n",
        key_name="k",
        reservation_id=FLAVOR_INSTANCES.scheduler_hint("r"),
        metadata={},
    )
    server = cloud.create_server(request)
    assert '"flavorRef": "r"' in stub.seen[-1].body
    assert "scheduler_hints" not in stub.seen[-1].body
    assert "canary" not in repr(server)


def group(group_id: str, *rules: dict[str, object]) -> dict[str, object]:
    return {"id": group_id, "name": "envagent-ssh", "security_group_rules": list(rules)}


@pytest.mark.parametrize(
    ("groups", "makes", "uses"),
    [
        ([], ["/security-groups", "/security-group-rules"], "new"),
        ([group("a")], ["/security-group-rules"], "a"),
        ([group("a", {**SSH, "port_range_min": 80, "port_range_max": 90})], ["/security-group-rules"], "a"),
        ([group("a", {**SSH, "direction": "egress"})], ["/security-group-rules"], "a"),
        ([group("a", {**SSH, "remote_group_id": "a"})], ["/security-group-rules"], "a"),
        ([group("a", SSH)], [], "a"),
        ([group("a", {**SSH, "port_range_min": None, "port_range_max": None})], [], "a"),
        ([group("a"), group("b", SSH)], [], "b"),
    ],
)
def test_the_group_is_found_completed_or_made(
    groups: list[object], makes: list[str], uses: str, stub: StubCloud, connected: Connect
) -> None:
    at(stub, "KVM@TACC")
    stub.on("GET", "/security-groups", Reply(200, {"security_groups": groups}))
    stub.on("POST", "/security-groups$", Reply(201, {"security_group": group("new")}))
    stub.on("POST", "/security-group-rules$", Reply(201, {"security_group_rule": SSH}))
    assert connected(region_name="KVM@TACC").ensure_ssh_security_group() == uses
    posted = [seen for seen in stub.seen if seen.method == "POST" and "security" in seen.path]
    assert [seen.path.removeprefix("/network/v2.0") for seen in posted] == makes


def test_a_group_whose_making_is_cut_off_is_open(stub: StubCloud, connected: Connect) -> None:
    at(stub, "KVM@TACC")
    stub.on("GET", "/security-groups", Reply(200, {"security_groups": []}))
    stub.on("POST", "/security-groups$", Reply(act=cut))
    with pytest.raises(OutcomeUnknown):
        connected(region_name="KVM@TACC").ensure_ssh_security_group()
