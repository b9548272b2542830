"""The security group that lets SSH in, where the default group lets nothing in (KVM@TACC).

All runs of the project share the one group: it is found by name, created or completed when needed, and never removed.
Bare metal has no security groups.
"""

from __future__ import annotations

from collections.abc import Mapping

from envagent.cloud.rest import Rest

NAME = "envagent-ssh"


def find(neutron: Rest, project_id: str) -> tuple[str | None, bool]:
    """Return the id of the project's group, and whether it lets SSH in."""
    groups = neutron.pages("/security-groups", "security_groups", name=NAME, project_id=project_id)
    for group in groups:
        if any(_lets_ssh_in(rule) for rule in group["security_group_rules"]):
            return str(group["id"]), True
    return (str(groups[0]["id"]), False) if groups else (None, False)


def complete(neutron: Rest, group_id: str | None) -> str:
    """Create the group if there is none, and its rule; the next run completes what a killed one left half done."""
    if group_id is None:
        about = {"name": NAME, "description": "SSH from anywhere, for servers that envagent launches"}
        group_id = str(neutron.post("/security-groups", {"security_group": about})["security_group"]["id"])
    rule = {
        "security_group_id": group_id,
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": 22,
        "port_range_max": 22,
    }
    neutron.post("/security-group-rules", {"security_group_rule": rule})
    return group_id


def _lets_ssh_in(rule: Mapping[str, object]) -> bool:
    low, high = rule.get("port_range_min"), rule.get("port_range_max")
    return (
        rule.get("direction") == "ingress"
        and rule.get("ethertype") == "IPv4"
        and rule.get("protocol") in (None, "tcp", "6")
        and rule.get("remote_group_id") is None
        and (low is None or (isinstance(low, int) and isinstance(high, int) and low <= 22 <= high))
    )
