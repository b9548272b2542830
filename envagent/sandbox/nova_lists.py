"""Queries on Nova's servers: filters, sorting, pages."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any

from envagent.sandbox.body_schemas import TEXT, Schema, words
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.list_selection import TAG_FILTERS, order
from envagent.sandbox.nova_requests import (
    PAGING,
    bad_request,
    forbidden,
    listing,
    not_allowed,
    not_simulated,
    query,
    since,
)
from envagent.sandbox.nova_views import addresses, flavors, hostname, listed_view, server_brief
from envagent.sandbox.records import Server

REGEX: Schema = {"type": "string", "format": "regex"}
MOMENT: Schema = {"type": "string", "format": "date-time"}

STATUSES = {
    "ACTIVE": ("active", None),
    "BUILD": ("building", None),
    "SHUTOFF": ("stopped", None),
    "ERROR": ("error", None),
    "REBOOT": ("active", "rebooting"),
    "HARD_REBOOT": ("active", "rebooting_hard"),
    "REBUILD": (None, "rebuilding"),
}
"""The vm_state and the task that make a status; None matches any."""
UNREACHABLE = words(
    """
    PASSWORD MIGRATING RESIZE VERIFY_RESIZE REVERT_RESIZE PAUSED SUSPENDED RESCUE SOFT_DELETED SHELVED
    SHELVED_OFFLOADED
    """
)

SORTED_BY = words(
    """
    access_ip_v4 access_ip_v6 auto_disk_config availability_zone config_drive created_at display_description
    display_name host hostname image_ref instance_type_id kernel_id key_name launch_index launched_at locked_by
    node power_state progress project_id ramdisk_id root_device_name task_state terminated_at updated_at user_id
    uuid vm_state
    """
)
SORT_IGNORED = words(
    """
    architecture cell_name cleaned default_ephemeral_device default_swap_device deleted deleted_at
    disable_terminate ephemeral_gb ephemeral_key_uuid id key_data launched_on locked memory_mb os_type
    reservation_id root_gb shutdown_terminate user_data vcpus vm_mode
    """
)
TEXTS = words(
    """
    user_id project_id tenant_id launch_index image_ref image vm_state task_state host uuid sort_dir all_tenants
    soft_deleted deleted status block_device_mapping services metadata system_metadata info_cache security_groups
    pci_devices
    """
)
PATTERNS = words(
    """
    kernel_id ramdisk_id hostname key_name power_state node flavor reservation_id launched_at terminated_at
    availability_zone name display_name description display_description locked_by root_device_name config_drive
    access_ip_v4 access_ip_v6 auto_disk_config progress ip ip6 created_at
    """
)
RARE = {"config_drive", "created_at", "launched_at", "terminated_at", "power_state", "progress"}

Test = Callable[[Server], bool]
FIELDS: dict[str, Callable[[Server], Any]] = {
    "display_name": lambda server: server.name,
    "display_description": lambda server: server.description,
    "hostname": lambda server: server.given.get("hostname") or hostname(server.name),
    "image_ref": lambda server: server.image,
    "instance_type_id": lambda server: server.flavor,
    "project_id": lambda server: server.owner,
    "user_id": lambda server: server.user,
    "availability_zone": lambda server: server.zone,
    "uuid": lambda server: server.id,
    **{name: attrgetter(name) for name in ("created_at", "updated_at", "launched_at")},
    **{name: attrgetter(name) for name in ("key_name", "task_state", "vm_state", "locked")},
}


def _known(call: Call) -> dict[str, Schema]:
    """Return the query parameters that a microversion knows."""
    keys = SORTED_BY if since(call, 2, 75) else [*SORTED_BY, *SORT_IGNORED]
    known: dict[str, Schema] = {
        **PAGING,
        **dict.fromkeys(TEXTS, TEXT),
        **dict.fromkeys(PATTERNS, REGEX),
        "changes-since": MOMENT,
        "sort_key": {"type": "string", "enum": [*keys, "locked"] if since(call, 2, 73) else keys},
    }
    if since(call, 2, 26):
        known.update(dict.fromkeys(TAG_FILTERS, REGEX))
    if since(call, 2, 66):
        known["changes-before"] = MOMENT
    if since(call, 2, 73):
        known["locked"] = TEXT
    return known


def _truth(text: str) -> bool:
    """Parse a boolean as OpenStack does."""
    word = text.strip().lower()
    if word in ("", "1", "t", "true", "on", "y", "yes"):
        return True
    if word in ("0", "f", "false", "off", "n", "no"):
        return False
    allowed = "'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
    raise bad_request(f"Unrecognized value '{text}', acceptable values are: {allowed}")


def _pattern(text: str, value: Callable[[Server], Any]) -> Test:
    """Search for a regular expression, ignoring case, as the database's REGEXP does."""
    compiled = re.compile(text, re.IGNORECASE)
    return lambda server: compiled.search(str(value(server) or "")) is not None


def _has_status(call: Call) -> Test | None:
    """Return the test of the requested statuses. Raises a refusal for an unknown one."""
    asked = [value.upper() for key, value in call.query if key == "status"]
    if not asked:
        return None
    if asked == ["DELETED"]:
        raise forbidden("Only administrators may list deleted instances")
    if not any(status in STATUSES or status in UNREACHABLE or status == "DELETED" for status in asked):
        if since(call, 2, 38):
            raise bad_request("Invalid status value")
        return lambda server: False
    return lambda server: any(_matches(server, *STATUSES[status]) for status in asked if status in STATUSES)


def _matches(server: Server, vm_state: str | None, task: str | None) -> bool:
    return vm_state in (None, server.vm_state) and task in (None, server.task_state)


def _flavor(call: Call, asked: str) -> Test:
    exists = asked in [flavor.id for flavor in flavors(call)]
    return lambda server: exists and server.flavor == asked


def _tagged(name: str, asked: str) -> Test:
    return lambda server: TAG_FILTERS[name](set(asked.split(",")), set(server.tags))


def _at(call: Call, pattern: str, version: int) -> Test:
    compiled = re.compile(pattern)

    def fits(server: Server) -> bool:
        shown = [entry["addr"] for entries in addresses(call, server).values() for entry in entries]
        return any(compiled.match(ip) for ip in shown if ipaddress.ip_address(ip).version == version)

    return fits


def _changed(asked: str, *, later: bool) -> Test:
    read = datetime.fromisoformat(asked)
    moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    return lambda server: server.updated_at >= moment if later else server.updated_at <= moment


def _locked(asked: str) -> Test:
    wanted = _truth(asked)
    return lambda server: server.locked is wanted


def _tests(call: Call, asked: dict[str, str]) -> list[Test]:
    """Return the tests of the filters; like Nova, drop those that ordinary users may not use."""
    filters: dict[str, Callable[[str], Test]] = {
        "name": lambda text: _pattern(text, lambda server: server.name),
        "image": lambda text: lambda server: server.image == text,
        "flavor": lambda text: _flavor(call, text),
        "reservation_id": lambda text: lambda server: False,
        "changes-since": lambda text: _changed(text, later=True),
        "ip": lambda text: _at(call, text, 4),
    }
    if since(call, 2, 5):
        filters["ip6"] = lambda text: _at(call, text, 6)
    if since(call, 2, 26):
        filters.update({name: partial(_tagged, name) for name in TAG_FILTERS})
    if since(call, 2, 66):
        filters["changes-before"] = lambda text: _changed(text, later=False)
    if since(call, 2, 73):
        filters["locked"] = _locked
    if since(call, 2, 83):
        filters["user_id"] = lambda text: lambda server: server.user == text
        filters["vm_state"] = lambda text: lambda server: server.vm_state == text
        filters["task_state"] = lambda text: lambda server: server.task_state == text
        filters["key_name"] = lambda text: _pattern(text, lambda server: server.key_name)
        filters["availability_zone"] = lambda text: _pattern(text, lambda server: server.zone)
        for name in RARE & asked.keys():
            raise not_simulated(f"the filter {name}")
    if since(call, 2, 90):
        filters["hostname"] = lambda text: _pattern(text, FIELDS["hostname"])
    tests = [filters[name](text) for name, text in asked.items() if name in filters]
    status = _has_status(call)
    return tests if status is None else [*tests, status]


def _order(call: Call) -> list[tuple[str, str]]:
    """Return the sort keys: newest first by default; ties are broken by age and id."""
    keys = [value.strip() for key, value in call.query if key == "sort_key"] or ["created_at"]
    directions = [value.strip() for key, value in call.query if key == "sort_dir"] or ["desc"]
    ignored = [key for key in SORT_IGNORED if key != "locked" or not since(call, 2, 73)]
    for key in keys:
        if key in ("host", "node"):
            raise forbidden(f"Only administrators can sort servers by {key}")
    if set(directions) - {"asc", "desc"}:
        raise bad_request("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
    directions += [directions[0]] * (len(keys) - len(directions))
    asked = [(key, direction) for key, direction in zip(keys, directions, strict=False) if key not in ignored]
    return [*asked, *((key, directions[0]) for key in ("created_at", "uuid"))]


def _deleted(call: Call) -> list[Server]:
    """List the deleted servers, which a list of changes includes."""
    found = []
    for server, at in call.world.removed(Server, call.identity.project):
        server.status, server.vm_state, server.task_state, server.updated_at = "DELETED", "deleted", None, at
        found.append(server)
    return found


def _list(call: Call, view: Callable[[Call, Server], dict[str, Any]], detailed: bool) -> Reply:
    asked = query(call, _known(call), hidden=("_",))
    tests = _tests(call, asked)
    if "all_tenants" in asked and _truth(asked["all_tenants"]):
        raise not_allowed(f"servers:{'detail' if detailed else 'index'}:get_all_tenants")
    keys = _order(call)
    found = call.world.find(Server, call.identity.project, call.as_of)
    if asked.keys() & {"changes-since", "changes-before"}:
        found += _deleted(call)
    fitting = [server for server in found if all(test(server) for test in tests)]
    listed = order(fitting, keys, lambda server, key: FIELDS[key](server) if key in FIELDS else None)
    return listing(call, "servers", listed, asked, partial(view, call))


list_brief = partial(_list, view=server_brief, detailed=False)
list_detailed = partial(_list, view=listed_view, detailed=True)
