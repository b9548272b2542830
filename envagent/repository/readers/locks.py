"""Pipfile and the lock files of Python's package managers.

Owns: their formats. A lock lists what is really installed, including what only optional groups need, so its packages
count less than those of the manifest. Must not: weigh.
"""

from __future__ import annotations

from envagent.repository.facts import Facts, Scope, line_of
from envagent.repository.readers.dependencies import pip_package
from envagent.repository.readers.parsing import json_table, table, toml_table
from envagent.repository.readers.pyproject import caret, python_bound


def read_pipfile(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile: packages, development packages and the Python version."""
    tables = toml_table(path, text, facts)
    scopes: dict[str, Scope] = {"packages": "main", "dev-packages": "development"}
    for section, scope in scopes.items():
        for name, wanted in table(tables, section).items():
            version = wanted.get("version", "") if isinstance(wanted, dict) else wanted
            written = f"{name}{caret(version) if isinstance(version, str) else ''}"
            facts.add(pip_package(written, scope, path, line_of(text, [name])[0]))
    if isinstance(version := table(tables, "requires").get("python_version"), str):
        python_bound(version, path, text, facts)


def read_pipfile_lock(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile.lock: the pinned packages of the default group."""
    for name, entry in table(json_table(path, text, facts), "default").items():
        version = entry.get("version", "") if isinstance(entry, dict) else ""
        facts.add(pip_package(f"{name}{version}", "component", path, line_of(text, [f'"{name}"'])[0]))


def read_lock(path: str, text: str, facts: Facts) -> None:
    """Read the Python bound of poetry.lock, uv.lock or pdm.lock."""
    tables = toml_table(path, text, facts)
    bound = tables.get("requires-python")
    if bound is None:
        metadata = table(tables, "metadata")
        bound = metadata.get("python-versions") or metadata.get("requires_python")
    if isinstance(bound, str):
        python_bound(bound, path, text, facts, locked=True)
