"""Queries on Neutron's collections: filters, sorting, pages, fields."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

from envagent.sandbox.exchange import Call
from envagent.sandbox.list_selection import TAG_FILTERS, Item, grouped, order, page, trim
from envagent.sandbox.neutron_attributes import bad_request, boolean, invalid_input, neutron_error, not_found

PAGING = ("limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields")
BOOLEANS = (
    "admin_state_up",
    "enable_dhcp",
    "is_default",
    "port_security_enabled",
    "router:external",
    "shared",
    "stateful",
)
INTEGERS = ("ip_version", "mtu")
UNSORTABLE = ("description", "tags", "created_at", "updated_at", "revision_number")
DIRECTIONS = ("asc", "desc")


def listing(call: Call, name: str, items: list[Item], kind: str = "") -> dict[str, Any]:
    """Return the body of a list; an unknown marker is a 404 where the items have a `kind`, else an empty page."""
    query = grouped(call.query)
    filters = _filters(query).items()
    kept = [item for item in items if all(_holds(item, key, values) for key, values in filters)]
    kept = order(kept, _sorting(query, items))
    body = _page(call, name, kept, kind)
    return {**body, name: trim(body[name], query.get("fields", []))}


def shown(call: Call, name: str, item: Item) -> dict[str, Any]:
    """Return the body of one object, reduced to the fields that the query names."""
    return {name: trim([item], grouped(call.query).get("fields", []))[0]}


def _filters(query: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the filters, with values in lower case; several values of a key are alternatives."""
    filters = {key: [value.lower() for value in values] for key, values in query.items() if key not in PAGING}
    for key, values in filters.items():
        if key in BOOLEANS:
            filters[key] = [str(boolean(key, value)).lower() for value in values]
        if key in INTEGERS and not all(value.isdigit() for value in values):
            raise invalid_input(f"'{values[0]}' is not an integer")
        if key == "fixed_ips" and not all("=" in value for value in values):
            raise invalid_input(f"'{values[0]}' is not of the form <key>=[value]")
    return filters


def _holds(item: Item, key: str, values: Collection[str]) -> bool:
    """Return whether an item passes a filter, ignoring case; a filter on an unknown field has no effect."""
    if key in TAG_FILTERS:
        return TAG_FILTERS[key](set(",".join(values).split(",")), {tag.lower() for tag in item.get("tags", [])})
    if key == "fixed_ips":
        found = {f"{field}={text}" for fixed in item.get("fixed_ips", []) for field, text in fixed.items()}
        return bool(found & set(values))
    if key == "security_groups":
        return bool(set(item.get(key, [])) & set(values))
    value = item.get(key, [])
    return isinstance(value, (dict, list)) or (value is not None and str(value).lower() in values)


def _sorting(query: dict[str, list[str]], items: list[Item]) -> list[tuple[str, str]]:
    keys, directions = query.get("sort_key", []), query.get("sort_dir", [])
    if len(keys) != len(directions):
        raise bad_request("The number of sort_keys and sort_dirs must be same")
    bad = [key for key in keys if key in UNSORTABLE or not all(_sortable(item, key) for item in items)]
    if bad:
        raise bad_request(f"{bad} is invalid attribute for sort_keys")
    wrong = [direction for direction in directions if direction not in DIRECTIONS]
    if wrong:
        raise bad_request(f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    by_id = [("id", "asc")] if query.get("limit", ["0"])[-1] != "0" and "id" not in keys else []
    return [*zip(keys, directions, strict=True), *by_id]


def _sortable(item: Item, key: str) -> bool:
    return key in item and not isinstance(item[key], (dict, list))


def _page(call: Call, name: str, kept: list[Item], kind: str) -> dict[str, Any]:
    limit = call.argument("limit") or "0"
    if not limit.isdigit():
        message = f"Bad limit request: Limit must be an integer 0 or greater and not '{limit}'."
        raise neutron_error(400, "BadRequest", message)
    size, marker = int(limit), call.argument("marker")
    if not size:
        return {name: kept}
    back = (call.argument("page_reverse") or "").lower() == "true"
    found = page(kept[::-1] if back else kept, size, marker)
    if found is None and marker is not None and kind:
        raise not_found(kind, marker)
    part = (found or [])[::-1] if back else found or []
    links = [("next", part[-1]["id"], False)] if part and (back or len(part) == size) else []
    links += [("previous", part[0]["id"] if part else None, True)]
    return {name: part, f"{name}_links": [_link(call, *each) for each in links]}


def _link(call: Call, relation: str, marker: str | None, back: bool) -> dict[str, str]:
    query = [(key, value) for key, value in call.query if key not in ("marker", "page_reverse")]
    query += [("marker", marker)] if marker else []
    query += [("page_reverse", "True")] if back else []
    return {"rel": relation, "href": f"{call.root}{call.path}?{urlencode(query)}"}
