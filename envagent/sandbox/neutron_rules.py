"""Neutron's security group rules: checks, the canonical form, and when two rules are equal."""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import Any

from envagent.sandbox.body_schemas import words
from envagent.sandbox.neutron_attributes import READ_ONLY, STANDARD, Attribute, Attributes, neutron_error, one_of, text

NUMBERS = words(
    """
    ah=51 dccp=33 egp=8 esp=50 gre=47 hopopt=0 icmp=1 igmp=2 ip=0 ipip=4 ipv6-encap=41 ipv6-frag=44
    ipv6-icmp=58 icmpv6=58 ipv6-nonxt=59 ipv6-opts=60 ipv6-route=43 ospf=89 pgm=113 rsvp=46 sctp=132 tcp=6
    udp=17 udplite=136 vrrp=112
    """
)
PROTOCOLS = {name: int(number) for name, _, number in (word.partition("=") for word in NUMBERS)}
WITH_PORTS = {"dccp", "sctp", "tcp", "udp", "udplite"}
ICMP = (1, 58)
IPV6_ONLY = {41, 44, 58, 59, 60, 43}
ETHERTYPES = ["IPv4", "IPv6"]
ANYWHERE = ("0.0.0.0/0", "::/0")
_refusal = partial(neutron_error, 400)
IDENTIFYING = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "remote_address_group_id",
)


def _protocol(name: str, value: Any) -> str | None:
    if value is None or value == "any":
        return None
    word = str(value).lower()
    if word in PROTOCOLS or (word.isdigit() and int(word) <= 255):
        return word
    known = ("None", "'any'", *(repr(each) for each in PROTOCOLS))
    raise _refusal(
        "SecurityGroupRuleInvalidProtocol",
        f"Security group rule protocol {value} not supported. Only protocol values ({', '.join(known)}) and integer "
        "representations [0 to 255] are supported.",
    )


def _ethertype(name: str, value: Any) -> str:
    for known in ETHERTYPES:
        if str(value).lower() == known.lower():
            return known
    raise _refusal(
        "SecurityGroupRuleInvalidEtherType",
        f"Security group rule for ethertype '{value}' not supported. Allowed values are {ETHERTYPES}.",
    )


def _port(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not str(value).isdigit() or int(value) > 65535:
        raise _refusal("SecurityGroupInvalidPortValue", f"Invalid value for port {value}")
    return int(value)


def _prefix(name: str, value: Any) -> str | None:
    """Return a prefix with its mask; host bits are kept."""
    if not value:
        return None
    try:
        return str(ipaddress.ip_interface(str(value)))
    except ValueError:
        raise _refusal("InvalidCIDR", f"Invalid CIDR {value} given as IP prefix.") from None


ATTRIBUTES: Attributes = {
    **STANDARD,
    "security_group_id": Attribute(text(36), put=False, required=True),
    "remote_group_id": Attribute(put=False),
    "remote_address_group_id": Attribute(put=False),
    "direction": Attribute(one_of("ingress", "egress"), put=False, required=True),
    "protocol": Attribute(_protocol, put=False),
    "port_range_min": Attribute(_port, put=False),
    "port_range_max": Attribute(_port, put=False),
    "ethertype": Attribute(_ethertype, put=False),
    "remote_ip_prefix": Attribute(_prefix, put=False),
    "normalized_cidr": READ_ONLY,
    "belongs_to_default_sg": READ_ONLY,
}


def number(protocol: str | None) -> int | None:
    """Return the protocol's number, None for any."""
    return None if protocol is None else PROTOCOLS.get(protocol, int(protocol) if protocol.isdigit() else None)


def canonical(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule as Neutron stores it. Raises its refusals of inconsistent rules."""
    protocol, low, high = rule["protocol"], rule["port_range_min"], rule["port_range_max"]
    if rule["ethertype"] == "IPv6" and protocol in ("icmp", "icmpv6", "1"):
        protocol = "58" if protocol == "1" else "ipv6-icmp"
    if (low, high) == (1, 65535):
        low = high = None
    if low is not None or high is not None:
        _check_ports(protocol, low, high)
    prefix = rule["remote_ip_prefix"]
    if prefix and rule["ethertype"] != f"IPv{ipaddress.ip_interface(prefix).version}":
        message = f"Conflicting value ethertype {rule['ethertype']} for CIDR {prefix}"
        raise _refusal("SecurityGroupRuleParameterConflict", message)
    if number(protocol) in IPV6_ONLY and rule["ethertype"] == "IPv4":
        message = f"Invalid ethertype IPv4 for protocol {protocol}."
        raise _refusal("SecurityGroupEthertypeConflictWithProtocol", message)
    if sum(bool(rule[key]) for key in ("remote_ip_prefix", "remote_group_id", "remote_address_group_id")) > 1:
        raise _refusal(
            "SecurityGroupMultipleRemoteEntites",
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
        )
    cidr = str(ipaddress.ip_interface(prefix).network) if prefix else None
    return {**rule, "protocol": protocol, "port_range_min": low, "port_range_max": high, "normalized_cidr": cidr}


def _check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    if protocol is None:
        raise _refusal("SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
    kind = number(protocol)
    if kind in {PROTOCOLS[each] for each in WITH_PORTS}:
        if 0 in (low, high):
            raise _refusal("SecurityGroupInvalidPortValue", "Invalid value for port 0")
        if low is None or high is None or low > high:
            message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"
            raise _refusal("SecurityGroupInvalidPortRange", message)
    elif kind in ICMP:
        for attribute, field, value in (("port_range_min", "type", low), ("port_range_max", "code", high)):
            if value is not None and value > 255:
                message = f"Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."
                raise _refusal("SecurityGroupInvalidIcmpValue", message)
        if low is None:
            message = f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing."
            raise _refusal("SecurityGroupMissingIcmpType", message)
    else:
        known = ", ".join(sorted(each.upper() for each in WITH_PORTS))
        raise _refusal(
            "SecurityGroupInvalidProtocolForPort",
            f"Ports cannot be specified for protocol {kind}. Ports are only supported for {known}.",
        )


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two rules of a group are duplicates for Neutron."""
    return _key(one) == _key(other)


def _key(rule: dict[str, Any]) -> list[Any]:
    values = {key: rule[key] for key in IDENTIFYING}
    values["protocol"] = number(rule["protocol"])
    if values["remote_ip_prefix"] in ANYWHERE:
        values["remote_ip_prefix"] = None
    return list(values.values())
