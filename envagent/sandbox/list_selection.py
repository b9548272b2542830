"""Lists as a query asks for them: selected, ordered, paged and trimmed.

The items are the views that go over the wire. What a service accepts in a query, and the words of its refusals, are
its own business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")
Item = dict[str, Any]
Holds = Callable[[Item, str, Collection[str]], bool]

TAG_FILTERS: dict[str, Callable[[Set[str], Set[str]], bool]] = {
    "tags": lambda wanted, own: wanted <= own,
    "tags-any": lambda wanted, own: bool(wanted & own),
    "not-tags": lambda wanted, own: not wanted <= own,
    "not-tags-any": lambda wanted, own: not wanted & own,
}
"""What Nova and Neutron ask of an item's tags, by the filter's name."""


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the values of each key of a query, in their order."""
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return values


def equals(item: Item, key: str, values: Collection[str]) -> bool:
    """Say whether a field of an item is one of the values."""
    return str(item.get(key)) in values


def select(items: list[Item], filters: Mapping[str, Collection[str]], holds: Holds = equals) -> list[Item]:
    """Return the items for which every filter holds."""
    return [item for item in items if all(holds(item, key, values) for key, values in filters.items())]


def _field(item: Any, key: str) -> Any:
    return item.get(key)


def order(items: Iterable[T], keys: Iterable[tuple[str, str]], field: Callable[[T, str], Any] = _field) -> list[T]:
    """Return the items sorted by (key, "asc" or "desc") pairs, the first the most important.

    As the services' databases do it: null comes first, and case does not count.
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
    """Return at most `limit` items after the one whose id is `marker`, None when there is no such item."""
    if marker is not None:
        ids = [id_of(item) for item in items]
        if marker not in ids:
            return None
        items = items[ids.index(marker) + 1 :]
    return items[:limit] if limit else items


def trim(items: list[Item], fields: Collection[str]) -> list[Item]:
    """Return the items with these fields only, or whole where none is named."""
    return [{key: value for key, value in item.items() if key in fields} for item in items] if fields else items
