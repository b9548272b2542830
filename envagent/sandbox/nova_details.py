"""A server's metadata, tags, addresses, interfaces, security groups and volumes."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import nova_schemas
from envagent.sandbox.body_schemas import violation
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.neutron_groups import groups
from envagent.sandbox.nova_actions import LIVING, expect
from envagent.sandbox.nova_requests import bad_request, body, not_found
from envagent.sandbox.nova_servers import check_metadata, get, refuse_locked, save
from envagent.sandbox.nova_views import addresses, plain_addresses
from envagent.sandbox.records import Port, SecurityGroup, Server
from envagent.sandbox.server_life import ports


def _item(call: Call) -> tuple[Server, str]:
    """Return the server and the metadata key in the path. Raises a 404 for a missing item."""
    server, key = get(call), call.params["key"]
    if key not in server.metadata:
        raise not_found("Metadata item was not found")
    return server, key


def _set_metadata(call: Call, server: Server, metadata: dict[str, str]) -> None:
    check_metadata(metadata)
    refuse_locked(server)
    expect(server, "update metadata", *LIVING, idle=False)
    server.metadata = metadata
    save(call, server)


def list_items(call: Call) -> Reply:
    """Handle GET /servers/ID/metadata."""
    return Reply(200, {"metadata": get(call).metadata})


def write_items(call: Call) -> Reply:
    """Handle POST and PUT /servers/ID/metadata: POST adds items, PUT replaces all."""
    asked = body(call, "metadata", nova_schemas.METADATA)
    server = get(call)
    _set_metadata(call, server, {**(server.metadata if call.method == "POST" else {}), **asked})
    return Reply(200, {"metadata": server.metadata})


def show_item(call: Call) -> Reply:
    """Handle GET /servers/ID/metadata/KEY."""
    server, key = _item(call)
    return Reply(200, {"meta": {key: server.metadata[key]}})


def set_item(call: Call) -> Reply:
    """Handle PUT /servers/ID/metadata/KEY."""
    asked = body(call, "meta", nova_schemas.META)
    server = get(call)
    if call.params["key"] not in asked:
        raise bad_request("Request body and URI mismatch")
    _set_metadata(call, server, {**server.metadata, **asked})
    return Reply(200, {"meta": asked})


def delete_item(call: Call) -> Reply:
    """Handle DELETE /servers/ID/metadata/KEY."""
    server, key = _item(call)
    refuse_locked(server)
    expect(server, "delete metadata", *LIVING, idle=False)
    del server.metadata[key]
    save(call, server)
    return Reply(204)


def _set_tags(call: Call, server: Server, tags: set[str]) -> None:
    server.tags = sorted(tags)
    save(call, server)


def list_tags(call: Call) -> Reply:
    """Handle GET /servers/ID/tags."""
    return Reply(200, {"tags": get(call).tags})


def replace_tags(call: Call) -> Reply:
    """Handle PUT /servers/ID/tags: replace all tags."""
    asked = body(call, "tags", nova_schemas.TAGS)
    server = get(call)
    expect(server, "update tags", *LIVING, idle=False)
    _set_tags(call, server, set(asked))
    return Reply(200, {"tags": server.tags})


def delete_tags(call: Call) -> Reply:
    """Handle DELETE /servers/ID/tags."""
    server = get(call)
    expect(server, "delete tags", *LIVING, idle=False)
    _set_tags(call, server, set())
    return Reply(204)


def show_tag(call: Call) -> Reply:
    """Handle GET /servers/ID/tags/TAG."""
    server, tag = get(call), call.params["tag"]
    if tag not in server.tags:
        raise not_found(f"Server {server.id} has no tag '{tag}'")
    return Reply(204)


def add_tag(call: Call) -> Reply:
    """Handle PUT /servers/ID/tags/TAG: 201, or 204 if the server has the tag already."""
    if call.body:
        raise bad_request(f"{call.body!r} is not of type 'null'")
    server, tag = get(call), call.params["tag"]
    expect(server, "update tag", *LIVING, idle=False)
    found = violation(tag, nova_schemas.TAG)
    if found is not None:
        rule = "It must be a non empty string without characters '/' and ','."
        raise bad_request(f"Tag '{tag}' is invalid. {rule} Validation error message: {found.message}")
    if len(server.tags) >= nova_schemas.MAX_TAGS:
        raise bad_request(f"The number of tags exceeded the per-server limit {nova_schemas.MAX_TAGS}")
    if tag in server.tags:
        return Reply(204)
    _set_tags(call, server, {*server.tags, tag})
    return Reply(201, headers={"Location": f"{call.root}{call.path}"})


def delete_tag(call: Call) -> Reply:
    """Handle DELETE /servers/ID/tags/TAG."""
    server, tag = get(call), call.params["tag"]
    expect(server, "delete tag", *LIVING, idle=False)
    if tag not in server.tags:
        raise not_found(f"Instance {server.id} has no tag '{tag}'")
    _set_tags(call, server, {*server.tags} - {tag})
    return Reply(204)


def list_addresses(call: Call) -> Reply:
    """Handle GET /servers/ID/ips."""
    return Reply(200, {"addresses": plain_addresses(addresses(call, get(call)))})


def show_addresses(call: Call) -> Reply:
    """Handle GET /servers/ID/ips/NETWORK."""
    shown, network = plain_addresses(addresses(call, get(call))), call.params["network"]
    if network not in shown:
        raise not_found("Instance is not a member of specified network")
    return Reply(200, {network: shown[network]})


def _interface(port: Port) -> dict[str, Any]:
    return {
        "net_id": port.network,
        "port_id": port.id,
        "mac_addr": port.mac,
        "port_state": port.status,
        "fixed_ips": [{"subnet_id": port.subnet, "ip_address": port.address}],
    }


def list_interfaces(call: Call) -> Reply:
    """Handle GET /servers/ID/os-interface."""
    shown = [_interface(port) for port in ports(call.world, get(call))]
    return Reply(200, {"interfaceAttachments": shown})


def show_interface(call: Call) -> Reply:
    """Handle GET /servers/ID/os-interface/PORT."""
    for port in ports(call.world, get(call)):
        if port.id == call.params["port"]:
            return Reply(200, {"interfaceAttachment": _interface(port)})
    raise not_found(f"Port id {call.params['port']} could not be found.")


def _group(call: Call, group: SecurityGroup) -> dict[str, Any]:
    names = {one.id: one.name for one in groups(call)}
    rules = [
        {
            "id": rule["id"],
            "parent_group_id": group.id,
            "ip_protocol": rule["protocol"],
            "from_port": rule["port_range_min"],
            "to_port": rule["port_range_max"],
            "group": {"name": names.get(rule["remote_group_id"], ""), "tenant_id": group.owner}
            if rule["remote_group_id"]
            else {},
            "ip_range": {}
            if rule["remote_group_id"]
            else {"cidr": rule["remote_ip_prefix"] or ("0.0.0.0/0" if rule["ethertype"] == "IPv4" else "::/0")},
        }
        for rule in group.rules
        if rule["direction"] == "ingress"
    ]
    described = {"id": group.id, "name": group.name, "description": group.description}
    return {**described, "tenant_id": group.owner, "rules": rules}


def list_groups(call: Call) -> Reply:
    """Handle GET /servers/ID/os-security-groups."""
    server = get(call)
    plugged = bool(ports(call.world, server))
    mine = [group for group in groups(call) if plugged and group.name in server.security_groups]
    return Reply(200, {"security_groups": [_group(call, group) for group in sorted(mine, key=lambda one: one.name)]})


def list_volumes(call: Call) -> Reply:
    """Handle GET /servers/ID/os-volume_attachments: no server has any."""
    get(call)
    return Reply(200, {"volumeAttachments": []})
