"""Neutron's floating IPs: allocate, attach, release."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

from envagent.sandbox.clock import iso_z
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.inventory import Network
from envagent.sandbox.neutron_lists import listing, neutron_error
from envagent.sandbox.records import FloatingIp, Port
from envagent.sandbox.world import World

FIRST_HOST = 10
RESERVABLE = 20
"""The last addresses of the pool are Blazar's, to be had through a virtual:floatingip reservation only."""


def pool(network: Network) -> tuple[list[str], list[str]]:
    """Return the addresses of an external network: those for anybody, those for Blazar."""
    hosts = [str(ip) for ip in ipaddress.ip_network(network.cidr).hosts()][FIRST_HOST - 1 :]
    return hosts[:-RESERVABLE], hosts[-RESERVABLE:]


def view(call: Call, address: FloatingIp) -> dict[str, Any]:
    """Return a floating IP as Neutron shows it."""
    port = call.world.get(Port, address.port) if address.port else None
    details = None
    if port is not None:
        details = {
            "admin_state_up": True,
            "device_id": port.device,
            "device_owner": f"compute:{port.zone}",
            "mac_address": port.mac,
            "name": port.name,
            "network_id": port.network,
            "status": port.status,
        }
    return {
        "id": address.id,
        "floating_ip_address": address.name,
        "floating_network_id": address.network,
        "fixed_ip_address": address.fixed,
        "port_id": address.port,
        "port_details": details,
        "router_id": call.site.router_id if address.port else None,
        "status": "ACTIVE" if address.port else "DOWN",
        "description": address.description,
        "tags": address.tags,
        "project_id": address.owner,
        "tenant_id": address.owner,
        "revision_number": address.revision,
        "created_at": iso_z(address.created_at),
        "updated_at": iso_z(address.updated_at),
    }


def _get(call: Call) -> FloatingIp:
    address = call.world.get(FloatingIp, call.params["id"])
    if address is None or address.owner != call.identity.project:
        message = f"Floating IP {call.params['id']} could not be found"
        raise neutron_error(404, "FloatingIPNotFound", message)
    return address


def _external(call: Call, id: str) -> Network:
    try:
        uuid.UUID(id)
    except ValueError:
        message = f"Invalid input for floating_network_id. Reason: '{id}' is not a valid UUID."
        raise neutron_error(400, "HTTPBadRequest", message) from None
    network = call.site.networks.get(id)
    if network is None:
        raise neutron_error(404, "NetworkNotFound", f"Network {id} could not be found.")
    if not network.external:
        message = f"Bad floatingip request: Network {id} is not a valid external network."
        raise neutron_error(400, "BadRequest", message)
    return network


def _attach(call: Call, address: FloatingIp, port_id: str | None) -> None:
    if port_id is None:
        address.port = address.fixed = None
        return
    world = call.world
    port = world.get(Port, port_id)
    if port is None or port.owner != call.identity.project:
        raise neutron_error(404, "PortNotFound", f"Port {port_id} could not be found.")
    if not world.site.networks[port.network].routed:
        message = (
            f"External network {address.network} is not reachable from subnet {port.subnet}.  "
            f"Therefore, cannot associate Port {port.id} with a Floating IP."
        )
        raise neutron_error(404, "ExternalGatewayForFloatingIPNotFound", message)
    if any(other.port == port.id and other.id != address.id for other in world.find(FloatingIp, port.owner)):
        message = (
            f"Cannot associate floating IP {address.name} ({address.id}) with port {port.id} using fixed IP "
            f"{port.address}, as that fixed IP already has a floating IP on external network {address.network}."
        )
        raise neutron_error(409, "FloatingIPPortAlreadyAssociated", message)
    address.port, address.fixed = port.id, port.address


def free_address(world: World, network: Network, addresses: list[str]) -> str | None:
    """Return an address of the pool that nobody has."""
    used = {address.name for address in world.find(FloatingIp) if address.network == network.id}
    return next((address for address in addresses if address not in used), None)


def create(call: Call) -> Reply:
    """Answer POST /v2.0/floatingips; description and port may come with it."""
    asked = call.part("floatingip")
    network = _external(call, str(asked.get("floating_network_id")))
    world, project = call.world, call.identity.project
    mine = [address for address in world.find(FloatingIp, project) if "blazar" not in address.tags]
    if "fip_quota" in call.effects or 0 <= world.quota("floatingip") <= len(mine):
        raise neutron_error(409, "OverQuota", "Quota exceeded for resources: ['floatingip'].")
    free = None if "fip_pool_empty" in call.effects else free_address(world, network, pool(network)[0])
    if free is None:
        message = f"No more IP addresses available on network {network.id}."
        raise neutron_error(409, "IpAddressGenerationFailure", message)
    address = FloatingIp(
        id=world.new_id(),
        site=world.site.key,
        owner=project,
        name=free,
        created_at=world.at,
        network=network.id,
        description=str(asked.get("description", "")),
        updated_at=world.at,
    )
    _attach(call, address, asked.get("port_id"))
    world.put(address)
    call.wrote("floating_ip", address.id, address.name)
    return Reply(201, {"floatingip": view(call, address)})


def list_all(call: Call) -> Reply:
    """Answer GET /v2.0/floatingips."""
    found = call.world.find(FloatingIp, call.identity.project, call.as_of)
    return Reply(200, listing(call, "floatingips", [view(call, address) for address in found]))


def show(call: Call) -> Reply:
    """Answer GET /v2.0/floatingips/ID."""
    return Reply(200, {"floatingip": view(call, _get(call))})


def update(call: Call) -> Reply:
    """Answer PUT /v2.0/floatingips/ID: attach, detach, describe."""
    address = _get(call)
    asked = call.part("floatingip")
    address.description = asked.get("description", address.description)
    if "port_id" in asked:
        _attach(call, address, asked["port_id"])
    address.revision += 1
    address.updated_at = call.world.at
    call.world.put(address)
    call.wrote("floating_ip", address.id, address.name)
    return Reply(200, {"floatingip": view(call, address)})


def delete(call: Call) -> Reply:
    """Answer DELETE /v2.0/floatingips/ID."""
    address = _get(call)
    if "ignore_delete" not in call.effects:
        call.world.remove(address)
        call.wrote("floating_ip", address.id, address.name)
    return Reply(204)


def set_tags(call: Call) -> Reply:
    """Answer PUT /v2.0/floatingips/ID/tags."""
    address = _get(call)
    address.tags = [str(tag) for tag in call.body.get("tags") or []]
    address.updated_at = call.world.at
    call.world.put(address)
    call.wrote("floating_ip", address.id, address.name)
    return Reply(200, {"tags": address.tags})
