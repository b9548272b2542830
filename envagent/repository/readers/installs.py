"""Scripts that install what a repository needs: the releases, drivers and features that their commands are made for.

Owns: what archives, package sources and package names show of the system. Must not: follow a script into others.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Literal, NamedTuple

from envagent.repository.facts import CudaSign, Facts, GpuSign, SpecialSign, Spot, SystemSign, Vendor, quote
from envagent.repository.knowledge import table
from envagent.repository.patterns import any_of
from envagent.repository.readers import batch, chameleon
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import read_command

_RELEASE = re.compile(r"ubuntu[-_/]?(\d\d)[._-]?04", re.IGNORECASE)
_SOURCE = re.compile(r"\bdeb(?:-src)?\b.{0,200}|add-apt-repository.{0,200}|sources\.list.{0,200}", re.IGNORECASE)
_MADE_FOR = any_of(r"https?://", r"ofed", r"\.deb\b", r"\.run\b", r"\bdeb ")
_CUDA = re.compile(r"\bcuda(?:-toolkit|-compiler|-libraries)?[-_=](\d{1,2})[-.](\d)(?!\d)", re.IGNORECASE)
# What these name is shown or written, not installed.
_SHOWN = ("echo ", "printf ", "cat ")
_LOOKS = re.compile(
    r"\s*(?:if|elif|while|case)\b.{0,200}(?:nvidia-smi|rocm-smi|rocminfo|lspci|lshw|/dev/(?:nvidia|kfd)|nvcc|gpu|cuda)",
    re.IGNORECASE,
)
_MAX_LINE = 1000
_MAX_LINES = 5000


class _Package(NamedTuple):
    """What the name of a package or an archive shows."""

    pattern: re.Pattern[str]
    weight: float
    vendor: Vendor | None = None
    tag: str = ""


_PACKAGES: tuple[_Package, ...] = (
    _Package(any_of(r"\bnvidia-(?:driver|docker|container|utils|kernel|open)", r"\bcuda-drivers\b"), 1.5, "nvidia"),
    _Package(any_of(r"\bcuda-toolkit|\bcuda_\d+\.\d+.{0,30}\.run\b|\blibcudnn|\bnvidia-cuda-"), 1.5, "nvidia"),
    _Package(any_of(r"\bamdgpu-install|\brocm-(?:dev|hip|dkms|libs)\b"), 1.5, "amd"),
    _Package(any_of(r"\bMLNX_OFED|\bmlnxofedinstall|\bmlnx-ofed"), 1.5, tag="rdma"),
    _Package(any_of(r"\b(?:libdpdk|dpdk)-dev\b|\bdpdk-\d\d\.\d\d"), 1.5, tag="dpdk"),
    _Package(any_of(r"\blibsgx-|\bsgx_linux_x64_(?:sdk|driver)|\bsgx-aesm-service"), 1.5, tag="sgx"),
    _Package(any_of(r"\blinux-(?:headers|image|modules)-"), 0.8, tag="kernel"),
    _Package(any_of(r"\bnr_hugepages\b"), 1.0, tag="hugepages"),
    _Package(any_of(r"\binsmod\b|\bmake modules_install\b"), 1.5, tag="kernel-module"),
)


def read(path: str, text: str, facts: Facts) -> None:
    """Read the commands of an installation script."""
    scope = scope_of(path)
    if scope is None:
        return
    factor = {"main": 1.0, "component": 0.7, "optional": 0.3}.get(scope, 0.2)
    batch.read(path, text, facts)
    chameleon.read(path, text, facts)
    releases: dict[str, Spot] = {}
    seen: set[_Package] = set()
    # A script that looks for a GPU does without one.
    gpu = 0.3 if any(_LOOKS.match(line[:_MAX_LINE]) for line in text.split("\n")[:_MAX_LINES]) else 1.0
    for number, whole in enumerate(text.split("\n")[:_MAX_LINES], 1):
        line = whole[:_MAX_LINE].strip()
        if not line or line.startswith("#"):
            continue
        spot = Spot(path, number, quote(line))
        read_command(path, number, line, facts, scope="documented", weight=0.5 * factor)
        for release in _releases(line):
            releases.setdefault(release, spot)
        if not line.startswith(_SHOWN):
            seen |= read_packages(line, spot, factor, facts, gpu=gpu, seen=seen)
    if releases:
        # A script that knows several releases runs on each of them.
        first = next(iter(releases.values()))
        facts.systems.append(SystemSign("ubuntu", tuple(sorted(releases)), False, 1.0 * factor, first))


def read_packages(
    line: str,
    spot: Spot,
    factor: float,
    facts: Facts,
    *,
    gpu: float = 1.0,
    kind: Literal["command", "container"] = "command",
    seen: Set[_Package] = frozenset(),
) -> set[_Package]:
    """Record what the packages and archives of a command show, except those seen; return them.

    Args:
        line: the command.
        spot: its place.
        factor: how much its file speaks for the repository.
        facts: to append to.
        gpu: how much of that holds for GPUs.
        kind: of the signs for a GPU.
        seen: what the file has shown before.
    """
    found = {package for package in _PACKAGES if package not in seen and package.pattern.search(line)}
    for package in _PACKAGES:
        if package not in found:
            continue
        if package.tag:
            facts.specials.append(SpecialSign(package.tag, package.weight * factor, spot))
        else:
            note = "it installs what a GPU needs"
            facts.gpu.append(GpuSign(kind, package.weight * factor * gpu, package.vendor, spot, note))
    if cuda := _CUDA.search(line):
        facts.cuda.append(CudaSign(f"{cuda[1]}.{cuda[2]}", 0.8 * factor, spot))
    return found


def _releases(line: str) -> set[str]:
    """Return the Ubuntu releases that an archive or a package source on the line is made for."""
    found = {f"{release}.04" for release in _RELEASE.findall(line) if _MADE_FOR.search(line)}
    if source := _SOURCE.search(line):
        words = set(re.findall(r"[a-z]+", source[0].lower()))
        found |= {version for name, version in table("machines")["codenames"].items() if name in words}
    return found
