"""uv's settings: the indexes and sources of packages, and the groups that are always installed.

Owns: the tables below [tool.uv]. Must not: parse requirements.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packaging.utils import canonicalize_name

from envagent.repository.readers.dependencies import applies
from envagent.repository.readers.parsing import items, strings, table
from envagent.repository.readers.targets import FRAMEWORKS, of_url, shared

_DEFAULT_GROUPS = ("dev",)


def default_groups(tables: dict[str, Any]) -> frozenset[str]:
    """Return the dependency groups that `uv sync` installs, by their normalised names."""
    wanted = table(tables, "tool", "uv").get("default-groups")
    if wanted == "all":
        return frozenset(map(canonicalize_name, table(tables, "dependency-groups")))
    return frozenset(map(canonicalize_name, strings(wanted) if isinstance(wanted, list) else _DEFAULT_GROUPS))


def indexes(uv: dict[str, Any]) -> Iterator[str]:
    """Yield the URLs of the indexes that any package may come from; of PyTorch's, which uv knows, only the path."""
    for place in (uv, table(uv, "pip")):
        for index in items(place, "index"):
            if isinstance(index, dict) and index.get("explicit") is not True and isinstance(index.get("url"), str):
                yield index["url"]
        yield from strings([place.get("index-url"), *items(place, "extra-index-url"), *items(place, "find-links")])
        backend = place.get("torch-backend")
        if isinstance(backend, str) and backend != "auto":
            yield f"/whl/{backend}"


def targets(uv: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Return what the builds of packages are made for, by package and by the extra or group that asks for it."""
    named = {
        index["name"]: of_url(index["url"])
        for index in items(uv, "index")
        if isinstance(index, dict) and isinstance(index.get("name"), str) and isinstance(index.get("url"), str)
    }
    found: dict[tuple[str, str], str] = {}
    if everywhere := shared(map(of_url, indexes(uv))):
        found = dict.fromkeys(((name, "") for name in FRAMEWORKS), everywhere)
    for name, source in _sources(uv):
        index, url = source.get("index"), source.get("url")
        target = named.get(index, "") if isinstance(index, str) else of_url(url) if isinstance(url, str) else ""
        group = source.get("extra") or source.get("group") or ""
        if target and isinstance(group, str):
            found[name, canonicalize_name(group) if group else ""] = target
    return found


def locations(uv: dict[str, Any]) -> dict[str, str]:
    """Return the wheels and repositories that packages come from, by package."""
    found: dict[str, str] = {}
    for name, source in _sources(uv):
        if isinstance(url := source.get("url"), str):
            found.setdefault(name, url)
    return found


def _sources(uv: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the sources that hold on Linux, with the normalised name of their package."""
    for name, sources in table(uv, "sources").items():
        for source in sources if isinstance(sources, list) else [sources]:
            marker = source.get("marker") if isinstance(source, dict) else None
            if isinstance(source, dict) and not (isinstance(marker, str) and not applies(marker)):
                yield canonicalize_name(name), source
