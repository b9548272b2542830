"""conda environment files, recipes and pixi manifests.

Owns: their syntax. Must not: resolve channels.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, PythonSign, Scope, line_of, minors, spot_of
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, conda_package, pip_package
from envagent.repository.readers.parsing import table, toml_table, yaml_table
from envagent.repository.readers.scopes import scope_of

_ENVIRONMENT = re.compile(r"^(?:channels|prefix):", re.MULTILINE)
_DEPENDENCIES = re.compile(r"^dependencies:", re.MULTILINE)
_JINJA = re.compile(r"\{%[^{}]{0,300}%\}|\{\{[^{}]{0,300}\}\}")


def read(path: str, text: str, facts: Facts) -> None:
    """Read the packages and the Python pin of an environment."""
    scope = scope_of(path)
    if scope is None:
        return
    for item in _dependencies(path, text, facts)[:MOST_OF_A_FILE]:
        _one(item, scope, path, text, facts)


def read_unnamed(path: str, text: str, facts: Facts) -> None:
    """Read a file of any name if it holds an environment."""
    if _ENVIRONMENT.search(text) and _DEPENDENCIES.search(text):
        read(path, text, facts)


def _dependencies(path: str, text: str, facts: Facts) -> list[object]:
    if path.endswith(".toml"):
        wanted = table(toml_table(path, text, facts), "dependencies")
        return [f"{n} {v}" if isinstance(v, str) and v != "*" else n for n, v in wanted.items()]
    loaded = yaml_table(path, _JINJA.sub("0", text), facts)
    found = loaded.get("dependencies")
    requirements = loaded.get("requirements")
    if found is None and isinstance(requirements, dict):
        found = [item for part in ("run", "host") for item in (requirements.get(part) or [])]
    if isinstance(found, dict):
        return _rapids(found)
    return found if isinstance(found, list) else []


def _rapids(groups: dict[object, object]) -> list[object]:
    """Collect the `common` lists of dependencies.yaml, as rapids-dependency-file-generator reads them."""
    items: list[object] = []
    for group in groups.values():
        common = group.get("common") if isinstance(group, dict) else None
        for entry in common if isinstance(common, list) else []:
            packages = entry.get("packages") if isinstance(entry, dict) else None
            items += packages if isinstance(packages, list) else []
    return items


def _one(item: object, scope: Scope, path: str, text: str, facts: Facts) -> None:
    if isinstance(item, dict):
        for nested in (item.get("pip") or [])[:MOST_OF_A_FILE]:
            if isinstance(nested, str):
                facts.add(pip_package(nested.partition("#")[0], scope, path, line_of(text, [nested])[0]))
        return
    if not isinstance(item, str):
        return
    spot = spot_of(path, text, item)
    package = conda_package(item, scope, path, spot.line)
    if package is not None and package.name == "python":
        allowed = minors(package.specifier)
        if allowed and str(package.specifier):
            # What the main readme documents outranks the environment of a nested part.
            own = scope == "main" or (scope == "component" and path.count("/") == 1)
            facts.pythons.append(PythonSign(allowed, 3 if own else 1, spot, "the environment's pin"))
    else:
        facts.add(package)
