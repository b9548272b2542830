"""Glance v2: the list and its pages, one image, custom properties."""

from __future__ import annotations

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
