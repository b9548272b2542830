"""What an AI's requirements may change."""

from __future__ import annotations

from typing import Any

import pytest

from envagent.advice.bounds import merge, resized
from envagent.advice.proposals import RequirementsProposal

from .hostile import needs
from .samples import GPU, analysis, evidence


def merged(ours: dict[str, Any], said: dict[str, Any], **more: Any) -> Any:
    return merge(analysis(**ours, **more), RequirementsProposal.model_validate(needs(**said)))


@pytest.mark.parametrize(
    ("ours", "said", "changed"),
    [
        ({}, {}, {}),
        ({}, {"ram_gb": 64.0}, {"ram_gb": 64.0}),
        ({"ram_gb": 16}, {"ram_gb": 16.0}, {}),
        ({"ram_gb": 16}, {"ram_gb": 64.0}, {"ram_gb": 64.0}),
        ({}, {"python_version": "3.11"}, {"python_version": "3.11"}),
        ({}, {"os_type": "Ubuntu", "os_version": "22.04"}, {"os_type": "ubuntu", "os_version": "22.04"}),
        (GPU, {**GPU, "gpu_memory_gb": 40.0}, {"gpu_memory_gb": 40.0}),
        (GPU, {**GPU, "cuda_version": "12.1"}, {"cuda_version": "12.1"}),
        ({"gpu_required": True}, GPU, {"gpu_vendor": "nvidia", "cuda_required": True}),
        ({}, {"special_requirements": ["cuDNN 9"]}, {"special_requirements": ["cuDNN 9"]}),
        ({"gpu_optional": True}, GPU, GPU),
    ],
)
def test_what_it_may_change(ours: dict[str, Any], said: dict[str, Any], changed: dict[str, Any]) -> None:
    found = merged(ours, said)
    assert found.changed == changed and found.rejected == []


@pytest.mark.parametrize(
    ("ours", "said", "words"),
    [
        ({"ram_gb": 16}, {"ram_gb": 8.0}, "below the documented 16"),
        ({"ram_gb": 16}, {"ram_gb": 65.0}, "more than 4 times"),
        ({}, {"ram_gb": 129.0}, "undocumented"),
        ({}, {"cpu_cores": -3}, "not a positive number"),
        ({}, {"gpu_memory_gb": 80.0}, "no GPU is needed"),
        (GPU, {}, "gpu_required = false"),
        (GPU, {**GPU, "cuda_required": False}, "cuda_required = false"),
        (GPU, {**GPU, "gpu_vendor": "amd"}, "the files say nvidia"),
        ({"gpu_required": True, "gpu_vendor": "amd"}, {**GPU, "gpu_vendor": "amd"}, "the GPUs are amd"),
        ({"gpu_required": True, "cuda_required": True}, {**GPU, "gpu_vendor": "amd"}, "only the files may ask"),
        ({}, GPU, "no sign that a GPU"),
        ({"gpu_optional": True, "architecture": "aarch64"}, GPU, "for ARM"),
        ({}, {"python_version": "3.5"}, "unknown value"),
        ({"python_version": "3.9"}, {"python_version": "3.12"}, "the files say 3.9"),
        ({}, {"os_version": "20.04"}, "unknown value"),
        ({}, {"os_type": "windows"}, "unknown value"),
        ({"gpu_required": True}, {**GPU, "gpu_vendor": "intel", "cuda_required": False}, "only the files may ask"),
        ({}, {"gpu_count": 4}, "no GPU is needed"),
        ({}, {"cuda_version": "12.1"}, "CUDA is not needed"),
        ({}, {"architecture": "aarch64"}, "the files say nothing about it"),
        ({}, {"special_requirements": ["an Alveo FPGA"]}, "only the files may ask"),
        ({}, {"special_requirements": ["cpu: Intel Core i9-9900K"]}, "only the files may ask"),
        ({}, {"special_requirements": ["Windows 11"]}, "only the files may ask"),
    ],
)
def test_what_it_may_not_change(ours: dict[str, Any], said: dict[str, Any], words: str) -> None:
    found = merged(ours, said)
    assert len(found.rejected) == 1 and words in found.rejected[0]
    assert found.requirements == analysis(**ours).requirements


def test_a_gpu_that_files_say_is_not_needed_stays_away() -> None:
    no_gpu = evidence("gpu_required", "false", "No GPU is used")
    word = evidence("cuda_version", "12.1", "plots of CUDA runs")
    assert merged({}, GPU, evidence=[no_gpu, word]).changed == {}
    assert merged({}, GPU, evidence=[word]).changed == GPU


def test_what_it_leaves_out_stays() -> None:
    found = merged({"special_requirements": ("rdma",), "ram_gb": 64, "os_version": "22.04"}, {})
    assert found.requirements.special_requirements == ("rdma",) and found.changed == {}


def test_the_sizing_grows_with_the_requirements_and_never_shrinks() -> None:
    base = analysis(ram=32, cores=8, disk=50)
    wanted = base.requirements.model_copy(update={"ram_gb": 48.5, "cpu_cores": 2, "disk_gb": 120.0})
    sizing = resized(base, wanted).sizing
    assert (sizing.ram_gb, sizing.cpu_cores, sizing.disk_gb, sizing.gpu_memory_gb) == (49, 8, 120, None)
