"""Glance v2: public images and the caller's own, to list and read, and the schemas."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from envagent.sandbox import glance_lists
from envagent.sandbox.exchange import Call, Reply, Route, Service, ServiceError, refuse, routes
from envagent.sandbox.inventory import Image, data
from envagent.sandbox.list_selection import page

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
    """Handle GET /."""
    links = [{"rel": "self", "href": f"{call.root}/v2/"}]
    older = [{"id": f"v2.{minor}", "status": "SUPPORTED", "links": links} for minor in (15, 13, 9, 6, 3, 1, 0)]
    return Reply(300, {"versions": [{"id": "v2.17", "status": "CURRENT", "links": links}, *older]})


def visible(call: Call, image: Image) -> bool:
    """Return whether the caller may see an image. Nobody is a member of a shared one."""
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


def list_images(call: Call) -> Reply:
    """Handle GET /v2/images: in pages, newest first by default."""
    items = glance_lists.selected(call, [view(image) for image in call.site.images.values() if visible(call, image)])
    limit, marker = glance_lists.limit(call), call.argument("marker")
    shown = page(items, limit, marker)
    if shown is None:
        raise ServiceError(400, f"No image found with ID {marker}")
    if limit == 0:
        shown = []
    kept = {key: value for key, value in call.query if key != "marker"}
    body: dict[str, Any] = {
        "images": shown,
        "first": "/v2/images" + (f"?{urlencode(kept)}" if kept else ""),
        "schema": "/v2/schemas/images",
    }
    if shown and len(shown) == limit:
        body["next"] = "/v2/images?" + urlencode({**kept, "marker": shown[-1]["id"]})
    return Reply(200, body)


def _get(call: Call, absent: str = "No image found with ID {id}") -> Image:
    image = call.site.images.get(call.params["id"])
    if image is None or not visible(call, image):
        raise ServiceError(404, absent.format(id=call.params["id"]))
    return image


def show_image(call: Call) -> Reply:
    """Handle GET /v2/images/ID."""
    return Reply(200, view(_get(call)))


def _forbidden(action: str) -> ServiceError:
    return ServiceError(403, f"You are not authorized to complete {action} action.")


def list_members(call: Call) -> Reply:
    """Handle GET /v2/images/ID/members: no image has any."""
    image = _get(call, "Image {id} not found.")
    if image.visibility != "shared":
        reason = "Only shared images have members."
        raise ServiceError(403, f"Not allowed to list members for image {image.id}: {reason}")
    return Reply(200, {"members": [], "schema": "/v2/schemas/members"})


def show_member(call: Call) -> Reply:
    """Handle GET /v2/images/ID/members/PROJECT."""
    image = _get(call, "Image {id} not found.")
    if image.visibility != "shared":
        raise ServiceError(404, "Only shared images have members.")
    raise ServiceError(404, f"{call.params['member']} not found in the member list of the image {image.id}.")


def _schemas() -> dict[str, Any]:
    """Return the schemas by name; a collection's is built from its item's."""
    schemas = data("glance-schemas.json")
    text: dict[str, Any] = {"type": "string"}
    describedby = {"rel": "describedby", "href": "{schema}"}
    for item, pages in (("image", ("first", "next")), ("member", ())):
        many = {"type": "array", "items": schemas[item]}
        schemas[f"{item}s"] = {
            "name": f"{item}s",
            "properties": {f"{item}s": many, **dict.fromkeys((*pages, "schema"), text)},
            "links": [*({"rel": link, "href": f"{{{link}}}"} for link in pages), describedby],
        }
    return schemas


def show_schema(call: Call) -> Reply:
    """Handle GET /v2/schemas/NAME, with which clients parse responses."""
    schemas = _schemas()
    if call.params["name"] not in schemas:
        raise ServiceError(404, "The resource could not be found.")
    return Reply(200, schemas[call.params["name"]])


SERVICE = Service(
    name="glance",
    type="image",
    mount="/image",
    catalog_path="/image",
    routes=(
        Route("GET", "/", list_versions, open=True),
        Route("GET", "/versions", list_versions, open=True),
        *routes("/v2/images", GET=list_images),
        *routes("/v2/images/{id}", GET=show_image, DELETE=refuse(_forbidden, "delete_image", after=_get)),
        *routes("/v2/images/{id}/members", GET=list_members),
        *routes("/v2/images/{id}/members/{member}", GET=show_member),
        *routes("/v2/schemas/{name}", GET=show_schema),
    ),
    error_body=error_body,
    unauthorized=lambda: ServiceError(401, UNAUTHORIZED),
)
