"""What a site rents out follows from its kind, and its kind from one entry of the catalog."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from envagent import catalog
from envagent.advice import placement
from envagent.catalog import NodeType, Site
from envagent.cloud import site_kinds
from envagent.cloud.port import Cloud, Flavor, FlavorReservation, Host, HostReservation, Identity, Lease, Reservation
from envagent.cloud.site_kinds import FLAVOR_INSTANCES, HOSTS, SiteKindName, find_kind, read_hardware, resource_type_of
from envagent.errors import NothingSuitable
from tests.unit.advice.samples import NOW, analysis, images

Names = Callable[[], set[str]]


def never() -> set[str]:
    raise AssertionError("the flavors were asked for")


@pytest.mark.parametrize(
    ("region", "flavor_names", "kind"),
    [
        ("CHI@UC", never, "baremetal"),
        ("chi@uc", never, "baremetal"),
        ("KVM@TACC", never, "kvm"),
        ("CHI@Later", never, "baremetal"),
        ("KVM@Later", never, "kvm"),
        ("RegionOne", lambda: {"m1.small", "baremetal"}, "baremetal"),
        ("RegionOne", lambda: {"m1.small"}, "kvm"),
        ("", lambda: {"baremetal"}, "baremetal"),
    ],
)
def test_the_kind_of_a_site(region: str, flavor_names: Names, kind: str) -> None:
    assert find_kind(region, flavor_names) == kind


@pytest.mark.parametrize("kind", site_kinds.SITE_KINDS)
@pytest.mark.parametrize("region", ["CHI@Invented", "KVM@Invented", "Nowhere"])
def test_the_catalog_decides_before_the_name(region: str, kind: SiteKindName, monkeypatch: pytest.MonkeyPatch) -> None:
    invented = Site(uid="invented", region=region, auth_url="https://invented.example/v3", kind=kind)
    monkeypatch.setattr(catalog, "sites", lambda: (invented,))
    assert find_kind(region, never) == kind


def cloud_with(hosts: int, *flavors: Flavor) -> Cloud:
    shown = [Host(id=str(n), node_type="compute_skylake", uid=f"u{n}") for n in range(hosts)]
    fake = SimpleNamespace(hosts=lambda: shown, occupations=list, flavors=lambda: list(flavors))
    return cast("Cloud", fake)


def test_a_site_that_rents_out_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Node types of both resource types are candidates together, and each is reserved in its own way."""
    both = site_kinds.SiteKind("BOTH@", (HOSTS, FLAVOR_INSTANCES))
    monkeypatch.setitem(site_kinds.SITE_KINDS, "kvm", both)
    cloud = cloud_with(2, Flavor(id="7", name="m1.large", vcpus=8, ram_mb=32768, disk_gb=100))
    who = Identity(
        cloud="b", auth_url="http://b", region="CHI@UC", project_id="p", project_name=None, user_id="u", profile="kvm"
    )
    found = read_hardware(cloud, who)
    assert [one.name for one in found.node_types] == ["compute_skylake", "m1.large"]
    placed = placement.place(analysis(), found.node_types, found.hosts, found.occupations, images(), now=NOW, hours=4)
    free = {one.node_type.name: one.free_now for one in placed.candidates}
    assert free == {"compute_skylake": 2, "m1.large": None}
    again = placement.look_again(placed, found.hosts or [], [], now=NOW)
    assert {one.node_type.name: one.free_now for one in again.candidates} == free
    wanted = [resource_type_of(one).reservation(one, ()) for one in found.node_types]
    assert wanted == [HostReservation(node_type="compute_skylake"), FlavorReservation(flavor_id="7")]


def test_each_resource_type_finds_its_own_reservation_in_a_lease() -> None:
    items = [
        Reservation(id="address", resource_type="virtual:floatingip", status="active"),
        Reservation(id="host", resource_type="physical:host", status="active"),
    ]
    when = datetime(2026, 11, 23, tzinfo=UTC)
    lease = Lease(id="l", name="l", status="ACTIVE", start=when, end=when, reservations=tuple(items))
    assert (HOSTS.reserved(lease), FLAVOR_INSTANCES.reserved(lease)) == (items[1], None)


def test_a_server_lands_on_its_reservation() -> None:
    metal, virtual = cloud_with(0, Flavor(id="5", name="baremetal")), cloud_with(0)
    assert (HOSTS.server_flavor(metal, "r"), HOSTS.scheduler_hint("r")) == ("5", "r")
    assert (FLAVOR_INSTANCES.server_flavor(virtual, "r"), FLAVOR_INSTANCES.scheduler_hint("r")) == ("r", None)
    with pytest.raises(NothingSuitable):
        HOSTS.server_flavor(virtual, "r")


def test_a_node_type_of_the_catalog_is_reserved_as_what_it_is() -> None:
    metal: tuple[NodeType, ...] = catalog.node_types("CHI@UC")
    assert {resource_type_of(one) for one in metal} == {HOSTS}
    assert {resource_type_of(one) for one in catalog.flavors("KVM@TACC")} == {FLAVOR_INSTANCES}
