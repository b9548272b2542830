"""Nova's lists of servers, flavors and keypairs: filters, order, pages, and what becomes of an unknown key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.by_hand import public_key

from .target import NOBODY, Target, Wire

AT = "X-OpenStack-Nova-API-Version"


@pytest.fixture(scope="module")
def three(target: Target) -> Iterator[list[str]]:
    """Three servers without a host, in ERROR: a, B and c."""
    made = []
    for letter in ("a", "B", "c"):
        body = target.server_body(f"list-{letter}", None)
        made.append(target.wire.ask("compute", "POST", "/servers", body).body["server"]["id"])
    for id in made:
        target.walk(lambda id=id: target.server_status(id), "ERROR")  # type: ignore[misc]
    yield made
    for id in made:
        target.wire.ask("compute", "DELETE", f"/servers/{id}")


def names(target: Target, query: str, version: str = "2.1") -> str:
    """Return the letters of the servers that a query finds, in its order."""
    path = f"/servers?name=^{target.mark}-list-&{query}"
    answer = target.wire.ask("compute", "GET", path, headers={AT: version})
    assert answer.status == 200, answer.body
    return "".join(server["name"][-1] for server in answer.body["servers"])


def test_filters(target: Target, three: list[str]) -> None:
    by_name = "sort_key=display_name&sort_dir=asc&"
    for query, version, found in [
        ("", "2.1", "aBc"),
        ("status=error", "2.1", "aBc"),
        ("status=ACTIVE&status=ERROR", "2.1", "aBc"),
        ("status=ACTIVE", "2.1", ""),
        ("status=NONSENSE", "2.1", ""),
        (f"image={target.image_id}&flavor={target.flavor_id}", "2.1", "aBc"),
        (f"image={NOBODY}", "2.1", ""),
        ("flavor=nobody", "2.1", ""),
        ("nonsense=1&host=h&tenant_id=t&deleted=true&uuid=u", "2.1", "aBc"),
        ("changes-since=2001-01-01T00:00:00Z", "2.1", "aBc"),
        ("changes-since=2099-01-01T00:00:00Z", "2.1", ""),
        ("changes-before=2001-01-01T00:00:00Z", "2.66", ""),
        ("all_tenants=0", "2.1", "aBc"),
        ("tags=t", "2.1", "aBc"),
        ("tags=t", "2.26", ""),
        ("not-tags=t", "2.26", "aBc"),
        ("locked=true", "2.73", ""),
        ("user_id=nobody", "2.1", "aBc"),
        ("user_id=nobody", "2.83", ""),
        ("ip=127", "2.1", ""),
    ]:
        assert names(target, by_name + query, version) == found, query


def test_a_name_is_a_pattern_in_any_case(target: Target, three: list[str]) -> None:
    listed = target.wire.ask("compute", "GET", f"/servers?name={target.mark.upper()}-LIST-[ab]").body["servers"]
    assert sorted(server["name"][-1] for server in listed) == ["B", "a"]


def test_order_and_pages(target: Target, three: list[str]) -> None:
    assert names(target, "sort_key=display_name") == "cBa"
    assert names(target, "sort_key=vm_state&sort_key=display_name&sort_dir=asc&sort_dir=asc") == "aBc"
    ordered = "sort_key=display_name&sort_dir=asc"
    assert names(target, f"{ordered}&limit=2") == "aB"
    assert names(target, f"{ordered}&marker={three[0]}") == "Bc"
    assert names(target, f"{ordered}&limit=0") == ""
    path = f"/servers?limit=1&name=^{target.mark}-list-&nonsense=1"
    page = target.wire.ask("compute", "GET", path).body
    (link,) = page["servers_links"]
    assert link["rel"] == "next" and "limit=1" in link["href"] and "nonsense" not in link["href"]
    assert f"marker={page['servers'][0]['id']}" in link["href"]


@pytest.mark.parametrize(
    ("query", "version", "status", "message"),
    [
        ("limit=-1", "2.1", 400, "query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'"),
        ("limit=", "2.1", 400, "query parameters limit. Value: . '' should be non-empty"),
        (f"marker={NOBODY}", "2.1", 400, f"marker [{NOBODY}] not found"),
        ("name=(", "2.1", 400, "query parameters name. Value: (. '(' is not a 'regex'"),
        ("sort_key=name", "2.1", 400, "query parameters sort_key. Value: name. 'name' is not one of ["),
        ("sort_key=id", "2.75", 400, "query parameters sort_key. Value: id. 'id' is not one of ["),
        ("sort_key=host", "2.1", 403, "Only administrators can sort servers by host"),
        ("sort_dir=up", "2.1", 400, "Unknown sort direction, must be 'desc' or 'asc'"),
        ("changes-since=lately", "2.1", 400, "'lately' is not a 'date-time'"),
        ("status=NONSENSE", "2.38", 400, "Invalid status value"),
        ("status=DELETED", "2.1", 403, "Only administrators may list deleted instances"),
        ("nonsense=1", "2.75", 400, "'nonsense' does not match any of the regexes: '^_'"),
        ("all_tenants=1", "2.1", 403, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants"),
        ("all_tenants", "2.1", 403, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants"),
        ("all_tenants=perhaps", "2.1", 400, "Unrecognized value 'perhaps', acceptable values are: '0', '1', "),
    ],
)
def test_queries_that_are_refused(wire: Wire, query: str, version: str, status: int, message: str) -> None:
    answer = wire.ask("compute", "GET", f"/servers?{query}", headers={AT: version})
    (inner,) = answer.body.values()
    assert (answer.status, inner["code"]) == (status, status)
    assert message in inner["message"]


def test_a_list_of_changes_shows_what_was_deleted(target: Target, wire: Wire) -> None:
    id = wire.ask("compute", "POST", "/servers", target.server_body("gone", None)).body["server"]["id"]
    target.walk(lambda: target.server_status(id), "ERROR")
    wire.ask("compute", "DELETE", f"/servers/{id}")
    target.walk(lambda: target.server_status(id), "HTTP 404")
    path = "/servers/detail?changes-since=2001-01-01T00:00:00Z&limit=1000"
    shown = {server["id"]: server["status"] for server in wire.ask("compute", "GET", path).body["servers"]}
    assert shown[id] == "DELETED"


def test_flavors_and_keypairs_are_paged_too(target: Target, wire: Wire) -> None:
    flavors = wire.ask("compute", "GET", "/flavors?sort_key=name&sort_dir=asc").body["flavors"]
    assert [flavor["name"] for flavor in flavors] == sorted(flavor["name"] for flavor in flavors)
    assert len(wire.ask("compute", "GET", "/flavors?limit=1").body["flavors"]) == 1
    assert wire.ask("compute", "GET", "/flavors?minRam=99999999").body == {"flavors": []}
    for path, version in [
        ("/flavors?marker=nobody", "2.1"),
        ("/flavors?minRam=much", "2.1"),
        ("/flavors?sort_key=colour", "2.1"),
        ("/flavors?colour=red", "2.75"),
        ("/os-keypairs?marker=nobody", "2.35"),
        ("/os-keypairs?limit=x", "2.35"),
        ("/os-keypairs?colour=red", "2.75"),
    ]:
        assert wire.ask("compute", "GET", path, headers={AT: version}).status == 400, path
    for letter in "ba":
        target.cloud.import_keypair(target.label(f"page-{letter}"), public_key())
    page = wire.ask("compute", "GET", "/os-keypairs?limit=1", headers={AT: "2.35"}).body
    assert len(page["keypairs"]) == 1 and page["keypairs_links"][0]["rel"] == "next"
    listed = wire.ask("compute", "GET", "/os-keypairs").body["keypairs"]
    mine = [entry["keypair"]["name"][-1] for entry in listed if "-page-" in entry["keypair"]["name"]]
    assert mine == ["a", "b"], "by name"
    for letter in "ab":
        target.cloud.delete_keypair(target.label(f"page-{letter}"))
