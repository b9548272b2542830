"""Neutron 2.0: networks, subnets, routers, quotas, and the table of routes."""

from __future__ import annotations

import ipaddress
from typing import Any

from envagent.sandbox import neutron_addresses as addresses
from envagent.sandbox import neutron_groups as groups
from envagent.sandbox import neutron_ports as ports
from envagent.sandbox import neutron_tags as tags
from envagent.sandbox.exchange import Call, Handler, Reply, Route, Service, ServiceError, refuse, respond, routes
from envagent.sandbox.inventory import Network
from envagent.sandbox.neutron_attributes import forbidden, neutron_error, not_found
from envagent.sandbox.neutron_lists import listing, shown
from envagent.sandbox.records import FloatingIp, Port

BUILT = "2017-06-01T12:00:00Z"
EXTENSIONS = {
    "availability_zone": "Availability Zone",
    "external-net": "Neutron external network",
    "fip-port-details": "Floating IP Port Details Extension",
    "net-mtu": "Network MTU",
    "port-security": "Port Security",
    "quotas": "Quota management support",
    "quota_details": "Quota details management support",
    "router": "Neutron L3 Router",
    "security-group": "security-group",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute: port, security_group, floatingip",
    "standard-attr-timestamp": "Resource timestamps",
}
"""Names by alias; clients look for either."""

QUOTAS = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": ports.PORT_QUOTA,
    "router": 10,
    "floatingip": 50,
    "rbac_policy": 10,
    "security_group": 10,
    "security_group_rule": 100,
}


def error_body(error: ServiceError) -> dict[str, Any]:
    """Return Neutron's envelope."""
    return {"NeutronError": {"type": error.type or "HTTPError", "message": error.message, "detail": ""}}


def list_versions(call: Call) -> Reply:
    """Handle GET /."""
    links = [{"rel": "self", "href": f"{call.root}/v2.0/"}]
    return Reply(200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})


def _extension(alias: str) -> dict[str, Any]:
    shown = {"alias": alias, "name": EXTENSIONS[alias], "description": ""}
    return {**shown, "updated": "2017-01-01T00:00:00-00:00", "links": []}


def list_extensions(call: Call) -> Reply:
    """Handle GET /v2.0/extensions."""
    return Reply(200, {"extensions": [_extension(alias) for alias in EXTENSIONS]})


def show_extension(call: Call) -> Reply:
    """Handle GET /v2.0/extensions/ALIAS."""
    alias = call.params["alias"]
    if alias not in EXTENSIONS:
        page = f"404 Not Found\n\nThe resource could not be found.\n\n Extension with alias {alias} does not exist  "
        return Reply(404, page)
    return Reply(200, {"extension": _extension(alias)})


def _standard_view(call: Call, revision: int) -> dict[str, Any]:
    """Return the attributes that all of the site's own resources show."""
    owner = call.site.projects["chameleon"].id
    built = {"created_at": BUILT, "updated_at": BUILT, "revision_number": revision}
    return {"description": "", "project_id": owner, "tenant_id": owner, "tags": [], **built}


def _network(call: Call, network: Network) -> dict[str, Any]:
    view = {
        "id": network.id,
        "name": network.name,
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
        **_standard_view(call, revision=2),
    }
    return {**view, "is_default": True} if network.external else view


def _subnet(call: Call, network: Network) -> dict[str, Any]:
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
        "service_types": [],
        "subnetpool_id": None,
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "router:external": network.external,
        **_standard_view(call, revision=0),
    }


def list_networks(call: Call) -> Reply:
    """Handle GET /v2.0/networks."""
    networks = [_network(call, network) for network in call.site.networks.values()]
    return Reply(200, listing(call, "networks", networks, "Network"))


def show_network(call: Call) -> Reply:
    """Handle GET /v2.0/networks/ID."""
    network = call.site.networks.get(call.params["id"])
    if network is None:
        raise not_found("Network", call.params["id"])
    return Reply(200, shown(call, "network", _network(call, network)))


def list_subnets(call: Call) -> Reply:
    """Handle GET /v2.0/subnets; those of external networks are hidden from projects."""
    seen = [network for network in call.site.networks.values() if not network.external]
    return Reply(200, listing(call, "subnets", [_subnet(call, network) for network in seen], "Subnet"))


def show_subnet(call: Call) -> Reply:
    """Handle GET /v2.0/subnets/ID."""
    for network in call.site.networks.values():
        if network.subnet_id == call.params["id"] and not network.external:
            return Reply(200, shown(call, "subnet", _subnet(call, network)))
    raise not_found("Subnet", call.params["id"])


def show_router(call: Call) -> Reply:
    """Handle GET /v2.0/routers/ID."""
    raise neutron_error(404, "RouterNotFound", f"Router {call.params['id']} could not be found")


def _used(call: Call) -> dict[str, int]:
    mine = groups.groups(call)
    counts = {
        "floatingip": len(call.world.find(FloatingIp, call.identity.project)),
        "port": len(call.world.find(Port, call.identity.project)),
        "security_group": len(mine),
        "security_group_rule": sum(len(group.rules) for group in mine),
    }
    return {name: counts.get(name, 0) for name in QUOTAS}


def _limits(call: Call) -> dict[str, int]:
    return {**QUOTAS, **{name: call.world.quota(name) for name in ("floatingip", "security_group")}}


def show_quota(call: Call) -> Reply:
    """Handle GET /v2.0/quotas/PROJECT."""
    if call.params["project"] != call.identity.project:
        raise forbidden("rule:get_quota")
    return Reply(200, {"quota": _limits(call)})


def show_quota_details(call: Call) -> Reply:
    """Handle GET /v2.0/quotas/PROJECT/details."""
    if call.params["project"] != call.identity.project:
        message = "User does not have admin privileges: Only admin is authorized to access quotas for another project."
        raise neutron_error(403, "AdminRequired", message)
    used = _used(call)
    details = {name: {"limit": limit, "used": used[name], "reserved": 0} for name, limit in _limits(call).items()}
    return Reply(200, {"quota": details})


def _fixed(kind: str, show: Handler | None = None) -> dict[str, Handler]:
    """Return the handlers of changes that only administrators may make, after a 404 if `show` finds nothing."""
    verbs = {"PUT": "update", "DELETE": "delete"}
    return {method: refuse(forbidden, f"rule:{verb}_{kind}", show) for method, verb in verbs.items()}


SERVICE = Service(
    name="neutron",
    type="network",
    mount="/network",
    catalog_path="/network",
    routes=(
        Route("GET", "/", list_versions, open=True),
        *routes("/v2.0", GET=respond({"resources": []})),
        *routes("/v2.0/", GET=respond({"resources": []})),
        *routes("/v2.0/extensions", GET=list_extensions),
        *routes("/v2.0/extensions/{alias}", GET=show_extension),
        *routes("/v2.0/networks", GET=list_networks),
        *routes("/v2.0/networks/{id}", GET=show_network, **_fixed("network", show_network)),
        *routes("/v2.0/subnets", GET=list_subnets),
        *routes("/v2.0/subnets/{id}", GET=show_subnet, **_fixed("subnet", show_subnet)),
        *routes("/v2.0/ports", GET=ports.list_ports, POST=ports.create_port),
        *routes("/v2.0/ports/{id}", GET=ports.show_port, PUT=ports.update_port, DELETE=ports.delete_port),
        *routes("/v2.0/routers", GET=respond({"routers": []})),
        *routes("/v2.0/routers/{id}", GET=show_router),
        *routes("/v2.0/agents", GET=respond({"agents": []})),
        *routes("/v2.0/availability_zones", GET=respond({"availability_zones": []})),
        *routes("/v2.0/quotas/{project}", GET=show_quota, **_fixed("quota")),
        *routes("/v2.0/quotas/{project}/details", GET=show_quota_details),
        *routes("/v2.0/quotas/{project}/details.json", GET=show_quota_details),
        *routes("/v2.0/floatingips", GET=addresses.list_all, POST=addresses.create),
        *routes("/v2.0/floatingips/{id}", GET=addresses.show, PUT=addresses.update, DELETE=addresses.delete),
        *routes("/v2.0/security-groups", GET=groups.list_groups, POST=groups.create_group),
        *routes(
            "/v2.0/security-groups/{id}", GET=groups.show_group, PUT=groups.update_group, DELETE=groups.delete_group
        ),
        *routes("/v2.0/security-group-rules", GET=groups.list_rules, POST=groups.create_rule),
        *routes("/v2.0/security-group-rules/{id}", GET=groups.show_rule, DELETE=groups.delete_rule),
        *tags.tag_routes(),
    ),
    error_body=error_body,
)
