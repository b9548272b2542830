"""Nova's servers: create, list, show, delete, actions."""

from __future__ import annotations

import re
import secrets
import uuid
from typing import Any

from envagent.sandbox import clock, server_life
from envagent.sandbox.clock import iso_micro
from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.glance import visible
from envagent.sandbox.listing import page
from envagent.sandbox.neutron_groups import default_group, groups
from envagent.sandbox.nova_versions import microversion
from envagent.sandbox.nova_views import flavors, links, server_brief, server_view
from envagent.sandbox.records import Keypair, Server

HINTS = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")
MAX_PAGE = 1000


def bad_request(message: str) -> ServiceError:
    """Return Nova's 400."""
    return ServiceError(400, message, "badRequest")


def _is_uuid(text: Any) -> bool:
    try:
        return str(uuid.UUID(str(text))) == str(text).lower()
    except ValueError:
        return False


def get(call: Call) -> Server:
    """Return the server of the path; other projects' servers do not exist for the caller."""
    server = call.world.get(Server, call.params["id"])
    if server is None or server.owner != call.identity.project:
        raise ServiceError(404, f"Instance {call.params['id']} could not be found.", "itemNotFound")
    return server


def _check_body(body: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse what Nova's schema refuses."""
    name, image = asked.get("name"), asked.get("imageRef", "")
    if not isinstance(name, str) or not name.strip() or len(name) > 255:
        raise bad_request(f"Invalid input for field/attribute name. Value: {name}. '{name or ''}' should be non-empty")
    if image == "":
        raise bad_request("Missing imageRef attribute")
    if not _is_uuid(image):
        text = f"Value: {image}. '{image}' is not valid under any of the given schemas"
        raise bad_request(f"Invalid input for field/attribute imageRef. {text}")
    _check_shapes(body, asked)


def _check_shapes(body: dict[str, Any], asked: dict[str, Any]) -> None:
    groups, metadata = asked.get("security_groups") or [], asked.get("metadata") or {}
    hints = [body[key] for key in HINTS if key in body]
    shapes = {
        "security_groups": _are_all(groups, dict) and _are_all([group.get("name") for group in groups], str),
        "metadata": isinstance(metadata, dict) and _are_all([*metadata, *metadata.values()], str, longest=255),
        "networks": not isinstance(asked.get("networks"), list) or _are_all(asked["networks"], dict),
        "key_name": isinstance(asked.get("key_name"), str | None),
        "tags": _are_all(asked.get("tags") or [], str, longest=60),
        "description": isinstance(asked.get("description"), str | None),
        "scheduler_hints": _are_all(hints, dict) and _are_all([h.get("reservation", "") for h in hints], str),
    }
    for field, right in shapes.items():
        if not right:
            raise bad_request(f"Invalid input for field/attribute {field}. Value: {asked.get(field)}.")


def _are_all(items: Any, kind: type[str] | type[dict[str, Any]], longest: int = 10**6) -> bool:
    return isinstance(items, list) and all(isinstance(item, kind) and len(item) <= longest for item in items)


def _networks(call: Call, asked: dict[str, Any]) -> list[str]:
    wanted = asked.get("networks")
    if wanted == "none":
        return []
    if wanted is None and microversion(call) >= (2, 37):
        message = f"Invalid input for field/attribute server. Value: {asked}. 'networks' is a required property"
        raise bad_request(message)
    if not isinstance(wanted, list) or not wanted:
        message = "Multiple possible networks found, use a Network ID to be more specific."
        raise ServiceError(409, message, "conflictingRequest")
    ids = [str(item.get("uuid")) for item in wanted]
    for id in ids:
        if not _is_uuid(id):
            raise bad_request(f"Bad networks format: network uuid is not in proper format ({id})")
        if id not in call.site.networks:
            raise bad_request(f"Network {id} could not be found.")
        if call.site.networks[id].external:
            message = f"It is not allowed to create an interface on external network {id}"
            raise ServiceError(403, message, "forbidden")
    return ids


def _check_references(call: Call, asked: dict[str, Any]) -> None:
    """Refuse image, flavor, key, security groups and zone that do not exist."""
    image = call.site.images.get(asked["imageRef"])
    if image is None or not visible(call, image):
        raise bad_request("Can not find requested image")
    if image.status != "active":
        raise bad_request(f"Image {image.id} is not active.")
    if asked.get("flavorRef") not in [flavor.id for flavor in flavors(call)]:
        raise bad_request(f"Flavor {asked.get('flavorRef')} could not be found.")
    key = asked.get("key_name")
    if key is not None and call.world.get(Keypair, f"{call.identity.user}/{key}") is None:
        raise bad_request("Invalid key_name provided.")
    default_group(call)
    known = groups(call)
    for group in asked.get("security_groups") or []:
        if not any(group.get("name") in (one.id, one.name) for one in known):
            raise bad_request(f"Unable to find security_group with name or id '{group.get('name')}'")
    if asked.get("availability_zone") not in (None, "", "nova"):
        raise bad_request("The requested availability zone is not available")


def create(call: Call) -> Reply:
    """Answer POST /servers with 202: whether a host is found shows later."""
    body, asked = call.body, call.part("server")
    if not asked:
        raise bad_request(f"Invalid input for field/attribute . Value: {body}. 'server' is a required property")
    _check_body(body, asked)
    networks = _networks(call, asked)
    _check_references(call, asked)
    world, project = call.world, call.identity.project
    used, limit = len(world.find(Server, project)), world.quota("instances")
    if 0 <= limit <= used:
        message = f"Quota exceeded for instances: Requested 1, but already used {used} of {limit} instances"
        raise ServiceError(403, message, "forbidden")
    failure = call.effects.get("server_error")
    # Asked for by name or id; the answer repeats what was asked, the server shows names.
    wanted = [group["name"] for group in asked.get("security_groups") or [{"name": "default"}]]
    named = {group.id: group.name for group in groups(call)}
    server = Server(
        id=world.new_id(),
        site=world.site.key,
        owner=project,
        name=asked["name"],
        created_at=world.at,
        user=call.identity.user,
        image=asked["imageRef"],
        flavor=asked["flavorRef"],
        key_name=asked.get("key_name"),
        networks=networks,
        metadata=dict(asked.get("metadata") or {}),
        hints=next((dict(body[key]) for key in HINTS if body.get(key)), {}),
        updated_at=world.at,
        security_groups=[named.get(group, group) for group in wanted],
        description=asked.get("description") or asked["name"],
        tags=list(asked.get("tags") or []),
        doomed=failure,
        never_builds="server_stuck" in call.effects,
        action_request_id=call.request_id,
    )
    world.put(server)
    world.schedule(world.after(clock.SCHEDULING), "server.schedule", server.id)
    call.wrote("server", server.id, server.name)
    own_links = links(call, "servers", server.id)
    shown = {
        "id": server.id,
        "adminPass": secrets.token_urlsafe(9),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": group} for group in wanted],
        "links": own_links,
    }
    return Reply(202, {"server": shown}, {"Location": own_links[0]["href"]})


def _wanted(call: Call) -> list[Server]:
    found = call.world.find(Server, call.identity.project, call.as_of)
    name, status = call.argument("name"), call.argument("status")
    if name:
        try:
            pattern = re.compile(name)
        except re.error:
            raise bad_request(f"Invalid filter: {name}") from None
        found = [server for server in found if pattern.search(server.name)]
    if status:
        found = [server for server in found if server.status == status.upper()]
    for key in ("image", "flavor"):
        value = call.argument(key)
        if value:
            found = [server for server in found if getattr(server, key) == value]
    return sorted(found, key=lambda server: (server.created_at, server.id), reverse=True)


def _list(call: Call, detailed: bool) -> Reply:
    if call.argument("all_tenants") in ("1", "true", "True"):
        rule = f"os_compute_api:servers:{'detail' if detailed else 'index'}:get_all_tenants"
        raise ServiceError(403, f"Policy doesn't allow {rule} to be performed.", "forbidden")
    view = server_view if detailed else server_brief
    items = [view(call, server) for server in _wanted(call)]
    asked = call.argument("limit") or str(MAX_PAGE)
    if not asked.isdigit():
        reason = f"Value: {asked}. '{asked}' does not match '^[0-9]*$'"
        raise bad_request(f"Invalid input for query parameters limit. {reason}")
    limit = min(int(asked), MAX_PAGE)
    shown = page(items, limit, call.argument("marker"))
    if shown is None:
        raise bad_request(f"marker [{call.argument('marker')}] not found")
    body: dict[str, Any] = {"servers": shown}
    if shown and shown[-1] is not items[-1]:
        path = "/v2.1/servers/detail" if detailed else "/v2.1/servers"
        href = f"{call.root}{path}?limit={limit}&marker={shown[-1]['id']}"
        body["servers_links"] = [{"rel": "next", "href": href}]
    return Reply(200, body)


def list_brief(call: Call) -> Reply:
    """Answer GET /servers."""
    return _list(call, detailed=False)


def list_detailed(call: Call) -> Reply:
    """Answer GET /servers/detail."""
    return _list(call, detailed=True)


def show(call: Call) -> Reply:
    """Answer GET /servers/ID."""
    return Reply(200, {"server": server_view(call, get(call))})


def delete(call: Call) -> Reply:
    """Answer DELETE /servers/ID with 204; the server goes later."""
    server = get(call)
    if "ignore_delete" not in call.effects:
        server_life.delete(call.world, server)
        call.wrote("server", server.id, server.name)
    return Reply(204)


def update(call: Call) -> Reply:
    """Answer PUT /servers/ID: a new name or description."""
    server = get(call)
    asked = call.part("server")
    server.name = asked.get("name", server.name)
    server.description = asked.get("description", server.description)
    server.updated_at = call.world.at
    call.world.put(server)
    call.wrote("server", server.id, server.name)
    return Reply(200, {"server": server_view(call, server)})


def set_metadata(call: Call) -> Reply:
    """Answer POST /servers/ID/metadata."""
    server = get(call)
    server.metadata = {**server.metadata, **call.part("metadata")}
    server.updated_at = call.world.at
    call.world.put(server)
    call.wrote("server", server.id, server.name)
    return Reply(200, {"metadata": server.metadata})


def act(call: Call) -> Reply:
    """Answer POST /servers/ID/action."""
    server = get(call)
    action = next(iter(call.body), "")
    if action == "os-getConsoleOutput":
        if server.status != "ACTIVE":
            raise ServiceError(404, "The console log is not available.", "itemNotFound")
        text = f"[    0.000000] Linux version 6.8.0 (sandbox)\n{server.name} login: "
        return Reply(200, {"output": text})
    if action in ("addFloatingIp", "removeFloatingIp"):
        if microversion(call) >= (2, 44):
            message = "The resource could not be found."
            raise ServiceError(404, message, "itemNotFound")
        raise bad_request("Instance network is not ready yet")
    raise bad_request(f"There is no such action: {action}")


def list_actions(call: Call) -> Reply:
    """Answer GET /servers/ID/os-instance-actions."""
    server = get(call)
    entry = {
        "action": "create",
        "instance_uuid": server.id,
        "message": "Error" if server.status == "ERROR" else None,
        "project_id": server.owner,
        "request_id": server.action_request_id,
        "start_time": iso_micro(server.created_at),
        "user_id": server.user,
    }
    if microversion(call) >= (2, 58):
        entry["updated_at"] = iso_micro(server.updated_at)
    return Reply(200, {"instanceActions": [entry]})


def show_action(call: Call) -> Reply:
    """Answer GET /servers/ID/os-instance-actions/REQUEST."""
    listed = list_actions(call).body["instanceActions"][0]
    if call.params["request"] != listed["request_id"]:
        message = f"Action for request_id {call.params['request']} on instance {call.params['id']} not found"
        raise ServiceError(404, message, "itemNotFound")
    return Reply(200, {"instanceAction": {**listed, "events": []}})
