"""The one reading of an analysis."""

from __future__ import annotations

from typing import Any

import pytest

from envagent.advice.needs import gpu_counts, least_of, need_of, stance_of
from envagent.repository.results import Evidence

from .samples import GPU, analysis, evidence, minimum


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("12.1", (12, 1)),
        (">=11.8", (11, 8)),
        ("11.x", (11, 0)),
        ("12", (12, 0)),
        ("cu121", (12, 1)),
        ("CUDA 10.2+", (10, 2)),
        ("0", None),
        ("any", None),
        ("", None),
        (None, None),
    ],
)
def test_cuda_releases_are_read_as_people_write_them(said: str | None, read: tuple[int, int] | None) -> None:
    gpu = need_of(analysis(gpu_required=True, gpu_vendor="nvidia", cuda_version=said)).gpu
    assert gpu is not None and gpu.cuda == read


def test_documented_numbers_and_the_sizing_both_count() -> None:
    need = need_of(analysis(cores=8, ram=16, disk=40, cpu_cores=2, ram_gb=64, disk_gb=10))
    assert (need.cores, need.ram_gb, need.disk_gb) == (8, 64, 40)


def test_a_gpu_is_nvidias_unless_the_project_says_otherwise() -> None:
    plain = need_of(analysis(gpu_required=True)).gpu
    assert plain is not None and (plain.vendor, plain.assumed_vendor, plain.count) == ("nvidia", True, 1)
    cuda = need_of(analysis(gpu_required=True, cuda_required=True)).gpu
    assert cuda is not None and not cuda.assumed_vendor
    amd = need_of(analysis(gpu_required=True, gpu_vendor="amd", cuda_version="12.1")).gpu
    assert amd is not None and (amd.vendor, amd.cuda) == ("amd", None)
    rocm = need_of(analysis(gpu_required=True, special_requirements=("rocm",))).gpu
    assert rocm is not None and (rocm.vendor, rocm.assumed_vendor) == ("amd", False)
    both = need_of(analysis(gpu_required=True, cuda_required=True, special_requirements=("rocm",))).gpu
    assert both is not None and both.vendor == "nvidia"


def test_gpu_words_without_a_need_are_no_need() -> None:
    assert need_of(analysis(gpu_optional=True, gpu_memory_gb=24, cuda_version="12.1")).gpu is None


def said(field: str, notes: dict[int, str]) -> list[Evidence]:
    """Return evidence by value, such as `{64: "minimum"}`."""
    return [evidence(field, str(value), note=note) for value, note in notes.items()]


@pytest.mark.parametrize(
    ("places", "stance"),
    [
        ({64: "minimum"}, "minimum"),
        ({64: "recommended"}, "recommended"),
        ({64: "tested"}, "tested"),
        ({64: "tested", 16: "minimum"}, "tested"),
        ({16: "minimum"}, "minimum"),
        ({64: "minimum, of the RTX 6000"}, "minimum"),
        ({64: "mentioned"}, "default"),
        ({64: ""}, "default"),
        ({}, "default"),
    ],
)
def test_the_firmest_place_tells_how_firmly_an_amount_is_asked_for(places: dict[int, str], stance: str) -> None:
    assert stance_of(analysis(ram_gb=64, evidence=said("ram_gb", places)), "ram_gb") == stance
    assert stance_of(analysis(evidence=said("ram_gb", places)), "ram_gb") == "default"


def test_only_documented_minimums_are_part_of_the_least_need() -> None:
    wanted = analysis(
        **GPU,
        cores=16,
        gpu_memory=16,
        ram_gb=512,
        disk_gb=200,
        cpu_cores=64,
        gpu_count=4,
        gpu_memory_gb=40,
        evidence=[
            *said("ram_gb", {512: "recommended", 64: "minimum"}),
            *minimum(disk_gb=200, gpu_memory_gb=40),
            *said("cpu_cores", {64: "tested"}),
        ],
    )
    whole, least = need_of(wanted), least_of(wanted)
    assert whole.gpu is not None and least.gpu is not None
    assert (whole.cores, whole.ram_gb, whole.disk_gb, whole.gpu.count, whole.gpu.memory_gb) == (64, 512, 200, 4, 40)
    assert (least.cores, least.ram_gb, least.disk_gb, least.gpu.count, least.gpu.memory_gb) == (1, 64, 200, 1, 40)


def test_a_number_that_was_raised_keeps_the_documented_minimum() -> None:
    assert least_of(analysis(ram_gb=256, evidence=minimum(ram_gb=64))).ram_gb == 64


@pytest.mark.parametrize(
    ("places", "counts"),
    [
        ({8: "tested", 1: "minimum"}, (1, 8)),
        ({8: "recommended", 2: "recommended"}, (2, 8)),
        ({8: "minimum", 1: "tested"}, (8, 8)),
        ({8: "tested"}, (8, 8)),
        ({}, (8, 8)),
    ],
)
def test_the_count_of_the_largest_experiment_is_a_wish_where_a_smaller_one_is_named(
    places: dict[int, str], counts: tuple[int, int]
) -> None:
    wanted = analysis(**GPU, gpu_count=8, evidence=said("gpu_count", places))
    gpu = need_of(wanted).gpu
    assert gpu_counts(wanted) == counts and gpu is not None and gpu.count == counts[0]


@pytest.mark.parametrize(
    ("stance", "least"), [("minimum", (9, 0)), ("", (9, 0)), ("tested", None), ("recommended", None)]
)
def test_a_gpu_generation_is_firm_unless_it_was_only_tested(stance: str, least: tuple[int, int] | None) -> None:
    wanted: dict[str, Any] = {**GPU, "compute_capability": "9.0"}
    wanted["evidence"] = [evidence("compute_capability", "9.0", note=stance)]
    whole, reduced = need_of(analysis(**wanted)).gpu, least_of(analysis(**wanted)).gpu
    assert whole is not None and reduced is not None
    assert (whole.capability, reduced.capability) == ((9, 0), least)
