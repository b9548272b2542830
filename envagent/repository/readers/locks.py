"""Pipfile and the lock files of Python's package managers.

Owns: their formats. A lock lists what is really installed, including what only optional groups need, so its packages
count less than those of the manifest. Must not: weigh.
"""

from __future__ import annotations

from typing import Any

from envagent.repository.facts import Facts, Scope, line_of
from envagent.repository.readers.dependencies import add_pip, applies, caret, pip_package
from envagent.repository.readers.parsing import items, json_table, strings, table, toml_table
from envagent.repository.readers.pyproject import python_bound
from envagent.repository.readers.targets import of_url


def read_pipfile(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile: packages with their indexes, development packages and the Python version."""
    tables = toml_table(path, text, facts)
    sources = {
        str(source.get("name", "")): source["url"]
        for source in items(tables, "source")
        if isinstance(source, dict) and isinstance(source.get("url"), str)
    }
    scopes: dict[str, Scope] = {"packages": "main", "dev-packages": "development"}
    for section, scope in scopes.items():
        for name, wanted in table(tables, section).items():
            entry = wanted if isinstance(wanted, dict) else {"version": wanted}
            text_of = _requirement(name, entry)
            if text_of is not None:
                target = of_url(sources.get(str(entry.get("index")), ""))
                add_pip(facts, text_of, scope, path, line_of(text, [name])[0], local=target)
    requires = table(tables, "requires")
    if isinstance(version := requires.get("python_full_version") or requires.get("python_version"), str):
        python_bound(".".join(version.split(".")[:2]), path, text, facts)


def _requirement(name: str, entry: dict[str, Any]) -> str | None:
    """Write an entry of Pipfile as PEP 508; None if it is for another platform."""
    if isinstance(marker := entry.get("markers"), str) and not applies(marker):
        return None
    if isinstance(marker := entry.get("sys_platform"), str) and not applies(f"sys_platform {marker}"):
        return None
    extras, source, version = strings(entry.get("extras")), entry.get("file"), entry.get("version")
    named = f"{name}[{','.join(extras)}]" if extras else name
    if isinstance(source, str) and "://" in source:
        return f"{named} @ {source}"
    return f"{named}{caret(version) if isinstance(version, str) else ''}"


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
        python_bound(bound, path, text, facts, authority=3, note="the lock's bound")
