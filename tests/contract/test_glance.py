"""Glance v2: the list and its pages, one image, custom properties."""

from __future__ import annotations

from typing import Any

import pytest

from envagent.cloud.port import Cloud
from envagent.errors import NotFound

from .target import NOBODY, Target, Wire


def test_the_list_has_the_public_and_the_own_images(cloud: Cloud, wire: Wire) -> None:
    images = cloud.images()
    assert any(image.visibility == "public" for image in images)
    own = [image for image in images if image.visibility == "private"]
    assert all(image.owner == wire.project_id for image in own)
    assert all(image.created_at is not None and image.created_at.tzinfo is not None for image in images)


def test_one_image_reads_as_in_the_list(target: Target, cloud: Cloud) -> None:
    listed = next(image for image in cloud.images() if image.id == target.image_id)
    assert cloud.image(target.image_id) == listed


def test_pages_lead_through_the_whole_list(cloud: Cloud, wire: Wire) -> None:
    path: str | None = "/images?limit=2"
    found: list[str] = []
    while path:
        page = wire.ask("image", "GET", path)
        assert page.status == 200
        assert len(page.body["images"]) <= 2
        found += [image["id"] for image in page.body["images"]]
        following = page.body.get("next")
        path = following.removeprefix("/v2") if following else None
    assert sorted(found) == sorted(image.id for image in cloud.images())
    assert len(found) == len(set(found))


def test_custom_properties_stand_beside_the_fields_as_strings(cloud: Cloud, wire: Wire) -> None:
    raw = {image["id"]: image for image in wire.ask("image", "GET", "/images?limit=1000").body["images"]}
    for image in cloud.images():
        for key, value in image.properties.items():
            assert raw[image.id][key] == value or not isinstance(raw[image.id][key], str)
        assert {"status", "visibility", "min_disk", "size"} <= raw[image.id].keys()


def test_no_image_of_that_id(cloud: Cloud, wire: Wire) -> None:
    answer = wire.ask("image", "GET", f"/images/{NOBODY}")
    assert answer.status == 404
    assert answer.body["code"] == "404 Not Found"
    assert answer.body["message"].startswith(f"No image found with ID {NOBODY}")
    with pytest.raises(NotFound) as caught:
        cloud.image(NOBODY)
    assert caught.value.service_said == f"No image found with ID {NOBODY}"


def names(wire: Wire, query: str) -> list[str]:
    answer = wire.ask("image", "GET", f"/images?limit=1000&{query}")
    assert answer.status == 200, answer.body
    return [image["name"] for image in answer.body["images"]]


def test_filters_and_order(target: Target, cloud: Cloud, wire: Wire) -> None:
    image = cloud.image(target.image_id)
    everything = names(wire, "visibility=all")
    assert image.name in names(wire, f"name={image.name}") and set(names(wire, f"name={image.name}")) == {image.name}
    assert set(names(wire, f"name=in:{image.name},nobody")) == {image.name}
    assert names(wire, f"id={image.id}&status=in:active,queued") == [image.name]
    assert names(wire, "nobodys_property=1") == names(wire, "tag=nobodys") == names(wire, "os_hidden=true") == []
    parts = [names(wire, f"visibility={part}") for part in ("public", "private", "shared", "community")]
    assert sorted(everything) == sorted(name for part in parts for name in part)
    ascending = sorted(everything, key=str.casefold)
    assert names(wire, "sort=name:asc") == names(wire, "sort_key=name&sort_dir=asc") == ascending
    assert names(wire, "sort_key=name") == ascending[::-1]
    assert names(wire, "os_hidden=False") == everything, "as openstackclient spells it"
    assert names(wire, "created_at=gt:2001-01-01T00:00:00Z&size_min=0") == everything
    assert names(wire, "created_at=lt:2001-01-01T00:00:00Z") == names(wire, "size_max=-1") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=-1", "limit param must be positive"),
        ("limit=many", "limit param must be an integer"),
        (f"marker={NOBODY}", f"No image found with ID {NOBODY}"),
        ("sort=age", "Invalid sort key: age. It must be one of the following: name, status, container_format, "),
        ("sort_dir=up", "Invalid sort direction: up"),
        ("sort=name&sort_dir=asc", "Old and new sorting syntax cannot be combined"),
        ("visibility=mine", "Invalid visibility value: mine"),
        ("member_status=friend", "Invalid status: friend"),
        ("protected=1", "Invalid value '1' for 'protected' filter. Valid values are 'true' or 'false'."),
        ("name=CC:1", "Unable to filter by unknown operator 'CC'."),
        ("size_min=big", "Unable to filter on a range with a non-numeric value."),
        ("created_at=gt:today", 'Bad "created_at" query filter format. Use ISO 8601 DateTime notation.'),
        ("changes-since=2026-01-01T00:00:00Z", 'The "changes-since" filter is no longer available on v2.'),
    ],
)
def test_queries_that_are_refused(wire: Wire, query: str, message: str) -> None:
    answer = wire.ask("image", "GET", f"/images?{query}")
    assert (answer.status, answer.body.get("code")) == (400, "400 Bad Request")
    assert answer.body["message"].startswith(message)


def test_the_schemas_that_clients_shape_images_by(target: Target, wire: Wire) -> None:
    one, many = (wire.ask("image", "GET", f"/schemas/{name}") for name in ("image", "images"))
    assert (one.status, one.body["name"], many.status, many.body["name"]) == (200, "image", 200, "images")
    assert many.body["properties"]["images"]["items"] == one.body
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "null": type(None)}
    shown: dict[str, Any] = wire.ask("image", "GET", f"/images/{target.image_id}").body
    for key, value in shown.items():
        allowed = one.body["properties"].get(key, one.body["additionalProperties"])["type"]
        names = [allowed] if isinstance(allowed, str) else allowed
        assert isinstance(value, tuple(kinds[name] for name in names)), key
    assert wire.ask("image", "GET", "/schemas/members").body["properties"].keys() == {"members", "schema"}
    assert wire.ask("image", "GET", "/schemas/nothing").status == 404


def test_a_public_image_has_no_members(target: Target, wire: Wire) -> None:
    answer = wire.ask("image", "GET", f"/images/{target.image_id}/members")
    assert answer.status == 403
    assert "Only shared images have members." in answer.body["message"]
    assert wire.ask("image", "GET", f"/images/{NOBODY}/members").body["message"].startswith(f"Image {NOBODY} not found")


def test_no_two_visible_images_have_one_name(target: Target, cloud: Cloud) -> None:
    if target.control is None:
        pytest.skip("holds in the sandbox's world; people may name theirs as they like")
    seen = [image.name for image in cloud.images()]
    assert len(seen) == len(set(seen))
