"""How Nova shows servers and flavors, by microversion."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from envagent.sandbox.cloud_time import iso_micro, iso_z
from envagent.sandbox.exchange import Call
from envagent.sandbox.inventory import FlavorSpec
from envagent.sandbox.nova_versions import microversion
from envagent.sandbox.records import Flavor, FloatingIp, Port, Server

POWER = {"active": 1, "stopped": 4}

AS_GIVEN = {"accessIPv4": "", "accessIPv6": "", "OS-DCF:diskConfig": "MANUAL"}
ONLY_WHEN_READ = (
    "OS-EXT-AZ:availability_zone",
    "config_drive",
    "key_name",
    "OS-SRV-USG:launched_at",
    "OS-SRV-USG:terminated_at",
    "security_groups",
    "OS-EXT-STS:task_state",
    "OS-EXT-STS:vm_state",
    "OS-EXT-STS:power_state",
    "os-extended-volumes:volumes_attached",
)
"""What the response to an update lacks before microversion 2.75."""


def links(call: Call, collection: str, id: str) -> list[dict[str, str]]:
    """Return the self and bookmark links."""
    return [
        {"rel": "self", "href": f"{call.root}/v2.1/{collection}/{id}"},
        {"rel": "bookmark", "href": f"{call.root}/{collection}/{id}"},
    ]


def flavors(call: Call) -> list[FlavorSpec | Flavor]:
    """Return the site's flavors and those that Blazar created for the project's reservations."""
    return [*call.site.flavors.values(), *call.world.find(Flavor, call.identity.project)]


def flavor_view(call: Call, flavor: FlavorSpec | Flavor) -> dict[str, Any]:
    """Return a flavor with its details."""
    view = {
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "vcpus": flavor.vcpus,
        "swap": "" if microversion(call) < (2, 75) else 0,
        "rxtx_factor": 1.0,
        "os-flavor-access:is_public": not flavor.name.startswith("reservation:"),
        "OS-FLV-DISABLED:disabled": False,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "links": links(call, "flavors", flavor.id),
    }
    if microversion(call) >= (2, 55):
        view["description"] = None
    if microversion(call) >= (2, 61):
        view["extra_specs"] = flavor.extra_specs
    return view


def _embedded_flavor(call: Call, id: str) -> dict[str, Any]:
    if microversion(call) < (2, 47):
        return {"id": id, "links": links(call, "flavors", id)[1:]}
    flavor = next((flavor for flavor in flavors(call) if flavor.id == id), FlavorSpec(id, id, 0, 0, 0))
    return {
        "original_name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "ephemeral": 0,
        "swap": 0,
        "extra_specs": flavor.extra_specs,
    }


def addresses(call: Call, server: Server) -> dict[str, list[dict[str, Any]]]:
    """Return the fixed and floating addresses by network name."""
    shown: dict[str, list[dict[str, Any]]] = {}
    floating = {address.port: address for address in call.world.find(FloatingIp, server.owner)}
    for port in call.world.find(Port, server.owner):
        if port.device != server.id:
            continue
        common = {"version": 4, "OS-EXT-IPS-MAC:mac_addr": port.mac}
        entries = shown.setdefault(call.site.networks[port.network].name, [])
        entries.append({**common, "addr": port.address, "OS-EXT-IPS:type": "fixed"})
        if port.id in floating:
            entries.append({**common, "addr": floating[port.id].name, "OS-EXT-IPS:type": "floating"})
    return shown


def hostname(name: str) -> str:
    """Return the host name that Nova derives from a server's name."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:63]


def _has_config_drive(call: Call, server: Server) -> bool:
    forced = call.world.profile.forces_config_drive and call.site.kind == "baremetal"
    return forced or is_true(server.given.get("config_drive", False))


def is_true(asked: bool | str) -> bool:
    """Parse a boolean in a body as Nova does."""
    return str(asked).lower() in ("true", "1", "on", "yes")


def hinted(value: Any) -> list[Any]:
    """Return a scheduler hint as shown: always a list."""
    return value if isinstance(value, list) else [value]


def server_brief(call: Call, server: Server) -> dict[str, Any]:
    """Return the entry of a server in the list without details."""
    return {"id": server.id, "name": server.name, "links": links(call, "servers", server.id)}


def server_view(call: Call, server: Server) -> dict[str, Any]:
    """Return a server with its details."""
    placed = server.host is not None and server.status != "ERROR"
    view: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "tenant_id": server.owner,
        "user_id": server.user,
        "metadata": server.metadata,
        "hostId": hashlib.sha224(f"{server.owner}{server.host}".encode()).hexdigest() if placed else "",
        "image": {"id": server.image, "links": links(call, "images", server.image)[1:]},
        "flavor": _embedded_flavor(call, server.flavor),
        "created": iso_z(server.created_at),
        "updated": iso_z(server.updated_at),
        "addresses": addresses(call, server),
        **{field: server.given.get(field, default) for field, default in AS_GIVEN.items()},
        "links": links(call, "servers", server.id),
        "OS-EXT-AZ:availability_zone": server.zone,
        "config_drive": "True" if _has_config_drive(call, server) else "",
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": iso_micro(server.launched_at) if server.launched_at else None,
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": POWER.get(server.vm_state, 0),
        "os-extended-volumes:volumes_attached": [],
    }
    if placed:
        view["security_groups"] = [{"name": name} for name in server.security_groups]
    if server.status in ("BUILD", "ACTIVE", "REBUILD"):
        view["progress"] = 0
    if server.fault is not None and server.status == "ERROR":
        view["fault"] = server.fault
    return {**view, **_later_fields(call, server)}


def listed_view(call: Call, server: Server) -> dict[str, Any]:
    """Return a server as the detailed list shows it."""
    return {field: value for field, value in server_view(call, server).items() if field != "server_groups"}


def changed_view(call: Call, server: Server) -> dict[str, Any]:
    """Return a server as the response to its update shows it."""
    view = server_view(call, server)
    if microversion(call) >= (2, 75):
        return view
    view["addresses"] = plain_addresses(view["addresses"])
    return {field: value for field, value in view.items() if field not in ONLY_WHEN_READ}


def plain_addresses(shown: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return addresses without the fields of extensions."""
    return {
        network: [{"version": entry["version"], "addr": entry["addr"]} for entry in entries]
        for network, entries in shown.items()
    }


def _later_fields(call: Call, server: Server) -> dict[str, Any]:
    version = microversion(call)
    fields: list[tuple[tuple[int, int], str, Any]] = [
        ((2, 9), "locked", server.locked),
        ((2, 19), "description", server.description),
        ((2, 26), "tags", server.tags),
        ((2, 63), "trusted_image_certificates", None),
        ((2, 71), "server_groups", []),
        ((2, 73), "locked_reason", server.locked_reason),
        ((2, 90), "OS-EXT-SRV-ATTR:hostname", server.given.get("hostname") or hostname(server.name)),
        ((2, 96), "pinned_availability_zone", None),
        ((2, 100), "scheduler_hints", {key: hinted(value) for key, value in server.hints.items()}),
    ]
    return {name: value for since, name, value in fields if version >= since}
