"""Poetry's dependencies, with their groups, extras and sources.

Owns: the tables below [tool.poetry]. Must not: know PEP 621.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packaging.utils import canonicalize_name

from envagent.repository.facts import Scope
from envagent.repository.readers.dependencies import Declared, applies, caret, written
from envagent.repository.readers.parsing import items, strings, table
from envagent.repository.readers.scopes import group_scope
from envagent.repository.readers.targets import FRAMEWORKS, of_url, shared

_ASKED_FOR = ("explicit", "supplemental")


def declared(poetry: dict[str, Any], scope: Scope) -> Iterator[Declared]:
    """Yield all dependencies; those of groups that are not optional are installed always."""
    extra_of = {
        canonicalize_name(package.split("[")[0].strip()): canonicalize_name(extra)
        for extra, packages in table(poetry, "extras").items()
        for package in strings(packages)
    }
    sources = {
        source["name"]: source
        for source in items(poetry, "source")
        if isinstance(source, dict) and isinstance(source.get("name"), str) and isinstance(source.get("url"), str)
    }
    tables: list[tuple[dict[str, Any], Scope, str]] = [
        (table(poetry, "dependencies"), scope, ""),
        (table(poetry, "dev-dependencies"), "development", "dev"),
    ]
    for name, group in table(poetry, "group").items():
        own = group_scope(name)
        if own == "optional" and isinstance(group, dict) and group.get("optional") is not True:
            own = scope
        tables.append((table(group if isinstance(group, dict) else {}, "dependencies"), own, canonicalize_name(name)))
    for entries, own, group_name in tables:
        for name, wanted in entries.items():
            if name == "python":
                continue
            for one in (wanted if isinstance(wanted, list) else [wanted])[:10]:
                if isinstance(one, dict):
                    optional = one.get("optional") is True
                    extra = extra_of.get(canonicalize_name(name), "") if optional else group_name
                    text = _requirement(name, one)
                    if text is not None:
                        target = _target(name, one.get("source"), sources)
                        yield Declared(text, "optional" if optional else own, extra, target)
                else:
                    version = caret(one) if isinstance(one, str) else ""
                    yield Declared(f"{name}{version}", own, group_name, _target(name, None, sources))


def targets(poetry: dict[str, Any]) -> dict[str, str]:
    """Return what the builds of packages are made for, for those that [project] declares and this table enriches."""
    return {canonicalize_name(d.text.split("[")[0].split("=")[0]): d.target for d in declared(poetry, "main")}


def _requirement(name: str, wanted: dict[str, Any]) -> str | None:
    """Write a dependency table as PEP 508; None if it is for another platform."""
    platform, marker = wanted.get("platform"), wanted.get("markers")
    if isinstance(platform, str) and platform not in ("linux", "linux2"):
        return None
    if isinstance(marker, str) and not applies(marker):
        return None
    version = wanted.get("version")
    return written(name, wanted, caret(version) if isinstance(version, str) else "", wanted.get("url"))


def _target(name: str, source: object, sources: dict[str, dict[str, Any]]) -> str:
    if isinstance(source, str):
        return of_url(sources[source]["url"]) if source in sources else ""
    if canonicalize_name(name) not in FRAMEWORKS:
        return ""
    return shared(of_url(s["url"]) for s in sources.values() if s.get("priority") not in _ASKED_FOR)
