"""Pipfile and the lock files of Python's package managers.

Owns: their formats. A lock lists what is really installed, including what only optional groups need, so its packages
count less than those of the manifest. Must not: weigh.
"""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envagent.repository.facts import Facts, PythonSign, Spot, line_of, minors
from envagent.repository.readers.dependencies import pip_package
from envagent.repository.readers.parsing import json_table, table, toml_table
from envagent.repository.readers.pyproject import caret, python_bound


def read_pipfile(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile: packages, development packages and the Python version."""
    tables = toml_table(path, text, facts)
    for section, scope in (("packages", "main"), ("dev-packages", "development")):
        for name, wanted in table(tables, section).items():
            version = wanted.get("version", "") if isinstance(wanted, dict) else wanted
            written = f"{name}{caret(version) if isinstance(version, str) else ''}"
            if package := pip_package(
                written, "main" if scope == "main" else "development", path, line_of(text, [name])[0]
            ):
                facts.packages.append(package)
    if isinstance(version := table(tables, "requires").get("python_version"), str):
        python_bound(version, path, text, facts)


def read_pipfile_lock(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile.lock: the pinned packages of the default group."""
    for name, entry in table(json_table(path, text, facts), "default").items():
        version = entry.get("version", "") if isinstance(entry, dict) else ""
        if package := pip_package(f"{name}{version}", "component", path, line_of(text, [f'"{name}"'])[0]):
            facts.packages.append(package)


def read_lock(path: str, text: str, facts: Facts) -> None:
    """Read the Python bound of poetry.lock, uv.lock or pdm.lock."""
    tables = toml_table(path, text, facts)
    bound = tables.get("requires-python")
    if bound is None:
        metadata = table(tables, "metadata")
        bound = metadata.get("python-versions") or metadata.get("requires_python")
    if isinstance(bound, str):
        try:
            allowed = minors(SpecifierSet(caret(bound)))
        except InvalidSpecifier:
            allowed = frozenset()
        if allowed:
            line, words = line_of(text, ["python", bound])
            facts.pythons.append(PythonSign(allowed, 3, Spot(path, line, words), "the lock's bound"))
