"""Parse requirement strings of Python packaging.

Owns: turning one requirement, in pip's or conda's syntax, into a Package. Must not: know files.
"""

from __future__ import annotations

import re
from dataclasses import replace

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from envagent.repository.facts import Package, Scope, Spot, quote
from envagent.repository.knowledge import table

MOST_OF_A_FILE = 400
"""Maximum number of dependencies read from one file; longer lists are machine-made."""
_LOCAL = re.compile(r"\+([A-Za-z0-9.]+)")
_PIN = re.compile(r"={2,3}\s*v?([0-9][0-9A-Za-z.!]*)(?:\+[A-Za-z0-9.]+)?")
_LISTED = re.compile(r"[A-Za-z][\w.-]{1,40} ?== ?\d[\w.]*(?:\+\w+)?")
_CONDA = re.compile(r"(?:[\w.-]+::)?([A-Za-z0-9_.-]+)\s*([<>=!~ ].*)?")
_ENVIRONMENT = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}


def pip_package(text: str, scope: Scope, path: str, line: int | None) -> Package | None:
    """Parse a PEP 508 requirement; None if invalid or if its markers exclude Linux."""
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return None
    if parsed.marker is not None:
        try:
            # The Python version is not known yet, so a condition on it counts as met.
            if "python" not in str(parsed.marker) and not parsed.marker.evaluate({**_ENVIRONMENT, "extra": ""}):
                return None
        except (UndefinedComparison, UndefinedEnvironmentName):
            pass
    local = _LOCAL.search(str(parsed.specifier)) or _LOCAL.search(parsed.url or "")
    return Package(
        name=canonicalize_name(parsed.name),
        specifier=parsed.specifier,
        extras=frozenset(parsed.extras),
        local=local[1].lower() if local else "",
        scope=scope,
        spot=Spot(path, line, quote(text)),
        pinned=pin[1] if (pin := _PIN.search(str(parsed.specifier))) else None,
    )


def conda_package(text: str, scope: Scope, path: str, line: int | None) -> Package | None:
    """Parse a conda match specification such as `pytorch=1.9.1` or `python>=3.8`."""
    text = text.partition("#")[0].strip()
    parsed = _CONDA.fullmatch(text)
    if parsed is None:
        return None
    name = canonicalize_name(parsed[1])
    wanted = (parsed[2] or "").strip()
    build = wanted.split("=")[2] if re.fullmatch(r"=?[^=<>!]+=[^=<>!]+", wanted) and wanted.count("=") >= 2 else ""
    version = _conda_specifier(wanted)
    return Package(
        name=table("packages")["conda"].get(name, name),
        specifier=version,
        extras=frozenset(),
        local="cpu" if "cpu" in build else "cuda" if "cuda" in build else "",
        scope=scope,
        spot=Spot(path, line, quote(text)),
        pinned=exact[1] if (exact := re.fullmatch(r"={1,2}\s*([0-9][\w.]*)(=.*)?", wanted)) else None,
    )


def listed_package(text: str, path: str, line: int | None) -> Package | None:
    """Parse a pin in running text, as in `PyTorch == 1.8.1+cu111`, by its name in pip or conda."""
    if _LISTED.fullmatch(text) is None:
        return None
    package = pip_package(text, "documented", path, line)
    return package and replace(package, name=table("packages")["conda"].get(package.name, package.name))


def _conda_specifier(wanted: str) -> SpecifierSet:
    if exact := re.fullmatch(r"={1,2}\s*([0-9][\w.]*?)(?:\.\*)?(?:=.*)?", wanted):
        return SpecifierSet(f"=={exact[1]}.*") if exact[1].replace(".", "").isdigit() else SpecifierSet()
    try:
        return SpecifierSet(
            re.sub(r"\s+", "", wanted.partition(" ")[0] if "<" not in wanted and ">" not in wanted else wanted)
        )
    except InvalidSpecifier:
        return SpecifierSet()
