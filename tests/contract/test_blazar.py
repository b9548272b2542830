"""Blazar: what it accepts, how it words each refusal, and whose leases are whose. No lease here ever starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from envagent.cli.render.hint_text import hint_text
from envagent.cloud.port import Cloud, FlavorReservation, HostReservation, Lease
from envagent.errors import (
    BadRequest,
    EnvagentError,
    Forbidden,
    NoCapacity,
    NotFound,
    NothingSuitable,
    QuotaExceeded,
)
from tests.kit.by_hand import date

from .target import NOBODY, Target, Wire, moment


@pytest.fixture(scope="module")
def lease(target: Target) -> Iterator[Lease]:
    """A lease of the scarce node type, PENDING for months."""
    made = target.cloud.create_lease(
        target.label("pending"), moment(4000), moment(4001), HostReservation(node_type=target.scarce)
    )
    yield made
    target.cloud.delete_lease(made.id)


def test_a_future_lease_is_pending_with_its_node_allocated(target: Target, lease: Lease) -> None:
    assert lease.status == "PENDING"
    assert (lease.start, lease.end) == (moment(4000), moment(4001)) or lease.end > lease.start
    assert (lease.end - lease.start).total_seconds() == 3600
    assert lease.created_at is not None
    assert lease.created_at.tzinfo is not None
    assert not lease.degraded
    (reservation,) = lease.reservations
    assert reservation.resource_type == "physical:host"
    assert reservation.status == "pending"
    assert not reservation.missing_resources
    assert reservation.node_type == target.scarce


def test_the_shape_of_a_lease(target: Target, wire: Wire, lease: Lease) -> None:
    body = wire.ask("reservation", "GET", f"/leases/{lease.id}").body["lease"]
    assert {"id", "name", "status", "user_id", "project_id", "trust_id", "degraded"} <= body.keys()
    datetime.strptime(body["start_date"], "%Y-%m-%dT%H:%M:%S.%f")
    datetime.strptime(body["created_at"], "%Y-%m-%d %H:%M:%S")
    assert {event["event_type"] for event in body["events"]} == {"start_lease", "end_lease", "before_end_lease"}
    assert {event["status"] for event in body["events"]} == {"UNDONE"}
    (reservation,) = body["reservations"]
    assert {"min", "max", "resource_id", "lease_id", "hypervisor_properties", "before_end"} <= reservation.keys()
    assert json.loads(reservation["resource_properties"])[1:] == ["$node_type", target.scarce]


def test_it_reads_the_same_alone_and_in_the_list(cloud: Cloud, lease: Lease) -> None:
    assert cloud.lease(lease.id) == lease
    assert [each for each in cloud.leases() if each.id == lease.id] == [lease]


def test_the_end_of_a_lease_is_moved_unless_its_node_is_taken_then(target: Target) -> None:
    begin, kind = moment(30), HostReservation(node_type=target.scarce)
    longer = begin + timedelta(hours=2)
    lease = target.cloud.create_lease(target.label("longer"), begin, longer - timedelta(hours=1), kind)
    following = target.cloud.create_lease(target.label("following"), moment(35), moment(36), kind)
    try:
        for _ in range(2):  # repeating it is harmless
            target.cloud.extend_lease(lease.id, longer)
        shown = target.cloud.lease(lease.id)
        assert (shown.status, shown.start, shown.end) == ("PENDING", lease.start, longer)
        with pytest.raises(NoCapacity):
            target.cloud.extend_lease(lease.id, moment(35.5))
        assert target.cloud.lease(lease.id).end == shown.end
    finally:
        target.cloud.delete_lease(lease.id)
        target.cloud.delete_lease(following.id)
    with pytest.raises(NotFound):
        target.cloud.extend_lease(NOBODY, moment(32))


def test_creating_is_201_and_deleting_204(target: Target, wire: Wire) -> None:
    made = wire.ask(
        "reservation", "POST", "/leases", target.lease_body("short", start_date=date(4100), end_date=date(4101))
    )
    assert made.status == 201
    path = f"/leases/{made.body['lease']['id']}"
    assert wire.ask("reservation", "DELETE", path).status in (200, 204)
    gone = wire.ask("reservation", "GET", path)
    assert gone.status == 404
    lease_id = made.body["lease"]["id"]
    assert gone.body["error_message"] == f"Object with {{'lease_id': '{lease_id}'}} not found"
    target.cloud.delete_lease(lease_id)


def test_names_are_not_unique(target: Target, wire: Wire, lease: Lease) -> None:
    answer = wire.ask(
        "reservation", "POST", "/leases", target.lease_body("pending", start_date=date(4200), end_date=date(4201))
    )
    assert answer.status == 201
    assert wire.ask("reservation", "DELETE", f"/leases/{answer.body['lease']['id']}").status in (200, 204)


def test_windows_may_touch(target: Target, cloud: Cloud, lease: Lease) -> None:
    touching = cloud.create_lease(
        target.label("touching"), lease.end, moment(4002), HostReservation(node_type=target.scarce)
    )
    cloud.delete_lease(touching.id)


@pytest.mark.parametrize("node_type", ["the scarce one", "nobody_has_this_type"], ids=["taken", "unknown"])
def test_no_host_in_that_window(node_type: str, target: Target, cloud: Cloud, wire: Wire, lease: Lease) -> None:
    wanted = target.scarce if node_type == "the scarce one" else node_type
    body = target.lease_body("never", reservations=[target.reservation(wanted)])
    answer = wire.ask("reservation", "POST", "/leases", body)
    assert answer.status == 500
    assert answer.body.keys() == {"error_code", "error_message", "error_name"}
    assert answer.body["error_message"].startswith(
        ("Not enough hosts available", "Not enough resources available with")
    )
    with pytest.raises(NoCapacity) as caught:
        cloud.create_lease(target.label("never"), lease.start, lease.end, HostReservation(node_type=wanted))
    assert caught.value.exit_code == 5
    assert target.label("never") not in {each.name for each in cloud.leases()}


REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "start in the past": ({"start_date": date(-2)}, 400, "Start date must be later than current date"),
    "end before start": ({"end_date": date(3999)}, 400, "End date must be later than start date."),
    "end equals start": (
        {"start_date": date(4000), "end_date": date(4000)},
        400,
        "End date must be later than start date.",
    ),
    "date with seconds": (
        {"start_date": "2030-01-01T10:00:00Z"},
        400,
        "2030-01-01T10:00:00Z is an invalid date. Required format: %Y-%m-%d %H:%M",
    ),
    "no end": ({"end_date": None}, 400, "Missing parameter end_date"),
    "no start": ({"start_date": None}, 400, "Missing parameter start_date"),
    "no name": ({"name": None}, 400, "Missing parameter name"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refused_lease(what: str, target: Target, wire: Wire) -> None:
    changes, status, said = REFUSALS[what]
    body = {key: value for key, value in target.lease_body("never", **changes).items() if value is not None}
    answer = wire.ask("reservation", "POST", "/leases", body)
    assert answer.body == {"error_code": status, "error_message": said, "error_name": status}
    assert answer.status == status


def test_an_empty_lease(wire: Wire) -> None:
    answer = wire.ask("reservation", "POST", "/leases", {})
    assert answer.status == 400
    said, _, names = answer.body["error_message"].rpartition(" parameter ")
    assert said == "Missing"
    assert set(names.split(", ")) == {"end_date", "name", "start_date"}


RESERVATIONS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no hypervisor_properties": ({"hypervisor_properties": None}, 400, "Missing parameter hypervisor_properties"),
    "no min": ({"min": None}, 400, "Missing parameter min"),
    "min above max": (
        {"min": 3},
        400,
        "Invalid values for min/max of hosts. Max must be equal to or larger than min.",
    ),
    "no JSON": ({"resource_properties": "node_type=gpu"}, 400, "Malformed requirements node_type=gpu"),
    "unknown operator": (
        {"resource_properties": '["in", "$node_type", "gpu_v100"]'},
        400,
        "Malformed requirements ['in', '$node_type', 'gpu_v100']",
    ),
    "a property nobody has": (
        {"resource_properties": '["=", "$no_such_property", "x"]'},
        500,
        "BlazarDBNotFound: A database error occurred",
    ),
    "unknown resource type": (
        {"resource_type": "virtual:nothing"},
        500,
        "The virtual:nothing resource type is not supported",
    ),
}


@pytest.mark.parametrize("what", RESERVATIONS)
def test_a_refused_reservation(what: str, target: Target, wire: Wire) -> None:
    changes, status, said = RESERVATIONS[what]
    asked = {k: v for k, v in target.reservation(target.plenty, **changes).items() if v is not None}
    answer = wire.ask("reservation", "POST", "/leases", target.lease_body("never", reservations=[asked]))
    assert answer.body == {"error_code": status, "error_message": said, "error_name": status}
    assert answer.status == status


def test_a_lease_without_reservations_is_made_and_empty(target: Target, cloud: Cloud, wire: Wire) -> None:
    answer = wire.ask("reservation", "POST", "/leases", target.lease_body("empty", reservations=[]))
    assert answer.status == 201
    made = cloud.lease(answer.body["lease"]["id"])
    assert made.reservations == ()
    cloud.delete_lease(made.id)


def test_refusals_through_the_adapter(target: Target, cloud: Cloud) -> None:
    hosts = HostReservation(node_type=target.plenty)
    cases: list[tuple[type[EnvagentError], Any]] = [
        (BadRequest, lambda: cloud.create_lease(target.label("never"), moment(-2), moment(1), hosts)),
        (BadRequest, lambda: cloud.create_lease(target.label("never"), moment(5), moment(4), hosts)),
        (QuotaExceeded, lambda: cloud.create_lease(target.label("never"), moment(4000), moment(4000 + 200), hosts)),
        (
            NothingSuitable,
            lambda: cloud.create_lease(
                target.label("never"), moment(4000), moment(4001), FlavorReservation(flavor_id=target.flavor_id)
            ),
        ),
    ]
    for error, call in cases:
        with pytest.raises(error) as caught:
            call()
        assert type(caught.value) is error
        assert caught.value.service_said
    assert target.label("never") not in {each.name for each in cloud.leases()}


def test_longer_than_a_week(target: Target, wire: Wire) -> None:
    answer = wire.ask("reservation", "POST", "/leases", target.lease_body("never", end_date=date(4000 + 192)))
    assert answer.status == 403
    assert answer.body["error_message"] == (
        "Lease duration of 691200 seconds must be less than or equal to the maximum lease duration of 604800 seconds."
    )


def test_a_whole_week_from_now_fits(target: Target, cloud: Cloud) -> None:
    """168 hours, seconds cut off at both ends."""
    made = cloud.create_lease(
        target.label("week"), moment(4000), moment(4168), HostReservation(node_type=target.plenty)
    )
    assert (made.end - made.start).total_seconds() == 168 * 3600
    cloud.delete_lease(made.id)


def test_no_lease_of_that_id(cloud: Cloud, wire: Wire) -> None:
    for method in ("GET", "DELETE"):
        answer = wire.ask("reservation", method, f"/leases/{NOBODY}")
        assert answer.status == 404
        assert answer.body["error_message"] == f"Object with {{'lease_id': '{NOBODY}'}} not found"
    with pytest.raises(NotFound):
        cloud.lease(NOBODY)
    cloud.delete_lease(NOBODY)


def test_another_projects_lease_is_forbidden_not_absent(target: Target, cloud: Cloud, wire: Wire) -> None:
    theirs, _ = target.role("other")
    foreign = theirs.create_lease(
        target.label("foreign"), moment(4300), moment(4301), HostReservation(node_type=target.plenty)
    )
    try:
        for method in ("GET", "DELETE"):
            answer = wire.ask("reservation", method, f"/leases/{foreign.id}")
            assert answer.status == 403
            assert answer.body["error_message"] == "Policy doesn't allow blazar:leases:get to be performed"
        for call in (cloud.lease, cloud.delete_lease):
            with pytest.raises(Forbidden, match="another project"):
                call(foreign.id)
        assert foreign.id not in {each.id for each in cloud.leases()}
        assert theirs.lease(foreign.id).status == "PENDING"
    finally:
        theirs.delete_lease(foreign.id)


@pytest.mark.parametrize("kind", ["unrestricted", "restricted"])
def test_leases_by_an_application_credential(kind: str, target: Target) -> None:
    """Where Keystone lets a trust be made there is a lease; where it does not, the reason is proven and told."""
    names = {"unrestricted": ("appcred-unrestricted", "appcred"), "restricted": ("appcred-restricted", "appcred")}
    cloud, wire = target.open_entry(target.entry(*names[kind]))
    try:
        made = cloud.create_lease(
            target.label("by-credential"), moment(4400), moment(4401), HostReservation(node_type=target.plenty)
        )
    except Forbidden as error:
        assert "unrestricted" in hint_text(error.hint)
        assert error.exit_code == 4
        answer = wire.ask("reservation", "POST", "/leases", target.lease_body("by-credential"))
        assert answer.body == {
            "error_code": 500,
            "error_message": "Internal Server Error",
            "error_name": "INTERNAL_SERVER_ERROR",
        }
        assert wire.ask("reservation", "GET", "/leases").status == 200
        assert target.label("by-credential") not in {lease.name for lease in target.cloud.leases()}
    else:
        cloud.delete_lease(made.id)


def test_the_hosts(target: Target, cloud: Cloud, wire: Wire) -> None:
    """For everybody at Chameleon, for operators elsewhere."""
    answer = wire.ask("reservation", "GET", "/os-hosts")
    if answer.status == 200:
        assert {host.id for host in cloud.hosts()} == {body["id"] for body in answer.body["hosts"]}
    else:
        assert answer.status == 403
        assert answer.body["error_message"] == "Policy doesn't allow blazar:oshosts:get to be performed"
        with pytest.raises(Forbidden, match="operators only"):
            cloud.hosts()


def test_the_shape_of_the_hosts(target: Target) -> None:
    with target.operator() as (cloud, wire):
        answer = wire.ask("reservation", "GET", "/os-hosts")
        hosts = cloud.hosts()
    assert answer.status == 200
    for body in answer.body["hosts"]:
        assert isinstance(body["id"], str)
        assert isinstance(body["node_type"], str)
        assert isinstance(body["uid"], str)
        assert isinstance(body["reservable"], bool)
        assert {"hypervisor_hostname", "vcpus"} <= body.keys()
    assert {target.scarce, target.plenty} <= {host.node_type for host in hosts}
    assert all(host.uid and host.reservable for host in hosts if host.node_type == target.scarce)
    assert all(isinstance(value, str) for host in hosts for value in host.properties.values())


def test_the_occupations(target: Target, cloud: Cloud, wire: Wire, lease: Lease) -> None:
    answer = wire.ask("reservation", "GET", "/os-hosts/allocations")
    if answer.status != 200:
        assert answer.status == 403
        assert answer.body["error_message"] == "Policy doesn't allow blazar:oshosts:get_allocations to be performed"
        with pytest.raises(Forbidden):
            cloud.occupations()
    with target.operator() as (cloud, wire):
        answer = wire.ask("reservation", "GET", "/os-hosts/allocations")
        hosts, occupations = cloud.hosts(), cloud.occupations()
    assert answer.status == 200
    assert all({"resource_id", "reservations"} <= entry.keys() for entry in answer.body["allocations"])
    scarce = {host.id for host in hosts if host.node_type == target.scarce}
    ours = [each for each in occupations if each.host_id in scarce and each.start <= lease.start < each.end]
    assert [each.end for each in ours] == [lease.end]


def test_a_host_can_be_excluded(target: Target, cloud: Cloud) -> None:
    with target.operator() as (operator, _):
        uids = tuple(host.uid for host in operator.hosts() if host.node_type == target.plenty and host.uid)
    with pytest.raises(NoCapacity):
        cloud.create_lease(
            target.label("never"),
            moment(4500),
            moment(4501),
            HostReservation(node_type=target.plenty, exclude_uids=uids),
        )
    made = cloud.create_lease(
        target.label("the-last"),
        moment(4500),
        moment(4501),
        HostReservation(node_type=target.plenty, exclude_uids=uids[1:]),
    )
    cloud.delete_lease(made.id)
