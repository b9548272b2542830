"""Operating systems, kernels, Python and CUDA as sentences name them.

Owns: which releases and versions there are. Must not: take a container's system for the machine's; see `features`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envagent.repository.facts import PYTHON_MINORS, minors
from envagent.repository.knowledge import table
from envagent.repository.prose.mentions import Mention
from envagent.repository.prose.readings import Reading
from envagent.repository.prose.versions import Versions, places_of, versions_behind

_UBUNTU = re.compile(r"(1[4-9]|2[0-9])(?:\.(04|10))?(?:\.\d{1,2})?")
_PYTHON = re.compile(r"[23](?:\.\d{1,2})?(?:\.\d{1,2})?")
_CUDA = re.compile(r"\d{1,2}\.\d(?:\.\d{1,3})?")
_KERNEL = re.compile(r"[3-6]\.\d{1,2}(?:\.\d{1,3})?")
_OTHERS = re.compile(r"(?!(?:32|64|86)\b)\d{1,2}(?:\.\d{1,2})?")
_OF_A_PACKAGE = re.compile(r"-[a-z]")
"""Behind `python3` in `python3-dev`."""
_ALIASES = {"red hat": "rhel", "red hat enterprise linux": "rhel", "rocky linux": "rocky"}
_NOT_CUDA = frozenset(
    ("cudnn", "nccl", "tensorrt", "cutlass", "cublas", "nvcc", "nvidia container toolkit", "nvidia docker")
)


def systems(reading: Reading) -> Iterator[tuple[Mention, bool]]:
    """Yield each system with its releases as value, and whether later ones are fine too."""
    codenames, ros = table("machines")["codenames"], table("machines")["ros"]
    for name, place in places_of(reading, "ubuntu"):
        if found := versions_behind(reading, place, _UBUNTU, name):
            yield _mention("ubuntu", tuple(_release(v) for v in found.named), found), found.newer
    for name, place in places_of(reading, "codename"):
        if "ubuntu" in reading.concepts:
            yield Mention("ubuntu", (codenames[name],), place - 1, place), False
    words = [word.text for word in reading.words]
    if (
        "ros" in words
        and "ubuntu" not in reading.concepts
        and (named := [n for n in ros if n in words and words.index(n) >= words.index("ros") - 1])
    ):
        place = words.index(named[0])
        yield Mention("ubuntu", tuple(sorted({ros[name] for name in named})), place, place + 1), False
    for name, place in places_of(reading, "system"):
        found = versions_behind(reading, place, _OTHERS, name)
        if found:
            yield _mention(_ALIASES.get(name, name), found.named[:1], found), found.newer
    if "kernel" in words:
        found = versions_behind(reading, words.index("kernel") + 1, _KERNEL, "linux")
        if found and (release := _of_kernel(found.named[0])):
            yield _mention("kernel", (release,), found), True


def _mention(subject: str, value: tuple[str, ...], found: Versions) -> Mention:
    return Mention(subject, value, found.start, found.end)


def _release(version: str) -> str:
    found = _UBUNTU.fullmatch(version)
    return f"{found[1]}.{found[2] or '04'}" if found else version


def _of_kernel(version: str) -> str | None:
    """Return the first Ubuntu release whose stock kernel is at least this one."""
    wanted = tuple(int(part) for part in version.split(".")[:2])
    for row in reversed(table("machines")["kernel"]):
        if tuple(int(part) for part in row["from"].split(".")) >= wanted:
            release: str = row["ubuntu"]
            return release
    return None


def pythons(reading: Reading) -> Iterator[tuple[frozenset[str], Versions]]:
    """Yield the CPython minors that the sentence allows, wherever it names Python."""
    for name, place in places_of(reading, "python"):
        found = versions_behind(reading, place, _PYTHON, name)
        if found and _OF_A_PACKAGE.match(reading.text, reading.words[found.end - 1].end):
            continue
        if found and (allowed := _allowed(found)):
            yield allowed, found


def _allowed(found: Versions) -> frozenset[str]:
    if any(found.bounds):
        parts = [f"{bound or '=='}{version}" for bound, version in zip(found.bounds, found.named, strict=True)]
        if found.bounds[0] in (">=", ">") or len(parts) > 1:
            try:
                return minors(SpecifierSet(",".join(parts)))
            except InvalidSpecifier:
                return frozenset()
    named = [".".join(version.split(".")[:2]) for version in found.named]
    if all("." not in version for version in named):
        return frozenset(m for m in PYTHON_MINORS if m[0] in named) if not found.newer else frozenset()
    places = [PYTHON_MINORS.index(version) for version in named if version in PYTHON_MINORS]
    if not places:
        return frozenset()
    if found.newer:
        return frozenset(PYTHON_MINORS[min(places) :])
    if found.is_range and len(places) == 2:
        return frozenset(PYTHON_MINORS[min(places) : max(places) + 1])
    return frozenset(PYTHON_MINORS[place] for place in places)


def cudas(reading: Reading) -> Iterator[tuple[str, Versions]]:
    """Yield the CUDA versions that the sentence names, as `12.1` or `>=11.1`."""
    for name, place in places_of(reading, "cuda"):
        if name not in _NOT_CUDA and (found := versions_behind(reading, place, _CUDA, name)):
            for version in found.named:
                short = ".".join(version.split(".")[:2])
                yield f">={short}" if found.newer else short, found
