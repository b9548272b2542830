"""The one reading of an analysis."""

from __future__ import annotations

import pytest

from envagent.advice.needs import need_of

from .samples import analysis


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


def test_gpu_words_without_a_need_are_no_need() -> None:
    assert need_of(analysis(gpu_optional=True, gpu_memory_gb=24, cuda_version="12.1")).gpu is None
