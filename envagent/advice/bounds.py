"""Limit what an AI's answer may change, field by field, by the rules' own answer.

A documented number may be raised within reason and never lowered; a GPU requirement is never dropped, and never
invented if the files show no sign of one; special hardware and its architecture come only from the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import JsonValue

from envagent.advice.proposals import RequirementsProposal
from envagent.advice.specials import kind_of
from envagent.advice.untrusted import one_line
from envagent.catalog.releases import releases
from envagent.repository.results import Analysis, Requirements

MOST = 4.0
"""A number may be raised to this many times the documented one, or a typical one if none is documented."""
# Chosen so that the maximum without a documented number still fits the most common nodes.
_TYPICAL = {"cpu_cores": 6.0, "ram_gb": 32.0, "disk_gb": 50.0, "gpu_memory_gb": 20.0, "gpu_count": 1.0}
_GPU_NUMBERS = ("gpu_memory_gb", "gpu_count")
_MOST_NOTES = 8

_NO = frozenset({"", "0", "false", "no", "none", "null"})


@dataclass
class Merged:
    """The requirements after an AI's proposal, with the changed fields and the rejections."""

    requirements: Requirements
    changed: dict[str, JsonValue] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)


def merge(analysis: Analysis, proposal: RequirementsProposal) -> Merged:
    """Apply what is within the bounds of the rules' analysis."""
    merged = Merged(analysis.requirements)
    _merge_gpu(analysis, proposal, merged)
    for name in ("cpu_cores", "ram_gb", "disk_gb", *_GPU_NUMBERS):
        _merge_number(analysis, proposal, merged, name)
    for name, valid in _TEXTS.items():
        _merge_text(analysis.requirements, proposal, merged, name, valid)
    _merge_specials(analysis.requirements, proposal, merged)
    merged.requirements = Requirements.model_validate({**analysis.requirements.model_dump(), **merged.changed})
    return merged


def resized(analysis: Analysis, requirements: Requirements) -> Analysis:
    """Return the analysis with other requirements, and a sizing that covers them."""
    sizing = analysis.sizing
    memory = requirements.gpu_memory_gb
    larger = sizing.model_copy(
        update={
            "cpu_cores": max(sizing.cpu_cores, requirements.cpu_cores or 0),
            "ram_gb": max(sizing.ram_gb, _whole(requirements.ram_gb)),
            "disk_gb": max(sizing.disk_gb, _whole(requirements.disk_gb)),
            "gpu_memory_gb": max(sizing.gpu_memory_gb or 0, _whole(memory)) or None,
        }
    )
    return analysis.model_copy(update={"requirements": requirements, "sizing": larger})


def _whole(number: float | None) -> int:
    return -int(-(number or 0.0) // 1)


def _signs_of_gpu(analysis: Analysis) -> bool:
    """Return whether the files mention a GPU, other than to say that none is needed."""
    said = [e for e in analysis.evidence if e.field.startswith(("gpu", "cuda"))]
    if any(e.field == "gpu_required" and e.value.casefold() in _NO and e.confidence == "high" for e in said):
        return False
    return analysis.requirements.gpu_optional or any(e.value.casefold() not in _NO for e in said)


def _merge_gpu(analysis: Analysis, proposal: RequirementsProposal, merged: Merged) -> None:
    ours = analysis.requirements
    if ours.gpu_required and not proposal.gpu_required:
        merged.rejected.append("gpu_required = false: the files say that a GPU is needed")
        return
    if not ours.gpu_required and proposal.gpu_required:
        if not _signs_of_gpu(analysis):
            merged.rejected.append("gpu_required = true: the files show no sign that a GPU is needed")
            return
        if ours.architecture == "aarch64":
            merged.rejected.append("gpu_required = true: the project is for ARM, where no node has a GPU")
            return
        merged.changed["gpu_required"] = True
    if not (ours.gpu_required or proposal.gpu_required):
        return
    vendor = ours.gpu_vendor
    if vendor is not None and proposal.gpu_vendor not in (None, vendor):
        merged.rejected.append(f"gpu_vendor = {proposal.gpu_vendor}: the files say {vendor}")
    elif vendor is None and proposal.gpu_vendor is not None:
        if proposal.gpu_vendor != "nvidia":
            merged.rejected.append(f"gpu_vendor = {proposal.gpu_vendor}: only the files may ask for it")
        else:
            vendor = merged.changed["gpu_vendor"] = proposal.gpu_vendor
    if ours.cuda_required and not proposal.cuda_required:
        merged.rejected.append("cuda_required = false: the files say that CUDA is needed")
    elif proposal.cuda_required and not ours.cuda_required:
        if vendor in (None, "nvidia"):
            merged.changed["cuda_required"] = True
        else:
            merged.rejected.append(f"cuda_required = true: the GPUs are {vendor}")


def _merge_number(analysis: Analysis, proposal: RequirementsProposal, merged: Merged, name: str) -> None:
    said: float | None = getattr(proposal, name)
    ours: float | None = getattr(analysis.requirements, name)
    needs_gpu = analysis.requirements.gpu_required or "gpu_required" in merged.changed
    if said is None or said == ours:
        return
    if name in _GPU_NUMBERS and not needs_gpu:
        if said > 0:
            merged.rejected.append(f"{name} = {said:g}: no GPU is needed")
        return
    if not said > 0:
        merged.rejected.append(f"{name} = {said:g}: not a positive number")
    elif ours is not None and said < ours:
        merged.rejected.append(f"{name} = {said:g}: below the documented {ours:g}")
    elif ours is not None and said > MOST * ours:
        merged.rejected.append(f"{name} = {said:g}: more than {MOST:g} times the documented {ours:g}")
    elif ours is None and said > (most := MOST * max(_TYPICAL[name], getattr(analysis.sizing, name, None) or 0)):
        merged.rejected.append(f"{name} = {said:g}: undocumented, so the maximum is {most:g}")
    else:
        merged.changed[name] = said


_TEXTS: dict[str, Callable[[str], bool]] = {
    "cuda_version": lambda text: re.fullmatch(r"(?:[89]|1\d)(?:\.\d{1,2})?", text) is not None,
    "os_type": lambda text: any(r.distro == text for r in releases()),
    "os_version": lambda text: any(r.release == text and r.supported for r in releases()),
    "python_version": lambda text: re.fullmatch(r"3\.(?:[6-9]|1\d)", text) is not None,
}


def _merge_text(
    ours: Requirements, proposal: RequirementsProposal, merged: Merged, name: str, valid: Callable[[str], bool]
) -> None:
    said: str | None = getattr(proposal, name)
    known: str | None = getattr(ours, name)
    if said is None or said == known:
        return
    text = said.strip().casefold()
    if known is not None:
        if text != known.casefold():
            merged.rejected.append(f"{name} = {one_line(said, 40)}: the files say {known}")
    elif not valid(text):
        merged.rejected.append(f"{name} = {one_line(said, 40)}: unknown value")
    elif name == "cuda_version" and not (ours.cuda_required or "cuda_required" in merged.changed):
        merged.rejected.append(f"{name} = {text}: CUDA is not needed")
    else:
        merged.changed[name] = text


def _merge_specials(ours: Requirements, proposal: RequirementsProposal, merged: Merged) -> None:
    if proposal.architecture not in (None, ours.architecture, "x86_64" if ours.architecture is None else None):
        known = ours.architecture or "nothing about it"
        merged.rejected.append(f"architecture = {proposal.architecture}: the files say {known}")
    kept = list(ours.special_requirements)
    held = {text.casefold() for text in kept}
    for raw in proposal.special_requirements:
        text = one_line(raw, 60)
        if not text or text.casefold() in held:
            continue
        if kind_of(text) is not None:
            merged.rejected.append(f"special_requirements + {text}: only the files may ask for special hardware")
        elif len(kept) - len(ours.special_requirements) < _MOST_NOTES:
            held.add(text.casefold())
            kept.append(text)
    if len(kept) > len(ours.special_requirements):
        merged.changed["special_requirements"] = list(kept)
