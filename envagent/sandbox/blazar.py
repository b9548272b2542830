"""Blazar v1: hosts, their properties and allocations, and the table of its routes."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import blazar_leases, blazar_updates
from envagent.sandbox.cloud_time import iso_micro
from envagent.sandbox.exchange import Call, Reply, Route, Service, ServiceError, refuse, request_id_header, routes
from envagent.sandbox.inventory import Host

REGISTERED = "2019-08-22 16:04:11"


def error_body(error: ServiceError) -> dict[str, Any]:
    """Return Blazar's envelope; error_name repeats the status."""
    return {
        "error_code": error.status,
        "error_message": error.message,
        "error_name": error.type or error.status,
    }


def _headers(call: Call) -> dict[str, str]:
    return {**request_id_header(call), "OpenStack-API-Version": "reservation 1.0"}


def list_versions(call: Call) -> Reply:
    """Handle GET /."""
    current = {"id": "v1.0", "status": "CURRENT", "min_version": "1.0", "max_version": "1.0"}
    old = {"id": "v2.0", "status": "DEPRECATED"}
    shown = [{**each, "links": [{"href": f"{call.root}/{each['id'][:2]}", "rel": "self"}]} for each in (current, old)]
    return Reply(300, {"versions": shown})


def refuse_path(call: Call) -> Reply:
    """Refuse a path that Blazar does not know, such as its own root, in a special envelope."""
    message = (
        "The requested URL was not found on the server. If you entered the URL manually please check your spelling "
        "and try again."
    )
    return Reply(404, {"error": 404, "error_message": message})


def _forbidden(action: str) -> ServiceError:
    return ServiceError(403, f"Policy doesn't allow blazar:oshosts:{action} to be performed")


def _allow(allowed: bool, action: str) -> None:
    if not allowed:
        raise _forbidden(action)


def view(host: Host) -> dict[str, Any]:
    """Return a host as Blazar shows it, with properties as flat strings."""
    return {
        **host.properties,
        "id": host.id,
        "hypervisor_hostname": host.uid,
        "hypervisor_type": "ironic",
        "hypervisor_version": 1,
        "service_name": host.uid,
        "uid": host.uid,
        "node_name": host.node_name,
        "node_type": host.node_type,
        "reservable": host.reservable,
        "disabled": False,
        "vcpus": 0,
        "memory_mb": 0,
        "local_gb": 0,
        "cpu_info": "",
        "status": None,
        "trust_id": None,
        "created_at": REGISTERED,
        "updated_at": None,
    }


def show_lease_hosts(call: Call) -> Reply:
    """Handle GET /leases/ID/hosts, which Chameleon's fork adds."""
    return blazar_leases.show_hosts(call) if call.world.profile.lease_shows_hosts else refuse_path(call)


def list_hosts(call: Call) -> Reply:
    """Handle GET /os-hosts."""
    _allow(call.world.profile.users_see_hosts, "get")
    return Reply(200, {"hosts": [view(host) for host in call.site.hosts.values()]})


def _get(call: Call) -> Host:
    host = call.site.hosts.get(call.params["id"])
    if host is None:
        raise ServiceError(404, f"Object with {{'host_id': '{call.params['id']}'}} not found")
    return host


def show_host(call: Call) -> Reply:
    """Handle GET /os-hosts/ID."""
    _allow(call.world.profile.users_see_hosts, "get")
    return Reply(200, {"host": view(_get(call))})


def list_properties(call: Call) -> Reply:
    """Handle GET /os-hosts/properties; with detail, the values that occur."""
    _allow(call.world.profile.users_see_properties, "get_resource_properties")
    values: dict[str, set[str]] = {}
    for host in call.site.hosts.values():
        own = {"node_type": host.node_type, "uid": host.uid, "node_name": host.node_name}
        for key, value in {**host.properties, **own}.items():
            values.setdefault(key, set()).add(value)
    detailed = (call.argument("detail") or "").lower() == "true"
    shown: list[dict[str, Any]] = []
    for key in sorted(values):
        entry: dict[str, Any] = {"property": key}
        shown.append({**entry, "private": False, "values": sorted(values[key])} if detailed else entry)
    return Reply(200, {"resource_properties": shown})


def _allocations(call: Call) -> dict[str, list[dict[str, Any]]]:
    """Return the present and future reservations of every host."""
    found: dict[str, list[dict[str, Any]]] = {id: [] for id in call.site.hosts}
    for allocation in call.world.state.allocations(call.site.key):
        if allocation.resource in found and allocation.end > call.world.at:
            found[allocation.resource].append(
                {
                    "id": allocation.reservation,
                    "lease_id": allocation.lease,
                    "start_date": iso_micro(allocation.start),
                    "end_date": iso_micro(allocation.end),
                    "extras": {"user_name": allocation.user},
                }
            )
    return found


def list_allocations(call: Call) -> Reply:
    """Handle GET /os-hosts/allocations."""
    _allow(call.world.profile.users_see_allocations, "get_allocations")
    shown = [{"resource_id": id, "reservations": found} for id, found in _allocations(call).items()]
    return Reply(200, {"allocations": shown})


def show_allocation(call: Call) -> Reply:
    """Handle GET /os-hosts/ID/allocation."""
    _allow(call.world.profile.users_see_allocations, "get")
    host = _get(call)
    return Reply(200, {"allocation": {"resource_id": host.id, "reservations": _allocations(call)[host.id]}})


SERVICE = Service(
    name="blazar",
    type="reservation",
    mount="/reservation",
    catalog_path="/reservation/v1",
    routes=(
        Route("GET", "/", list_versions, open=True),
        *routes("/v1", GET=refuse_path),
        *routes("/v1/leases", GET=blazar_leases.list_all, POST=blazar_leases.create),
        *routes("/v1/leases/{id}", GET=blazar_leases.show, PUT=blazar_updates.update, DELETE=blazar_leases.delete),
        *routes("/v1/leases/{id}/hosts", GET=show_lease_hosts),
        *routes("/v1/os-hosts", GET=list_hosts, POST=refuse(_forbidden, "post")),
        *routes("/v1/os-hosts/properties", GET=list_properties),
        *routes("/v1/os-hosts/properties/{name}", PATCH=refuse(_forbidden, "update_resource_properties")),
        *routes("/v1/os-hosts/allocations", GET=list_allocations),
        *routes(
            "/v1/os-hosts/{id}",
            GET=show_host,
            PUT=refuse(_forbidden, "put", show_host),
            DELETE=refuse(_forbidden, "delete", show_host),
        ),
        *routes("/v1/os-hosts/{id}/allocation", GET=show_allocation),
    ),
    error_body=error_body,
    headers=_headers,
)
