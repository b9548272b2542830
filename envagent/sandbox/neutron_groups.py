"""Neutron's security groups and rules; every project has a `default` group from the first look on."""

from __future__ import annotations

from typing import Any

from envagent.sandbox.clock import iso_z
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.inventory import stable_id
from envagent.sandbox.neutron_lists import listing, neutron_error
from envagent.sandbox.records import SecurityGroup


def _rule(call: Call, group: str, **wanted: Any) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": call.world.new_id(),
        "security_group_id": group,
        "direction": "egress",
        "ethertype": "IPv4",
        "protocol": None,
        "port_range_min": None,
        "port_range_max": None,
        "remote_ip_prefix": None,
        "remote_group_id": None,
        "remote_address_group_id": None,
        "normalized_cidr": None,
        "belongs_to_default_sg": None,
        "description": None,
        "revision_number": 0,
        "project_id": call.identity.project,
        "tenant_id": call.identity.project,
        "created_at": iso_z(call.world.at),
        "updated_at": iso_z(call.world.at),
    }
    return {**rule, **wanted}


def default_group(call: Call) -> SecurityGroup:
    """Return the project's default group, made at first need, which lets nothing in from outside."""
    id = stable_id(call.site.key, "default-security-group", call.identity.project)
    known = call.world.get(SecurityGroup, id)
    if known is not None:
        return known
    group = SecurityGroup(
        id=id,
        site=call.site.key,
        owner=call.identity.project,
        name="default",
        created_at=call.world.at,
        description="Default security group",
        updated_at=call.world.at,
    )
    for ethertype in ("IPv4", "IPv6"):
        group.rules.append(_rule(call, id, ethertype=ethertype))
        group.rules.append(_rule(call, id, ethertype=ethertype, direction="ingress", remote_group_id=id))
    call.world.put(group)
    return group


def groups(call: Call) -> list[SecurityGroup]:
    """Return the project's security groups."""
    return call.world.find(SecurityGroup, call.identity.project)


def _view(group: SecurityGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "stateful": True,
        "shared": False,
        "project_id": group.owner,
        "tenant_id": group.owner,
        "security_group_rules": group.rules,
        "revision_number": len(group.rules),
        "tags": [],
        "created_at": iso_z(group.created_at),
        "updated_at": iso_z(group.updated_at),
    }


def _get(call: Call, id: str) -> SecurityGroup:
    group = call.world.get(SecurityGroup, id)
    if group is None or group.owner != call.identity.project:
        raise neutron_error(404, "SecurityGroupNotFound", f"Security group {id} does not exist")
    return group


def list_groups(call: Call) -> Reply:
    """Answer GET /v2.0/security-groups."""
    default_group(call)
    return Reply(200, listing(call, "security_groups", [_view(group) for group in groups(call)]))


def show_group(call: Call) -> Reply:
    """Answer GET /v2.0/security-groups/ID."""
    default_group(call)
    return Reply(200, {"security_group": _view(_get(call, call.params["id"]))})


def create_group(call: Call) -> Reply:
    """Answer POST /v2.0/security-groups."""
    asked = call.part("security_group")
    default_group(call)
    if 0 <= call.world.quota("security_group") <= len(groups(call)):
        raise neutron_error(409, "OverQuota", "Quota exceeded for resources: ['security_group'].")
    group = SecurityGroup(
        id=call.world.new_id(),
        site=call.site.key,
        owner=call.identity.project,
        name=str(asked.get("name", "")),
        created_at=call.world.at,
        description=str(asked.get("description", "")),
        updated_at=call.world.at,
    )
    group.rules = [_rule(call, group.id, ethertype=ethertype) for ethertype in ("IPv4", "IPv6")]
    call.world.put(group)
    call.wrote("security_group", group.id, group.name)
    return Reply(201, {"security_group": _view(group)})


def delete_group(call: Call) -> Reply:
    """Answer DELETE /v2.0/security-groups/ID."""
    group = _get(call, call.params["id"])
    if group.name == "default":
        raise neutron_error(
            409, "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group."
        )
    call.world.remove(group)
    call.wrote("security_group", group.id, group.name)
    return Reply(204)


def list_rules(call: Call) -> Reply:
    """Answer GET /v2.0/security-group-rules."""
    default_group(call)
    rules = [rule for group in groups(call) for rule in group.rules]
    return Reply(200, listing(call, "security_group_rules", rules))


def _find_rule(call: Call) -> tuple[SecurityGroup, dict[str, Any]]:
    for group in groups(call):
        for rule in group.rules:
            if rule["id"] == call.params["id"]:
                return group, rule
    message = f"Security group rule {call.params['id']} does not exist"
    raise neutron_error(404, "SecurityGroupRuleNotFound", message)


def show_rule(call: Call) -> Reply:
    """Answer GET /v2.0/security-group-rules/ID."""
    return Reply(200, {"security_group_rule": _find_rule(call)[1]})


def create_rule(call: Call) -> Reply:
    """Answer POST /v2.0/security-group-rules; a rule that is there already is a conflict."""
    asked = call.part("security_group_rule")
    group = _get(call, str(asked.get("security_group_id")))
    identifying = (
        "direction",
        "ethertype",
        "protocol",
        "port_range_min",
        "port_range_max",
        "remote_ip_prefix",
        "remote_group_id",
    )
    rule = _rule(call, group.id, **{key: asked[key] for key in (*identifying, "description") if key in asked})
    for known in group.rules:
        if all(known[key] == rule[key] for key in identifying):
            message = f"Security group rule already exists. Rule id is {known['id']}."
            raise neutron_error(409, "SecurityGroupRuleExists", message)
    group.rules.append(rule)
    group.updated_at = call.world.at
    call.world.put(group)
    call.wrote("security_group_rule", rule["id"], group.name)
    return Reply(201, {"security_group_rule": rule})


def delete_rule(call: Call) -> Reply:
    """Answer DELETE /v2.0/security-group-rules/ID."""
    group, rule = _find_rule(call)
    group.rules.remove(rule)
    call.world.put(group)
    call.wrote("security_group_rule", rule["id"], group.name)
    return Reply(204)
