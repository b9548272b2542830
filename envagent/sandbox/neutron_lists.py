"""What all of Neutron's lists and refusals have in common."""

from __future__ import annotations

from typing import Any

from envagent.sandbox.exchange import Call, ServiceError, page

PAGING = ("limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields")


def neutron_error(status: int, type: str, message: str) -> ServiceError:
    """Return an error in Neutron's terms."""
    return ServiceError(status, message, type)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def listing(call: Call, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Filter, page and trim items as the query asks: equal values, several of one key are alternatives."""
    wanted: dict[str, set[str]] = {}
    for key, value in call.query:
        if key not in PAGING:
            normal = value.lower() if value.lower() in ("true", "false") else value
            wanted.setdefault(key, set()).add(normal)
    for key, values in wanted.items():
        if key == "tags":
            items = [item for item in items if set(",".join(values).split(",")) <= set(item.get("tags", []))]
        elif key == "fixed_ips":
            pairs = [value.split("=", 1) for value in values]
            items = [i for i in items if any(f.get(p[0]) == p[-1] for f in i.get("fixed_ips", []) for p in pairs)]
        else:
            items = [item for item in items if key not in item or _text(item[key]) in values]
    limit = call.argument("limit")
    shown = page(items, int(limit) if limit and limit.isdigit() else None, call.argument("marker"))
    fields = [value for key, value in call.query if key == "fields"]
    return [{k: v for k, v in item.items() if k in fields} if fields else item for item in shown or []]
