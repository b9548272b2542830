"""The tags of Neutron's floating IPs, ports and security groups."""

from __future__ import annotations

from typing import Any

from envagent.sandbox.exchange import Call, Reply, Route, routes
from envagent.sandbox.neutron_attributes import invalid_input, neutron_error
from envagent.sandbox.records import FloatingIp, Port, SecurityGroup

Tagged = FloatingIp | Port | SecurityGroup
TAG_LENGTH = 255
COLLECTIONS: dict[str, type[FloatingIp] | type[Port] | type[SecurityGroup]] = {
    "floatingips": FloatingIp,
    "ports": Port,
    "security-groups": SecurityGroup,
}


def _own(call: Call) -> Tagged:
    kind = COLLECTIONS[call.path.split("/")[2]]
    # The real Neutron fails for an unknown object, too.
    message = "Request Failed: internal server error while processing your request."
    tagged: Tagged = call.own(kind, call.params["id"], neutron_error(500, "HTTPInternalServerError", message))
    return tagged


def _keep(call: Call, tagged: Tagged, tags: list[str]) -> None:
    tagged.tags, tagged.updated_at = tags, call.world.at
    call.store(tagged)


def _check(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise invalid_input(f"'{value}' is not a list")
    for index, tag in enumerate(value):
        if not isinstance(tag, str):
            raise invalid_input(f"'{tag}' is not a valid string")
        if len(tag) > TAG_LENGTH:
            raise invalid_input(f"'{tag}' exceeds maximum length of {TAG_LENGTH}")
        if tag in value[:index]:
            raise invalid_input(f"Duplicate items in the list: '{tag}'")
    return value


def list_tags(call: Call) -> Reply:
    """Handle GET .../tags."""
    return Reply(200, {"tags": _own(call).tags})


def set_tags(call: Call) -> Reply:
    """Handle PUT .../tags: replace them."""
    if "tags" not in call.body:
        raise invalid_input("Invalid tags body")
    tags = _check(call.body["tags"])
    _keep(call, _own(call), tags)
    return Reply(200, {"tags": tags})


def clear_tags(call: Call) -> Reply:
    """Handle DELETE .../tags."""
    _keep(call, _own(call), [])
    return Reply(204)


def add_tag(call: Call) -> Reply:
    """Handle PUT .../tags/TAG."""
    tagged, tag = _own(call), call.params["tag"]
    if tag not in tagged.tags:
        _keep(call, tagged, [*tagged.tags, tag])
    return Reply(201)


def _held(call: Call) -> Tagged:
    tagged, tag = _own(call), call.params["tag"]
    if tag not in tagged.tags:
        raise neutron_error(404, "TagNotFound", f"Tag {tag} could not be found.")
    return tagged


def check_tag(call: Call) -> Reply:
    """Handle GET .../tags/TAG."""
    _held(call)
    return Reply(204)


def remove_tag(call: Call) -> Reply:
    """Handle DELETE .../tags/TAG."""
    tagged = _held(call)
    _keep(call, tagged, [tag for tag in tagged.tags if tag != call.params["tag"]])
    return Reply(204)


def tag_routes() -> list[Route]:
    """Return the routes of all collections whose objects have tags."""
    made = []
    for collection in COLLECTIONS:
        base = f"/v2.0/{collection}/{{id}}/tags"
        made += [
            *routes(base, GET=list_tags, PUT=set_tags, DELETE=clear_tags),
            *routes(base + "/{tag}", GET=check_tag, PUT=add_tag, DELETE=remove_tag),
        ]
    return made
