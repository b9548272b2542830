"""Which CPython to install.

Owns: intersecting what all places allow, the most binding first, and choosing one of what is left. A place that
contradicts a more binding one is left out and named. Must not: invent a bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import PYTHON_MINORS, Facts, Package, PythonSign
from envagent.repository.knowledge import table
from envagent.repository.results import Evidence

# Among what is allowed: the versions that most wheels exist for come first.
_PREFERENCE = ("3.11", "3.10", "3.12", "3.9", "3.8", "3.13", "3.7", "3.14", "3.6", "3.5", "2.7", "3.4")
_WHEELS = 2
_MERELY_USED = 0
_A_PYTHON_REPOSITORY = 0.25


@dataclass(frozen=True)
class PythonConclusion:
    """The version with its evidence, all that are allowed, and what had to be assumed."""

    version: str | None
    allowed: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    assumptions: tuple[str, ...]


def conclude(facts: Facts, *, python_share: float) -> PythonConclusion:
    """Intersect and choose; None for a repository without Python manifests or statements."""
    signs = sorted(
        [*facts.pythons, *_wheel_signs(facts.packages)], key=lambda s: (-s.authority, s.spot.path.count("/"))
    )
    allowed = frozenset(PYTHON_MINORS)
    kept: list[PythonSign] = []
    assumptions: list[str] = []
    for sign in (s for s in signs if s.authority > _MERELY_USED):
        if narrowed := allowed & sign.allowed:
            kept.append(sign)
            allowed = narrowed
        elif sign.allowed:
            assumptions.append(
                f"{sign.spot.path} says otherwise about Python ({sign.spot.quote}); the more binding place won."
            )
    # Jobs and containers each use one of many; together they show what is known to work.
    used = [s for s in signs if s.authority == _MERELY_USED and s.allowed & allowed]
    if used:
        allowed = allowed & frozenset[str]().union(*(s.allowed for s in used))
        kept += used[:1]
    runtime = [p for p in facts.packages if p.scope in ("main", "component")]
    bound = any(s.authority > _MERELY_USED for s in kept)
    if not bound and (python_share < _A_PYTHON_REPOSITORY or not (kept or runtime)):
        return PythonConclusion(None, (), (), ())
    if not kept:
        assumptions.append("No Python bound was found; its unpinned packages install on any current version.")
    version = next(v for v in _PREFERENCE if v in allowed)
    found = [evidence("python_version", version, s.spot, 0.5 * s.authority, s.note) for s in kept[:5]]
    inside = tuple(v for v in PYTHON_MINORS if v in allowed)
    return PythonConclusion(version, inside, tuple(found), tuple(assumptions[:3]))


def _wheel_signs(packages: list[Package]) -> list[PythonSign]:
    signs = []
    for package in packages:
        if package.pinned is None or package.scope not in ("main", "component", "documented"):
            continue
        rows = table("wheels").get(package.name.removesuffix("-headless").removesuffix("-gpu").removesuffix("-cpu"))
        if rows is None:
            continue
        if span := _span(rows, package.pinned):
            first, last = PYTHON_MINORS.index(span[0]), PYTHON_MINORS.index(span[1])
            note = f"wheels of {package.name} {package.pinned} exist for {span[0]} to {span[1]}"
            authority = _WHEELS if package.scope == "main" else 1
            signs.append(PythonSign(frozenset(PYTHON_MINORS[first : last + 1]), authority, package.spot, note))
    return signs


def _span(rows: list[list[str]], pinned: str) -> tuple[str, str] | None:
    try:
        wanted = Version(pinned)
    except ValueError:
        return None
    span: tuple[str, str] | None = None
    for since, first, last in rows:
        if wanted >= Version(since):
            span = first, last
    return span
