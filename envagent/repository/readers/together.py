"""What the files of a repository say together.

Owns: manifests that include others, constraints, and the extras that the documented installation includes. Must not:
weigh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from envagent.repository.facts import Facts, Installation, Package, Scope
from envagent.repository.readers import conda, requirements
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, pip_package
from envagent.repository.readers.references import Reference, is_manifest, references
from envagent.repository.readers.scopes import group_scope, scope_of

_CLOSEST_FIRST: tuple[Scope, ...] = ("main", "component", "documented", "optional", "development")
_INSTRUCTIONS = re.compile(
    r"(?:[^/]*/){0,2}(?:readme|install|building|setup|getting|quick|usage)[^/]*|docs?/(?:[^/]*/)?index\.\w+",
    re.IGNORECASE,
)
_EVERYTHING = frozenset({"*", "all", "full", "complete", "everything"})
_ROUNDS = 5


def settle(files: Mapping[str, str], facts: Facts) -> None:
    """Add to the facts of single files what follows from several."""
    found = references(files, files)
    scopes = _scopes(found)
    for reference in dict.fromkeys(r._replace(source="", firm=False) for r in found):
        path, scope = reference.path, scopes.get(reference.path)
        if scope is None or reference.reading == "constraints":
            continue
        if not is_manifest(path):
            try:
                _read(reference, scope, files[path], facts)
            except Exception as error:
                facts.notes.append(f"{path}: could not be read ({type(error).__name__}).")
        elif scope != scope_of(path):
            facts.packages = [replace(p, scope=scope) if _of(p, path) else p for p in facts.packages]
    _constrain({r.path for r in found if r.reading == "constraints" and r.path in scopes}, files, facts)
    _install(facts)


def _of(package: Package, path: str) -> bool:
    return package.spot.path == path and package.scope != "development"


def _scopes(found: list[Reference]) -> dict[str, Scope]:
    """Return how close each file that is led to is to the main job: as close as the closest that leads to it."""
    scopes: dict[str, Scope] = {}
    for _ in range(_ROUNDS):
        for reference in found:
            own = scope_of(reference.path)
            source = scopes.get(reference.source) or scope_of(reference.source)
            if own is None or source is None:
                continue
            if not reference.firm:
                # A document shows many commands: that it names a variant does not make it the main job.
                source = "component" if "/" in reference.source else "main"
                source = own if own in ("optional", "development") else source
            known = [s for s in (source, scopes.get(reference.path), own if is_manifest(reference.path) else None) if s]
            scopes[reference.path] = min(known, key=_CLOSEST_FIRST.index)
    return scopes


def _read(reference: Reference, scope: Scope, text: str, facts: Facts) -> None:
    if reference.reading == "environment":
        conda.read_as(scope, reference.path, text, facts)
    else:
        requirements.read_lines(requirements.logical_lines(text), scope, reference.path, facts)


def _constrain(paths: set[str], files: Mapping[str, str], facts: Facts) -> None:
    """Let constraints pin what other files ask for without a version of their own."""
    asked = {p.name: p for p in facts.packages if p.scope in ("main", "component") and not p.pinned}
    for path in sorted(paths):
        for number, line in requirements.logical_lines(files[path])[:MOST_OF_A_FILE]:
            pin = pip_package(line, "main", path, number)
            if pin is not None and pin.name in asked and (pin.pinned or pin.local):
                facts.packages.append(replace(pin, scope=asked[pin.name].scope, extras=asked[pin.name].extras))


def _install(facts: Facts) -> None:
    """Count an extra as part of the main job where every documented installation has one, or the package itself."""
    names = {project.name for project in facts.projects}
    own = [p for p in facts.packages if p.name in names and p.scope in ("main", "component") and not p.group]
    wanted = {group for package in own for group in package.extras} | _documented(facts.installations, names)
    extras = {(p.name, p.group): p for p in facts.packages if p.name in names and p.extras}
    for _ in range(_ROUNDS):
        wanted |= {g for (_, group), package in extras.items() if group in wanted for g in package.extras}
    for number, package in enumerate(facts.packages):
        if package.group in wanted and package.scope == "optional":
            facts.packages[number] = replace(package, scope=scope_of(package.spot.path) or "optional")


def _documented(installations: list[Installation], names: set[str]) -> set[str]:
    ways = []
    for one in installations:
        if (one.name and one.name not in names) or not _INSTRUCTIONS.fullmatch(one.spot.path):
            continue
        used = frozenset(group for group in one.groups if group_scope(group) != "development")
        if one.groups and not used:
            # For those who work on it.
            continue
        ways.append(used)
    for_cpus = any("cpu" in group for way in ways for group in way)
    if not ways or for_cpus or any(not way or way & _EVERYTHING for way in ways):
        return set()
    # Where the ways have nothing in common, each is one of several, and the first stands for them.
    return set(frozenset.intersection(*ways) or ways[0])
