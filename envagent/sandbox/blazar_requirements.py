"""Blazar's query language for hosts: `["=", "$node_type", "gpu_v100"]`, or several comparisons joined by "and".

Values are compared as strings, as Blazar compares extra capabilities ("96" is more than "128").
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from envagent.sandbox.exchange import ServiceError
from envagent.sandbox.inventory import Host

OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Requirement:
    """One comparison."""

    operator: str
    key: str
    value: str

    def met_by(self, host: Host) -> bool:
        """Return whether a host has the property and it satisfies the comparison."""
        actual = property_of(host, self.key)
        return actual is not None and OPERATORS[self.operator](actual, self.value)


def property_of(host: Host, key: str) -> str | None:
    """Return a property of a host, None if it has none of that name."""
    own = {
        "node_type": host.node_type,
        "uid": host.uid,
        "hypervisor_hostname": host.uid,
        "node_name": host.node_name,
        "vcpus": "0",
        "memory_mb": "0",
        "local_gb": "0",
    }
    return own.get(key, host.properties.get(key))


def parse(text: Any) -> list[Requirement]:
    """Parse resource_properties. Raises a 400 in Blazar's words."""
    if not text:
        return []
    clause = text
    if isinstance(text, str):
        try:
            clause = json.loads(text)
        except ValueError:
            raise _malformed(text) from None
    if clause == []:
        return []
    if not isinstance(clause, (list, str, dict)):
        # Blazar calls len() on the number and hides the exception behind a 500.
        raise ServiceError(500, "Internal Server Error", "INTERNAL_SERVER_ERROR")
    if _is_comparison(clause):
        return [Requirement(clause[0], clause[1][1:], clause[2])]
    if isinstance(clause, list) and clause[0] == "and" and len(clause) > 1:
        return [parse(part)[0] for part in clause[1:]]
    raise _malformed(clause)


def _is_comparison(clause: Any) -> bool:
    shaped = isinstance(clause, list) and len(clause) == 3 and all(isinstance(item, str) for item in clause)
    return shaped and clause[0] in OPERATORS and re.fullmatch(r"\$.+", clause[1]) is not None and clause[2] != ""


def _malformed(clause: Any) -> ServiceError:
    return ServiceError(400, f"Malformed requirements {clause}")


def choose(hosts: Iterable[Host], requirements: list[Requirement]) -> list[Host]:
    """Return the reservable hosts that meet all requirements. Raises Blazar's 500 for a property that no host has."""
    known = list(hosts)
    for requirement in requirements:
        if all(property_of(host, requirement.key) is None for host in known):
            raise ServiceError(500, "BlazarDBNotFound: A database error occurred")
    return [host for host in known if host.reservable and all(one.met_by(host) for one in requirements)]
