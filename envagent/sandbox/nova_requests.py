"""Checks of all requests to Nova: bodies and queries against schemas, and the pages of lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar
from urllib.parse import quote

from envagent.sandbox.body_schemas import DIGITS, TEXT, Schema, closed, complaint, violation
from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.list_selection import page
from envagent.sandbox.nova_versions import microversion

T = TypeVar("T")

MAX_PAGE = 1000
CLOSED_QUERIES = (2, 75)
"""From this microversion on, unknown query parameters are refused."""
PAGING: Mapping[str, Schema] = {"limit": DIGITS, "marker": TEXT}


bad_request = partial(ServiceError, 400)
forbidden = partial(ServiceError, 403)
not_found = partial(ServiceError, 404)
conflict = partial(ServiceError, 409)


def not_allowed(rule: str) -> ServiceError:
    """Return the 403 of a policy, by the rule's name below os_compute_api."""
    return forbidden(f"Policy doesn't allow os_compute_api:{rule} to be performed.")


def not_simulated(what: str) -> ServiceError:
    """Return the 501 for something that the sandbox does not simulate."""
    return ServiceError(501, f"The sandbox does not simulate {what}.")


def since(call: Call, *version: int) -> bool:
    """Return whether the call's microversion is at least this one."""
    return microversion(call) >= version


def body(call: Call, name: str, schema: Schema, **others: Schema) -> Any:
    """Return the body's value under a name. Raises a 400 if it, or one of `others`, violates its schema."""
    found = violation(call.body, closed({name: schema, **others}, name))
    if found is not None:
        raise bad_request(complaint(found))
    return call.body[name]


def query(call: Call, known: Mapping[str, Schema], hidden: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the last value of each known parameter.

    Raises a 400 for a value that violates its schema, and at newer microversions for an unknown parameter. Those with
    a `hidden` prefix are dropped.
    """
    if since(call, *CLOSED_QUERIES):
        schema = closed({key: {} for key in known})
        if hidden:
            schema = {**schema, "patternProperties": {f"^{prefix}": {} for prefix in hidden}}
        found = violation(dict(call.query), schema)
        if found is not None:
            raise bad_request(found.message)
    for key, value in call.query:
        found = violation(value, known.get(key, {}))
        if found is not None:
            raise bad_request(f"Invalid input for query parameters {key}. Value: {value}. {found.message}")
    return {key: value for key, value in call.query if key in known}


def listing(
    call: Call,
    name: str,
    items: list[T],
    asked: Mapping[str, str],
    view: Callable[[T], dict[str, Any]],
    id_of: Callable[[T], str] = attrgetter("id"),
    absent: str = "marker [{}] not found",
) -> Reply:
    """Return the requested page of a list, with a link to the next one."""
    limit = min(int(asked.get("limit", MAX_PAGE)), MAX_PAGE)
    shown = page(items, limit, asked.get("marker") or None, id_of)
    if shown is None:
        raise bad_request(absent.format(asked["marker"]))
    if limit == 0 or len(shown) < limit:
        return Reply(200, {name: [view(item) for item in shown[:limit]]})
    kept = [f"{key}={quote(value)}" for key, value in asked.items() if key != "marker"]
    href = f"{call.root}{call.path}?" + "&".join([*kept, f"marker={quote(id_of(shown[-1]), safe='')}"])
    return Reply(200, {name: [view(item) for item in shown], f"{name}_links": [{"rel": "next", "href": href}]})
