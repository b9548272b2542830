"""Nova 2.1: flavors and limits, and the table of its routes."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import nova_keypairs, nova_servers
from envagent.sandbox.exchange import (
    Call,
    Handler,
    Reply,
    Route,
    Service,
    ServiceError,
    keystone_error_body,
    keystone_unauthorized,
)
from envagent.sandbox.nova_versions import list_versions, microversion, response_headers, show_version
from envagent.sandbox.nova_views import flavor_view, flavors, links
from envagent.sandbox.records import Server

KEYS = {
    400: "badRequest",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    503: "serviceUnavailable",
}


EARLY_LIMITS = {
    "maxImageMeta": 128,
    "maxPersonality": 5,
    "maxPersonalitySize": 10240,
    "maxSecurityGroups": -1,
    "maxSecurityGroupRules": -1,
    "maxTotalFloatingIps": -1,
    "totalSecurityGroupsUsed": 0,
    "totalFloatingIpsUsed": 0,
}
"""What GET /limits also says below microversion 2.36."""


def error_body(error: ServiceError) -> dict[str, Any]:
    """Return Nova's envelope, or Keystone's for a 401."""
    if error.type == "keystone":
        return keystone_error_body(error)
    key = error.type or KEYS.get(error.status, "computeFault")
    return {key: {"code": error.status, "message": error.message}}


def _versioned(handler: Handler) -> Handler:
    """Have a handler refuse a microversion that Nova does not have."""

    def answer(call: Call) -> Reply:
        microversion(call)
        return handler(call)

    return answer


def list_flavors(call: Call) -> Reply:
    """Answer GET /flavors."""
    shown = [{"id": f.id, "name": f.name, "links": links(call, "flavors", f.id)} for f in flavors(call)]
    return Reply(200, {"flavors": shown})


def list_flavors_detailed(call: Call) -> Reply:
    """Answer GET /flavors/detail."""
    return Reply(200, {"flavors": [flavor_view(call, flavor) for flavor in flavors(call)]})


def show_flavor(call: Call) -> Reply:
    """Answer GET /flavors/ID."""
    for flavor in flavors(call):
        if flavor.id == call.params["id"]:
            return Reply(200, {"flavor": flavor_view(call, flavor)})
    raise ServiceError(404, f"Flavor {call.params['id']} could not be found.", "itemNotFound")


def show_extra_specs(call: Call) -> Reply:
    """Answer GET /flavors/ID/os-extra_specs."""
    for flavor in flavors(call):
        if flavor.id == call.params["id"]:
            return Reply(200, {"extra_specs": flavor.extra_specs})
    raise ServiceError(404, f"Flavor {call.params['id']} could not be found.", "itemNotFound")


def show_limits(call: Call) -> Reply:
    """Answer GET /limits."""
    used, version = len(call.world.find(Server, call.identity.project)), microversion(call)
    absolute = {
        "maxServerMeta": 128,
        **(EARLY_LIMITS if version < (2, 36) else {}),
        "maxTotalInstances": call.world.quota("instances"),
        "maxTotalCores": -1,
        "maxTotalRAMSize": -1,
        "maxTotalKeypairs": call.world.quota("keypairs"),
        "maxServerGroups": 10,
        "maxServerGroupMembers": 10,
        "totalInstancesUsed": used,
        "totalCoresUsed": 0,
        "totalRAMUsed": 0,
        "totalServerGroupsUsed": 0,
    }
    return Reply(200, {"limits": {"rate": [], "absolute": absolute}})


def refuse_hypervisors(call: Call) -> Reply:
    """Refuse GET /os-hypervisors, which is the administrators'."""
    message = "Policy doesn't allow os_compute_api:os-hypervisors:list to be performed."
    raise ServiceError(403, message, "forbidden")


VERSIONED = (
    Route("GET", "/v2.1/flavors", list_flavors),
    Route("GET", "/v2.1/flavors/detail", list_flavors_detailed),
    Route("GET", "/v2.1/flavors/{id}", show_flavor),
    Route("GET", "/v2.1/flavors/{id}/os-extra_specs", show_extra_specs),
    Route("GET", "/v2.1/limits", show_limits),
    Route("GET", "/v2.1/os-hypervisors", refuse_hypervisors),
    Route("GET", "/v2.1/os-hypervisors/detail", refuse_hypervisors),
    Route("POST", "/v2.1/os-keypairs", nova_keypairs.create),
    Route("GET", "/v2.1/os-keypairs", nova_keypairs.list_all),
    Route("GET", "/v2.1/os-keypairs/{name}", nova_keypairs.show),
    Route("DELETE", "/v2.1/os-keypairs/{name}", nova_keypairs.delete),
    Route("POST", "/v2.1/servers", nova_servers.create),
    Route("GET", "/v2.1/servers", nova_servers.list_brief),
    Route("GET", "/v2.1/servers/detail", nova_servers.list_detailed),
    Route("GET", "/v2.1/servers/{id}", nova_servers.show),
    Route("PUT", "/v2.1/servers/{id}", nova_servers.update),
    Route("DELETE", "/v2.1/servers/{id}", nova_servers.delete),
    Route("POST", "/v2.1/servers/{id}/metadata", nova_servers.set_metadata),
    Route("POST", "/v2.1/servers/{id}/action", nova_servers.act),
    Route("GET", "/v2.1/servers/{id}/os-instance-actions", nova_servers.list_actions),
    Route("GET", "/v2.1/servers/{id}/os-instance-actions/{request}", nova_servers.show_action),
)

SERVICE = Service(
    name="nova",
    type="compute",
    mount="/compute",
    catalog_path="/compute/v2.1",
    routes=(
        Route("GET", "/", list_versions, open=True),
        Route("GET", "/v2.1", show_version, open=True),
        Route("GET", "/v2.1/", show_version, open=True),
        *(Route(route.method, route.path, _versioned(route.handler)) for route in VERSIONED),
    ),
    error_body=error_body,
    unauthorized=keystone_unauthorized,
    headers=response_headers,
)
