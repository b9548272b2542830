"""KVM@TACC's way: a flavor is reserved, the server boots with the reservation's flavor, and SSH needs a group.

Needs an entry `<name>-kvm` (the sandbox has one), or a cloud under test that is of this kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from envagent.cloud import ssh_group
from envagent.cloud.port import Cloud, FlavorReservation, HostReservation, ServerRequest
from envagent.errors import NothingSuitable
from tests.kit.by_hand import public_key

from .target import Target, Wire, moment


@dataclass
class Kvm:
    """The site, and the flavor to reserve there."""

    cloud: Cloud
    wire: Wire
    flavor_id: str
    image_id: str
    network_id: str
    external_id: str


@pytest.fixture(scope="module")
def kvm(target: Target) -> Iterator[Kvm]:
    """The KVM site, clean afterwards."""
    if target.cloud.identity().profile == "kvm":
        cloud, wire = target.cloud, target.wire
    else:
        cloud, wire = target.role("kvm")
    flavors = sorted(cloud.flavors(), key=lambda flavor: flavor.ram_mb)
    networks = cloud.networks()
    images = [image for image in cloud.images() if image.visibility == "public"]
    yield Kvm(
        cloud,
        wire,
        flavor_id=next(flavor for flavor in flavors if flavor.ram_mb >= 4096).id,
        image_id=next((image for image in images if image.name == "CC-Ubuntu24.04"), images[0]).id,
        network_id=next(network for network in networks if not network.external).id,
        external_id=next(network for network in networks if network.external).id,
    )
    for server in cloud.servers():
        if server.name.startswith(target.mark):
            cloud.delete_server(server.id)
    for lease in cloud.leases():
        if lease.name.startswith(target.mark):
            cloud.delete_lease(lease.id)
    cloud.delete_keypair(target.label("kvm"))
    assert not [lease for lease in cloud.leases() if lease.name.startswith(target.mark)]
    assert not [address for address in cloud.floating_ips() if address.description.startswith(target.mark)]


def test_the_profile_is_known(kvm: Kvm) -> None:
    assert kvm.cloud.identity().profile == "kvm"
    assert "baremetal" not in {flavor.name for flavor in kvm.cloud.flavors()}


def test_hosts_are_not_for_reservation_here(target: Target, kvm: Kvm) -> None:
    with pytest.raises(NothingSuitable) as caught:
        kvm.cloud.create_lease(target.label("never"), moment(5), moment(6), HostReservation(node_type=target.scarce))
    assert caught.value.service_said == "The physical:host resource type is not supported"


def test_a_server_of_a_reserved_flavor_can_be_logged_in_to(target: Target, kvm: Kvm) -> None:
    cloud, wire = kvm.cloud, kvm.wire
    lease = cloud.create_lease(target.label("kvm"), None, moment(2), FlavorReservation(flavor_id=kvm.flavor_id))
    (reservation,) = lease.reservations
    assert reservation.resource_type == "flavor:instance"

    def status() -> str:
        return cloud.lease(lease.id).status

    target.walk(status, "ACTIVE", "ERROR")
    reserved = next(flavor for flavor in cloud.flavors() if flavor.id == reservation.id)
    assert reserved.name == f"reservation:{reservation.id}"
    group = cloud.ensure_ssh_security_group()
    assert cloud.ensure_ssh_security_group() == group
    cloud.import_keypair(target.label("kvm"), public_key())
    made = cloud.create_server(
        ServerRequest(
            name=target.label("kvm"),
            image_id=kvm.image_id,
            flavor_id=reservation.id,
            network_id=kvm.network_id,
            key_name=target.label("kvm"),
            reservation_id=None,
            metadata={"run": target.mark},
            security_groups=(group,),
        )
    )
    target.walk(lambda: cloud.server(made.id).status, "ACTIVE", "ERROR")
    server = cloud.server(made.id)
    assert server.status == "ACTIVE", server.fault
    shown = wire.ask("compute", "GET", f"/servers/{made.id}").body["server"]
    assert [each["name"] for each in shown["security_groups"]] == [ssh_group.NAME]
    address = cloud.create_floating_ip(kvm.external_id, target.label("kvm"))
    (port,) = cloud.ports(made.id)
    assert cloud.attach_floating_ip(address.id, port.id).fixed_ip == server.fixed_ips[0]
    cloud.delete_lease(lease.id)
    target.walk(lambda: "gone" if made.id not in {each.id for each in cloud.servers()} else "there", "gone")
    cloud.delete_floating_ip(address.id)
