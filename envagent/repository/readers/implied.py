"""What dependencies imply: a GPU and its maker, a CUDA release, versions of Python, special hardware.

Owns: reading packages with the tables of `knowledge`, whatever manifest or command names them. Must not: decide.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from packaging.version import InvalidVersion, Version

from envagent.repository.facts import PYTHON_MINORS, CudaSign, GpuSign, Package, PythonSign, Scope, SpecialSign, Vendor
from envagent.repository.knowledge import table
from envagent.repository.readers.targets import cuda_version

_GPU_ONLY = 2.5
_WHEELS = 2
_SCOPE: dict[Scope, float] = {"main": 1.0, "component": 0.5, "documented": 0.4, "optional": 0.0, "development": 0.1}
_FRAMEWORKS = frozenset({"torch", "tensorflow", "jax", "jaxlib", "paddlepaddle", "mxnet", "keras"})


@cache
def by_name(file: str, name: str) -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Return the rows of a table of packages, each with the pattern of its names."""
    return [
        (re.compile("|".join(re.escape(n).replace(r"\*", ".*") for n in row["names"])), row)
        for row in table(file)[name]
    ]


def gpu_signs(packages: list[Package]) -> list[GpuSign]:
    """Return what packages tell for and against a GPU."""
    scopes = {p.scope for p in packages}
    # Where nothing is declared closer to the job, the next closest place stands for it.
    standing_in: Scope = "main" if "main" in scopes else "component" if "component" in scopes else "documented"
    frameworks = {p.name for p in packages if p.name in _FRAMEWORKS and "cpu" not in p.local}
    choice = any(p.scope == "documented" and _for_cpu(p) for p in packages)
    signs: dict[tuple[str, str, bool], GpuSign] = {}

    def add(package: Package, sign: GpuSign) -> None:
        # The same package in many files is one fact.
        told = package.name, sign.kind, sign.weight > 0
        if told not in signs or abs(sign.weight) > abs(signs[told].weight):
            signs[told] = sign

    for package in packages:
        factor = 1.0 if package.scope == standing_in else _SCOPE[package.scope]
        for weight, vendor, why in _weights(package):
            # An extra, a variant, or one of two commands shown says that there is a way without.
            extra = package.scope == "optional" or (package.scope == "documented" and (choice or package.extras))
            if extra and weight >= _GPU_ONLY:
                add(package, GpuSign("optional", -0.3, vendor, package.spot, f"{package.name}, one way, {why}"))
            elif package.scope != "optional":
                # A CPU build next to another framework is an auxiliary.
                own = weight * 0.2 if weight < 0 and frameworks - {package.name} else weight
                kind: Literal["denial", "dependency"] = "denial" if own < 0 else "dependency"
                add(package, GpuSign(kind, own * factor, vendor, package.spot, f"{package.name} {why}"))
    return list(signs.values())


def _for_cpu(package: Package) -> bool:
    return package.local == "cpu" or package.name.endswith(("-cpu", "cpuonly")) or "cpu" in package.extras


def _weights(package: Package) -> list[tuple[float, Vendor | None, str]]:
    found: list[tuple[float, Vendor | None, str]] = []
    if re.fullmatch(r"cu\d+|cuda.*", package.local):
        found.append((3.0, "nvidia", "is a CUDA build"))
    elif package.local.startswith("rocm"):
        found.append((3.0, "amd", "is a ROCm build"))
    elif package.local == "cpu":
        return [(-3.0, None, "is built for CPUs only")]
    if any(re.match(r"(and-)?cuda|gpu", extra) for extra in package.extras):
        found.append((2.5, "nvidia", "is wanted with its CUDA extra"))
    elif "cpu" in package.extras:
        return [(-1.0, None, "is wanted with its CPU extra")]
    known = next((row for names, row in by_name("packages", "gpu") if names.fullmatch(package.name)), None)
    return [*found, (known["weight"], known.get("vendor"), known["why"])] if known else found


def cuda_signs(packages: list[Package]) -> list[CudaSign]:
    """Return the CUDA releases that packages are built for."""
    signs = []
    for package in packages:
        # Some builds name a major release only, which any other sign says better.
        if (version := cuda_version(package.local)) and "." in version:
            signs.append(CudaSign(version, 2.0 * _SCOPE[package.scope], package.spot))
        elif package.name in ("cudatoolkit", "pytorch-cuda", "cuda-toolkit", "cuda-version") and package.pinned:
            version = ".".join(package.pinned.split(".")[:2])
            signs.append(CudaSign(version, 1.8 * _SCOPE[package.scope], package.spot))
    return signs


def python_signs(packages: list[Package]) -> list[PythonSign]:
    """Return the versions of Python for which there are wheels of the packages that are pinned."""
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
    except InvalidVersion:
        return None
    span: tuple[str, str] | None = None
    for since, first, last in rows:
        if wanted >= Version(since):
            span = first, last
    return span


def special_signs(packages: list[Package]) -> list[SpecialSign]:
    """Return the special hardware for which packages of the main job are made."""
    return [
        SpecialSign(row["tag"], 1.5, package.spot)
        for row in table("packages")["special"]
        for package in packages
        if package.name in row["names"] and package.scope == "main"
    ]
