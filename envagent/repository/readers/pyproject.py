"""pyproject.toml: PEP 621 and PEP 735, and the tables of poetry, pdm, hatch, uv and pixi.

Owns: where those tools keep dependencies and the Python bound. From a file that is not valid TOML, only the bound is
read, line by line. Must not: take a dependency out of a file that could not be parsed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from envagent.repository.facts import Facts, Project, PythonSign, Scope, line_of, minors, quote, spot_of
from envagent.repository.readers import pixi, poetry, uv
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, Declared, add_index, add_pip, caret
from envagent.repository.readers.parsing import items, strings, table
from envagent.repository.readers.scopes import group_scope, scope_of
from envagent.repository.readers.targets import FRAMEWORKS, of_url, shared

_BOUND_LINE = re.compile(r"^[ \t]*(?:requires-python|python)[ \t]*=[ \t]*[\"']([^\"']+)[\"']", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def read(path: str, text: str, facts: Facts) -> None:
    """Read the Python bound and all dependencies with their scopes."""
    scope = scope_of(path)
    if scope is None:
        return
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        facts.notes.append(f"{path}: not valid TOML ({quote(str(error))}); only its Python bound was read.")
        if bound := _BOUND_LINE.search(text):
            python_bound(bound[1], path, text, facts)
        return
    read_tables(tables, scope, path, text, facts)


def read_tables(
    tables: dict[str, Any], scope: Scope, path: str, text: str, facts: Facts, *, authority: int | None = None
) -> None:
    """Read the tables of pyproject.toml, which a script's own block has, too."""
    project, of_poetry = table(tables, "project"), table(tables, "tool", "poetry")
    if isinstance(bound_text := project.get("requires-python"), str) or isinstance(
        bound_text := table(of_poetry, "dependencies").get("python"), str
    ):
        note = "enforced at installation" if authority is None else "what the script requires"
        python_bound(bound_text, path, text, facts, authority=authority, note=note)
    if isinstance(name := project.get("name") or of_poetry.get("name"), str):
        facts.projects.append(Project(canonicalize_name(name), path))
    declared = [*_with_targets(_declared(tables, scope), tables), *poetry.declared(of_poetry, scope)]
    for one in declared[:MOST_OF_A_FILE]:
        found = _NAME.match(one.text)
        line, _ = line_of(text, [found[0] if found else one.text])
        package = add_pip(facts, one.text, one.scope, path, line, local=one.target)
        if package is not None and one.group:
            facts.packages[-1] = replace(facts.packages[-1], group=one.group)
    for url in (*uv.indexes(table(tables, "tool", "uv")), *_pdm_indexes(tables)):
        if of_url(url):
            add_index(facts, url, scope, spot_of(path, text, url.rsplit("/", 1)[-1]))
    if wanted := table(tables, "tool", "pixi"):
        pixi.read_tables(wanted, path, text, facts)
    if isinstance(minor := table(tables, "tool", "hatch", "envs", "default").get("python"), str):
        python_bound(minor, path, text, facts, authority=3, note="the default environment's Python")


def python_bound(
    bound: str,
    path: str,
    text: str,
    facts: Facts,
    *,
    authority: int | None = None,
    note: str = "enforced at installation",
) -> None:
    """Record a Python bound written as PEP 440 or with poetry's caret.

    Args:
        bound: such as `>=3.9,<3.13`.
        path: the file.
        text: its content.
        facts: where to record it.
        authority: of a place that is not enforced at the installation of the whole; see `PythonSign`.
        note: why it binds.
    """
    try:
        allowed = minors(SpecifierSet(caret(bound)))
    except InvalidSpecifier:
        return
    if allowed:
        own = authority or (4 if path.count("/") == 0 else 3)
        spot = spot_of(path, text, "python", bound)
        if spot.line is None:
            spot = spot_of(path, text, "python", bound.split(",")[0].strip())
        facts.pythons.append(PythonSign(allowed, own, spot, note))


def _declared(tables: dict[str, Any], scope: Scope) -> Iterator[Declared]:
    """Yield what [project], the dependency groups, pdm, hatch and uv declare."""
    project = table(tables, "project")
    yield from (Declared(item, scope) for item in strings(project.get("dependencies")))
    for extra, found in table(project, "optional-dependencies").items():
        yield from (Declared(item, group_scope(extra), canonicalize_name(extra)) for item in strings(found))
    groups = table(tables, "dependency-groups")
    always = _with_included(uv.default_groups(tables), groups)
    for name in groups:
        own = group_scope(name)
        if own == "optional" and canonicalize_name(name) in always:
            own = scope
        yield from (Declared(item, own, canonicalize_name(name)) for item in _of_group(name, groups, ()))
    for name, found in table(tables, "tool", "pdm", "dev-dependencies").items():
        yield from (Declared(item, group_scope(name), canonicalize_name(name)) for item in strings(found))
    for name, environment in table(tables, "tool", "hatch", "envs").items():
        own = "development" if name == "default" else group_scope(name)
        listed = environment if isinstance(environment, dict) else {}
        for key in ("dependencies", "extra-dependencies"):
            yield from (Declared(item, own) for item in strings(listed.get(key)))
    yield from (
        Declared(item, "development", "dev") for item in strings(table(tables, "tool", "uv").get("dev-dependencies"))
    )


def _with_included(names: frozenset[str], groups: dict[str, Any]) -> frozenset[str]:
    """Add the groups that others include."""
    known = {str(canonicalize_name(name)): name for name in groups}
    found: set[str] = set()
    ahead = [name for name in names if name in known]
    while ahead:
        name = ahead.pop()
        if name in found:
            continue
        found.add(name)
        included = (i.get("include-group") for i in items(groups, known[name]) if isinstance(i, dict))
        ahead += [canonicalize_name(i) for i in included if isinstance(i, str) and canonicalize_name(i) in known]
    return frozenset(found)


def _of_group(name: str, groups: dict[str, Any], within: tuple[str, ...]) -> Iterator[str]:
    """Yield the requirements of a dependency group and of those that it includes; a cycle ends."""
    if name in within or len(within) > 5:
        return
    for item in items(groups, name):
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict) and isinstance(item.get("include-group"), str):
            included = canonicalize_name(item["include-group"])
            real = next((g for g in groups if canonicalize_name(g) == included), None)
            if real is not None:
                yield from _of_group(real, groups, (*within, name))


def _with_targets(declared: Iterator[Declared], tables: dict[str, Any]) -> Iterator[Declared]:
    """Add what the indexes of uv, poetry and pdm provide."""
    of_uv, urls = uv.targets(table(tables, "tool", "uv")), uv.locations(table(tables, "tool", "uv"))
    of_poetry = poetry.targets(table(tables, "tool", "poetry"))
    of_pdm = shared(map(of_url, _pdm_indexes(tables)))
    for one in declared:
        found = _NAME.match(one.text)
        name = canonicalize_name(found[0]) if found else ""
        target = of_uv.get((name, one.group)) or of_uv.get((name, "")) or of_poetry.get(name, "")
        if not target and name in FRAMEWORKS:
            target = of_pdm
        if found and name in urls and "@" not in one.text:
            one = one._replace(text=f"{found[0]} @ {urls[name]}")
        yield one._replace(target=target)


def _pdm_indexes(tables: dict[str, Any]) -> list[str]:
    return strings([s.get("url") for s in items(table(tables, "tool", "pdm"), "source") if isinstance(s, dict)])
