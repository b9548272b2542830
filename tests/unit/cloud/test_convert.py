"""The services' spellings, odd ones included, and the bodies that we send."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from envagent.cloud import convert
from envagent.cloud.port import FlavorReservation, HostReservation, ServerRequest

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:00:00.000000",
        "2026-11-23 12:00:00",
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:00:00",
        "2026-11-23T13:00:00+01:00",
    ],
)
def test_every_date_of_the_services_is_utc(text: str) -> None:
    assert convert.time_of(text) == NOON
    assert convert.time_of(text).tzinfo is UTC  # type: ignore[union-attr]


def test_no_date() -> None:
    assert convert.time_of(None) is None
    assert convert.time_of("") is None
    with pytest.raises(ValueError, match="tomorrow"):
        convert.time_of("tomorrow")


LEASE: dict[str, Any] = {
    "id": "l",
    "name": "n",
    "status": "ACTIVE",
    "start_date": "2026-11-23T12:00:00.000000",
    "end_date": "2026-11-23T13:00:00.000000",
    "created_at": "2026-11-23 12:00:00",
    "degraded": "True",
}
RESERVATIONS = [
    {"id": "f", "resource_type": "virtual:floatingip", "status": "active"},
    {"id": "h", "resource_type": "physical:host", "status": "active", "resource_properties": ["=", "$node_type", "b"]},
]


@pytest.mark.parametrize("reservations", [RESERVATIONS, json.dumps(RESERVATIONS)], ids=["list", "JSON text"])
def test_reservations_come_as_a_list_or_as_json_text(reservations: object) -> None:
    lease = convert.lease({**LEASE, "reservations": reservations})
    assert [each.resource_type for each in lease.reservations] == ["virtual:floatingip", "physical:host"]
    assert [each.node_type for each in lease.reservations] == [None, "b"]
    assert lease.degraded
    assert lease.start == NOON


@pytest.mark.parametrize("reservations", [[], None, "", "[]"])
def test_a_lease_without_reservations(reservations: object) -> None:
    assert convert.lease({**LEASE, "reservations": reservations}).reservations == ()


@pytest.mark.parametrize("missing", ["id", "status", "end_date"])
def test_a_lease_that_lacks_what_the_port_promises_is_no_lease(missing: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        convert.lease({key: value for key, value in LEASE.items() if key != missing})


HOST = {
    "id": 1659,
    "hypervisor_hostname": "node-uuid",
    "reservable": True,
    "vcpus": 0,
    "uid": "node-uuid",
    "node_type": "gpu_rtx_6000",
    "node_name": "P3-GPU-006",
    "gpu.gpu": "True",
    "su_factor": 2.0,
    "infiniband": False,
    "network_adapters.0.rate": None,
}


def test_a_host_is_flat_and_all_its_properties_are_strings() -> None:
    host = convert.host(HOST)
    assert host.id == "1659"
    assert (host.node_type, host.uid, host.name) == ("gpu_rtx_6000", "node-uuid", "P3-GPU-006")
    assert host.properties == {
        "uid": "node-uuid",
        "node_type": "gpu_rtx_6000",
        "node_name": "P3-GPU-006",
        "gpu.gpu": "True",
        "su_factor": "2.0",
        "infiniband": "False",
    }


@pytest.mark.parametrize(
    ("changes", "reservable"),
    [
        ({}, True),
        ({"reservable": "True"}, True),
        ({"reservable": False}, False),
        ({"reservable": "False"}, False),
        ({"disabled": True}, False),
        ({"disabled": "true"}, False),
    ],
)
def test_a_host_out_of_service(changes: dict[str, object], reservable: bool) -> None:
    assert convert.host({**HOST, **changes}).reservable is reservable


def test_occupations_of_a_host() -> None:
    entry = {"start_date": LEASE["start_date"], "end_date": LEASE["end_date"], "id": "r", "lease_id": "l"}
    (occupation,) = convert.occupations({"resource_id": 7, "reservations": [entry]})
    assert (occupation.host_id, occupation.start, occupation.end) == ("7", NOON, NOON + timedelta(hours=1))
    assert convert.occupations({"resource_id": "7", "reservations": []}) == []


def test_a_server_booted_from_a_volume_without_addresses() -> None:
    server = convert.server({"id": "1", "name": "n", "status": "BUILD", "image": "", "addresses": {}, "fault": None})
    assert (server.image_id, server.fixed_ips, server.fault) == (None, (), None)


def test_an_image_keeps_its_custom_properties_only() -> None:
    image = convert.image(
        {
            "id": "1",
            "name": None,
            "status": "active",
            "visibility": "public",
            "min_disk": 0,
            "tags": ["x"],
            "build-variant": "gpu",
            "os_hidden": False,
            "chameleon-supported": True,
            "direct": None,
        }
    )
    assert image.name == ""
    assert image.properties == {"build-variant": "gpu", "chameleon-supported": "True"}


def test_a_lease_date_is_utc_cut_to_the_minute() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    assert convert.lease_date(datetime(2026, 1, 1, 1, 0, 59, tzinfo=east)) == "2025-12-31 19:30"
    assert convert.lease_date(None) == "now"


def test_the_filter_of_a_reservation_is_json_text_of_strings() -> None:
    body = convert.reservation_body(HostReservation(node_type="t"))
    assert json.loads(body["resource_properties"]) == ["=", "$node_type", "t"]
    assert (body["min"], body["max"], body["hypervisor_properties"]) == (1, 1, "")
    body = convert.reservation_body(HostReservation(node_type="t", exclude_uids=("a", "b")))
    assert json.loads(body["resource_properties"]) == [
        "and",
        ["=", "$node_type", "t"],
        ["!=", "$uid", "a"],
        ["!=", "$uid", "b"],
    ]


def test_a_flavor_reservation() -> None:
    body = convert.reservation_body(FlavorReservation(flavor_id="4"))
    assert body == {"resource_type": "flavor:instance", "flavor_id": "4", "amount": 1, "affinity": None}


REQUEST = ServerRequest(
    name="s",
    image_id="i",
    flavor_id="baremetal",
    network_id="n",
    key_name="k",
    reservation_id="r",
    metadata={"a": "b"},
)


def test_a_server_on_a_reserved_host_carries_a_hint_and_one_of_a_reserved_flavor_none() -> None:
    metal = convert.server_body(REQUEST)
    assert metal["OS-SCH-HNT:scheduler_hints"] == {"reservation": "r"}
    assert metal["server"]["flavorRef"] == "baremetal"
    assert "security_groups" not in metal["server"]
    of_flavor = {"flavor_id": "r", "reservation_id": None, "security_groups": ("g",)}
    virtual = convert.server_body(REQUEST.model_copy(update=of_flavor))
    assert virtual.keys() == {"server"}
    assert virtual["server"]["flavorRef"] == "r"
    assert virtual["server"]["security_groups"] == [{"name": "g"}]
    assert (virtual["server"]["min_count"], virtual["server"]["max_count"]) == (1, 1)
