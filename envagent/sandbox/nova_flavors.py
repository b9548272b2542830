"""Nova's flavors: the site's own and those that Blazar created for the project."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from envagent.sandbox.body_schemas import TEXT, Schema
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.inventory import FlavorSpec
from envagent.sandbox.list_selection import order
from envagent.sandbox.nova_requests import PAGING, bad_request, listing, not_found, query
from envagent.sandbox.nova_views import flavor_view, flavors, links
from envagent.sandbox.records import Flavor

SORTED_BY: dict[str, Callable[[FlavorSpec | Flavor], Any]] = {
    "flavorid": lambda flavor: flavor.id,
    "is_public": lambda flavor: not flavor.name.startswith("reservation:"),
    "memory_mb": lambda flavor: flavor.ram,
    "name": lambda flavor: flavor.name,
    "root_gb": lambda flavor: flavor.disk,
    "vcpus": lambda flavor: flavor.vcpus,
    # The same for all flavors here:
    **dict.fromkeys(("created_at", "description", "disabled", "ephemeral_gb", "id"), lambda flavor: None),
    **dict.fromkeys(("rxtx_factor", "swap", "updated_at", "vcpu_weight"), lambda flavor: None),
}
QUERY: dict[str, Schema] = {
    **PAGING,
    "is_public": TEXT,
    "minRam": TEXT,
    "minDisk": TEXT,
    "sort_key": {"type": "string", "enum": sorted(SORTED_BY)},
    "sort_dir": {"type": "string", "enum": ["asc", "desc"]},
}


def _least(asked: dict[str, str], name: str) -> int:
    try:
        return int(asked.get(name, 0))
    except ValueError:
        raise bad_request(f"Invalid {name} filter [{asked[name]}]") from None


def _list(call: Call, view: Callable[[Call, FlavorSpec | Flavor], dict[str, Any]]) -> Reply:
    asked = query(call, QUERY)
    ram, disk = _least(asked, "minRam"), _least(asked, "minDisk")
    fitting = [flavor for flavor in flavors(call) if flavor.ram >= ram and flavor.disk >= disk]
    keys = [(asked.get("sort_key", "flavorid"), asked.get("sort_dir", "asc"))]
    listed = order(fitting, keys, lambda flavor, key: SORTED_BY[key](flavor))
    return listing(call, "flavors", listed, asked, partial(view, call))


def _brief(call: Call, flavor: FlavorSpec | Flavor) -> dict[str, Any]:
    return {"id": flavor.id, "name": flavor.name, "links": links(call, "flavors", flavor.id)}


list_brief = partial(_list, view=_brief)
list_detailed = partial(_list, view=flavor_view)


def _get(call: Call) -> FlavorSpec | Flavor:
    for flavor in flavors(call):
        if flavor.id == call.params["id"]:
            return flavor
    raise not_found(f"Flavor {call.params['id']} could not be found.")


def show(call: Call) -> Reply:
    """Handle GET /flavors/ID."""
    return Reply(200, {"flavor": flavor_view(call, _get(call))})


def show_extra_specs(call: Call) -> Reply:
    """Handle GET /flavors/ID/os-extra_specs."""
    return Reply(200, {"extra_specs": _get(call).extra_specs})


def show_extra_spec(call: Call) -> Reply:
    """Handle GET /flavors/ID/os-extra_specs/KEY."""
    flavor, key = _get(call), call.params["key"]
    if key not in flavor.extra_specs:
        raise not_found(f"Flavor {flavor.id} has no extra specs with key {key}.")
    return Reply(200, {key: flavor.extra_specs[key]})
