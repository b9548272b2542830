"""What a build of a package is made for: CUDA, ROCm or CPUs, and one Python.

Owns: reading it out of indexes, wheel names, conda's build strings and version labels, wherever these occur. Such a
target is written as pip's local version label: cu124, rocm6.0, cpu; cuda without a known version. Must not: weigh.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from envagent.repository.facts import PYTHON_MINORS

FRAMEWORKS = frozenset({"torch", "torchvision", "torchaudio"})
"""Packages that an index of CUDA builds provides under the names that the usual index has, too."""

_URL = re.compile(
    r"(?:[/+_=-]|%2b)(cu\d{2,3}|rocm-?(?:rel-)?\d[\d.]{0,8}|(?<=[/+])cpu|(?<=%2b)cpu|(?<=[/+])xpu)"
    r"(?=$|[^a-z0-9.]|\.html|\.dev|torch|pt\d)",
    re.IGNORECASE,
)
# Whatever NVIDIA's own hosts provide is built for CUDA.
_OF_CUDA = re.compile(r"\bnvidia\.com\b|jax_cuda_releases|/nvidia/label/cuda", re.IGNORECASE)
_BUILD = re.compile(r"cuda[_-]?(\d{1,2})(?:\.(\d))?|(?<![a-z])cu(\d{2,3})(?![0-9])|cuda|(?<![a-z])gpu", re.IGNORECASE)
_BUILD_FOR_CPU = re.compile(r"(?<![a-z])(?:cpu|mkl|eigen)(?![a-z])", re.IGNORECASE)
_BUILD_PYTHON = re.compile(r"(?<![a-z])py(\d)\.?(\d{1,2})(?=[h_*]|$)", re.IGNORECASE)
_WHEEL = re.compile(r"[^/\s?#]+\.whl(?=$|[?#\s])")
_MAX_URL = 500


class Wheel(NamedTuple):
    """What the name of a wheel says."""

    name: str
    version: str
    local: str
    pythons: frozenset[str]
    """CPython minors that can load it; all of them for a wheel without compiled parts."""


def of_url(url: str) -> str:
    """Return the target of an index or of a file of builds; empty if it is for no particular one."""
    url = url[:_MAX_URL]
    if found := _URL.search(url):
        return re.sub(r"-(?:rel-)?", "", found[1].lower())
    return "cuda" if _OF_CUDA.search(url) else ""


def shared(targets: Iterable[str]) -> str:
    """Return the one target of several indexes, of which some may have none; empty if they differ."""
    found = {target for target in targets if target}
    return found.pop() if len(found) == 1 else ""


def of_build(build: str) -> str:
    """Return the target of a conda build string such as `py3.8_cuda11.1_cudnn8.0.5_0`."""
    if found := _BUILD.search(build):
        major, minor, joined = found.groups()
        # `cuda112` is 11.2, `cuda11` and `cuda9` name no minor release.
        digits = joined or (f"{major}{minor or ''}" if minor else "")
        if major and not minor:
            rest = re.match(r"\d+", build[found.start(1) :])
            digits = rest[0] if rest and len(rest[0]) == 3 else ""
        return f"cu{digits}" if digits else "cuda"
    return "cpu" if _BUILD_FOR_CPU.search(build) else ""


def python_of_build(build: str) -> str | None:
    """Return the CPython minor of a conda build string."""
    found = _BUILD_PYTHON.search(build)
    minor = f"{found[1]}.{found[2]}" if found else None
    return minor if minor in PYTHON_MINORS else None


def cuda_version(local: str) -> str | None:
    """Return the CUDA version of a target: 12.4 for cu124, 12 for cu12; None without one."""
    if dotted := re.match(r"cu(?:da)?[-_]?(\d{1,2}\.\d)", local):
        return dotted[1]
    found = re.match(r"cu(?:da)?[-_]?(\d{2,3})(?!\d)", local)
    if found is None:
        return None
    digits = found[1]
    if len(digits) == 2:
        return digits if digits.startswith("1") else f"{digits[0]}.{digits[1]}"
    return f"{digits[:2]}.{digits[2]}"


def wheel_of(text: str) -> Wheel | None:
    """Parse the name of the wheel in a URL or path; None if there is none."""
    found = _WHEEL.search(text[:_MAX_URL])
    if found is None:
        return None
    try:
        name, version, _, tags = parse_wheel_filename(unquote(found[0]))
    except InvalidWheelFilename:
        return None
    minors: set[str] = set()
    for tag in tags:
        known = re.fullmatch(r"cp(\d)(\d{1,2})", tag.interpreter)
        if known is None:
            minors.update(PYTHON_MINORS)
        elif (minor := f"{known[1]}.{known[2]}") in PYTHON_MINORS:
            first = PYTHON_MINORS.index(minor)
            minors.update(PYTHON_MINORS[first:] if tag.abi == "abi3" else [minor])
    local = str(version.local or "")
    return Wheel(canonicalize_name(name), version.public, local or of_url(text), frozenset(minors))
