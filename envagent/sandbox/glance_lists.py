"""Queries on Glance's image list: filters with operators, sorting, pages."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from envagent.sandbox.exchange import Call, ServiceError
from envagent.sandbox.list_selection import order

DEFAULT_LIMIT, MAX_LIMIT = 25, 1000
SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
PAGING = ("limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "tag")
TRUE_OR_FALSE = (
    ("true", "false"),
    "Invalid value '{value}' for '{key}' filter. Valid values are 'true' or 'false'.",
)
CHOICES = {
    "visibility": (("community", "public", "private", "shared", "all"), "Invalid visibility value: {value}"),
    "member_status": (("pending", "accepted", "rejected", "all"), "Invalid status: {value}"),
    "protected": TRUE_OR_FALSE,
    "os_hidden": TRUE_OR_FALSE,
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "neq": operator.ne,
    "eq": operator.eq,
}
WITH_OPERATOR = ("name", "id", "status", "container_format", "disk_format")
QUOTED_OR_PLAIN = re.compile(r'"((?:[^"\\]|\\.)*)",?|([^,]+),?')


def selected(call: Call, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Filter and sort the images by the query."""
    query = dict(call.query)
    if "os_hidden" in query:
        query["os_hidden"] = query["os_hidden"].lower()
    for key, (allowed, text) in CHOICES.items():
        if query.get(key, allowed[0]) not in allowed and not (key == "visibility" and not query[key]):
            raise ServiceError(400, text.format(key=key, value=query[key]))
    if "changes-since" in query:
        raise ServiceError(400, 'The "changes-since" filter is no longer available on v2.')
    filters = {"os_hidden": "false", **{key: value for key, value in query.items() if key not in PAGING}}
    if filters.get("visibility") in ("all", ""):
        del filters["visibility"]
    keys = _order(call)
    tests = [_test(key, value) for key, value in filters.items()]
    tags = {value.strip() for key, value in call.query if key == "tag"}
    kept = [item for item in items if tags <= set(item["tags"]) and all(test(item) for test in tests)]
    return order(kept, keys)


def limit(call: Call) -> int:
    """Return the page size."""
    try:
        asked = int(call.argument("limit") or DEFAULT_LIMIT)
    except ValueError:
        raise ServiceError(400, "limit param must be an integer") from None
    if asked < 0:
        raise ServiceError(400, "limit param must be positive")
    return min(asked, MAX_LIMIT)


def _order(call: Call) -> list[tuple[str, str]]:
    """Return the sort keys, given in the new syntax or the old; ties are broken by age and id."""
    keys = [value.strip() for key, value in call.query if key == "sort_key"]
    directions = [value.strip() for key, value in call.query if key == "sort_dir"]
    combined = call.argument("sort")
    if combined is not None:
        if keys or directions:
            raise ServiceError(400, "Old and new sorting syntax cannot be combined")
        pairs = [part.partition(":")[::2] for part in combined.strip().split(",")]
        keys = [key.strip() for key, _ in pairs]
        directions = [direction.strip() or "desc" for _, direction in pairs]
    for key in keys:
        if key not in SORT_KEYS:
            known = ", ".join(SORT_KEYS)
            raise ServiceError(400, f"Invalid sort key: {key}. It must be one of the following: {known}.")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise ServiceError(400, f"Invalid sort direction: {direction}")
    if len(directions) > 1 and len(directions) != len(keys):
        raise ServiceError(400, "Number of sort dirs does not match the number of sort keys")
    keys, last = keys or ["created_at"], directions[0] if len(directions) == 1 else "desc"
    if len(directions) != len(keys):
        directions = [last] * len(keys)
    return [*zip(keys, directions, strict=True), ("created_at", last), ("id", last)]


def _test(key: str, value: str) -> Callable[[dict[str, Any]], bool]:
    """Return the test of one filter; a key that an image lacks excludes it."""
    if key.endswith(("_min", "_max")):
        return _range(key, value)
    if key in ("created_at", "updated_at"):
        return _moment(key, value)
    if key in WITH_OPERATOR:
        return _choice(key, value)
    if key in ("protected", "os_hidden"):
        return lambda item: item[key] is (value == "true")
    return lambda item: key in item and str(item[key]) == value


def _range(key: str, value: str) -> Callable[[dict[str, Any]], bool]:
    try:
        bound = int(value)
    except ValueError:
        raise ServiceError(400, "Unable to filter on a range with a non-numeric value.") from None
    compare = COMPARISONS["gte" if key.endswith("_min") else "lte"]
    return lambda item: compare(item.get(key[:-4], 0), bound)


def _iso(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _moment(key: str, value: str) -> Callable[[dict[str, Any]], bool]:
    name, _, rest = value.partition(":")
    try:
        bound = _iso(rest if name in COMPARISONS else value)
    except ValueError:
        message = f'Bad "{key}" query filter format. Use ISO 8601 DateTime notation.'
        raise ServiceError(400, message) from None
    compare = COMPARISONS.get(name, COMPARISONS["eq"])
    return lambda item: compare(_iso(item[key]), bound)


def _choice(key: str, value: str) -> Callable[[dict[str, Any]], bool]:
    """Return the test of `VALUE`, `eq:VALUE` or `in:VALUE,"VALUE"`; hence a name with a colon is refused."""
    name, colon, rest = value.partition(":")
    if not colon:
        name, rest = "eq", value
    if name == "in":
        values = [quoted or plain for quoted, plain in QUOTED_OR_PLAIN.findall(rest)]
    elif name == "eq":
        values = [rest]
    else:
        raise ServiceError(400, f"Unable to filter by unknown operator '{name}'.")
    return lambda item: item[key] in values
