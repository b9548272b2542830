"""pyproject.toml: PEP 621, poetry, pdm, hatch, uv and setuptools tables.

Owns: where those tools keep dependencies and the Python bound. From a file that is not valid TOML, only the bound is
read, line by line. Must not: take a dependency out of a file that could not be parsed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envagent.repository.facts import Facts, PythonSign, Scope, line_of, minors, quote, spot_of
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, pip_package
from envagent.repository.readers.parsing import strings, table
from envagent.repository.readers.scopes import group_scope, scope_of

_BOUND_LINE = re.compile(r"^[ \t]*(?:requires-python|python)[ \t]*=[ \t]*[\"']([^\"']+)[\"']", re.MULTILINE)


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
    project = table(tables, "project")
    poetry = table(tables, "tool", "poetry")
    if isinstance(bound_text := project.get("requires-python"), str) or isinstance(
        bound_text := table(poetry, "dependencies").get("python"), str
    ):
        python_bound(bound_text, path, text, facts)
    declared = [*_declared(project, scope), *_poetry(poetry, scope), *_groups(tables)]
    for requirement, own in declared[:MOST_OF_A_FILE]:
        line, _ = line_of(text, [re.split(r"[\s<>=!~;\[(@^]", requirement, maxsplit=1)[0]])
        facts.add(pip_package(requirement, own, path, line))


def python_bound(bound: str, path: str, text: str, facts: Facts, *, locked: bool = False) -> None:
    """Record a Python bound written as PEP 440 or with poetry's caret, of a manifest or of its lock."""
    try:
        allowed = minors(SpecifierSet(caret(bound)))
    except InvalidSpecifier:
        return
    if allowed:
        authority = 4 if path.count("/") == 0 and not locked else 3
        spot = spot_of(path, text, "python", bound if locked else bound.split(",")[0].strip())
        note = "the lock's bound" if locked else "enforced at installation"
        facts.pythons.append(PythonSign(allowed, authority, spot, note))


def caret(bound: str) -> str:
    """Convert Poetry's and Pipenv's `^3.8`, `~3.9`, `3.10` and `*` to PEP 440."""
    parts = []
    for part in re.split(r"\s*,\s*|\s+(?=[<>=!~^])", bound.partition("||")[0].strip()):
        if part in ("*", ""):
            continue
        if part.startswith("^"):
            version = part[1:].strip()
            parts += [f">={version}", f"<{int(version.split('.')[0]) + 1}" if version[0].isdigit() else ""]
        elif part.startswith("~") and not part.startswith("~="):
            parts.append(f"=={'.'.join(part[1:].strip().split('.')[:2])}.*")
        elif part[0].isdigit():
            parts.append(f"=={part}" if part.endswith("*") else f"=={part}.*")
        else:
            parts.append(part)
    return ",".join(p for p in parts if p)


def _declared(project: dict[str, Any], scope: Scope) -> Iterator[tuple[str, Scope]]:
    yield from ((item, scope) for item in strings(project.get("dependencies")))
    for group, items in table(project, "optional-dependencies").items():
        yield from ((item, group_scope(group)) for item in strings(items))


def _poetry(poetry: dict[str, Any], scope: Scope) -> Iterator[tuple[str, Scope]]:
    tables: list[tuple[dict[str, Any], Scope]] = [
        (table(poetry, "dependencies"), scope),
        (table(poetry, "dev-dependencies"), "development"),
    ]
    tables += [
        (table(g, "dependencies"), group_scope(n)) for n, g in table(poetry, "group").items() if isinstance(g, dict)
    ]
    for entries, own in tables:
        for name, wanted in entries.items():
            if name == "python":
                continue
            optional = isinstance(wanted, dict) and wanted.get("optional") is True
            version = wanted.get("version", "") if isinstance(wanted, dict) else wanted
            yield f"{name}{caret(version) if isinstance(version, str) else ''}", "optional" if optional else own


def _groups(tables: dict[str, Any]) -> Iterator[tuple[str, Scope]]:
    for group in (table(tables, "dependency-groups"), table(tables, "tool", "pdm", "dev-dependencies")):
        for name, items in group.items():
            yield from ((item, group_scope(name)) for item in strings(items))
    yield from ((item, "development") for item in strings(table(tables, "tool", "uv").get("dev-dependencies")))
