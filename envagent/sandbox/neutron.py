"""Neutron 2.0: networks, subnets, ports, routers, quotas, and the table of its routes."""

from __future__ import annotations

import ipaddress
from typing import Any

from envagent.sandbox import neutron_addresses, neutron_groups
from envagent.sandbox.clock import iso_z
from envagent.sandbox.exchange import (
    Call,
    Reply,
    Route,
    Service,
    ServiceError,
    keystone_error_body,
    keystone_unauthorized,
    request_id_header,
)
from envagent.sandbox.inventory import Network
from envagent.sandbox.neutron_lists import listing, neutron_error
from envagent.sandbox.records import FloatingIp, Port

BUILT = "2017-06-01T12:00:00Z"
EXTENSIONS = (
    "external-net",
    "fip-port-details",
    "net-mtu",
    "port-security",
    "quotas",
    "router",
    "security-group",
    "standard-attr-description",
    "standard-attr-tag",
    "standard-attr-timestamp",
)


def error_body(error: ServiceError) -> dict[str, Any]:
    """Return Neutron's envelope, or Keystone's for a 401."""
    if error.type == "keystone":
        return keystone_error_body(error)
    return {"NeutronError": {"type": error.type or "HTTPError", "message": error.message, "detail": ""}}


def list_versions(call: Call) -> Reply:
    """Answer GET /."""
    links = [{"rel": "self", "href": f"{call.root}/v2.0/"}]
    return Reply(200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})


def show_version(call: Call) -> Reply:
    """Answer GET /v2.0/."""
    return Reply(200, {"resources": []})


def list_extensions(call: Call) -> Reply:
    """Answer GET /v2.0/extensions."""
    shown = [
        {"alias": alias, "name": alias, "description": "", "updated": "2017-01-01T00:00:00-00:00", "links": []}
        for alias in EXTENSIONS
    ]
    return Reply(200, {"extensions": shown})


def _network(call: Call, network: Network) -> dict[str, Any]:
    owner = call.site.projects["chameleon"].id
    view = {
        "id": network.id,
        "name": network.name,
        "description": "",
        "admin_state_up": True,
        "status": "ACTIVE",
        "shared": network.shared,
        "router:external": network.external,
        "subnets": [network.subnet_id],
        "mtu": 1500,
        "port_security_enabled": call.site.kind == "kvm",
        "availability_zone_hints": [],
        "availability_zones": ["nova"],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "project_id": owner,
        "tenant_id": owner,
        "revision_number": 2,
        "tags": [],
        "created_at": BUILT,
        "updated_at": BUILT,
    }
    return {**view, "is_default": True} if network.external else view


def _subnet(call: Call, network: Network) -> dict[str, Any]:
    owner = call.site.projects["chameleon"].id
    hosts = ipaddress.ip_network(network.cidr)
    return {
        "id": network.subnet_id,
        "name": f"{network.name}-subnet",
        "network_id": network.id,
        "cidr": network.cidr,
        "gateway_ip": str(hosts[1]),
        "allocation_pools": [{"start": str(hosts[10]), "end": str(hosts[-2])}],
        "ip_version": 4,
        "enable_dhcp": not network.external,
        "dns_nameservers": [],
        "host_routes": [],
        "description": "",
        "service_types": [],
        "subnetpool_id": None,
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "router:external": network.external,
        "project_id": owner,
        "tenant_id": owner,
        "tags": [],
        "revision_number": 0,
        "created_at": BUILT,
        "updated_at": BUILT,
    }


def list_networks(call: Call) -> Reply:
    """Answer GET /v2.0/networks."""
    return Reply(200, listing(call, "networks", [_network(call, n) for n in call.site.networks.values()]))


def show_network(call: Call) -> Reply:
    """Answer GET /v2.0/networks/ID."""
    network = call.site.networks.get(call.params["id"])
    if network is None:
        raise neutron_error(404, "NetworkNotFound", f"Network {call.params['id']} could not be found.")
    return Reply(200, {"network": _network(call, network)})


def list_subnets(call: Call) -> Reply:
    """Answer GET /v2.0/subnets; a project sees no subnet of an external network."""
    seen = [network for network in call.site.networks.values() if not network.external]
    return Reply(200, listing(call, "subnets", [_subnet(call, network) for network in seen]))


def show_subnet(call: Call) -> Reply:
    """Answer GET /v2.0/subnets/ID."""
    for network in call.site.networks.values():
        if network.subnet_id == call.params["id"] and not network.external:
            return Reply(200, {"subnet": _subnet(call, network)})
    raise neutron_error(404, "SubnetNotFound", f"Subnet {call.params['id']} could not be found.")


def _port(port: Port) -> dict[str, Any]:
    return {
        "id": port.id,
        "name": port.name,
        "network_id": port.network,
        "device_id": port.device,
        "device_owner": f"compute:{port.zone}",
        "mac_address": port.mac,
        "fixed_ips": [{"subnet_id": port.subnet, "ip_address": port.address}],
        "status": port.status,
        "admin_state_up": True,
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "security_groups": port.security_groups,
        "port_security_enabled": True,
        "binding:vnic_type": "normal",
        "description": "",
        "project_id": port.owner,
        "tenant_id": port.owner,
        "tags": [],
        "revision_number": 4,
        "created_at": iso_z(port.created_at),
        "updated_at": iso_z(port.updated_at),
    }


def list_ports(call: Call) -> Reply:
    """Answer GET /v2.0/ports."""
    found = call.world.find(Port, call.identity.project, call.as_of)
    return Reply(200, listing(call, "ports", [_port(port) for port in found]))


def show_port(call: Call) -> Reply:
    """Answer GET /v2.0/ports/ID."""
    port = call.world.get(Port, call.params["id"])
    if port is None or port.owner != call.identity.project:
        raise neutron_error(404, "PortNotFound", f"Port {call.params['id']} could not be found.")
    return Reply(200, {"port": _port(port)})


def list_routers(call: Call) -> Reply:
    """Answer GET /v2.0/routers: the site's router belongs to another project."""
    return Reply(200, {"routers": []})


def show_quota(call: Call) -> Reply:
    """Answer GET /v2.0/quotas/PROJECT."""
    names = ("floatingip", "security_group")
    others = {
        "network": 10,
        "subnet": 10,
        "subnetpool": -1,
        "rbac_policy": 10,
        "port": 500,
        "router": 10,
        "security_group_rule": 100,
    }
    return Reply(200, {"quota": {**others, **{name: call.world.quota(name) for name in names}}})


def show_quota_details(call: Call) -> Reply:
    """Answer GET /v2.0/quotas/PROJECT/details."""
    used = len(call.world.find(FloatingIp, call.identity.project))
    limit = call.world.quota("floatingip")
    return Reply(200, {"quota": {"floatingip": {"limit": limit, "used": used, "reserved": 0}}})


SERVICE = Service(
    name="neutron",
    type="network",
    mount="/network",
    catalog_path="/network",
    routes=(
        Route("GET", "/", list_versions, open=True),
        Route("GET", "/v2.0", show_version),
        Route("GET", "/v2.0/", show_version),
        Route("GET", "/v2.0/extensions", list_extensions),
        Route("GET", "/v2.0/networks", list_networks),
        Route("GET", "/v2.0/networks/{id}", show_network),
        Route("GET", "/v2.0/subnets", list_subnets),
        Route("GET", "/v2.0/subnets/{id}", show_subnet),
        Route("GET", "/v2.0/ports", list_ports),
        Route("GET", "/v2.0/ports/{id}", show_port),
        Route("GET", "/v2.0/routers", list_routers),
        Route("GET", "/v2.0/quotas/{project}", show_quota),
        Route("GET", "/v2.0/quotas/{project}/details", show_quota_details),
        Route("GET", "/v2.0/floatingips", neutron_addresses.list_all),
        Route("POST", "/v2.0/floatingips", neutron_addresses.create),
        Route("GET", "/v2.0/floatingips/{id}", neutron_addresses.show),
        Route("PUT", "/v2.0/floatingips/{id}", neutron_addresses.update),
        Route("DELETE", "/v2.0/floatingips/{id}", neutron_addresses.delete),
        Route("PUT", "/v2.0/floatingips/{id}/tags", neutron_addresses.set_tags),
        Route("GET", "/v2.0/security-groups", neutron_groups.list_groups),
        Route("POST", "/v2.0/security-groups", neutron_groups.create_group),
        Route("GET", "/v2.0/security-groups/{id}", neutron_groups.show_group),
        Route("DELETE", "/v2.0/security-groups/{id}", neutron_groups.delete_group),
        Route("GET", "/v2.0/security-group-rules", neutron_groups.list_rules),
        Route("POST", "/v2.0/security-group-rules", neutron_groups.create_rule),
        Route("GET", "/v2.0/security-group-rules/{id}", neutron_groups.show_rule),
        Route("DELETE", "/v2.0/security-group-rules/{id}", neutron_groups.delete_rule),
    ),
    error_body=error_body,
    unauthorized=keystone_unauthorized,
    headers=request_id_header,
)
