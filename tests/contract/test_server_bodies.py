"""What Nova takes and refuses in a server's body, and how many servers one request makes."""

from __future__ import annotations

from typing import Any

import pytest

from .target import NOBODY, Exchange, Target, Wire

AT = "X-OpenStack-Nova-API-Version"


def create(target: Target, version: str = "2.1", without: str = "", beside: Any = None, **more: Any) -> Exchange:
    body = target.server_body("body", None, **more)
    body["server"].pop(without, None)
    return target.wire.ask("compute", "POST", "/servers", {**body, **(beside or {})}, headers={AT: version})


def refusal(answer: Exchange) -> tuple[int, str]:
    (inner,) = answer.body.values()
    return answer.status, inner["message"]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("2.1", {"colour": "red"}, "Additional properties are not allowed ('colour' was unexpected)"),
    ("2.1", {"description": "mine"}, "Additional properties are not allowed ('description' was unexpected)"),
    ("2.51", {"tags": ["a"]}, "Additional properties are not allowed ('tags' was unexpected)"),
    ("2.57", {"personality": []}, "Additional properties are not allowed ('personality' was unexpected)"),
    ("2.1", {"without": "name"}, "'name' is a required property"),
    ("2.1", {"without": "flavorRef"}, "'flavorRef' is a required property"),
    ("2.37", {"without": "networks"}, "'networks' is a required property"),
    ("2.1", {"without": "imageRef"}, "Missing imageRef attribute"),
    ("2.1", {"name": 5}, "field/attribute name. Value: 5. 5 is not of type 'string'"),
    ("2.1", {"name": "x" * 256}, "is too long"),
    ("2.1", {"name": " padded "}, "printable characters. Can not start or end with whitespace."),
    ("2.1", {"name": "two\nlines"}, "printable characters. Can not start or end with whitespace."),
    ("2.1", {"imageRef": None}, "None is not valid under any of the given schemas"),
    ("2.1", {"flavorRef": ""}, "Value: . '' should be non-empty"),
    ("2.1", {"metadata": {"k": 5}}, "field/attribute k. Value: 5. 5 is not of type 'string'"),
    ("2.1", {"metadata": {"k": "v" * 256}}, "is too long"),
    ("2.1", {"metadata": {"k" * 256: "v"}}, "does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'"),
    ("2.1", {"metadata": []}, "[] is not of type 'object'"),
    ("2.1", {"networks": "auto"}, "'auto' is not of type 'array'"),
    ("2.37", {"networks": [{"uuid": "sharednet1"}]}, "is not valid under any of the given schemas"),
    ("2.1", {"networks": [{}]}, "Bad network format: missing 'uuid'"),
    ("2.1", {"networks": ["x"]}, "field/attribute 0. Value: x. 'x' is not of type 'object'"),
    ("2.1", {"networks": [{"port": NOBODY}]}, f"Port id {NOBODY} could not be found."),
    ("2.1", {"min_count": 0}, "0 is less than the minimum of 1"),
    ("2.1", {"min_count": "many"}, "'many' does not match '^[0-9]*$'"),
    ("2.1", {"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
    ("2.1", {"key_name": None}, "None is not of type 'string'"),
    ("2.1", {"security_groups": [{"id": "default"}]}, "Additional properties are not allowed ('id' was unexpected)"),
    ("2.1", {"user_data": 5}, "5 is not of type 'string'"),
    ("2.1", {"config_drive": "maybe"}, "'maybe' is not one of [True, 'True', "),
    ("2.1", {"accessIPv4": "here"}, "'here' is not a 'ipv4'"),
    ("2.52", {"tags": ["a/b"]}, "'a/b' does not match '^[^,/]*$'"),
    ("2.52", {"tags": ["a" * 61]}, "is too long"),
    ("2.1", {"beside": {"hints": {}}}, "Additional properties are not allowed ('hints' was unexpected)"),
    ("2.1", {"beside": {"os:scheduler_hints": []}}, "[] is not of type 'object'"),
    ("2.1", {"beside": {"os:scheduler_hints": {"group": "x"}}}, "'x' is not a 'uuid'"),
]


@pytest.mark.parametrize(("version", "change", "message"), REFUSED)
def test_bodies_that_are_refused(target: Target, version: str, change: dict[str, Any], message: str) -> None:
    status, said = refusal(create(target, version, **change))
    assert status == 400
    assert message in said


@pytest.mark.parametrize(
    ("change", "version", "message"),
    [
        ({"availability_zone": "nova:host"}, "2.1", "Policy doesn't allow os_compute_api:servers:create:forced_host"),
        ({"host": "h"}, "2.74", "Policy doesn't allow compute:servers:create:requested_destination"),
        ({"metadata": {str(n): "x" for n in range(129)}}, "2.1", "Maximum number of metadata items exceeds 128"),
    ],
)
def test_what_a_user_may_not_ask_for(target: Target, change: dict[str, Any], version: str, message: str) -> None:
    status, said = refusal(create(target, version, **change))
    assert status == 403
    assert message in said


@pytest.mark.parametrize(
    ("version", "status"), [("2.999", 406), ("1.0", 406), ("2", 400), ("2.01", 400), ("new", 400), ("latest", 200)]
)
def test_microversions(wire: Wire, version: str, status: int) -> None:
    answer = wire.ask("compute", "GET", "/servers", headers={AT: version})
    assert answer.status == status
    if status == 406:
        assert f"Version {version} is not supported by the API." in answer.body["computeFault"]["message"]
        assert answer.headers[AT] == version
    elif status == 400:
        assert f"API Version String {version} is of invalid format." in answer.body["badRequest"]["message"]


def test_several_servers_of_one_request(target: Target, wire: Wire) -> None:
    name = target.label("many")
    answer = create(target, name=name, min_count=2, max_count="3", metadata={"contract": target.mark})
    assert answer.status == 202 and "adminPass" in answer.body["server"]
    counted = create(target, name=target.label("one"), return_reservation_id=True)
    assert counted.status == 202 and counted.body.keys() == {"reservation_id"}
    listed = wire.ask("compute", "GET", f"/servers?name=^{name}&sort_key=display_name&sort_dir=asc").body["servers"]
    assert [server["name"] for server in listed] == [f"{name}-1", f"{name}-2", f"{name}-3"]
    assert answer.body["server"]["id"] in [server["id"] for server in listed]
    for server in wire.ask("compute", "GET", f"/servers?name=^{target.mark}").body["servers"]:
        wire.ask("compute", "DELETE", f"/servers/{server['id']}")


def test_what_is_given_is_shown(target: Target, wire: Wire) -> None:
    given: dict[str, Any] = {
        "accessIPv4": "192.0.2.7",
        "OS-DCF:diskConfig": "AUTO",
        "config_drive": True,
        "adminPass": "of my own",
    }
    made = create(target, "2.90", name=target.label("given"), hostname="host1", **given).body["server"]
    assert made["adminPass"] == "of my own"
    server = wire.ask("compute", "GET", f"/servers/{made['id']}", headers={AT: "2.90"}).body["server"]
    assert (server["accessIPv4"], server["OS-DCF:diskConfig"]) == ("192.0.2.7", "AUTO")
    assert (server["config_drive"], server["OS-EXT-SRV-ATTR:hostname"]) == ("True", "host1")
    assert server["description"] is None
    wire.ask("compute", "DELETE", f"/servers/{made['id']}")


def test_no_more_servers_than_the_quota(target: Target, wire: Wire) -> None:
    with target.quota("instances", 2):
        used = len(wire.ask("compute", "GET", "/servers").body["servers"])
        status, said = refusal(create(target, min_count=3))
        assert status == 403
        assert said == f"Quota exceeded for instances: Requested 3, but already used {used} of 2 instances"
