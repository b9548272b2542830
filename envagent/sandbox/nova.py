"""Nova 2.1: the table of routes."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import (
    nova_actions,
    nova_details,
    nova_flavors,
    nova_keypairs,
    nova_limits,
    nova_lists,
    nova_servers,
)
from envagent.sandbox.exchange import (
    Call,
    Handler,
    Reply,
    Route,
    Service,
    ServiceError,
)
from envagent.sandbox.nova_requests import not_allowed
from envagent.sandbox.nova_versions import list_versions, microversion, response_headers, show_version

KEYS = {
    400: "badRequest",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def error_body(error: ServiceError) -> dict[str, Any]:
    """Return Nova's envelope."""
    key = error.type or KEYS.get(error.status, "computeFault")
    return {key: {"code": error.status, "message": error.message}}


def _versioned(handler: Handler) -> Handler:
    """Return a handler that first refuses unsupported microversions."""

    def handle(call: Call) -> Reply:
        microversion(call)
        return handler(call)

    return handle


def refuse_hypervisors(call: Call) -> Reply:
    """Refuse GET /os-hypervisors, for administrators only."""
    raise not_allowed(f"os-hypervisors:list{'-detail' if call.path.endswith('/detail') else ''}")


def refuse_services(call: Call) -> Reply:
    """Refuse GET /os-services, for administrators only."""
    raise not_allowed("os-services:list")


VERSIONED = (
    Route("GET", "/v2.1/flavors", nova_flavors.list_brief),
    Route("GET", "/v2.1/flavors/detail", nova_flavors.list_detailed),
    Route("GET", "/v2.1/flavors/{id}", nova_flavors.show),
    Route("GET", "/v2.1/flavors/{id}/os-extra_specs", nova_flavors.show_extra_specs),
    Route("GET", "/v2.1/flavors/{id}/os-extra_specs/{key}", nova_flavors.show_extra_spec),
    Route("GET", "/v2.1/flavors/{id}/os-flavor-access", nova_flavors.refuse_access),
    Route("POST", "/v2.1/flavors", nova_flavors.refuse_change),
    Route("DELETE", "/v2.1/flavors/{id}", nova_flavors.refuse_change),
    Route("GET", "/v2.1/limits", nova_limits.show_limits),
    Route("GET", "/v2.1/os-quota-sets/{project}", nova_limits.show_quotas),
    Route("PUT", "/v2.1/os-quota-sets/{project}", nova_limits.refuse_change),
    Route("DELETE", "/v2.1/os-quota-sets/{project}", nova_limits.refuse_change),
    Route("GET", "/v2.1/os-quota-sets/{project}/detail", nova_limits.show_quota_details),
    Route("GET", "/v2.1/os-quota-sets/{project}/defaults", nova_limits.show_default_quotas),
    Route("GET", "/v2.1/os-availability-zone", nova_limits.list_zones),
    Route("GET", "/v2.1/os-availability-zone/detail", nova_limits.refuse_zone_details),
    Route("GET", "/v2.1/os-server-groups", nova_limits.list_server_groups),
    Route("GET", "/v2.1/os-hypervisors", refuse_hypervisors),
    Route("GET", "/v2.1/os-hypervisors/detail", refuse_hypervisors),
    Route("GET", "/v2.1/os-services", refuse_services),
    Route("POST", "/v2.1/os-keypairs", nova_keypairs.create),
    Route("GET", "/v2.1/os-keypairs", nova_keypairs.list_all),
    Route("GET", "/v2.1/os-keypairs/{name}", nova_keypairs.show),
    Route("DELETE", "/v2.1/os-keypairs/{name}", nova_keypairs.delete),
    Route("POST", "/v2.1/servers", nova_servers.create),
    Route("GET", "/v2.1/servers", nova_lists.list_brief),
    Route("GET", "/v2.1/servers/detail", nova_lists.list_detailed),
    Route("GET", "/v2.1/servers/{id}", nova_servers.show),
    Route("PUT", "/v2.1/servers/{id}", nova_servers.update),
    Route("DELETE", "/v2.1/servers/{id}", nova_servers.delete),
    Route("POST", "/v2.1/servers/{id}/action", nova_actions.act),
    Route("GET", "/v2.1/servers/{id}/os-instance-actions", nova_actions.list_actions),
    Route("GET", "/v2.1/servers/{id}/os-instance-actions/{request}", nova_actions.show_action),
    Route("GET", "/v2.1/servers/{id}/metadata", nova_details.list_metadata),
    Route("POST", "/v2.1/servers/{id}/metadata", nova_details.write_metadata),
    Route("PUT", "/v2.1/servers/{id}/metadata", nova_details.write_metadata),
    Route("GET", "/v2.1/servers/{id}/metadata/{key}", nova_details.show_metadata_item),
    Route("PUT", "/v2.1/servers/{id}/metadata/{key}", nova_details.set_metadata_item),
    Route("DELETE", "/v2.1/servers/{id}/metadata/{key}", nova_details.delete_metadata_item),
    Route("GET", "/v2.1/servers/{id}/tags", nova_details.list_tags),
    Route("PUT", "/v2.1/servers/{id}/tags", nova_details.replace_tags),
    Route("DELETE", "/v2.1/servers/{id}/tags", nova_details.delete_tags),
    Route("GET", "/v2.1/servers/{id}/tags/{tag}", nova_details.show_tag),
    Route("PUT", "/v2.1/servers/{id}/tags/{tag}", nova_details.add_tag),
    Route("DELETE", "/v2.1/servers/{id}/tags/{tag}", nova_details.delete_tag),
    Route("GET", "/v2.1/servers/{id}/ips", nova_details.list_addresses),
    Route("GET", "/v2.1/servers/{id}/ips/{network}", nova_details.show_addresses),
    Route("GET", "/v2.1/servers/{id}/os-interface", nova_details.list_interfaces),
    Route("GET", "/v2.1/servers/{id}/os-interface/{port}", nova_details.show_interface),
    Route("GET", "/v2.1/servers/{id}/os-security-groups", nova_details.list_groups),
    Route("GET", "/v2.1/servers/{id}/os-volume_attachments", nova_details.list_volumes),
    Route("GET", "/v2.1/servers/{id}/diagnostics", nova_details.refuse_diagnostics),
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
    headers=response_headers,
)
