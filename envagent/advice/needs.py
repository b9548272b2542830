"""What a node must have, derived from an analysis once for all rules."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from envagent.catalog.gpus import version
from envagent.catalog.hardware import Architecture, Vendor
from envagent.repository.results import Analysis, Evidence, Requirements

Stance = Literal["minimum", "recommended", "tested", "default"]
"""How firmly the files ask for an amount; default: they say nothing about it, or do not say how."""

_STANCES: tuple[Stance, ...] = ("minimum", "recommended", "tested")
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3})?")
_OLDEST_CUDA = (7, 0)


@dataclass(frozen=True)
class GpuNeed:
    """GPUs that the main job requires."""

    vendor: Vendor
    count: int = 1
    memory_gb: float = 0.0
    """Per GPU."""
    capability: tuple[int, int] | None = None
    """The least compute capability."""
    cuda: tuple[int, int] | None = None
    """The CUDA release that the project is built for, if known."""
    assumed_vendor: bool = False


@dataclass(frozen=True)
class Need:
    """Lower bounds for a node, and what must match exactly."""

    cores: int
    ram_gb: float
    disk_gb: float
    disk_guessed: bool
    """Whether the size of the disk is a default, because no file gives one."""
    gpu: GpuNeed | None
    architecture: Architecture
    specials: tuple[str, ...]
    os_type: str | None
    os_version: str | None
    pythons: tuple[str, ...]
    """The versions of Python that will do, the one to install first; empty where none is needed."""


def _cuda(text: str | None) -> tuple[int, int] | None:
    """Parse `12.1`, `>=11.8`, `11.x` or `cu121`; None if there is no such release."""
    found = _NUMBER.search(text or "")
    if found is None:
        return None
    if wheel := re.fullmatch(r"(\d\d)(\d)", found.group()):
        return int(wheel[1]), int(wheel[2])
    read = version(found.group())
    return read if read >= _OLDEST_CUDA else None


def _capability(text: str | None) -> tuple[int, int] | None:
    """Parse `9.0`; None if it is missing or not a number."""
    try:
        return version(text) if text else None
    except ValueError:
        return None


def stance_of(analysis: Analysis, field: str) -> Stance:
    """Return how firmly the files ask for the value of a requirement, by the notes of its evidence.

    Of several places the firmest counts. Evidence of another value counts only if none has this one.
    """
    value = getattr(analysis.requirements, field)
    if value is None:
        return "default"
    found = [one for one in analysis.evidence if one.field == field]
    exact = [one for one in found if one.value == str(value) or _amount(one) == value]
    stances = {_stance(one) for one in exact or found}
    return next((one for one in _STANCES if one in stances), "default")


def _stance(evidence: Evidence) -> Stance:
    return next((one for one in _STANCES if one in evidence.note), "default")


def _amount(evidence: Evidence) -> float:
    try:
        return float(evidence.value)
    except ValueError:
        return 0.0


def _documented_minimum(analysis: Analysis, field: str) -> float:
    """Return the largest amount that the files call a minimum and that is part of the requirement; 0 if none."""
    value = float(getattr(analysis.requirements, field) or 0)
    firm = [_amount(one) for one in analysis.evidence if one.field == field and _stance(one) == "minimum"]
    if 0.0 in firm:  # said in other words than a number
        return value
    return max((one for one in firm if one <= value), default=0.0)


def gpu_counts(analysis: Analysis) -> tuple[int, int]:
    """Return how many GPUs the main job needs, and how many its largest experiment.

    They differ where the files name a smaller number too and do not call the larger one a minimum.
    """
    largest = max(analysis.requirements.gpu_count or 1, 1)
    if stance_of(analysis, "gpu_count") == "minimum":
        return largest, largest
    named = [int(_amount(one)) for one in analysis.evidence if one.field == "gpu_count"]
    return min((one for one in named if 1 <= one < largest), default=largest), largest


def need_of(analysis: Analysis) -> Need:
    """Derive what a node must have. A documented number counts even if the sizing is lower."""
    wanted, sizing = analysis.requirements, analysis.sizing
    gpu: GpuNeed | None = None
    if wanted.gpu_required:
        rocm = not wanted.cuda_required and "rocm" in wanted.special_requirements
        vendor: Vendor = wanted.gpu_vendor or ("amd" if rocm else "nvidia")
        gpu = GpuNeed(
            vendor=vendor,
            count=gpu_counts(analysis)[0],
            memory_gb=max(wanted.gpu_memory_gb or 0.0, float(sizing.gpu_memory_gb or 0)),
            capability=_capability(wanted.compute_capability) if vendor == "nvidia" else None,
            cuda=_cuda(wanted.cuda_version) if vendor == "nvidia" else None,
            assumed_vendor=wanted.gpu_vendor is None and not wanted.cuda_required and not rocm,
        )
    return Need(
        cores=max(wanted.cpu_cores or 1, sizing.cpu_cores),
        ram_gb=max(wanted.ram_gb or 0.0, float(sizing.ram_gb)),
        disk_gb=max(wanted.disk_gb or 0.0, float(sizing.disk_gb)),
        disk_guessed=wanted.disk_gb is None,
        gpu=gpu,
        architecture=wanted.architecture or "x86_64",
        specials=wanted.special_requirements,
        os_type=wanted.os_type.casefold() if wanted.os_type else None,
        os_version=wanted.os_version,
        pythons=_pythons(wanted),
    )


def _pythons(wanted: Requirements) -> tuple[str, ...]:
    """Return the versions of Python that will do; an AI names one where the files say nothing."""
    best = () if wanted.python_version is None else (wanted.python_version,)
    return tuple(dict.fromkeys((*best, *wanted.python_allowed)))


def least_of(analysis: Analysis) -> Need:
    """Derive what a node must have if no node has all that is recommended, was tested with, or is a default.

    Only amounts that the files call a minimum remain; what is not an amount remains as it is.
    """
    need = need_of(analysis)
    gpu = need.gpu
    if gpu is not None:
        firm = stance_of(analysis, "compute_capability") not in ("recommended", "tested")
        gpu = replace(
            gpu,
            count=max(min(int(_documented_minimum(analysis, "gpu_count")), gpu.count), 1),
            memory_gb=_documented_minimum(analysis, "gpu_memory_gb"),
            capability=gpu.capability if firm else None,
        )
    return replace(
        need,
        cores=max(int(_documented_minimum(analysis, "cpu_cores")), 1),
        ram_gb=_documented_minimum(analysis, "ram_gb"),
        disk_gb=_documented_minimum(analysis, "disk_gb"),
        gpu=gpu,
    )
