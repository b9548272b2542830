"""Pipfile and the lock files of Python's package managers.

Owns: their formats. A lock lists what is really installed, including what only optional groups need, so its packages
count less than those of the manifest. Must not: weigh.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, NamedTuple

from envagent.repository.facts import Facts, Scope, line_of
from envagent.repository.readers.dependencies import add_conda, add_pip, applies, caret, pip_package, written
from envagent.repository.readers.parsing import items, json_table, table, toml_table
from envagent.repository.readers.pyproject import python_bound
from envagent.repository.readers.targets import FRAMEWORKS, of_url

_KEY = re.compile(r"([a-z][\w-]{0,40})[ \t]*=[ \t]*(.{0,1000})")
_BOUNDS = frozenset({"requires-python", "requires_python", "python-versions"})
_ALWAYS = re.compile(r"[\"'](?:default|main)[\"']")
_ROOT = re.compile(r"(?:editable|virtual|directory)\s*=\s*\"\.\"")
_DEPENDENCY = re.compile(r"\s{0,8}\{\s*name\s*=\s*\"([\w.-]{1,100})\"")
_MARKER = re.compile(r"marker\s*=\s*\"([^\"]{1,500})\"")
_ENVIRONMENT = re.compile(r"  ([\w-]{1,60}):\s*$")
_BUILT = re.compile(
    r"https?://\S{1,200}/linux-64/(?P<name>[a-z0-9_.-]{1,80})-(?P<version>[0-9][^-/\s]{0,40})-(?P<build>[^-/\s]{1,80})"
    r"\.(?:conda|tar\.bz2)"
)
_OF_CUDA = frozenset({"pytorch", "cuda-version", "cudatoolkit", "pytorch-cuda", "cuda-toolkit", "tensorflow", "jaxlib"})
# The lines of lock files that are blanked, by names of files.
_UNUSED: tuple[tuple[frozenset[str], re.Pattern[bytes]], ...] = (
    (
        frozenset({"uv.lock", "poetry.lock", "pdm.lock"}),
        re.compile(
            rb"^(?!\[|(?:name|version|source|url|optional|category|groups|requires[-_]python|python-versions) *=|"
            rb"dependencies = \[|    \{ name = [^\n]{1,240}$).+$",
            re.MULTILINE,
        ),
    ),
    (frozenset({"pipfile.lock"}), re.compile(rb"^\s*\"[^\"\n]*\",?[ \t]*$", re.MULTILINE)),
    (
        frozenset({"renv.lock"}),
        re.compile(rb"^[ \t]*\"(?!(?:Version|Package)\")[^\"\n]*\"(?:[ \t]*:[ \t]*\"[^\n]*\")?,?[ \t]*$", re.MULTILINE),
    ),
    (
        frozenset({"pixi.lock", "conda-lock.yml", "conda-lock.yaml"}),
        re.compile(
            rb"^(?!  [\w-]+:|[^\n]{0,300}/linux-64/(?:python|" + "|".join(sorted(_OF_CUDA)).encode() + rb")-\d).+$",
            re.MULTILINE,
        ),
    ),
)


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
    source, version = entry.get("file"), entry.get("version")
    url = source if isinstance(source, str) and "://" in source else None
    return written(name, entry, caret(version) if isinstance(version, str) else "", url)


def read_pipfile_lock(path: str, text: str, facts: Facts) -> None:
    """Read Pipfile.lock: the pinned packages of the default group."""
    loaded = json_table(path, text, facts)
    if isinstance(version := table(loaded, "_meta", "requires").get("python_version"), str):
        python_bound(version, path, text, facts, authority=3, note="the lock's bound")
    for name, entry in table(loaded, "default").items():
        version = entry.get("version", "") if isinstance(entry, dict) else ""
        facts.add(pip_package(f"{name}{version}", "component", path, line_of(text, [f'"{name}"'])[0]))


def read_lock(path: str, text: str, facts: Facts) -> None:
    """Read poetry.lock, uv.lock or pdm.lock: the Python bound, and the frameworks that the job itself asks for.

    Line by line, for tools write these files and some of them have 100,000 lines.
    """
    lock = _scan(text)
    if lock.bound:
        python_bound(lock.bound, path, text, facts, authority=3, note="the lock's bound")
    wanted = lock.of_the_root or {p.name for p in lock.packages if p.always}
    locked: dict[str, list[_Locked]] = defaultdict(list)
    for package in lock.packages:
        if package.name in wanted and (package.name in FRAMEWORKS or "+" in package.version):
            locked[package.name].append(package)
    for name, found in locked.items():
        targets = {_target(package) for package in found} - {""}
        chosen = next((p for p in found if _target(p)), found[0])
        version = chosen.version.partition("+")[0]
        # A lock holds the builds for all platforms and extras; where they differ it is a choice.
        alike = {t[:2] for t in targets} == {"cu"} or len(targets) == 1
        target = targets.pop() if len(targets) == 1 else "cuda" if targets and alike else ""
        add_pip(facts, f"{name}=={version}", "main", path, chosen.line, local=target)


def _target(package: _Locked) -> str:
    local = package.version.partition("+")[2]
    return local if re.match(r"cu\d|cpu|rocm", local) else of_url(package.source)


class _Locked(NamedTuple):
    """An entry of a lock: its name, version, source and line, and whether it is part of every installation."""

    name: str
    version: str
    source: str
    line: int
    always: bool


class _Lock(NamedTuple):
    """What was read of a lock; `of_the_root` are the dependencies of the repository's own package, if it has one."""

    bound: str
    packages: list[_Locked]
    of_the_root: set[str]


def _scan(text: str) -> _Lock:
    bound, section, array = "", "", ""
    packages: list[_Locked] = []
    of_the_root: set[str] = set()
    entry: dict[str, str] = {}
    started = 0

    def close() -> None:
        if "name" in entry and "version" in entry:
            optional = entry.get("optional") == "true" or entry.get("category", "main") != "main"
            grouped = "groups" in entry and not _ALWAYS.search(entry["groups"])
            source = entry.get("source", "") + entry.get("url", "")
            packages.append(_Locked(entry["name"], entry["version"], source, started, not (optional or grouped)))
        entry.clear()

    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("["):
            section, array = line.strip(), ""
            if section == "[[package]]" or not section.startswith("[package."):
                close()
                started = number
        elif found := _KEY.match(line):
            key, value = found[1], found[2].strip()
            array = key if value == "[" else ""
            value = value.strip("\"'")
            if section in ("[[package]]", "[package.source]"):
                entry.setdefault(key, value)
            elif key in _BOUNDS and not bound:
                bound = value
        elif array == "dependencies" and section == "[[package]]" and _ROOT.search(entry.get("source", "")):
            name, marker = _DEPENDENCY.match(line), _MARKER.search(line)
            if name and (marker is None or applies(marker[1])):
                of_the_root.add(name[1])
    close()
    return _Lock(bound, packages, of_the_root)


def read_conda_lock(path: str, text: str, facts: Facts) -> None:
    """Read the Python and the CUDA packages of pixi.lock or conda-lock.yml, as they are for Linux."""
    environment = "default"
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        if path.endswith(".lock") and (found := _ENVIRONMENT.match(line)):
            environment = found[1]
        built = _BUILT.search(line)
        if built is None or environment != "default" or built["name"] in seen:
            continue
        name = built["name"]
        seen.add(name)
        if name == "python":
            python_bound(
                ".".join(built["version"].split(".")[:2]), path, text, facts, authority=3, note="the lock's Python"
            )
        elif name in _OF_CUDA:
            add_conda(facts, f"{name}={built['version']}={built['build']}", "main", path, number)


def is_lock(path: str) -> bool:
    """Return whether a tool wrote the file, and it may be long: `condense` makes it short."""
    return _patterns(path) is not None


def condense(path: str, content: bytes, most: int) -> bytes:
    """Blank the lines of a lock file that no reader uses; all others keep their number.

    If what is left is longer than `most`, its middle is blanked, for such files begin or end with what holds for all.
    """
    pattern = _patterns(path)
    if pattern is None:
        return content
    content = pattern.sub(b"", content)
    if len(content) <= most:
        return content
    head, tail = content[: most // 2].rpartition(b"\n")[0], content[-most // 4 :].partition(b"\n")[2]
    lines = content.count(b"\n") - head.count(b"\n") - tail.count(b"\n")
    return head + b"\n" * lines + tail


def _patterns(path: str) -> re.Pattern[bytes] | None:
    name = path.rsplit("/", 1)[-1].lower()
    return next((pattern for names, pattern in _UNUSED if name in names), None)
