"""Blazar's PUT of a lease, and bodies that it refuses or breaks on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.by_hand import date

from .target import NOBODY, Exchange, Target, Wire

Body = dict[str, Any]
BROKEN = (500, "Internal Server Error")
TOO_SMALL = "Malformed parameter min and max (must be greater than or equal to 1)"


def refused(answer: Exchange) -> tuple[int, str]:
    """The status and message of a refusal."""
    return answer.status, answer.body["error_message"]


@pytest.fixture(scope="module")
def lease(target: Target, wire: Wire) -> Iterator[Body]:
    """A lease that refusals leave as it is."""
    made = wire.ask("reservation", "POST", "/leases", target.lease_body("changes")).body["lease"]
    yield made
    wire.ask("reservation", "DELETE", f"/leases/{made['id']}")


def put(wire: Wire, lease: Body, body: Body) -> Exchange:
    return wire.ask("reservation", "PUT", f"/leases/{lease['id']}", body)


BAD_CHANGES = [
    ({"name": "x" * 81}, *BROKEN),
    ({"name": None}, *BROKEN),
    ({"end_date": "x"}, 400, "x is an invalid date. Required format: %Y-%m-%d %H:%M"),
    ({"end_date": 5}, *BROKEN),
    ({"end_date": "now"}, 400, "End date must be later than current and start date"),
    ({"start_date": date(hours=-1)}, 400, "Start date must be later than current date"),
    ({"before_end_date": "x"}, 400, "x is an invalid date. Required format: %Y-%m-%d %H:%M"),
    ({"before_end_date": date(hours=3999)}, 403, "Datetime is out of lease limits"),
    ({"reservations": "x"}, *BROKEN),
    ({"reservations": [{}]}, 400, "Missing parameter reservation ID"),
    (
        {"reservations": [{"id": NOBODY}]},
        400,
        f"Please enter valid reservation IDs. Invalid reservation IDs are: {NOBODY}",
    ),
]


@pytest.mark.parametrize(("body", "status", "message"), BAD_CHANGES)
def test_changes_that_are_refused(wire: Wire, lease: Body, body: Body, status: int, message: str) -> None:
    assert refused(put(wire, lease, body)) == (status, message)


BAD_HOSTS = [
    ({"min": 500, "max": 500}, 500, "Not enough hosts available"),
    ({"min": 2, "max": 1}, 400, "Invalid values for min/max of hosts. Max must be equal to or larger than min."),
    ({"min": 0}, 400, TOO_SMALL),
    ({"min": "x"}, 400, "Malformed parameter min"),
    ({"resource_type": "virtual:thing"}, 409, "resource_type cannot be updated"),
    ({"hypervisor_properties": "x"}, 400, "Malformed requirements x"),
    ({"hypervisor_properties": '["=", "$vcpus", "7x"]'}, 500, "Not enough hosts available"),
    ({"resource_properties": '["=", "$node_type", "nothing"]'}, 500, "Not enough hosts available"),
    ({"resource_properties": '["=", "$nothing", "x"]'}, 500, "BlazarDBNotFound: A database error occurred"),
]


@pytest.mark.parametrize(("change", "status", "message"), BAD_HOSTS)
def test_other_hosts_that_are_refused(wire: Wire, lease: Body, change: Body, status: int, message: str) -> None:
    body = {"reservations": [{"id": lease["reservations"][0]["id"], **change}]}
    assert refused(put(wire, lease, body)) == (status, message)


def test_a_lease_gets_another_reminder_and_other_hosts(target: Target, wire: Wire) -> None:
    body = target.lease_body("moved", start_date=date(hours=4100), end_date=date(hours=4104))
    made = wire.ask("reservation", "POST", "/leases", body).body["lease"]
    reservation = {"id": made["reservations"][0]["id"], **target.reservation(target.plenty, max=2)}
    changed = put(wire, made, {"before_end_date": date(hours=4101), "reservations": [reservation]})
    assert changed.status == 200
    shown = wire.ask("reservation", "GET", f"/leases/{made['id']}").body["lease"]
    reminder = next(event for event in shown["events"] if event["event_type"] == "before_end_lease")
    assert reminder["time"][:13] == date(hours=4101)[:13].replace(" ", "T")
    assert (shown["reservations"][0]["max"], target.plenty in shown["reservations"][0]["resource_properties"]) == (
        2,
        True,
    )
    assert wire.ask("reservation", "DELETE", f"/leases/{made['id']}").status == 204


BAD_LEASES = [
    ({"name": "x" * 256}, *BROKEN),
    ({"start_date": 5}, *BROKEN),
    ({"reservations": None}, *BROKEN),
    ({"reservations": [5]}, *BROKEN),
    ({"events": None}, *BROKEN),
    ({"reservations": [{}]}, 400, "Missing parameter resource_type"),
    ({"before_end_date": date(hours=4002)}, 403, "Datetime is out of lease limits"),
]


@pytest.mark.parametrize(("more", "status", "message"), BAD_LEASES)
def test_leases_that_are_refused(target: Target, wire: Wire, more: Body, status: int, message: str) -> None:
    answer = wire.ask("reservation", "POST", "/leases", target.lease_body("refused", **more))
    assert refused(answer) == (status, message)


BAD_RESERVATIONS = [
    ({"min": None}, 400, "Missing parameter min"),
    ({"min": 1.5}, 400, "Malformed parameter min"),
    ({"min": "1"}, *BROKEN),
    ({"min": -1}, 400, TOO_SMALL),
    ({"resource_properties": "5"}, *BROKEN),
    ({"resource_properties": '["=", "$node_type", ""]'}, 400, "Malformed requirements ['=', '$node_type', '']"),
    ({"before_end": "x"}, 400, "Malformed parameter before_end"),
    ({"resource_type": None}, 500, "The None resource type is not supported"),
]


@pytest.mark.parametrize(("more", "status", "message"), BAD_RESERVATIONS)
def test_reservations_that_are_refused(target: Target, wire: Wire, more: Body, status: int, message: str) -> None:
    body = target.lease_body("refused", reservations=[target.reservation(target.scarce, **more)])
    assert refused(wire.ask("reservation", "POST", "/leases", body)) == (status, message)


def test_hosts_are_the_operators(target: Target, wire: Wire) -> None:
    answer = wire.ask("reservation", "POST", "/os-hosts", {"name": "x"})
    assert refused(answer) == (403, "Policy doesn't allow blazar:oshosts:post to be performed")
