"""Filtering, sorting, paging and trimming of lists.

Items are views as sent to clients. Each service decides which queries it accepts and how it refuses others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Set
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")
Item = dict[str, Any]

TAG_FILTERS: dict[str, Callable[[Set[str], Set[str]], bool]] = {
    "tags": lambda wanted, own: wanted <= own,
    "tags-any": lambda wanted, own: bool(wanted & own),
    "not-tags": lambda wanted, own: not wanted <= own,
    "not-tags-any": lambda wanted, own: not wanted & own,
}
"""The filters by tags of Nova and Neutron."""


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Group the values of a query by key."""
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return values


def _field(item: Any, key: str) -> Any:
    return item.get(key)


def order(items: Iterable[T], keys: Iterable[tuple[str, str]], field: Callable[[T, str], Any] = _field) -> list[T]:
    """Sort items by (key, "asc" or "desc") pairs, the most important one first.

    As in the services' databases, null comes first and case is ignored.
    """
    ordered = list(items)
    for key, direction in reversed(list(keys)):
        ordered.sort(key=lambda item: _rank(field(item, key)), reverse=direction == "desc")
    return ordered


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return 0, 0
    return (1, value) if isinstance(value, (bool, int, float)) else (2, str(value).casefold())


def page(
    items: list[T], limit: int | None, marker: str | None, id_of: Callable[[Any], str] = itemgetter("id")
) -> list[T] | None:
    """Return at most `limit` items after the one with the id `marker`, None if there is no such item."""
    if marker is not None:
        ids = [id_of(item) for item in items]
        if marker not in ids:
            return None
        items = items[ids.index(marker) + 1 :]
    return items[:limit] if limit else items


def trim(items: list[Item], fields: Collection[str]) -> list[Item]:
    """Reduce items to the named fields; without names, return them whole."""
    return [{key: value for key, value in item.items() if key in fields} for item in items] if fields else items
