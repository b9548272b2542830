"""A site that the catalogue does not know: what is told of it names it, and no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envagent import catalog
from envagent.advice.placement import place
from envagent.cloud.port import Cloud
from envagent.cloud.site_kinds import Hardware, read_hardware
from envagent.errors import NothingSuitable, UsageError
from tests.unit.advice.samples import NOW, analysis, images

from .stub import Reply, StubCloud

Connect = Callable[..., Cloud]
KNOWN = {site.region for site in catalog.sites()}

NO_LEASES = Reply(200, {"leases": []})


def seen(cloud: Cloud) -> Hardware:
    return read_hardware(cloud, cloud.identity())


def told(site: Hardware, **wish: object) -> str:
    """What a placement tells a user: its candidates, or its refusal."""
    wanted = analysis(**{k: v for k, v in wish.items() if k != "node_type"})  # type: ignore[arg-type]
    name = wish.get("node_type")
    try:
        placement = place(
            wanted,
            site.node_types,
            site.hosts,
            site.occupations,
            images(),
            now=NOW,
            hours=4,
            node_type=None if name is None else str(name),
        )
    except (NothingSuitable, UsageError) as error:
        return error.message
    return " ".join(f"{one.node_type.name} at {one.region}" for one in placement.candidates)


@pytest.mark.parametrize("hosts", ["hidden", "shown", "none"])
def test_a_site_of_bare_metal(hosts: str, stub: StubCloud, connected: Connect) -> None:
    host = {"id": 1, "node_type": "gpu_v100", "uid": "u", "reservable": True}
    of_its_own = {"id": 2, "node_type": "compute_own", "uid": "v", "reservable": True}
    replies = {
        "hidden": Reply(403, {"error_message": "Policy doesn't allow blazar:oshosts:get to be performed."}),
        "shown": Reply(200, {"hosts": [host, {**of_its_own, "main_memory.ram_size": str(64 << 30)}]}),
        "none": Reply(200, {"hosts": []}),
    }
    stub.on("GET", "/v1/os-hosts$", replies[hosts])
    stub.on("GET", "/v1/os-hosts/allocations", Reply(200, {"allocations": []}))
    stub.on("GET", "/v1/leases$", NO_LEASES)
    site = seen(connected())
    assert {one.region for one in site.node_types} == {"CHI@Stub"}
    texts = [
        told(site),
        told(site, node_type="gpu_v1000"),
        told(site, cpu_cores=10_000),
        told(site, node_type="gpu_v100"),
    ]
    for text in texts:
        assert "CHI@Stub" in text
        assert not any(region in text for region in KNOWN)


def test_how_many_there_are_is_not_taken_from_another_site(stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/v1/os-hosts$", Reply(403, {"error_message": "Policy doesn't allow blazar:oshosts:get"}))
    stub.on("GET", "/v1/leases$", NO_LEASES)
    assert {one.count for one in seen(connected()).node_types} == {0}


def test_a_site_of_virtual_machines(stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/flavors", Reply(200, {"flavors": [{"id": "1", "name": "m1.large", "vcpus": 8, "ram": 16384}]}))
    stub.on("POST", "/v3/auth/tokens", stub.login(catalog=_renamed(stub, "KVM@Stub")))
    site = seen(connected(region_name="KVM@Stub"))
    assert {one.region for one in site.node_types} == {"KVM@Stub"}
    assert "KVM@Stub" in told(site, node_type="m1.huge")


def _renamed(stub: StubCloud, region: str) -> list[dict[str, object]]:
    services = [stub.service(kind, path) for kind, path in (("compute", "/compute/v2.1"), ("identity", "/v3"))]
    for service in services:
        for endpoint in service["endpoints"]:
            endpoint["region"] = endpoint["region_id"] = region
    return services


def test_a_site_without_a_region_is_called_by_its_cloud(stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/flavors", Reply(200, {"flavors": [{"id": "1", "name": "baremetal"}]}))
    stub.on("GET", "/v1/os-hosts$", Reply(403, {"error_message": "Policy doesn't allow blazar:oshosts:get"}))
    stub.on("GET", "/v1/leases$", NO_LEASES)
    site = seen(connected(region_name=""))
    assert {one.region for one in site.node_types} == {"stub"}
