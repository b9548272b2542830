"""What a run that waits looks at, as a single look and a listing for many runs both show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from envagent.cloud.port import Cloud, Lease, Server


def shown_status(shown: Lease | Server) -> str:
    """Return what a wait for an object shows of it."""
    if isinstance(shown, Server) and shown.task_state is not None:
        return f"{shown.status}/{shown.task_state}"
    return shown.status


def _leases(cloud: Cloud) -> dict[str, str]:
    return {one.id: shown_status(one) for one in cloud.leases()}


def _servers(cloud: Cloud) -> dict[str, str]:
    return {one.id: shown_status(one) for one in cloud.servers()}


LISTINGS: Mapping[str, Callable[[Cloud], dict[str, str]]] = MappingProxyType({"lease": _leases, "server": _servers})
"""By kind: lists the project's objects, as id and what a wait for each would show."""
