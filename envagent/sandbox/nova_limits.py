"""Nova's limits, quota sets and availability zones."""

from __future__ import annotations

from typing import Any

from envagent.sandbox.body_schemas import TEXT
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.nova_requests import not_allowed, query, since
from envagent.sandbox.nova_views import flavors
from envagent.sandbox.records import Lease, Server

FILES = {"injected_file_content_bytes": 10240, "injected_file_path_bytes": 255, "injected_files": 5}
NETWORK = {"fixed_ips": -1, "floating_ips": -1, "security_group_rules": -1, "security_groups": -1}


def _used(call: Call) -> dict[str, int]:
    """Return the project's usage by resource."""
    sizes = {flavor.id: flavor for flavor in flavors(call)}
    servers = call.world.find(Server, call.identity.project)
    known = [sizes[server.flavor] for server in servers if server.flavor in sizes]
    return {
        "instances": len(servers),
        "cores": sum(flavor.vcpus for flavor in known),
        "ram": sum(flavor.ram for flavor in known),
    }


def _quotas(call: Call) -> dict[str, int]:
    """Return the quotas that a microversion shows: files ended with 2.57, Neutron's resources with 2.36."""
    limits = {
        "cores": -1,
        "instances": call.world.quota("instances"),
        "key_pairs": call.world.quota("keypairs"),
        "metadata_items": 128,
        "ram": -1,
        "server_group_members": 10,
        "server_groups": 10,
        **({} if since(call, 2, 57) else FILES),
        **({} if since(call, 2, 36) else NETWORK),
    }
    return dict(sorted(limits.items()))


def show_limits(call: Call) -> Reply:
    """Handle GET /limits."""
    asked = query(call, {"reserved": TEXT, "tenant_id": TEXT})
    if asked.get("tenant_id", call.identity.project) != call.identity.project:
        raise not_allowed("limits:other_project")
    used, network, files = _used(call), not since(call, 2, 36), not since(call, 2, 57)
    absolute: dict[str, Any] = {
        "maxTotalInstances": call.world.quota("instances"),
        "maxTotalCores": -1,
        "maxTotalRAMSize": -1,
        "maxServerMeta": 128,
        "maxTotalKeypairs": call.world.quota("keypairs"),
        "maxServerGroups": 10,
        "maxServerGroupMembers": 10,
        "totalRAMUsed": used["ram"],
        "totalCoresUsed": used["cores"],
        "totalInstancesUsed": used["instances"],
        "totalServerGroupsUsed": 0,
        **({"maxPersonality": 5, "maxPersonalitySize": 10240} if files else {}),
        **({} if since(call, 2, 39) else {"maxImageMeta": 128}),
    }
    if network:
        absolute.update(dict.fromkeys(("maxTotalFloatingIps", "maxSecurityGroups", "maxSecurityGroupRules"), -1))
        absolute.update({"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0})
    return Reply(200, {"limits": {"rate": [], "absolute": absolute}})


def _own(call: Call, action: str) -> str:
    """Return the project in the path, which must be the caller's."""
    query(call, {"user_id": TEXT})
    if call.params["project"] != call.identity.project:
        raise not_allowed(f"os-quota-sets:{action}")
    return call.params["project"]


def show_quotas(call: Call) -> Reply:
    """Handle GET /os-quota-sets/PROJECT."""
    return Reply(200, {"quota_set": {"id": _own(call, "show"), **_quotas(call)}})


def show_quota_details(call: Call) -> Reply:
    """Handle GET /os-quota-sets/PROJECT/detail. Keypairs belong to users, so the project has none in use."""
    project, used = _own(call, "detail"), _used(call)
    details = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in _quotas(call).items()
    }
    return Reply(200, {"quota_set": {"id": project, **details}})


def show_default_quotas(call: Call) -> Reply:
    """Handle GET /os-quota-sets/PROJECT/defaults, for any project."""
    return Reply(200, {"quota_set": {"id": call.params["project"], **_quotas(call)}})


def list_zones(call: Call) -> Reply:
    """Handle GET /os-availability-zone: the site's zone, and one per active reservation."""
    active = [
        f"blazar_{reservation.id}"
        for lease in call.world.find(Lease)
        for reservation in lease.reservations
        if reservation.status == "active" and reservation.hosts
    ]
    zones = [{"zoneName": name, "zoneState": {"available": True}, "hosts": None} for name in [*sorted(active), "nova"]]
    return Reply(200, {"availabilityZoneInfo": zones})
