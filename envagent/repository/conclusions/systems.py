"""Which operating system and architecture the machine must have.

Owns: choosing an Ubuntu release among those named, and naming special features. A container's base image is no
constraint on its host and never reaches this place. Must not: know which images a site has.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Facts, SpecialSign, SystemSign
from envagent.repository.knowledge import table
from envagent.repository.results import Evidence

_RELEASES = ("14.04", "16.04", "18.04", "20.04", "22.04", "24.04")
_USUAL = "22.04"
_CREDIBLE = 0.6
_FIRM = 0.9
_SPECIAL_ENOUGH = 1.4
_ARCHITECTURES = ("aarch64", "x86_64")


def conclude_system(facts: Facts) -> tuple[str | None, str | None, list[Evidence]]:
    """Return distribution and release, or None for what no document says."""
    named = [s for s in facts.systems if s.weight >= _CREDIBLE]
    ubuntu = [s for s in named if s.distribution == "ubuntu"]
    elsewhere = {s.distribution for s in facts.systems if s.weight >= 0.3} - {"ubuntu", "debian"}
    # Instructions for many distributions name versions in passing; only a firm statement is a constraint then.
    if len(elsewhere) > 1:
        ubuntu = [s for s in ubuntu if s.weight >= _FIRM]
    if ubuntu:
        best = max(s.weight for s in ubuntu)
        strong = [s for s in ubuntu if s.weight >= 0.6 * best]
        release = _release(strong)
        if release is not None:
            deciding = max(strong, key=lambda s: (release in s.versions, s.weight))
            return "ubuntu", release, [evidence("os_version", release, deciding.spot, deciding.weight)]
    others = [s for s in named if s.distribution != "ubuntu" and s.versions]
    if others and len(elsewhere) == 1:
        deciding = max(others, key=lambda s: s.weight)
        return (
            deciding.distribution,
            deciding.versions[0],
            [evidence("os_type", deciding.distribution, deciding.spot, deciding.weight)],
        )
    return None, None, []


def _release(signs: list[SystemSign]) -> str | None:
    """Return the usual release if it is allowed, else the newest one named."""
    exact = {v for s in signs if not s.and_newer for v in s.versions if v in _RELEASES}
    newer = [min(s.versions) for s in signs if s.and_newer]
    if exact:
        return _USUAL if _USUAL in exact else max(exact)
    if newer:
        return max(_USUAL, max(newer))
    return None


def conclude_special(
    facts: Facts, *, gpu_vendor: str | None
) -> tuple[tuple[str, ...], Literal["x86_64", "aarch64"] | None, list[Evidence]]:
    """Return the tags of special features, and the architecture if only one will do."""
    by_tag: dict[str, list[SpecialSign]] = defaultdict(list)
    for sign in [*facts.specials, *_package_signs(facts)]:
        by_tag[sign.tag].append(sign)
    found: list[Evidence] = []
    tags: list[str] = []
    architecture: Literal["x86_64", "aarch64"] | None = None
    if "x86_64" in by_tag and "aarch64" in by_tag:
        # What names both architectures runs on both, unless it is made for boards that have one.
        by_tag.pop("x86_64")
        if not any(s.weight >= _FIRM for s in by_tag.get("jetson", ())):
            by_tag.pop("aarch64")
    for tag, signs in by_tag.items():
        signs.sort(key=lambda s: -s.weight)
        total = signs[0].weight + min(0.8, 0.25 * sum(s.weight for s in signs[1:]))
        if total < _SPECIAL_ENOUGH:
            continue
        found.append(
            evidence("special_requirements" if tag not in _ARCHITECTURES else "architecture", tag, signs[0].spot, total)
        )
        if tag == "aarch64":
            architecture = "aarch64"
        elif tag == "x86_64":
            architecture = architecture or "x86_64"
        else:
            tags.append(tag)
    if gpu_vendor == "amd" and "rocm" not in tags:
        tags.append("rocm")
    elif gpu_vendor != "amd" and "rocm" in tags:
        tags.remove("rocm")
    return tuple(sorted(tags)), architecture, found


def _package_signs(facts: Facts) -> list[SpecialSign]:
    return [
        SpecialSign(row["tag"], 1.5, package.spot)
        for row in table("packages")["special"]
        for package in facts.packages
        if package.name in row["names"] and package.scope == "main"
    ]
