"""What all of Neutron's lists and refusals have in common."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from envagent.sandbox.exchange import Call, ServiceError
from envagent.sandbox.listing import page

PAGING = ("limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields")


def neutron_error(status: int, type: str, message: str) -> ServiceError:
    """Return an error in Neutron's terms."""
    return ServiceError(status, message, type)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def listing(call: Call, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a list's body: filtered, paged and trimmed as the query asks. Several values of a key are alternatives."""
    kept = [item for item in items if _fits(item, call)]
    limit, marker = call.argument("limit"), call.argument("marker")
    size = int(limit) if limit and limit.isdigit() else 0
    shown = page(kept, size, marker) or []
    fields = {value for key, value in call.query if key == "fields"}
    body: dict[str, Any] = {name: [_trimmed(item, fields) for item in shown]}
    if size and shown and shown[-1] is not kept[-1]:
        query = [(key, value) for key, value in call.query if key != "marker"]
        href = f"{call.root}{call.path}?{urlencode([*query, ('marker', shown[-1]['id'])])}"
        body[f"{name}_links"] = [{"rel": "next", "href": href}]
    return body


def _fits(item: dict[str, Any], call: Call) -> bool:
    wanted: dict[str, set[str]] = {}
    for key, value in call.query:
        if key not in PAGING:
            wanted.setdefault(key, set()).add(value.lower() if value.lower() in ("true", "false") else value)
    return all(_holds(item, key, values) for key, values in wanted.items())


def _holds(item: dict[str, Any], key: str, values: set[str]) -> bool:
    """Say whether a filter holds; one on a field that the items lack is ignored."""
    if key == "tags":
        return set(",".join(values).split(",")) <= set(item.get("tags", []))
    if key == "fixed_ips":
        pairs = {tuple(value.split("=", 1)) for value in values}
        return any((field, text) in pairs for fixed in item.get("fixed_ips", []) for field, text in fixed.items())
    return key not in item or _text(item[key]) in values


def _trimmed(item: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key in fields} if fields else item
