"""Glance v2: the public image list and the caller's own images, to list and read."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from envagent.sandbox.exchange import Call, Reply, Route, Service, ServiceError, request_id_header
from envagent.sandbox.inventory import Image
from envagent.sandbox.listing import page

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
UNAUTHORIZED = (
    "This server could not verify that you are authorized to access the document you requested. Either you supplied "
    "the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials "
    "required."
)


def error_body(error: ServiceError) -> dict[str, Any]:
    """Return Glance's envelope."""
    title = HTTPStatus(error.status).phrase
    return {"message": f"{error.message}<br /><br />\n\n\n", "code": f"{error.status} {title}", "title": title}


def list_versions(call: Call) -> Reply:
    """Answer GET /."""
    links = [{"rel": "self", "href": f"{call.root}/v2/"}]
    older = [{"id": f"v2.{minor}", "status": "SUPPORTED", "links": links} for minor in (15, 13, 9, 6, 3, 1, 0)]
    return Reply(300, {"versions": [{"id": "v2.17", "status": "CURRENT", "links": links}, *older]})


def visible(call: Call, image: Image) -> bool:
    """Say whether the caller may see an image; a shared one needs a membership, which nobody has here."""
    return image.visibility == "public" or image.owner == call.identity.project


def view(image: Image) -> dict[str, Any]:
    """Return an image as Glance shows it, custom properties at the top level."""
    digest = hashlib.sha512(image.id.encode()).hexdigest()
    return {
        **image.properties,
        "checksum": digest[:32],
        "container_format": image.container_format,
        "created_at": image.created_at,
        "disk_format": "qcow2" if image.container_format == "bare" else image.container_format,
        "file": f"/v2/images/{image.id}/file",
        "id": image.id,
        "min_disk": 0,
        "min_ram": 0,
        "name": image.name,
        "os_hash_algo": "sha512",
        "os_hash_value": digest,
        "os_hidden": False,
        "owner": image.owner,
        "protected": image.visibility == "public",
        "schema": "/v2/schemas/image",
        "self": f"/v2/images/{image.id}",
        "size": image.size,
        "status": image.status,
        "stores": "swift",
        "tags": [],
        "updated_at": image.created_at,
        "virtual_size": image.size,
        "visibility": image.visibility,
    }


def _limit(call: Call) -> int:
    try:
        limit = int(call.argument("limit") or DEFAULT_LIMIT)
    except ValueError:
        raise ServiceError(400, "limit param must be an integer") from None
    if limit < 0:
        raise ServiceError(400, "limit param must be positive")
    return min(limit, MAX_LIMIT)


def _selected(item: dict[str, Any], filters: list[tuple[str, str]]) -> bool:
    for key, value in filters:
        values = value.removeprefix("in:").split(",") if value.startswith("in:") else [value]
        if str(item.get(key)) not in values:
            return False
    return True


def list_images(call: Call) -> Reply:
    """Answer GET /v2/images, newest first, in pages."""
    paging = ("limit", "marker", "sort", "sort_key", "sort_dir", "member_status")
    filters = [(key, value) for key, value in call.query if key not in paging and value != "all"]
    items = [view(image) for image in call.site.images.values() if visible(call, image)]
    items = [item for item in items if _selected(item, filters)]
    items.sort(key=lambda item: (item["created_at"], item["id"]), reverse=True)
    limit, marker = _limit(call), call.argument("marker")
    shown = page(items, limit, marker)
    if shown is None:
        raise ServiceError(400, f"No image found with ID {marker}")
    kept = [(key, value) for key, value in call.query if key != "marker"]
    body: dict[str, Any] = {
        "images": shown,
        "first": "/v2/images" + (f"?{urlencode(kept)}" if kept else ""),
        "schema": "/v2/schemas/images",
    }
    if shown and shown[-1] is not items[-1]:
        body["next"] = "/v2/images?" + urlencode([*kept, ("marker", shown[-1]["id"])])
    return Reply(200, body)


def show_image(call: Call) -> Reply:
    """Answer GET /v2/images/ID."""
    image = call.site.images.get(call.params["id"])
    if image is None or not visible(call, image):
        raise ServiceError(404, f"No image found with ID {call.params['id']}")
    return Reply(200, view(image))


def delete_image(call: Call) -> Reply:
    """Refuse DELETE /v2/images/ID: the sandbox's images are its inventory."""
    show_image(call)
    raise ServiceError(403, "You are not authorized to complete delete_image action.")


SERVICE = Service(
    name="glance",
    type="image",
    mount="/image",
    catalog_path="/image",
    routes=(
        Route("GET", "/", list_versions, open=True),
        Route("GET", "/versions", list_versions, open=True),
        Route("GET", "/v2/images", list_images),
        Route("GET", "/v2/images/{id}", show_image),
        Route("DELETE", "/v2/images/{id}", delete_image),
    ),
    error_body=error_body,
    unauthorized=lambda: ServiceError(401, UNAUTHORIZED),
    headers=request_id_header,
)
