"""conda environment files and recipes.

Owns: their syntax. Must not: resolve channels.
"""

from __future__ import annotations

import re
from typing import Any

from envagent.repository.facts import CudaSign, Facts, Scope, line_of, spot_of
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, WEIGHT, add_conda, python_sign
from envagent.repository.readers.parsing import items, strings, table, yaml_table
from envagent.repository.readers.requirements import read_lines
from envagent.repository.readers.scopes import scope_of

_JINJA = re.compile(r"\{%[^{}]{0,300}%\}|\{\{[^{}]{0,300}\}\}")
_CUDA_CHANNEL = re.compile(r"nvidia/label/cuda-(\d{1,2}\.\d{1,2})")


def read(path: str, text: str, facts: Facts) -> None:
    """Read the packages and the Python pin of an environment."""
    scope = scope_of(path)
    if scope is not None:
        read_as(scope, path, text, facts)


def read_as(scope: Scope, path: str, text: str, facts: Facts) -> None:
    """Read an environment for which something else than its path says whose it is."""
    loaded = yaml_table(path, _JINJA.sub("0", text), facts)
    listed = _dependencies(loaded)
    # The export of a whole installation lists hundreds, and those of pip last.
    of_pip = [item for item in listed[MOST_OF_A_FILE:] if isinstance(item, dict)]
    for item in (*listed[:MOST_OF_A_FILE], *of_pip[:1]):
        _one(item, scope, path, text, facts)
    for channel in strings(loaded.get("channels")):
        if found := _CUDA_CHANNEL.search(channel):
            facts.cuda.append(CudaSign(found[1], WEIGHT[scope], spot_of(path, text, channel)))
    driver = table(loaded, "variables").get("CONDA_OVERRIDE_CUDA")
    if driver is not None and re.fullmatch(r"\d{1,2}(\.\d{1,2})?", str(driver)):
        facts.cuda.append(CudaSign(str(driver), WEIGHT[scope], spot_of(path, text, "CONDA_OVERRIDE_CUDA")))


def _dependencies(loaded: dict[str, Any]) -> list[object]:
    found = loaded.get("dependencies")
    requirements = loaded.get("requirements")
    if found is None and isinstance(requirements, dict):
        found = [item for part in ("run", "host") for item in items(requirements, part)]
    if isinstance(found, dict):
        return _rapids(found)
    return found if isinstance(found, list) else []


def _rapids(groups: dict[object, object]) -> list[object]:
    """Collect the `common` lists of dependencies.yaml, as rapids-dependency-file-generator reads them."""
    kept: list[object] = []
    for group in groups.values():
        common = group.get("common") if isinstance(group, dict) else None
        for entry in common if isinstance(common, list) else []:
            packages = entry.get("packages") if isinstance(entry, dict) else None
            kept += packages if isinstance(packages, list) else []
    return kept


def _one(item: object, scope: Scope, path: str, text: str, facts: Facts) -> None:
    if isinstance(item, dict):
        nested = [n.partition(" #")[0].strip() for n in strings(item.get("pip"))[:MOST_OF_A_FILE]]
        read_lines([(line_of(text, [n])[0], n) for n in nested], scope, path, facts)
        return
    if not isinstance(item, str):
        return
    package = add_conda(facts, item, scope, path, line_of(text, [item])[0])
    if package is not None and package.name == "python":
        # What the main readme documents outranks the environment of a nested part.
        own = scope == "main" or (scope == "component" and path.count("/") == 1)
        if sign := python_sign(package, 3 if own else 1, "the environment's pin"):
            facts.pythons.append(sign)
