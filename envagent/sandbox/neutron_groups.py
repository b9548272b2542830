"""Neutron's security groups and rules; every project has a `default` group."""

from __future__ import annotations

from typing import Any

from envagent.sandbox.cloud_time import iso_z
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.inventory import stable_id
from envagent.sandbox.neutron_attributes import (
    READ_ONLY,
    STANDARD,
    Attribute,
    Attributes,
    accept,
    boolean,
    forbidden,
    neutron_error,
    over_quota,
    revise,
    standard_view,
    text,
)
from envagent.sandbox.neutron_lists import listing, shown
from envagent.sandbox.neutron_rules import ATTRIBUTES as RULE_ATTRIBUTES
from envagent.sandbox.neutron_rules import IDENTIFYING, canonical, same
from envagent.sandbox.records import Port, SecurityGroup


def _name(name: str, value: Any) -> str:
    if text()(name, value).lower() == "default":
        raise neutron_error(409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    return str(value)


ATTRIBUTES: Attributes = {
    **STANDARD,
    "name": Attribute(_name),
    "stateful": Attribute(boolean),
    **dict.fromkeys(("shared", "security_group_rules", "tags"), READ_ONLY),
}


def _rule(call: Call, group: str, **wanted: Any) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": call.world.new_id(),
        "security_group_id": group,
        **dict.fromkeys((*IDENTIFYING, "normalized_cidr", "belongs_to_default_sg", "description")),
        "direction": "egress",
        "ethertype": "IPv4",
        "revision_number": 0,
        "project_id": call.identity.project,
        "tenant_id": call.identity.project,
        "created_at": iso_z(call.world.at),
        "updated_at": iso_z(call.world.at),
    }
    return {**rule, **wanted}


def _default_id(call: Call) -> str:
    return stable_id(call.site.key, "default-security-group", call.identity.project)


def default_group(call: Call) -> SecurityGroup:
    """Return the project's default group, created at its first use; it lets nothing in from outside."""
    id = _default_id(call)
    known = call.world.get(SecurityGroup, id)
    if known is not None:
        return known
    group = SecurityGroup(
        **call.world.fresh(call.identity.project, "default", id=id),
        description="Default security group",
        updated_at=call.world.at,
    )
    for ethertype in ("IPv4", "IPv6"):
        group.rules.append(_rule(call, id, ethertype=ethertype))
        group.rules.append(_rule(call, id, ethertype=ethertype, direction="ingress", remote_group_id=id))
    call.world.put(group)
    return group


def groups(call: Call) -> list[SecurityGroup]:
    """List the project's security groups."""
    return call.world.find(SecurityGroup, call.identity.project)


def _view(group: SecurityGroup, default: bool | None = None) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "stateful": group.stateful,
        "shared": False,
        "security_group_rules": [_inner_rule(rule, default) for rule in group.rules],
        **standard_view(group),
    }


def _inner_rule(rule: dict[str, Any], default: bool | None) -> dict[str, Any]:
    """Return a rule as shown inside its group, where Neutron leaks its database number."""
    return {**rule, "belongs_to_default_sg": default, "standard_attr_id": int(rule["id"][:6], 16), "tags": []}


def own(call: Call, id: str) -> SecurityGroup:
    """Return a group of the caller's project. Raises a 404 for others."""
    default_group(call)
    absent = neutron_error(404, "SecurityGroupNotFound", f"Security group {id} does not exist")
    return call.own(SecurityGroup, id, absent)


def list_groups(call: Call) -> Reply:
    """Handle GET /v2.0/security-groups."""
    default_group(call)
    return Reply(200, listing(call, "security_groups", [_view(group) for group in groups(call)]))


def show_group(call: Call) -> Reply:
    """Handle GET /v2.0/security-groups/ID."""
    return Reply(200, shown(call, "security_group", _view(own(call, call.params["id"]))))


def create_group(call: Call) -> Reply:
    """Handle POST /v2.0/security-groups."""
    asked = accept(call, "security_group", ATTRIBUTES)
    default_group(call)
    if 0 <= call.world.quota("security_group") <= len(groups(call)):
        raise over_quota("security_group")
    group = SecurityGroup(
        **call.world.fresh(call.identity.project, asked.get("name", "")),
        description=asked.get("description", ""),
        updated_at=call.world.at,
        stateful=asked.get("stateful", True),
    )
    group.rules = [_rule(call, group.id, ethertype=ethertype) for ethertype in ("IPv4", "IPv6")]
    call.store(group)
    return Reply(201, {"security_group": _view(group, default=False)})


def update_group(call: Call) -> Reply:
    """Handle PUT /v2.0/security-groups/ID."""
    group = own(call, call.params["id"])
    asked = accept(call, "security_group", ATTRIBUTES)
    if group.id == _default_id(call) and "name" in asked:
        raise neutron_error(409, "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
    if "stateful" in asked and asked["stateful"] != group.stateful and _in_use(call, group):
        raise neutron_error(409, "SecurityGroupInUse", f"Security Group {group.id} in use.")
    for key in ("name", "description", "stateful"):
        setattr(group, key, asked.get(key, getattr(group, key)))
    revise(call, group)
    return Reply(200, {"security_group": _view(group)})


def _in_use(call: Call, group: SecurityGroup) -> bool:
    return any(group.id in port.security_groups for port in call.world.find(Port, group.owner))


def delete_group(call: Call) -> Reply:
    """Handle DELETE /v2.0/security-groups/ID."""
    group = own(call, call.params["id"])
    if _in_use(call, group):
        raise neutron_error(409, "SecurityGroupInUse", f"Security Group {group.id} in use.")
    if group.id == _default_id(call):
        raise neutron_error(
            409, "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group."
        )
    call.remove(group)
    return Reply(204)


def _rule_view(call: Call, rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule as shown by itself."""
    return {**rule, "belongs_to_default_sg": rule["security_group_id"] == _default_id(call)}


def list_rules(call: Call) -> Reply:
    """Handle GET /v2.0/security-group-rules."""
    default_group(call)
    rules = [_rule_view(call, rule) for group in groups(call) for rule in group.rules]
    return Reply(200, listing(call, "security_group_rules", rules))


def _find_rule(call: Call) -> tuple[SecurityGroup, dict[str, Any]]:
    for group in groups(call):
        for rule in group.rules:
            if rule["id"] == call.params["id"]:
                return group, rule
    message = f"Security group rule {call.params['id']} does not exist"
    raise neutron_error(404, "SecurityGroupRuleNotFound", message)


def show_rule(call: Call) -> Reply:
    """Handle GET /v2.0/security-group-rules/ID."""
    return Reply(200, shown(call, "security_group_rule", _rule_view(call, _find_rule(call)[1])))


def create_rule(call: Call) -> Reply:
    """Handle POST /v2.0/security-group-rules; a duplicate is a conflict."""
    asked = accept(call, "security_group_rule", RULE_ATTRIBUTES)
    group_id = asked["security_group_id"]
    foreign = call.world.get(SecurityGroup, group_id)
    if foreign is not None and foreign.owner != call.identity.project:
        raise forbidden("rule:create_security_group_rule")
    wanted = {key: asked.get(key) for key in (*IDENTIFYING, "description")}
    wanted |= {"ethertype": asked.get("ethertype", "IPv4"), "description": asked.get("description", "")}
    rule = canonical(_rule(call, group_id, **wanted))
    if rule["remote_group_id"] is not None:
        own(call, str(rule["remote_group_id"]))
    group = own(call, group_id)
    for known in group.rules:
        if same(known, rule):
            message = f"Security group rule already exists. Rule id is {known['id']}."
            raise neutron_error(409, "SecurityGroupRuleExists", message)
    group.rules.append(rule)
    revise(call, group, rule["id"])
    return Reply(201, {"security_group_rule": _rule_view(call, rule)})


def delete_rule(call: Call) -> Reply:
    """Handle DELETE /v2.0/security-group-rules/ID."""
    group, rule = _find_rule(call)
    group.rules.remove(rule)
    revise(call, group, rule["id"])
    return Reply(204)
