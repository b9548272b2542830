"""Single nodes against single needs: the exact edges."""

from __future__ import annotations

from typing import Any

import pytest

from envagent.advice.fit import lack, reluctance, shortages, warnings, waste
from envagent.advice.needs import need_of
from envagent.advice.specials import conditions
from envagent.catalog import flavors

from .samples import GPU, analysis, one, types


@pytest.mark.parametrize(
    ("wanted", "kind", "fits"),
    [
        ({"cores": 24}, "compute_skylake", True),
        ({"cores": 25}, "compute_skylake", False),
        ({"ram": 192}, "compute_skylake", True),
        ({"ram": 197}, "compute_skylake", True),
        ({"ram": 198}, "compute_skylake", False),
        ({"disk": 240}, "compute_skylake", True),
        ({"disk": 247}, "compute_skylake", True),
        ({"disk": 248}, "compute_skylake", False),
        ({"disk": 480 + 2 * 960}, "compute_nvdimm", True),
        ({"disk": 480 + 2 * 960 + 75}, "compute_nvdimm", False),
        ({**GPU, "gpu_memory_gb": 24}, "gpu_rtx_6000", True),
        ({**GPU, "gpu_memory_gb": 24.7}, "gpu_rtx_6000", True),
        ({**GPU, "gpu_memory_gb": 25}, "gpu_rtx_6000", False),
        ({**GPU, "compute_capability": "7.5"}, "gpu_rtx_6000", True),
        ({**GPU, "compute_capability": "8.0"}, "gpu_rtx_6000", False),
        ({**GPU, "compute_capability": "9.0"}, "gpu_v100", False),
        ({**GPU, "gpu_count": 4}, "gpu_v100", True),
        ({**GPU, "gpu_count": 5}, "gpu_v100", False),
        ({**GPU, "cuda_version": "13.0"}, "gpu_rtx_6000", True),
        ({**GPU, "cuda_version": "13.0"}, "gpu_v100", False),
    ],
)
def test_a_need_that_is_just_met_is_met(wanted: dict[str, Any], kind: str, fits: bool) -> None:
    assert (lack(one(kind), need_of(analysis(**wanted)), ()) is None) is fits


def test_what_is_unknown_does_not_count_as_there() -> None:
    node = one("compute_skylake").model_copy(update={"cores": 0, "disk_gb": 0})
    assert lack(node, need_of(analysis()), ()) == "its cores are unknown"
    assert lack(node.model_copy(update={"cores": 8}), need_of(analysis()), ()) == "its disk is unknown"
    gpus = one("gpu_rtx_6000")
    assert gpus.gpu is not None
    dark = gpus.model_copy(update={"gpu": gpus.gpu.model_copy(update={"memory_gb": None})})
    assert "memory of its Quadro RTX 6000 is unknown" in (
        lack(dark, need_of(analysis(**GPU, gpu_memory_gb=8)), ()) or ""
    )
    assert lack(dark, need_of(analysis(**GPU)), ()) is None


@pytest.mark.parametrize(
    ("kind", "region", "cuda", "held_back"),
    [
        ("gpu_m40", "CHI@TACC", None, True),
        ("gpu_m40", "CHI@TACC", "12.0", True),
        ("gpu_m40", "CHI@TACC", "11.8", False),
        ("gpu_p100", "CHI@TACC", None, False),
        ("gpu_p100", "CHI@TACC", "12.0", False),
        ("gpu_v100", "CHI@UC", "10.2", False),
        ("gpu_rtx_6000", "CHI@UC", "10.0", False),
        ("gpu_a100_pcie", "CHI@UC", "10.2", True),
        ("gpu_a100_pcie", "CHI@UC", "11.0", False),
        ("gpu_h100", "CHI@TACC", "11.4", True),
        ("gpu_h100", "CHI@TACC", "11.8", False),
    ],
)
def test_gpus_are_held_back_by_their_age(kind: str, region: str, cuda: str | None, held_back: bool) -> None:
    need = need_of(analysis(**GPU, cuda_version=cuda))
    assert (reluctance(one(kind, region), need) is not None) is held_back


@pytest.mark.parametrize(
    ("kind", "region", "cuda", "said"),
    [
        ("gpu_p100", "CHI@TACC", None, True),
        ("gpu_v100", "CHI@UC", None, True),
        ("gpu_v100", "CHI@UC", "12.1", False),
        ("gpu_rtx_6000", "CHI@UC", None, False),
        ("gpu_a100_pcie", "CHI@UC", None, False),
    ],
)
def test_what_cuda_13_drops_is_said(kind: str, region: str, cuda: str | None, said: bool) -> None:
    found = warnings(one(kind, region), need_of(analysis(**GPU, cuda_version=cuda)))
    assert any("CUDA 13 no longer supports" in text for text in found) is said


def test_raw_disks_and_unknown_ram_are_said() -> None:
    assert "unformatted" in warnings(one("compute_nvdimm"), need_of(analysis(disk=500)))[0]
    assert warnings(one("compute_nvdimm"), need_of(analysis(disk=480))) == ()
    assert "RAM is unknown" in warnings(one("arm_thunder", "CHI@NCAR"), need_of(analysis(architecture="aarch64")))[0]


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (
            {"cores": 24, "ram": 192, "disk": 20},
            ["compute_skylake", "compute_cascadelake_r", "gpu_rtx_6000", "storage_nvme", "compute_nvdimm", "gpu_v100"],
        ),
        ({**GPU, "gpu_memory_gb": 24}, ["gpu_rtx_6000", "gpu_v100", "gpu_a100_pcie"]),
    ],
)
def test_the_closest_fit_wastes_least(wanted: dict[str, Any], kinds: list[str]) -> None:
    """An exact fit, then one with an idle special, idle GPUs, more cores and RAM, more GPUs."""
    need = need_of(analysis(**wanted))
    wasted = [waste(one(kind), need) for kind in kinds]
    assert wasted == sorted(set(wasted))


def test_a_guessed_disk_may_be_too_small_and_a_documented_one_is_not() -> None:
    """At the same price a node with room comes first; one with twice the cores beyond that does not."""

    def wasted(kind: str, disk: int, told: float | None = None) -> float:
        return waste(one(kind), need_of(analysis(cores=24, ram=192, disk=disk, disk_gb=told)))

    assert wasted("compute_skylake", 64) > wasted("compute_cascadelake_r", 64)
    assert wasted("compute_skylake", 64) < wasted("storage_nvme", 64)
    assert wasted("compute_skylake", 64, told=64) < wasted("compute_cascadelake_r", 64, told=64)


def test_shortages_are_counted_in_doublings() -> None:
    wanted = analysis(cores=96, ram=192, disk=100, **GPU, gpu_memory_gb=48, gpu_count=2, compute_capability="8.0")
    assert dict(shortages(one("gpu_rtx_6000"), need_of(wanted))) == {
        "compute capability 8.0 wanted, 7.5 here": pytest.approx(0.093, abs=0.001),
        "96 cores wanted, 24 here": 2.0,
        "2 GPUs wanted, 1 here": 1.0,
        "48 GB per GPU wanted, 24 here": 1.0,
    }


def test_gpu_memory_beyond_the_need_is_wasted_unless_the_need_is_small_or_unknown() -> None:
    def wasted(wanted: int | None) -> float:
        return waste(one("gpu_rtx_6000"), need_of(analysis(cores=24, ram=192, **GPU, gpu_memory_gb=wanted)))

    assert wasted(None) == wasted(24) < wasted(12) < wasted(8) == wasted(2)


class TestSpecials:
    """From words to what a node must have."""

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("Xilinx Alveo U280", "an FPGA"),
            ("IB verbs", "InfiniBand"),
            ("Mellanox ConnectX-5", "RDMA"),
            ("GPUDirect RDMA", "RDMA"),
            ("Intel Optane DCPMM", "persistent memory"),
            ("ZNS SSD", "ZNS"),
            ("NVMe", "NVMe"),
            ("8-NUMA-node machine", "many NUMA nodes"),
            ("numa", "NUMA"),
            ("Intel SGX", "SGX"),
            ("DPDK", "a physical machine"),
            ("custom kernel", "a physical machine"),
            ("kernel-module", "a physical machine"),
            ("sev-snp", "SEV-SNP"),
            ("tdx", "TDX"),
            ("intel-pt", "Intel Processor Trace"),
            ("avx512", "AVX-512"),
            ("avx2", "AVX2"),
            ("smartnic", "a SmartNIC"),
            ("dpu", "a DPU"),
            ("programmable-switch", "a programmable switch"),
            ("phone", "a phone"),
            ("sdr", "a software-defined radio"),
            ("windows", "Windows"),
            ("macos", "macOS"),
            ("apple-silicon", "Apple silicon"),
            ("tpu", "TPUs"),
            ("gaudi", "Gaudi accelerators"),
            ("trainium", "Trainium or Inferentia accelerators"),
            ("ascend", "Ascend accelerators"),
            ("cxl", "CXL memory"),
            ("intel-cpu", "an Intel CPU"),
            ("amd-cpu", "an AMD CPU"),
            ("cpu: Cascade Lake", "Cascade Lake (CPU)"),
        ],
    )
    def test_words_are_recognised(self, text: str, kind: str) -> None:
        found, _ = conditions([text], types())
        assert [d.kind.name for d in found] == [kind]

    @pytest.mark.parametrize("text", ["docker", "mpi", "rocm", "cuDNN", "Python 3", "sliding windows", ""])
    def test_what_is_no_hardware_demands_none(self, text: str) -> None:
        assert conditions([text], types()) == ((), ())

    def test_one_kind_counts_once(self) -> None:
        assert len(conditions(["rdma", "RoCE", "ofed"], types())[0]) == 1

    def test_a_lower_level_counts_with_a_warning_where_the_best_is_not_to_be_had(self) -> None:
        two_sockets = [one("compute_skylake"), one("gpu_v100")]
        (condition,), (warning,) = conditions(["many numa nodes"], two_sockets)
        assert condition.test is not None and all(condition.test(n) for n in two_sockets)
        assert "at most two sockets" in warning
        (best,), none = conditions(["many numa nodes"], types())
        assert best.test is not None and none == ()
        assert [n.name for n in types() if best.test(n)] == ["compute_nvdimm"]

    def test_a_soft_special_that_nobody_has_demands_nothing(self) -> None:
        (condition,), (warning,) = conditions(["numa"], [one("compute_zen5_grado", "CHI@NCAR")])
        assert condition.test is None and "one socket" in warning

    def test_a_strict_special_that_nobody_has_excludes_everybody(self) -> None:
        (condition,), found = conditions(["rdma"], types("CHI@NCAR"))
        assert condition.test is not None and found == ()
        assert not any(condition.test(n) for n in types("CHI@NCAR"))

    @pytest.mark.parametrize(
        ("special", "kinds"),
        [
            ("avx512", {t.name for t in types()} - {"compute_gigaio", "gpu_a100_nvlink", "storage_nvme"}),
            ("sev-snp", {"compute_gigaio", "gpu_a100_nvlink"}),
            ("amd-cpu", {"compute_gigaio", "gpu_a100_nvlink", "storage_nvme"}),
            ("cpu: Ice Lake", {"gpu_a100_pcie"}),
            ("cpu: Xeon Platinum 8276", {"compute_nvdimm"}),
            ("cpu: Xeon Gold 6130", {"compute_skylake", "gpu_rtx_6000", "fpga"}),
        ],
    )
    def test_a_cpu_need_is_judged_by_the_cpu(self, special: str, kinds: set[str]) -> None:
        (condition,), _ = conditions([special], types())
        assert condition.kind.strict and condition.test is not None
        assert {n.name for n in types() if condition.test(n)} == kinds

    def test_another_cpu_of_the_generation_is_said(self) -> None:
        assert conditions(["cpu: Xeon Gold 6126"], types())[1] == ()
        ((condition,), (warning,)) = conditions(["cpu: Xeon Gold 6130"], types())
        assert condition.missed == 1 and "other CPUs of that generation" in warning

    def test_a_cpu_that_is_not_known_excludes_nothing(self) -> None:
        ((condition,), (warning,)) = conditions(["cpu: the one of our paper"], types())
        assert condition.test is None and "the one of our paper" in warning

    def test_a_live_type_has_what_its_cpu_can_do(self) -> None:
        new = one("compute_skylake").model_copy(update={"as_of": None, "cpu_model": "Intel(R) Xeon(R) Gold 6530"})
        for special in ("tdx", "sgx", "avx512"):
            (condition,), _ = conditions([special], [new])
            assert condition.test is not None and condition.test(new)

    def test_a_virtual_machine_is_no_physical_one(self) -> None:
        (condition,), (warning,) = conditions(["dpdk"], flavors("KVM@TACC"))
        assert condition.test is None and "virtual" in warning
        (physical,), nothing = conditions(["dpdk"], types())
        assert physical.test is not None and nothing == ()
