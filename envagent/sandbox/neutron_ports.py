"""Neutron's ports: those of servers, and those created by users."""

from __future__ import annotations

import ipaddress
from typing import Any

from envagent.sandbox import neutron_groups
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.neutron_addresses import detach, free_fixed_address, new_port
from envagent.sandbox.neutron_attributes import (
    READ_ONLY,
    STANDARD,
    Attribute,
    Attributes,
    accept,
    bad_request,
    boolean,
    forbidden,
    identifier,
    identifiers,
    invalid_input,
    mac,
    neutron_error,
    no_more_addresses,
    not_found,
    one_of,
    over_quota,
    revise,
    standard_view,
    text,
)
from envagent.sandbox.neutron_lists import listing, shown
from envagent.sandbox.records import Port, Server

PORT_QUOTA = 500
VNIC_TYPES = ("normal", "macvtap", "direct", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic")


def _fixed_ips(name: str, value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise bad_request(f"Invalid input for {name}. Reason: Invalid data format for fixed IP: '{value}'.")
    for fixed in value:
        address = fixed.get("ip_address") if isinstance(fixed, dict) else None
        try:
            ipaddress.ip_address(address or "::")
        except ValueError:
            raise bad_request(f"Invalid input for {name}. Reason: '{address}' is not a valid IP address.") from None
    return value


ATTRIBUTES: Attributes = {
    **STANDARD,
    "network_id": Attribute(identifier, put=False, required=True),
    "name": Attribute(text()),
    "admin_state_up": Attribute(boolean),
    "mac_address": Attribute(mac, admin=True),
    "fixed_ips": Attribute(_fixed_ips),
    "device_id": Attribute(text()),
    "device_owner": Attribute(text()),
    "security_groups": Attribute(identifiers),
    "port_security_enabled": Attribute(boolean, admin=True),
    "allowed_address_pairs": Attribute(admin=True),
    "binding:vnic_type": Attribute(one_of(*VNIC_TYPES)),
    "binding:host_id": Attribute(admin=True),
    "binding:profile": Attribute(admin=True),
    "extra_dhcp_opts": Attribute(),
    "tags": Attribute(put=False),
    "status": READ_ONLY,
}


def view(call: Call, port: Port) -> dict[str, Any]:
    """Return a port as its project sees it."""
    return {
        "id": port.id,
        "name": port.name,
        "network_id": port.network,
        "device_id": port.device,
        "device_owner": port.shown_owner,
        "mac_address": port.mac,
        "fixed_ips": [{"subnet_id": port.subnet, "ip_address": port.address}] if port.address else [],
        "status": port.status,
        "admin_state_up": port.admin_state_up,
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "security_groups": _groups(call, port),
        "port_security_enabled": True,
        "binding:vnic_type": "normal",
        **standard_view(port),
    }


def _groups(call: Call, port: Port) -> list[str]:
    """Return the ids of a port's security groups; a server's port has the server's."""
    server = call.world.get(Server, port.device) if port.device_owner is None else None
    if server is None:
        return port.security_groups
    return [group.id for group in neutron_groups.groups(call) if group.name in server.security_groups]


def _own(call: Call) -> Port:
    return call.own(Port, call.params["id"], not_found("Port", call.params["id"]))


def list_ports(call: Call) -> Reply:
    """Handle GET /v2.0/ports."""
    found = call.world.find(Port, call.identity.project, call.as_of)
    return Reply(200, listing(call, "ports", [view(call, port) for port in found], "Port"))


def show_port(call: Call) -> Reply:
    """Handle GET /v2.0/ports/ID."""
    return Reply(200, shown(call, "port", view(call, _own(call))))


def create_port(call: Call) -> Reply:
    """Handle POST /v2.0/ports: one address of the network's only subnet; the port is DOWN."""
    asked = accept(call, "port", ATTRIBUTES)
    world = call.world
    network = world.site.networks.get(asked["network_id"])
    if network is None:
        raise not_found("Network", asked["network_id"])
    fixed = asked.get("fixed_ips", [{"subnet_id": network.subnet_id}])
    _check_policy("create", asked)
    if network.external:
        message = f"Tenant {call.identity.project} not allowed to create port on this network"
        raise neutron_error(403, "HTTPForbidden", message)
    for one in fixed:
        if "subnet_id" not in one:
            raise invalid_input("IP allocation requires subnet_id or ip_address")
        if one["subnet_id"] != network.subnet_id:
            raise not_found("Subnet", one["subnet_id"])
    groups = asked.get("security_groups", [neutron_groups.default_group(call).id])
    for group in groups:
        neutron_groups.own(call, group)
    if len(world.find(Port, call.identity.project)) >= PORT_QUOTA:
        raise over_quota("port")
    address = free_fixed_address(world, network) if fixed else ""
    if address is None:
        raise no_more_addresses(network.id)
    port = new_port(
        world,
        network,
        address,
        call.identity.project,
        asked.get("name", ""),
        device=asked.get("device_id", ""),
        zone="",
        security_groups=groups,
        device_owner=asked.get("device_owner", ""),
        description=asked.get("description", ""),
        admin_state_up=asked.get("admin_state_up", True),
        tags=asked.get("tags", []),
        revision=1,
    )
    call.store(port)
    return Reply(201, {"port": view(call, port)})


def _check_policy(verb: str, asked: dict[str, Any]) -> None:
    rule = f"rule:{verb}_port"
    if str(asked.get("device_owner", "")).startswith("network:"):
        raise forbidden(f"({rule} and {rule}:device_owner)")
    fixed = asked.get("fixed_ips", [])
    named = [key for key in ("subnet_id", "ip_address") if any(key in one for one in fixed)]
    if "ip_address" in named or (verb == "update" and "fixed_ips" in asked):
        parts = " and ".join(f"{rule}:fixed_ips:{key}" for key in named)
        inner = f"({rule}:fixed_ips and ({parts}))" if parts else f"{rule}:fixed_ips"
        raise forbidden(f"({rule} and {inner})")


def update_port(call: Call) -> Reply:
    """Handle PUT /v2.0/ports/ID."""
    port = _own(call)
    asked = accept(call, "port", ATTRIBUTES)
    _check_policy("update", asked)
    for group in asked.get("security_groups", []):
        neutron_groups.own(call, group)
    fields = {"device_id": "device", "binding:vnic_type": None, "extra_dhcp_opts": None}
    for key, value in asked.items():
        field = fields.get(key, key)
        if field is not None:
            setattr(port, field, value)
    revise(call, port)
    return Reply(200, {"port": view(call, port)})


def delete_port(call: Call) -> Reply:
    """Handle DELETE /v2.0/ports/ID; its floating IP is detached."""
    port = _own(call)
    detach(call.world, port.owner, [port.id])
    call.remove(port)
    return Reply(204)
