"""Nova's servers: create, show, update, delete."""

from __future__ import annotations

import secrets
import string
from typing import Any

from envagent.sandbox import cloud_time, nova_schemas, server_life
from envagent.sandbox.body_schemas import is_uuid
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.faults import NODE_ACTIONS
from envagent.sandbox.glance import visible
from envagent.sandbox.inventory import Image
from envagent.sandbox.neutron_groups import default_group, groups
from envagent.sandbox.nova_requests import bad_request, body, conflict, forbidden, not_allowed, not_found, not_simulated
from envagent.sandbox.nova_versions import microversion
from envagent.sandbox.nova_views import changed_view, flavors, hostname, is_true, links, server_view
from envagent.sandbox.records import Keypair, Port, Server

MAX_METADATA = 128
SHOWN_AS_GIVEN = ("accessIPv4", "accessIPv6", "OS-DCF:diskConfig", "hostname", "config_drive")
NOT_SIMULATED = {"block_device_mapping": "volumes", "trusted_image_certificates": "certificates of images"}


def get(call: Call) -> Server:
    """Return the server in the path. Raises a 404 for those of other projects."""
    id = call.params["id"]
    return call.own(Server, id, not_found(f"Instance {id} could not be found."))


def refuse_locked(server: Server) -> None:
    """Refuse to change a server that is locked."""
    if server.locked:
        raise conflict(f"Instance {server.id} is locked")


def check_metadata(metadata: dict[str, str]) -> None:
    """Refuse more items than a server may have."""
    if len(metadata) > MAX_METADATA:
        raise forbidden(f"Maximum number of metadata items exceeds {MAX_METADATA}")


def password() -> str:
    """Generate a password as Nova does."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))


def public_key(call: Call, name: str | None) -> str | None:
    """Return the public part of a keypair of the caller's, None without a name."""
    keypair = None if name is None else call.world.get(Keypair, f"{call.identity.user}/{name}")
    return None if keypair is None else keypair.public_key


def save(call: Call, server: Server) -> None:
    """Store a changed server and log the change."""
    server.updated_at = call.world.at
    call.store(server)


def bootable(call: Call, id: str, absent: str) -> Image:
    """Return an image that the caller may boot from."""
    image = call.site.images.get(id)
    if image is None or not visible(call, image):
        raise bad_request(absent)
    if image.status != "active":
        raise bad_request(f"Image {image.id} is not active.")
    return image


def _networks(call: Call, asked: dict[str, Any]) -> list[str]:
    """Return the ids of a server's networks, by default the site's only one."""
    wanted = asked.get("networks") or []
    if wanted == "none":
        return []
    if wanted == "auto" or not wanted:
        usable = [network.id for network in call.site.networks.values() if not network.external]
        if len(usable) != 1:
            raise conflict("Multiple possible networks found, use a Network ID to be more specific.")
        return usable
    return [_network(call, item) for item in wanted]


def _network(call: Call, item: dict[str, Any]) -> str:
    if item.get("port"):
        call.own(Port, item["port"], bad_request(f"Port id {item['port']} could not be found."))
        raise not_simulated("servers with a port of the user's own")
    id = item.get("uuid")
    if id is None:
        raise bad_request("Bad network format: missing 'uuid'")
    if not is_uuid(id):
        raise bad_request(f"Bad networks format: network uuid is not in proper format ({id})")
    if id not in call.site.networks:
        raise bad_request(f"Network {id} could not be found.")
    if "fixed_ip" in item:
        raise not_simulated("a fixed address of the user's choice")
    return str(id)


def _check_references(call: Call, asked: dict[str, Any]) -> None:
    """Refuse image, flavor, key, security groups and zone that do not exist."""
    if not asked.get("imageRef"):
        raise bad_request("Missing imageRef attribute")
    bootable(call, asked["imageRef"], "Can not find requested image")
    if str(asked["flavorRef"]) not in [flavor.id for flavor in flavors(call)]:
        raise bad_request(f"Flavor {asked['flavorRef']} could not be found.")
    key = asked.get("key_name")
    if key is not None and public_key(call, key) is None:
        raise bad_request("Invalid key_name provided.")
    default_group(call)
    known = groups(call)
    for group in _groups_wanted(asked):
        if not any(group in (one.id, one.name) for one in known):
            raise bad_request(f"Unable to find security_group with name or id '{group}'")


def _check_rights(asked: dict[str, Any]) -> None:
    """Refuse requests for administrators only, and a zone that does not exist."""
    zone = asked.get("availability_zone", "nova")
    if ":" in zone:
        raise not_allowed("servers:create:forced_host")
    if zone != "nova":
        raise bad_request("The requested availability zone is not available")
    if "host" in asked or "hypervisor_hostname" in asked:
        raise forbidden("Policy doesn't allow compute:servers:create:requested_destination to be performed.")
    for field, what in NOT_SIMULATED.items():
        if asked.get(field):
            raise not_simulated(what)
    for device in asked.get("block_device_mapping_v2") or []:
        if not _is_the_image(device, asked):
            raise not_simulated("volumes")


def _is_the_image(device: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Return whether a block device is just the image on the local disk, as openstackclient sends it."""
    kind = (device.get("source_type"), device.get("destination_type"), str(device.get("boot_index")))
    return kind == ("image", "local", "0") and device.get("uuid") == asked.get("imageRef")


def _groups_wanted(asked: dict[str, Any]) -> list[str]:
    named = [group.get("name", "default") for group in asked.get("security_groups") or []]
    return list(dict.fromkeys(named)) or ["default"]


def _count(call: Call, asked: dict[str, Any]) -> int:
    """Return the number of servers to create: as requested, or as the quota allows, but at least the minimum."""
    least = int(asked.get("min_count", 1))
    most = int(asked.get("max_count", least))
    if least > most:
        raise bad_request("min_count must be <= max_count")
    used, limit = len(call.world.find(Server, call.identity.project)), call.world.quota("instances")
    if limit >= 0 and used + least > limit:
        already = f"but already used {used} of {limit} instances"
        raise forbidden(f"Quota exceeded for instances: Requested {least}, {already}")
    return most if limit < 0 else min(most, limit - used)


def create(call: Call) -> Reply:
    """Handle POST /servers; scheduling happens after the response."""
    hinted = dict.fromkeys(nova_schemas.HINT_NAMES, nova_schemas.HINTS)
    asked: dict[str, Any] = body(call, "server", nova_schemas.server(microversion(call)), **hinted)
    _check_rights(asked)
    _check_references(call, asked)
    networks = _networks(call, asked)
    check_metadata(asked.get("metadata") or {})
    count, several = _count(call, asked), int(asked.get("max_count", asked.get("min_count", 1))) > 1
    names = [f"{asked['name']}-{number + 1}" if several else asked["name"] for number in range(count)]
    servers = [_make(call, asked, name, networks) for name in names]
    if is_true(asked.get("return_reservation_id", False)):
        return Reply(202, {"reservation_id": f"r-{secrets.token_hex(4)}"})
    own_links = links(call, "servers", servers[0].id)
    shown = {
        "id": servers[0].id,
        "adminPass": asked.get("adminPass") or password(),
        "OS-DCF:diskConfig": asked.get("OS-DCF:diskConfig", "MANUAL"),
        "security_groups": [{"name": group} for group in _groups_wanted(asked)],
        "links": own_links,
    }
    return Reply(202, {"server": shown}, {"Location": own_links[0]["href"]})


def _make(call: Call, asked: dict[str, Any], name: str, networks: list[str]) -> Server:
    world = call.world
    # Requested by name or id; the response repeats the request, the server shows names.
    named = {group.id: group.name for group in groups(call)}
    described = microversion(call) >= (2, 19)
    server = Server(
        **world.fresh(call.identity.project, name),
        user=call.identity.user,
        image=asked["imageRef"],
        flavor=str(asked["flavorRef"]),
        key_name=asked.get("key_name"),
        networks=networks,
        metadata=dict(asked.get("metadata") or {}),
        hints=next((dict(call.body[key]) for key in nova_schemas.HINT_NAMES if call.body.get(key)), {}),
        updated_at=world.at,
        security_groups=[named.get(group, group) for group in _groups_wanted(asked)],
        description=asked.get("description") if described else asked["name"],
        tags=sorted(set(asked.get("tags") or [])),
        doomed=call.effects.get("server_error"),
        never_builds="server_stuck" in call.effects,
        action_request_id=call.request_id,
        public_key=public_key(call, asked.get("key_name")),
        faults={action: call.effects[action] for action in NODE_ACTIONS if action in call.effects},
        given={"hostname": hostname(name), **{field: asked[field] for field in SHOWN_AS_GIVEN if field in asked}},
    )
    call.store(server)
    world.schedule(world.after(cloud_time.SCHEDULING), "server.schedule", server.id)
    return server


def show(call: Call) -> Reply:
    """Handle GET /servers/ID."""
    return Reply(200, {"server": server_view(call, get(call))})


def delete(call: Call) -> Reply:
    """Handle DELETE /servers/ID; the server disappears later."""
    server = get(call)
    refuse_locked(server)
    if "ignore_delete" not in call.effects:
        server_life.delete(call.world, server)
        call.wrote("server", server.id, server.name)
    return Reply(204)


def change(server: Server, asked: dict[str, Any]) -> None:
    """Change a server's name, description and the fields that are shown as given."""
    server.name = asked.get("name", server.name)
    server.description = asked.get("description", server.description)
    server.given = {**server.given, **{field: asked[field] for field in SHOWN_AS_GIVEN if field in asked}}


def update(call: Call) -> Reply:
    """Handle PUT /servers/ID."""
    asked = body(call, "server", nova_schemas.update(microversion(call)))
    server = get(call)
    change(server, asked)
    save(call, server)
    return Reply(200, {"server": changed_view(call, server)})
