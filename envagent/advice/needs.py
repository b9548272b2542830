"""What a node must have, derived from an analysis once for all rules."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envagent.catalog.gpus import version
from envagent.catalog.hardware import Architecture, Vendor
from envagent.repository.results import Analysis

_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3})?")
_OLDEST_CUDA = (7, 0)


@dataclass(frozen=True)
class GpuNeed:
    """GPUs that the main job requires."""

    vendor: Vendor
    count: int = 1
    memory_gb: float = 0.0
    """Per GPU."""
    cuda: tuple[int, int] | None = None
    """The CUDA release that the project is built for, if known."""
    assumed_vendor: bool = False


@dataclass(frozen=True)
class Need:
    """Lower bounds for a node, and what must match exactly."""

    cores: int
    ram_gb: float
    disk_gb: float
    gpu: GpuNeed | None
    architecture: Architecture
    specials: tuple[str, ...]
    os_type: str | None
    os_version: str | None
    python: str | None


def _cuda(text: str | None) -> tuple[int, int] | None:
    """Parse `12.1`, `>=11.8`, `11.x` or `cu121`; None if there is no such release."""
    found = _NUMBER.search(text or "")
    if found is None:
        return None
    if wheel := re.fullmatch(r"(\d\d)(\d)", found.group()):
        return int(wheel[1]), int(wheel[2])
    read = version(found.group())
    return read if read >= _OLDEST_CUDA else None


def need_of(analysis: Analysis) -> Need:
    """Derive what a node must have. A documented number counts even if the sizing is lower."""
    wanted, sizing = analysis.requirements, analysis.sizing
    gpu: GpuNeed | None = None
    if wanted.gpu_required:
        vendor: Vendor = wanted.gpu_vendor or "nvidia"
        gpu = GpuNeed(
            vendor=vendor,
            count=max(wanted.gpu_count or 1, 1),
            memory_gb=max(wanted.gpu_memory_gb or 0.0, float(sizing.gpu_memory_gb or 0)),
            cuda=_cuda(wanted.cuda_version) if vendor == "nvidia" else None,
            assumed_vendor=wanted.gpu_vendor is None and not wanted.cuda_required,
        )
    return Need(
        cores=max(wanted.cpu_cores or 1, sizing.cpu_cores),
        ram_gb=max(wanted.ram_gb or 0.0, float(sizing.ram_gb)),
        disk_gb=max(wanted.disk_gb or 0.0, float(sizing.disk_gb)),
        gpu=gpu,
        architecture=wanted.architecture or "x86_64",
        specials=wanted.special_requirements,
        os_type=wanted.os_type.casefold() if wanted.os_type else None,
        os_version=wanted.os_version,
        python=wanted.python_version,
    )
