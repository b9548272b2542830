"""Pipfile and the lock files of Python's package managers.

Owns: their formats. A lock lists what is really installed, including what only optional groups need, so its packages
count less than those of the manifest. Must not: weigh.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envagent.repository.facts import Facts, PythonSign, Spot, line_of, minors
from envagent.repository.readers.dependencies import pip_package
from envagent.repository.readers.pyproject import caret, python_bound


def read_pipfile(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile: packages, development packages and the Python version."""
    tables = _toml(path, text, facts)
    for section, scope in (("packages", "main"), ("dev-packages", "development")):
        entries = tables.get(section)
        for name, wanted in entries.items() if isinstance(entries, dict) else ():
            version = wanted.get("version", "") if isinstance(wanted, dict) else wanted
            written = f"{name}{caret(version) if isinstance(version, str) else ''}"
            if package := pip_package(
                written, "main" if scope == "main" else "development", path, line_of(text, [name])[0]
            ):
                facts.packages.append(package)
    requires = tables.get("requires")
    if isinstance(requires, dict) and isinstance(version := requires.get("python_version"), str):
        python_bound(version, path, text, facts)


def read_pipfile_lock(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile.lock: the pinned packages of the default group."""
    try:
        loaded: Any = json.loads(text)
    except ValueError:
        facts.notes.append(f"{path}: not valid JSON.")
        return
    default = loaded.get("default") if isinstance(loaded, dict) else None
    for name, entry in default.items() if isinstance(default, dict) else ():
        version = entry.get("version", "") if isinstance(entry, dict) else ""
        if package := pip_package(f"{name}{version}", "component", path, line_of(text, [f'"{name}"'])[0]):
            facts.packages.append(package)


def read_lock(path: str, text: str, facts: Facts) -> None:
    """Read the Python bound of poetry.lock, uv.lock or pdm.lock."""
    tables = _toml(path, text, facts)
    bound = tables.get("requires-python")
    metadata = tables.get("metadata")
    if bound is None and isinstance(metadata, dict):
        bound = metadata.get("python-versions") or metadata.get("requires_python")
    if isinstance(bound, str):
        try:
            allowed = minors(SpecifierSet(caret(bound)))
        except InvalidSpecifier:
            allowed = frozenset()
        if allowed:
            line, words = line_of(text, ["python", bound])
            facts.pythons.append(PythonSign(allowed, 3, Spot(path, line, words), "the lock's bound"))


def _toml(path: str, text: str, facts: Facts) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        facts.notes.append(f"{path}: not valid TOML.")
        return {}
