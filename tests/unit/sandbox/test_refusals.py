"""Every refusal in the services' own words, envelopes and codes, as recorded from the real ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.by_hand import date

from .conftest import PUBLIC_KEY, Person, Sandbox

NOBODY = "00000000-0000-0000-0000-000000000001"
UNAUTHORIZED = {
    "error": {
        "code": 401,
        "message": "The request you have made requires authentication.",
        "title": "Unauthorized",
    }
}


def nova(kind: str, code: int, message: str) -> dict[str, Any]:
    return {kind: {"code": code, "message": message}}


def neutron(type: str, message: str) -> dict[str, Any]:
    return {"NeutronError": {"type": type, "message": message, "detail": ""}}


def blazar(code: int, message: str) -> dict[str, Any]:
    return {"error_code": code, "error_message": message, "error_name": code}


@pytest.mark.parametrize(
    ("service", "path", "expected"),
    [
        ("compute", "/servers", UNAUTHORIZED),
        ("network", "/v2.0/networks", UNAUTHORIZED),
        ("reservation", "/leases", UNAUTHORIZED),
        ("identity", "/projects", UNAUTHORIZED),
        ("image", "/v2/images", {"code": "401 Unauthorized", "title": "Unauthorized"}),
    ],
)
def test_bad_token(me: Person, service: str, path: str, expected: dict[str, Any]) -> None:
    answer = me.http(service, "GET", path, headers={"X-Auth-Token": "no"})
    assert answer.status_code == 401
    assert expected.items() <= answer.json().items()
    assert answer.headers["WWW-Authenticate"].startswith('Keystone uri="http://127.0.0.1:')


SERVER_REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"imageRef": NOBODY}, 400, "Can not find requested image"),
    ({"imageRef": ""}, 400, "Missing imageRef attribute"),
    (
        {"imageRef": "CC-Ubuntu22.04"},
        400,
        "Invalid input for field/attribute imageRef. Value: CC-Ubuntu22.04. 'CC-Ubuntu22.04' is not valid under any of "
        "the given schemas",
    ),
    ({"flavorRef": "nope"}, 400, "Flavor nope could not be found."),
    ({"networks": [{"uuid": NOBODY}]}, 400, f"Network {NOBODY} could not be found."),
    (
        {"networks": [{"uuid": "sharednet1"}]},
        400,
        "Bad networks format: network uuid is not in proper format (sharednet1)",
    ),
    ({"key_name": "nope"}, 400, "Invalid key_name provided."),
    ({"name": ""}, 400, "Invalid input for field/attribute name. Value: . '' should be non-empty"),
    ({"security_groups": [{"name": "nope"}]}, 400, "Unable to find security_group with name or id 'nope'"),
    ({"availability_zone": "nope"}, 400, "The requested availability zone is not available"),
]


@pytest.mark.parametrize(("change", "code", "message"), SERVER_REFUSALS)
def test_server_refusals(sandbox: Sandbox, me: Person, change: dict[str, Any], code: int, message: str) -> None:
    boot = me.boot()
    body = {
        "name": "s",
        "imageRef": boot["image_id"],
        "flavorRef": boot["flavor_id"],
        "networks": boot["networks"],
    }
    before = sandbox.log()
    answer = me.http("compute", "POST", "/servers", json={"server": {**body, **change}})
    assert (answer.status_code, answer.json()) == (code, nova("badRequest", code, message))
    assert sandbox.log() == before


def test_server_refusals_by_quota_and_absence(sandbox: Sandbox, me: Person) -> None:
    sandbox.control("settings", {"quotas": {"instances": 0}})
    with pytest.raises(Exception, match="Quota exceeded for instances: Requested 1, but already used 0 of 0 instances"):
        me.server(None)
    gone = nova("itemNotFound", 404, f"Instance {NOBODY} could not be found.")
    for method in ("GET", "DELETE"):
        answer = me.http("compute", method, f"/servers/{NOBODY}")
        assert (answer.status_code, answer.json()) == (404, gone)


def test_keypair_refusals(sandbox: Sandbox, me: Person) -> None:
    def post(name: str, key: str | None = PUBLIC_KEY, version: str = "2.1") -> tuple[int, Any]:
        asked = {"name": name} if key is None else {"name": name, "public_key": key}
        headers = {"OpenStack-API-Version": f"compute {version}"}
        answer = me.http("compute", "POST", "/os-keypairs", json={"keypair": asked}, headers=headers)
        return answer.status_code, answer.json()

    assert post("dup")[0] == 200
    assert post("dup") == (409, nova("conflictingRequest", 409, "Key pair 'dup' already exists."))
    invalid = nova("badRequest", 400, "Keypair data is invalid: failed to generate fingerprint")
    assert post("bad", "ssh-rsa nonsense") == (400, invalid)
    assert post("a/b:c")[1]["badRequest"]["message"].startswith("An invalid 'name' value was provided.")
    assert "'public_key' is a required property" in post("h", None, "2.92")[1]["badRequest"]["message"]
    user = me.conn.current_user_id
    missing = nova("itemNotFound", 404, f"Keypair nope not found for user {user}")
    assert me.http("compute", "GET", "/os-keypairs/nope").json() == missing
    assert me.http("compute", "DELETE", "/os-keypairs/nope").json() == missing
    assert me.http("compute", "DELETE", "/os-keypairs/dup").status_code == 202
    sandbox.control("settings", {"quotas": {"keypairs": 0}})
    assert post("more") == (403, nova("forbidden", 403, "Quota exceeded, too many key pairs."))


def test_floating_ip_refusals(sandbox: Sandbox, me: Person) -> None:
    def post(network: str) -> tuple[int, Any]:
        body = {"floatingip": {"floating_network_id": network}}
        answer = me.http("network", "POST", "/v2.0/floatingips", json=body)
        return answer.status_code, answer.json()

    public = me.conn.network.find_network("public").id
    shared = me.conn.network.find_network("sharednet1").id
    assert post(NOBODY) == (404, neutron("NetworkNotFound", f"Network {NOBODY} could not be found."))
    bad = f"Bad floatingip request: Network {shared} is not a valid external network."
    assert post(shared) == (400, neutron("BadRequest", bad))
    reason = "Invalid input for floating_network_id. Reason: 'public' is not a valid UUID."
    assert post("public") == (400, neutron("HTTPBadRequest", reason))
    gone = neutron("FloatingIPNotFound", f"Floating IP {NOBODY} could not be found")
    for method in ("GET", "DELETE"):
        answer = me.http("network", method, f"/v2.0/floatingips/{NOBODY}")
        assert (answer.status_code, answer.json()) == (404, gone)
    mine = me.address()
    answer = me.http("network", "PUT", f"/v2.0/floatingips/{mine.id}", json={"floatingip": {"port_id": NOBODY}})
    assert answer.json() == neutron("PortNotFound", f"Port {NOBODY} could not be found.")
    other = sandbox.person("sandbox-other").http("network", "GET", f"/v2.0/floatingips/{mine.id}")
    assert other.status_code == 404, "a foreign address does not exist"
    sandbox.control("settings", {"quotas": {"floatingip": 1}})
    assert post(public) == (409, neutron("OverQuota", "Quota exceeded for resources: ['floatingip']."))


def test_pool_runs_dry(sandbox: Sandbox, me: Person) -> None:
    sandbox.faults({"action": "fip_pool_empty"})
    public = me.conn.network.find_network("public").id
    with pytest.raises(Exception, match=f"No more IP addresses available on network {public}."):
        me.address()


LEASE_REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"start_date": date(-1)}, 400, "Start date must be later than current date"),
    ({"start_date": date(2), "end_date": date(1)}, 400, "End date must be later than start date."),
    ({"start_date": date(2), "end_date": date(2)}, 400, "End date must be later than start date."),
    (
        {"start_date": "2030-01-01T10:00:00Z"},
        400,
        "2030-01-01T10:00:00Z is an invalid date. Required format: %Y-%m-%d %H:%M",
    ),
    (
        {"start_date": date(1), "end_date": date(193)},
        403,
        "Lease duration of 691200 seconds must be less than or equal to the maximum lease duration of 604800 seconds.",
    ),
    ({"end_date": None}, 400, "Missing parameter end_date"),
    ({"start_date": None}, 400, "Missing parameter start_date"),
    ({"name": None}, 400, "Missing parameter name"),
    ({"name": None, "start_date": None, "end_date": None}, 400, "Missing parameter end_date, name, start_date"),
]
HOST_REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"hypervisor_properties": None}, 400, "Missing parameter hypervisor_properties"),
    ({"min": None}, 400, "Missing parameter min"),
    (
        {"min": 3},
        400,
        "Invalid values for min/max of hosts. Max must be equal to or larger than min.",
    ),
    ({"resource_properties": "node_type=gpu"}, 400, "Malformed requirements node_type=gpu"),
    (
        {"resource_properties": '["in", "$node_type", "gpu_v100"]'},
        400,
        "Malformed requirements ['in', '$node_type', 'gpu_v100']",
    ),
    ({"resource_properties": '["=", "$gpu.gpu_count", 4]'}, 400, "Malformed requirements ['=', '$gpu.gpu_count', 4]"),
    ({"resource_properties": '["==", "$colour", "red"]'}, 500, "BlazarDBNotFound: A database error occurred"),
    ({"resource_type": "network"}, 500, "The network resource type is not supported"),
]


def without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


@pytest.mark.parametrize(("change", "code", "message"), LEASE_REFUSALS)
def test_lease_refusals(sandbox: Sandbox, me: Person, change: dict[str, Any], code: int, message: str) -> None:
    body = {"name": "l", "start_date": "now", "end_date": date(1), "reservations": [me.reservation()], "events": []}
    before = sandbox.log()
    answer = me.http("reservation", "POST", "/leases", json=without_none({**body, **change}))
    assert (answer.status_code, answer.json()) == (code, blazar(code, message))
    assert sandbox.log() == before
    assert all(not one["reservations"] for one in me.blazar.allocation.list("os-hosts")), "nothing stays allocated"


@pytest.mark.parametrize(("change", "code", "message"), HOST_REFUSALS)
def test_reservation_refusals(me: Person, change: dict[str, Any], code: int, message: str) -> None:
    asked = without_none({**me.reservation(), **change})
    body = {"name": "l", "start_date": "now", "end_date": date(1), "reservations": [asked]}
    answer = me.http("reservation", "POST", "/leases", json=body)
    assert (answer.status_code, answer.json()) == (code, blazar(code, message))


def test_no_capacity_in_each_profiles_words(sandbox: Sandbox, me: Person) -> None:
    for node_type in ("gpu_h100", "no_such_type"):
        with pytest.raises(Exception, match=r"Not enough resources available with query \{'resource_type'") as caught:
            me.lease(node_type=node_type)
        assert caught.value.kwargs["code"] == 500  # type: ignore[attr-defined]
    sandbox.control("settings", {"profile": "upstream"})
    with pytest.raises(Exception, match="ERROR: Not enough hosts available"):
        me.lease(node_type="gpu_h100")


def test_foreign_and_unknown_leases(sandbox: Sandbox, me: Person) -> None:
    lease = me.lease()
    denied = blazar(403, "Policy doesn't allow blazar:leases:get to be performed")
    other = sandbox.person("sandbox-other")
    gone = blazar(404, f"Object with {{'lease_id': '{NOBODY}'}} not found")
    for method in ("GET", "DELETE"):
        answer = other.http("reservation", method, f"/leases/{lease['id']}")
        assert (answer.status_code, answer.json()) == (403, denied)
        answer = me.http("reservation", method, f"/leases/{NOBODY}")
        assert (answer.status_code, answer.json()) == (404, gone)
    assert sandbox.person("sandbox-mate").lease_status(lease["id"]) != "gone", "a project shares its leases"
    assert lease["id"] not in [one["id"] for one in other.blazar.lease.list()]


def test_hosts_are_administrators_upstream(sandbox: Sandbox, me: Person) -> None:
    sandbox.control("settings", {"profile": "upstream"})
    for path, action in (
        ("/os-hosts", "get"),
        ("/os-hosts/allocations", "get_allocations"),
        ("/os-hosts/properties", "get_resource_properties"),
    ):
        answer = me.http("reservation", "GET", path)
        assert answer.json() == blazar(403, f"Policy doesn't allow blazar:oshosts:{action} to be performed")
    sandbox.control("settings", {"overrides": {"users_see_hosts": True}})
    assert me.http("reservation", "GET", "/os-hosts").status_code == 200
    assert me.http("reservation", "GET", "/os-hosts/allocations").status_code == 403


def test_images(me: Person) -> None:
    answer = me.http("image", "GET", f"/v2/images/{NOBODY}")
    text = f"No image found with ID {NOBODY}<br /><br />\n\n\n"
    assert answer.json() == {"code": "404 Not Found", "message": text, "title": "Not Found"}
    image = me.conn.image.find_image("CC-Ubuntu24.04")
    answer = me.http("image", "DELETE", f"/v2/images/{image.id}")
    assert answer.json()["message"].startswith("You are not authorized to complete delete_image action.")


def test_what_no_user_may_do(me: Person) -> None:
    answer = me.http("compute", "GET", "/os-hypervisors")
    message = "Policy doesn't allow os_compute_api:os-hypervisors:list to be performed."
    assert (answer.status_code, answer.json()) == (403, nova("forbidden", 403, message))
    server = me.server(None)
    answer = me.http("compute", "POST", f"/servers/{server.id}/action", json={"addFloatingIp": {"address": "1.2.3.4"}})
    assert (answer.status_code, answer.json()) == (400, nova("badRequest", 400, "Instance network is not ready yet"))


GARBAGE: list[Any] = [None, 1, "x", [], [1], [{}], {"a": 1}, True, -1, "\x00"]
WRITES: dict[tuple[str, str], dict[str, Any]] = {
    ("compute", "/servers"): {"server": {"name": "s", "imageRef": NOBODY, "flavorRef": "f", "networks": "none"}},
    ("compute", "/os-keypairs"): {"keypair": {"name": "k", "public_key": PUBLIC_KEY}},
    ("network", "/v2.0/floatingips"): {"floatingip": {"floating_network_id": NOBODY}},
    ("network", "/v2.0/security-group-rules"): {"security_group_rule": {"security_group_id": NOBODY}},
    ("reservation", "/leases"): {"name": "l", "start_date": "now", "end_date": "x", "reservations": []},
    ("identity", "/auth/tokens"): {"auth": {"identity": {"methods": ["password"], "password": {}}}},
}


@pytest.mark.parametrize(("service", "path"), WRITES)
def test_garbage_is_the_clients_fault(me: Person, service: str, path: str) -> None:
    sound = WRITES[service, path]
    bodies: list[Any] = [*GARBAGE, *({**sound, key: bad} for key in sound for bad in GARBAGE)]
    for key, inner in sound.items():
        if isinstance(inner, dict):
            fields = (*inner, "metadata", "security_groups", "key_name", "tags", "port_id", "scope")
            bodies += [{**sound, key: {**inner, field: bad}} for field in fields for bad in GARBAGE]
    for body in bodies:
        answer = me.http(service, "POST", path, json=body)
        # Blazar breaks on some of it, and so does its simulation; a bug of ours would show in the server's output.
        own = service == "reservation" and "INTERNAL_SERVER_ERROR" in answer.text
        assert answer.status_code < 500 or own, (body, answer.text)


def test_the_root_of_the_reservation_service_is_no_document(me: Person) -> None:
    flask = "The requested URL was not found on the server."
    assert me.http("reservation", "GET", "/").json()["error_message"].startswith(flask)
