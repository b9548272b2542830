"""Nova 2.1: the table of routes."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import nova_actions as actions
from envagent.sandbox import nova_details as details
from envagent.sandbox import nova_flavors as flavors
from envagent.sandbox import nova_keypairs as keypairs
from envagent.sandbox import nova_limits as limits
from envagent.sandbox import nova_lists as lists
from envagent.sandbox import nova_servers as servers
from envagent.sandbox.exchange import Call, Reply, Route, Service, ServiceError, refuse, respond, routes
from envagent.sandbox.nova_requests import not_allowed, not_found
from envagent.sandbox.nova_versions import MINIMUM, list_versions, microversion, response_headers, show_version

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


def _versioned(route: Route, first: tuple[int, int] = MINIMUM) -> Route:
    """Return a route of the API 2.1 that refuses unsupported microversions and those before its `first`."""

    def handle(call: Call) -> Reply:
        if microversion(call) < first:
            raise not_found("The resource could not be found.")
        return route.handler(call)

    return Route(route.method, f"/v2.1{route.path}", handle)


VERSIONED = (
    *routes("/flavors", GET=flavors.list_brief, POST=refuse(not_allowed, "os-flavor-manage:create")),
    *routes("/flavors/detail", GET=flavors.list_detailed),
    *routes("/flavors/{id}", GET=flavors.show, DELETE=refuse(not_allowed, "os-flavor-manage:delete")),
    *routes("/flavors/{id}/os-extra_specs", GET=flavors.show_extra_specs),
    *routes("/flavors/{id}/os-extra_specs/{key}", GET=flavors.show_extra_spec),
    *routes("/flavors/{id}/os-flavor-access", GET=refuse(not_allowed, "os-flavor-access")),
    *routes("/limits", GET=limits.show_limits),
    *routes("/os-quota-sets/{project}", GET=limits.show_quotas, PUT=refuse(not_allowed, "os-quota-sets:update")),
    *routes("/os-quota-sets/{project}", DELETE=refuse(not_allowed, "os-quota-sets:delete")),
    *routes("/os-quota-sets/{project}/detail", GET=limits.show_quota_details),
    *routes("/os-quota-sets/{project}/defaults", GET=limits.show_default_quotas),
    *routes("/os-availability-zone", GET=limits.list_zones),
    *routes("/os-availability-zone/detail", GET=refuse(not_allowed, "os-availability-zone:detail")),
    *routes("/os-server-groups", GET=respond({"server_groups": []})),
    *routes("/os-hypervisors", GET=refuse(not_allowed, "os-hypervisors:list")),
    *routes("/os-hypervisors/detail", GET=refuse(not_allowed, "os-hypervisors:list-detail")),
    *routes("/os-services", GET=refuse(not_allowed, "os-services:list")),
    *routes("/os-keypairs", POST=keypairs.create, GET=keypairs.list_all),
    *routes("/os-keypairs/{name}", GET=keypairs.show, DELETE=keypairs.delete),
    *routes("/servers", POST=servers.create, GET=lists.list_brief),
    *routes("/servers/detail", GET=lists.list_detailed),
    *routes("/servers/{id}", GET=servers.show, PUT=servers.update, DELETE=servers.delete),
    *routes("/servers/{id}/action", POST=actions.act),
    *routes("/servers/{id}/os-instance-actions", GET=actions.list_actions),
    *routes("/servers/{id}/os-instance-actions/{request}", GET=actions.show_action),
    *routes("/servers/{id}/metadata", GET=details.list_items, POST=details.write_items, PUT=details.write_items),
    *routes("/servers/{id}/metadata/{key}", GET=details.show_item, PUT=details.set_item, DELETE=details.delete_item),
    *routes("/servers/{id}/ips", GET=details.list_addresses),
    *routes("/servers/{id}/ips/{network}", GET=details.show_addresses),
    *routes("/servers/{id}/os-interface", GET=details.list_interfaces),
    *routes("/servers/{id}/os-interface/{port}", GET=details.show_interface),
    *routes("/servers/{id}/os-security-groups", GET=details.list_groups),
    *routes("/servers/{id}/os-volume_attachments", GET=details.list_volumes),
    *routes("/servers/{id}/diagnostics", GET=refuse(not_allowed, "os-server-diagnostics", after=servers.get)),
)
TAGS = (
    *routes("/servers/{id}/tags", GET=details.list_tags, PUT=details.replace_tags, DELETE=details.delete_tags),
    *routes("/servers/{id}/tags/{tag}", GET=details.show_tag, PUT=details.add_tag, DELETE=details.delete_tag),
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
        *(_versioned(route) for route in VERSIONED),
        *(_versioned(route, (2, 26)) for route in TAGS),
    ),
    error_body=error_body,
    headers=response_headers,
)
