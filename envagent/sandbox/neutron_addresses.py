"""Neutron's floating IPs: allocate, attach, release."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Collection
from typing import Any

from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.inventory import Network
from envagent.sandbox.neutron_attributes import (
    READ_ONLY,
    STANDARD,
    Attribute,
    Attributes,
    accept,
    identifier,
    neutron_error,
    no_more_addresses,
    not_found,
    optional_identifier,
    over_quota,
    revise,
    standard_view,
)
from envagent.sandbox.neutron_lists import listing, shown
from envagent.sandbox.records import FloatingIp, Port
from envagent.sandbox.world import World

FIRST_HOST = 10
RESERVABLE = 20
"""The last addresses of the pool are Blazar's, only available through a virtual:floatingip reservation."""

ATTRIBUTES: Attributes = {
    **STANDARD,
    "floating_network_id": Attribute(identifier, put=False, required=True),
    "floating_ip_address": Attribute(put=False, admin=True),
    "fixed_ip_address": Attribute(),
    "port_id": Attribute(optional_identifier),
    "subnet_id": Attribute(optional_identifier, put=False),
    **dict.fromkeys(("router_id", "status", "tags", "port_details"), READ_ONLY),
}


def pool(network: Network) -> tuple[list[str], list[str]]:
    """Return the addresses of an external network: those for everybody, and Blazar's."""
    hosts = [str(ip) for ip in ipaddress.ip_network(network.cidr).hosts()][FIRST_HOST - 1 :]
    return hosts[:-RESERVABLE], hosts[-RESERVABLE:]


def view(call: Call, address: FloatingIp) -> dict[str, Any]:
    """Return a floating IP as Neutron shows it."""
    port = call.world.get(Port, address.port) if address.port else None
    details = None
    if port is not None:
        details = {
            "admin_state_up": port.admin_state_up,
            "device_id": port.device,
            "device_owner": port.shown_owner,
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
        **standard_view(address),
    }


def _get(call: Call) -> FloatingIp:
    id = call.params["id"]
    return call.own(FloatingIp, id, neutron_error(404, "FloatingIPNotFound", f"Floating IP {id} could not be found"))


def _bad_request(message: str) -> ServiceError:
    return neutron_error(400, "BadRequest", f"Bad floatingip request: {message}.")


def free_fixed_address(world: World, network: Network) -> str | None:
    """Return a free address of a network's subnet."""
    used = {port.address for port in world.find(Port) if port.network == network.id}
    hosts = ipaddress.ip_network(network.cidr).hosts()
    return next((str(ip) for number, ip in enumerate(hosts) if number >= FIRST_HOST and str(ip) not in used), None)


def new_port(world: World, network: Network, address: str, owner: str, name: str = "", **others: Any) -> Port:
    """Return a new port of a network, with a fresh MAC address of Neutron's prefix."""
    mac = "fa:16:3e:" + ":".join(f"{random.randrange(256):02x}" for _ in range(3))  # noqa: S311
    placed: dict[str, Any] = {"network": network.id, "subnet": network.subnet_id, "address": address, "mac": mac}
    return Port(**world.fresh(owner, name), **placed, **others, updated_at=world.at)


def _external(call: Call, id: str) -> Network:
    network = call.site.networks.get(id)
    if network is None:
        raise not_found("Network", id)
    if not network.external:
        raise _bad_request(f"Network {id} is not a valid external network")
    return network


def _attach(call: Call, address: FloatingIp, port_id: str | None, fixed: str | None = None) -> None:
    if port_id is None:
        if fixed is not None:
            raise _bad_request("fixed_ip_address cannot be specified without a port_id")
        address.port = address.fixed = None
        return
    world = call.world
    port = call.own(Port, port_id, not_found("Port", port_id))
    if fixed not in (None, port.address):
        raise _bad_request(f"Port {port.id} does not have fixed ip {fixed}")
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


def detach(world: World, owner: str, ports: Collection[str]) -> None:
    """Detach a project's floating IPs from ports; they stay allocated."""
    for address in world.find(FloatingIp, owner):
        if address.port in ports:
            address.port = address.fixed = None
            address.revision += 1
            address.updated_at = world.at
            world.put(address)


def free_address(world: World, network: Network, addresses: list[str]) -> str | None:
    """Return a free address of the pool."""
    used = {address.name for address in world.find(FloatingIp) if address.network == network.id}
    return next((address for address in addresses if address not in used), None)


def create(call: Call) -> Reply:
    """Handle POST /v2.0/floatingips, optionally with a description and a port."""
    asked = accept(call, "floatingip", ATTRIBUTES)
    network = _external(call, asked["floating_network_id"])
    if asked.get("subnet_id") not in (None, network.subnet_id):
        raise not_found("Subnet", asked["subnet_id"])
    world, project = call.world, call.identity.project
    mine = [address for address in world.find(FloatingIp, project) if "blazar" not in address.tags]
    if "fip_quota" in call.effects or 0 <= world.quota("floatingip") <= len(mine):
        raise over_quota("floatingip")
    free = None if "fip_pool_empty" in call.effects else free_address(world, network, pool(network)[0])
    if free is None:
        raise no_more_addresses(network.id)
    address = FloatingIp(
        **world.fresh(project, free),
        network=network.id,
        description=asked.get("description", ""),
        updated_at=world.at,
    )
    _attach(call, address, asked.get("port_id"), asked.get("fixed_ip_address"))
    call.store(address)
    return Reply(201, {"floatingip": view(call, address)})


def list_all(call: Call) -> Reply:
    """Handle GET /v2.0/floatingips."""
    found = call.world.find(FloatingIp, call.identity.project, call.as_of)
    return Reply(200, listing(call, "floatingips", [view(call, address) for address in found]))


def show(call: Call) -> Reply:
    """Handle GET /v2.0/floatingips/ID."""
    return Reply(200, shown(call, "floatingip", view(call, _get(call))))


def update(call: Call) -> Reply:
    """Handle PUT /v2.0/floatingips/ID: attach, detach, describe. An empty update detaches."""
    address = _get(call)
    asked = accept(call, "floatingip", ATTRIBUTES)
    address.description = asked.get("description", address.description)
    if not asked or {"port_id", "fixed_ip_address"} & asked.keys():
        _attach(call, address, asked.get("port_id"), asked.get("fixed_ip_address"))
    revise(call, address)
    return Reply(200, {"floatingip": view(call, address)})


def delete(call: Call) -> Reply:
    """Handle DELETE /v2.0/floatingips/ID."""
    address = _get(call)
    if "ignore_delete" not in call.effects:
        call.remove(address)
    return Reply(204)
