"""Which node types can serve, in which order, and why the others cannot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from envagent.advice.decisions import Placement
from envagent.advice.images import misfit
from envagent.advice.needs import need_of
from envagent.advice.placement import combine, place
from envagent.catalog import flavors, refresh
from envagent.cli.render.hint_text import hint_text
from envagent.cloud.port import Host, Image, Occupation
from envagent.errors import NothingSuitable, UsageError
from envagent.repository.results import Analysis

from .samples import NOW, analysis, busy, evidence, hosts, image, images, minimum, types

ALL = images()


def placed(
    wanted: Analysis,
    region: str = "CHI@UC",
    live: list[Host] | None = None,
    occupied: list[Occupation] | None = None,
    *,
    offered: list[Image] | None = None,
    hours: int = 24,
    **options: Any,
) -> Placement:
    known = refresh(types(region), live) if live else types(region)
    return place(wanted, known, live, occupied, ALL if offered is None else offered, now=NOW, hours=hours, **options)


def names(placement: Placement) -> list[str]:
    return [c.node_type.name for c in placement.candidates]


class TestNeeds:
    """A need is a lower bound; what must match must match."""

    @pytest.mark.parametrize(
        ("memory", "best"),
        [(None, "gpu_rtx_6000"), (16, "gpu_rtx_6000"), (24, "gpu_rtx_6000"), (32, "gpu_v100"), (80, "gpu_a100_pcie")],
    )
    def test_gpu_memory_decides_the_gpu(self, memory: int | None, best: str) -> None:
        wanted = analysis(gpu_required=True, cuda_required=True, gpu_memory_gb=memory)
        live = hosts("gpu_rtx_6000", 2) + hosts("gpu_v100", 2) + hosts("gpu_a100_pcie", 2) + hosts("compute_skylake", 9)
        assert names(placed(wanted, live=live, occupied=[]))[0] == best

    @pytest.mark.parametrize("region", ["CHI@UC", "CHI@TACC", "CHI@NU"])
    @pytest.mark.parametrize("vendor", ["nvidia", "amd", "intel", None])
    @pytest.mark.parametrize("count", [1, 4])
    def test_a_gpu_need_never_ends_on_another_node(self, region: str, vendor: str | None, count: int) -> None:
        said = minimum(gpu_count=count)
        wanted = analysis(gpu_required=True, gpu_vendor=vendor, gpu_count=count, evidence=said)
        try:
            found = placed(wanted, region)
        except NothingSuitable as error:
            assert "GPU" in str(error)
            return
        for candidate in found.candidates:
            gpu = candidate.node_type.gpu
            assert gpu is not None and gpu.vendor == (vendor or "nvidia") and gpu.guaranteed >= count

    def test_rocm_is_not_cuda(self) -> None:
        assert names(placed(analysis(gpu_required=True, gpu_vendor="amd"), "CHI@TACC")) == ["gpu_mi100"]
        with pytest.raises(NothingSuitable) as caught:
            placed(analysis(gpu_required=True, gpu_vendor="amd"), "CHI@UC")
        assert "gpu_mi100 at CHI@TACC" in hint_text(caught.value.hint)

    def test_arm_is_not_x86(self) -> None:
        found = placed(analysis(architecture="aarch64"), "CHI@TACC")
        assert names(found) == ["compute_arm64"]
        assert "x86_64, the project" in found.excluded["compute_skylake"]
        assert "compute_arm64" in placed(analysis(), "CHI@TACC").excluded
        with pytest.raises(NothingSuitable):
            placed(analysis(architecture="aarch64"), "CHI@TACC", offered=images(["CC-Ubuntu24.04"]))

    def test_ram_cores_and_disk_are_lower_bounds(self) -> None:
        assert names(placed(analysis(ram_gb=300))) == ["compute_nvdimm"]
        assert set(names(placed(analysis(cpu_cores=81), "CHI@TACC"))) == {"compute_zen3"}
        large = placed(analysis(disk=20_000), "CHI@TACC")
        assert names(large) == ["storage"] and "unformatted" in large.best.warnings[0]
        assert "192 GB RAM, 300 needed" in placed(analysis(ram_gb=300)).excluded["compute_skylake"]

    def test_the_sizing_counts_where_nothing_is_documented(self) -> None:
        assert names(placed(analysis(ram=300))) == ["compute_nvdimm"]

    @pytest.mark.parametrize(
        ("special", "region", "expected"),
        [
            ("fpga", "CHI@UC", {"fpga"}),
            ("NVMe SSD", "CHI@UC", {"storage_nvme"}),
            ("InfiniBand", "CHI@TACC", {"compute_haswell_ib"}),
            ("RDMA (RoCE)", "CHI@UC", {"compute_cascadelake_r", "compute_nvdimm", "storage_nvme"}),
            ("persistent memory", "CHI@UC", {"compute_nvdimm"}),
            ("many NUMA nodes", "CHI@UC", {"compute_nvdimm"}),
            ("sgx", "CHI@TACC", {"compute_icelake_r650", "compute_icelake_r750"}),
        ],
    )
    def test_special_hardware_is_found(self, special: str, region: str, expected: set[str]) -> None:
        assert set(names(placed(analysis(special_requirements=(special,)), region))) == expected

    def test_numa_alone_is_two_sockets(self) -> None:
        assert "compute_skylake" in names(placed(analysis(special_requirements=("numa",))))

    @pytest.mark.parametrize("special", ["fpga", "jetson", "persistent memory"])
    def test_strict_specials_are_never_left_out(self, special: str) -> None:
        with pytest.raises(NothingSuitable):
            placed(analysis(special_requirements=(special,)), "CHI@TACC")

    def test_soft_specials_are_left_out_with_a_warning(self) -> None:
        found = placed(analysis(special_requirements=("zns", "docker", "mpi")), "CHI@TACC")
        assert any("ZNS" in text for text in found.best.warnings)

    def test_a_node_type_of_chameleon_is_preferred(self) -> None:
        wanted = analysis(special_requirements=("node type: compute_cascadelake_r",))
        assert names(placed(wanted)) == ["compute_cascadelake_r"]
        elsewhere = placed(wanted, "CHI@NU")
        assert names(elsewhere) and any("compute_cascadelake_r" in text for text in elsewhere.best.warnings)
        too_small = placed(analysis(ram_gb=300, special_requirements=("node type: compute_cascadelake_r",)))
        assert names(too_small) == ["compute_nvdimm"]
        assert any("compute_cascadelake_r" in text for text in too_small.best.warnings)

    def test_nothing_suitable_says_why_for_every_type(self) -> None:
        with pytest.raises(NothingSuitable) as caught:
            placed(analysis(gpu_required=True, gpu_count=8, evidence=minimum(gpu_count=8)))
        for kind in types():
            assert kind.name in str(caught.value)


class TestWhatNoSiteHas:
    """Said before anything is reserved, unless an amount is only a wish."""

    @pytest.mark.parametrize("region", ["CHI@UC", "CHI@TACC"])
    @pytest.mark.parametrize(
        ("special", "words"),
        [
            ("phone", "needs a phone"),
            ("sdr", "needs a software-defined radio"),
            ("programmable-switch", "needs a programmable switch"),
            ("windows", "needs Windows"),
            ("apple-silicon", "needs Apple silicon"),
            ("tpu", "needs TPUs"),
            ("tdx", "needs TDX"),
            ("smartnic", "needs a SmartNIC"),
            ("jetson", "such boards are only at CHI@Edge"),
            ("cpu: Intel Core i9-9900K", "needs Intel Core i9-9900K (CPU)"),
            ("cpu: Kaby Lake", "needs Kaby Lake (CPU)"),
            ("cpu: Hygon Dhyana", "needs Hygon Dhyana (CPU)"),
        ],
    )
    def test_special_hardware_is_refused_and_a_named_type_goes_on(self, special: str, words: str, region: str) -> None:
        wanted = analysis(special_requirements=("docker", special))
        with pytest.raises(NothingSuitable) as caught:
            placed(wanted, region)
        assert words in str(caught.value) and "which no Chameleon site has" in str(caught.value)
        assert "--node-type" in hint_text(caught.value.hint)
        found = placed(wanted, region, node_type="compute_skylake")
        assert names(found) == ["compute_skylake"] and "without" in found.best.warnings[0]

    def test_a_named_type_says_everything_that_it_lacks(self) -> None:
        wanted = analysis(gpu_required=True, ram_gb=300, special_requirements=("fpga",))
        (warning,) = placed(wanted, node_type="compute_skylake").best.warnings[:1]
        assert warning.endswith("although: no GPU; 192 GB RAM, 300 needed; without an FPGA")

    @pytest.mark.parametrize(("special", "site"), [("sgx", "CHI@TACC"), ("cpu: Broadwell", "CHI@TACC")])
    def test_what_another_site_has_is_named(self, special: str, site: str) -> None:
        with pytest.raises(NothingSuitable, match="which CHI@UC does not have") as caught:
            placed(analysis(special_requirements=(special,)))
        assert f"at {site}" in hint_text(caught.value.hint)

    def test_two_kinds_that_no_machine_has_together(self) -> None:
        with pytest.raises(NothingSuitable, match="SGX and SEV-SNP on one machine"):
            placed(analysis(special_requirements=("sgx", "sev-snp")), "CHI@TACC")

    def test_a_gpu_generation(self) -> None:
        wanted: dict[str, Any] = {"gpu_required": True, "gpu_vendor": "nvidia"}
        assert names(placed(analysis(**wanted, compute_capability="9.0"), "CHI@TACC")) == ["gpu_h100"]
        with pytest.raises(NothingSuitable) as caught:
            placed(analysis(**wanted, compute_capability="9.0"), "CHI@UC")
        assert "has compute capability 7.0, 9.0 needed" in str(caught.value)
        assert "gpu_h100 at CHI@TACC" in hint_text(caught.value.hint)
        with pytest.raises(NothingSuitable, match="or another site satisfies 1 NVIDIA GPU, compute capability 10"):
            placed(analysis(**wanted, compute_capability="10.0"), "CHI@TACC")

    @pytest.mark.parametrize(
        ("field", "amount", "best", "words"),
        [
            ("ram_gb", 6000, "compute_nvdimm", "6000 GB RAM wanted, 3840 here"),
            ("cpu_cores", 200, "compute_nvdimm", "200 cores wanted, 112 here"),
            ("gpu_count", 8, "gpu_v100", "8 GPUs wanted, 4 here"),
            ("gpu_memory_gb", 200, "gpu_a100_pcie", "200 GB per GPU wanted, 80 here"),
        ],
    )
    def test_only_a_documented_minimum_refuses(self, field: str, amount: int, best: str, words: str) -> None:
        wanted: dict[str, Any] = {field: amount, "gpu_required": field.startswith("gpu")}
        for note in ("tested", "recommended", None):
            said = [evidence(field, str(amount), note=note)] if note else []
            found = placed(analysis(**wanted, evidence=said))
            assert names(found)[0] == best and words in found.best.warnings[0] and found.best.compromise > 1
        with pytest.raises(NothingSuitable, match="or another site satisfies"):
            placed(analysis(**wanted, evidence=minimum(**{field: amount})))

    def test_the_best_there_is_still_has_every_minimum(self) -> None:
        said = [evidence("ram_gb", "6000", note="tested"), *minimum(disk_gb=20_000)]
        found = placed(analysis(ram_gb=6000, disk_gb=20_000, evidence=said), "CHI@TACC")
        assert names(found) == ["storage"]

    def test_of_several_sites_the_one_that_comes_closest(self) -> None:
        wanted = analysis(ram_gb=6000)
        near, far = placed(wanted, "CHI@UC"), placed(wanted, "CHI@TACC")
        assert "compute_nvdimm at CHI@UC comes closer" in far.best.warnings[0]
        assert "closer" not in near.best.warnings[0]
        best = combine([far, near]).best
        assert (best.node_type.name, best.region) == ("compute_nvdimm", "CHI@UC")

    def test_an_amount_that_another_site_has_is_no_reason_for_less(self) -> None:
        with pytest.raises(NothingSuitable) as caught:
            placed(analysis(ram_gb=600), "CHI@TACC", live=hosts("compute_zen3", 2), occupied=[])
        assert "compute_nvdimm at CHI@UC" in hint_text(caught.value.hint)

    def test_a_preference_decides_between_sites(self) -> None:
        wanted = analysis(special_requirements=("nvme",))
        with_, without = placed(wanted, "CHI@UC"), placed(wanted, "CHI@TACC")
        assert without.best.compromise == 1 and "NVMe is not available" in without.best.warnings[0]
        for order in ([with_, without], [without, with_]):
            both = combine(order)
            assert names(both) == ["storage_nvme"]
            assert "NVMe is not available" in both.excluded["compute_zen3 at CHI@TACC"]

    def test_a_preference_excludes_nothing_that_would_leave_nothing(self) -> None:
        found = placed(analysis(ram_gb=600, special_requirements=("nvme",)))
        assert names(found) == ["compute_nvdimm"] and "NVMe is not available" in found.best.warnings[0]
        beyond = placed(analysis(ram_gb=6000, special_requirements=("nvme",)))
        assert all("nvme" in c.node_type.tags for c in beyond.candidates)

    def test_of_preferences_that_no_node_has_together_the_first_counts(self) -> None:
        for wanted, best in (
            (("nvme", "many NUMA nodes"), "storage_nvme"),
            (("many NUMA nodes", "nvme"), "compute_nvdimm"),
        ):
            found = placed(analysis(special_requirements=wanted))
            assert names(found) == [best] and "is not available" in found.best.warnings[0]


class TestGpuAge:
    """CUDA releases and GPUs know each other for some years only."""

    def test_a_gpu_that_cuda_has_dropped_is_no_candidate(self) -> None:
        found = placed(analysis(gpu_required=True, cuda_required=True, cuda_version="13.0"), "CHI@TACC")
        assert set(names(found)) == {"compute_liqid", "gpu_h100"}
        assert "too old for CUDA 13.0" in found.excluded["gpu_p100"]

    def test_a_gpu_newer_than_the_cuda_release_is_the_last_resort(self) -> None:
        wanted = analysis(gpu_required=True, cuda_required=True, cuda_version="10.2", gpu_memory_gb=16)
        found = placed(wanted, "CHI@TACC")
        assert names(found)[0] == "gpu_p100"
        assert "gpu_h100" not in names(found) and "newer than CUDA 10.2" in found.excluded["gpu_h100"]
        wanted = analysis(gpu_required=True, cuda_required=True, cuda_version="10.2", gpu_memory_gb=40)
        last = placed(wanted, "CHI@TACC")
        assert set(names(last)) == {"compute_liqid", "gpu_h100"} and last.best.compromise == 1
        assert "newer than CUDA 10.2" in last.best.warnings[0]

    def test_a_gpu_without_current_builds_waits_for_a_project_of_its_time(self) -> None:
        wanted = analysis(gpu_required=True, cuda_required=True, gpu_memory_gb=8)
        found = placed(wanted, "CHI@TACC")
        assert names(found)[0] == "gpu_p100" and "too old" in found.excluded["gpu_m40"]
        older = analysis(gpu_required=True, cuda_required=True, gpu_memory_gb=8, cuda_version="11.3")
        assert {"gpu_m40", "gpu_k80"} <= set(names(placed(older, "CHI@TACC")))
        assert names(placed(wanted, "CHI@TACC", node_type="gpu_m40")) == ["gpu_m40"]

    def test_a_kepler_gpu_needs_the_image_of_its_time(self) -> None:
        wanted = analysis(gpu_required=True, cuda_required=True, cuda_version="11.0")
        assert "gpu_k80" in names(placed(wanted, "CHI@TACC"))
        modern = images(["CC-Ubuntu24.04-CUDA", "CC-Ubuntu22.04-CUDA"])
        assert "too old for its CUDA" in placed(wanted, "CHI@TACC", offered=modern).excluded["gpu_k80"]


class TestOrder:
    """Free now, then least SU, then least waste."""

    def test_free_comes_before_cheap(self) -> None:
        live = hosts("gpu_rtx_6000", 1) + hosts("gpu_a100_pcie", 1)
        wanted = analysis(gpu_required=True)
        assert names(placed(wanted, live=live, occupied=[])) == ["gpu_rtx_6000", "gpu_a100_pcie"]
        occupied = [busy("gpu_rtx_6000-0", -1, 5)]
        found = placed(wanted, live=live, occupied=occupied)
        assert names(found) == ["gpu_a100_pcie", "gpu_rtx_6000"]
        assert [c.free_now for c in found.candidates] == [1, 0]
        assert found.candidates[1].next_free == NOW + timedelta(hours=5, minutes=15)

    def test_cheap_comes_before_fitting_and_fitting_before_large(self) -> None:
        live = hosts("storage_nvme", 1) + hosts("compute_cascadelake_r", 1) + hosts("compute_skylake", 1)
        assert names(placed(analysis(disk=20), live=live, occupied=[])) == [
            "compute_skylake",
            "compute_cascadelake_r",
            "storage_nvme",
        ]

    def test_a_node_that_failed_lately_is_left_out_if_there_is_another(self) -> None:
        live = hosts("compute_skylake", 2)
        bad = frozenset({str(live[0].uid)})
        found = placed(analysis(), live=live, occupied=[], failed_lately=bad).best
        assert (found.free_now, found.total, found.exclude_uids) == (1, 1, tuple(bad))
        assert any("a server failed in the last hour" in one for one in found.warnings)
        alone = placed(analysis(), live=live[:1], occupied=[], failed_lately=bad).best
        assert (alone.free_now, alone.exclude_uids) == (1, ())
        assert any("no other node of this type" in one for one in alone.warnings)

    def test_a_window_that_is_too_short_is_not_free(self) -> None:
        live = hosts("compute_skylake", 1)
        occupied = [busy("compute_skylake-0", 10, 20)]
        assert placed(analysis(), live=live, occupied=occupied, hours=9).best.free_now == 1
        assert placed(analysis(), live=live, occupied=occupied, hours=10).best.free_now == 0

    def test_all_occupied_is_a_placement_that_says_until_when(self) -> None:
        live = hosts("compute_skylake", 2) + hosts("compute_cascadelake_r", 1)
        occupied = [busy(h.id, -5, 10 + n) for n, h in enumerate(live)]
        found = placed(analysis(), live=live, occupied=occupied)
        assert found.full and found.next_free == NOW + timedelta(hours=10, minutes=15)
        assert names(found) == ["compute_skylake", "compute_cascadelake_r"]

    def test_hidden_hosts_are_asked_in_order_of_plentifulness(self) -> None:
        found = placed(analysis())
        assert names(found)[:2] == ["compute_cascadelake_r", "compute_skylake"]
        assert found.best.free_now is None and found.best.next_free is None and not found.full
        shown = placed(analysis(), live=hosts("compute_skylake", 3), occupied=None)
        assert shown.best.free_now is None and shown.best.total == 3

    def test_hosts_that_cannot_be_reserved_do_not_count(self) -> None:
        live = [h.model_copy(update={"reservable": False}) for h in hosts("compute_skylake", 2)]
        live += hosts("compute_cascadelake_r", 1)
        found = placed(analysis(), live=live, occupied=[])
        assert names(found) == ["compute_cascadelake_r"]
        assert "none of its nodes can be reserved" in found.excluded["compute_skylake"]

    def test_the_order_does_not_depend_on_the_order_of_the_answers(self) -> None:
        live = hosts("compute_skylake", 3) + hosts("gpu_v100", 2) + hosts("compute_cascadelake_r", 4)
        occupied = [busy("compute_skylake-0", 1, 9), busy("compute_skylake-1", -4, 2)]
        straight = placed(analysis(), live=live, occupied=occupied)
        reversed_ = placed(analysis(), live=live[::-1], occupied=occupied[::-1], offered=ALL[::-1])
        assert names(straight) == names(reversed_)

    def test_several_sites_are_ranked_together(self) -> None:
        uc = placed(analysis(), live=hosts("compute_skylake", 1), occupied=[busy("compute_skylake-0", -1, 9)])
        tacc = placed(analysis(), "CHI@TACC", hosts("compute_zen3", 1), [])
        both = combine([uc, tacc])
        assert [(c.node_type.name, c.region) for c in both.candidates] == [
            ("compute_zen3", "CHI@TACC"),
            ("compute_skylake", "CHI@UC"),
        ]

    def test_free_comes_before_hidden_and_hidden_before_busy(self) -> None:
        live = hosts("compute_skylake", 1)
        free = placed(analysis(), live=live, occupied=[])
        taken = placed(analysis(), live=live, occupied=[busy("compute_skylake-0", -1, 9)])
        hidden = placed(analysis(), "CHI@NU")
        for order in ([free, taken, hidden], [hidden, taken, free]):
            found = [c.free_now for c in combine(order).candidates]
            assert found == [1, None, None, 0] and not combine(order).full

    def test_a_last_resort_of_one_site_gives_way_to_another_site(self) -> None:
        wanted = analysis(ram_gb=400)
        uc = placed(wanted, live=hosts("gpu_a100_pcie", 1), occupied=[])
        tacc = placed(wanted, "CHI@TACC", hosts("storage_hierarchy", 1), [busy("storage_hierarchy-0", -1, 5)])
        both = combine([uc, tacc])
        assert names(both) == ["storage_hierarchy"]
        assert "does not need" in both.excluded["gpu_a100_pcie at CHI@UC"]
        assert names(combine([uc])) == ["gpu_a100_pcie"]

    def test_a_candidate_says_what_it_is(self) -> None:
        live = hosts("gpu_rtx_6000", 1)
        free = placed(analysis(gpu_required=True), live=live, occupied=[]).best.why
        assert free == "24 cores, 192 GB RAM, 1 x Quadro RTX 6000 24 GB, 2 SU/h, 1 not reserved"
        taken = placed(analysis(gpu_required=True), live=live, occupied=[busy("gpu_rtx_6000-0", -1, 5)]).best.why
        assert taken.endswith("2 SU/h, free from 2026-11-23 17:15 UTC")
        assert placed(analysis(gpu_required=True)).best.why.endswith("availability unknown")


class TestIdleGpus:
    """A CPU project leaves the GPUs to those who need them."""

    def test_gpu_nodes_are_excluded_while_a_cpu_type_satisfies(self) -> None:
        live = hosts("compute_skylake", 1) + hosts("gpu_rtx_6000", 5)
        found = placed(analysis(), live=live, occupied=[busy("compute_skylake-0", -1, 5)])
        assert names(found) == ["compute_skylake"] and "does not need" in found.excluded["gpu_rtx_6000"]

    def test_gpu_nodes_are_the_last_resort_with_a_warning_and_without_cuda(self) -> None:
        wanted = analysis(ram_gb=400)
        found = placed(wanted, live=hosts("compute_skylake", 1) + hosts("gpu_a100_pcie", 1), occupied=[])
        assert names(found) == ["gpu_a100_pcie"] and found.best.compromise == 1
        assert any("does not need" in text for text in found.best.warnings)
        need = need_of(wanted)
        assert misfit(image("CC-Ubuntu24.04-CUDA"), found.best.node_type, need) is not None
        assert misfit(image("CC-Ubuntu24.04"), found.best.node_type, need) is None

    def test_an_optional_gpu_is_no_need(self) -> None:
        found = placed(analysis(gpu_optional=True))
        assert all(c.node_type.gpu is None for c in found.candidates)


class TestMixedTypes:
    """Nodes of one type differ: the ones that do not satisfy are excluded by uid."""

    def test_gpu_less_nodes_of_a_composable_type_are_excluded(self) -> None:
        with_gpu = {"gpu__gpu": "True", "gpu__gpu_count": "1", "gpu__gpu_model": "GA100 [A100 PCIe 80GB]"}
        live = hosts("compute_gigaio", 3, **with_gpu)
        live[1] = live[1].model_copy(update={"properties": {"gpu.gpu": "False"}})
        found = placed(analysis(gpu_required=True, gpu_memory_gb=80), live=live, occupied=[])
        assert names(found) == ["compute_gigaio"]
        assert (found.best.total, found.best.free_now) == (2, 2)
        assert found.best.exclude_uids == ("uid-compute_gigaio-1",)

    def test_where_hosts_are_hidden_a_composable_type_is_no_gpu_type(self) -> None:
        found = placed(analysis(gpu_required=True, gpu_memory_gb=80))
        assert "which is not shown" in found.excluded["compute_gigaio"]

    def test_nodes_that_cannot_be_named_cannot_be_excluded(self) -> None:
        live = hosts("compute_skylake", 2)
        live[0] = live[0].model_copy(update={"uid": None, "properties": {"main_memory.ram_size": str(8 << 30)}})
        live += hosts("compute_cascadelake_r", 1)
        found = placed(analysis(ram_gb=100), live=live, occupied=[])
        assert names(found) == ["compute_cascadelake_r"]

    def test_a_new_type_is_placed_by_its_properties_alone(self) -> None:
        live = hosts(
            "gpu_h200_new",
            2,
            architecture__smt_size="384",
            main_memory__ram_size=str(2048 << 30),
            gpu__gpu="True",
            gpu__gpu_count="8",
            gpu__gpu_model="GH100 [H200 141GB]",
            storage_devices__0__size="3840000000000",
        )
        wanted = analysis(gpu_required=True, cuda_required=True, gpu_count=8, gpu_memory_gb=120)
        assert names(placed(wanted, live=live, occupied=[])) == ["gpu_h200_new"]


class TestWishes:
    """The user's word stands, with warnings."""

    def test_a_named_type_is_the_only_candidate(self) -> None:
        found = placed(analysis(), node_type="compute_cascadelake_r")
        assert names(found) == ["compute_cascadelake_r"] and found.requested == "compute_cascadelake_r"
        assert found.best.warnings == ()

    def test_a_named_type_that_lacks_something_is_taken_with_a_warning(self) -> None:
        found = placed(analysis(gpu_required=True), node_type="compute_skylake")
        assert found.best.compromise == 1
        assert found.best.warnings[0] == "requested by the user, although: no GPU"

    def test_a_named_type_with_idle_gpus_still_leaves_out_the_nodes_that_lack_something(self) -> None:
        live = hosts("gpu_rtx_6000", 2, main_memory__ram_size=str(192 << 30))
        live[0] = live[0].model_copy(update={"properties": {"main_memory.ram_size": str(4 << 30)}})
        found = placed(analysis(), live=live, occupied=[], node_type="gpu_rtx_6000")
        assert found.best.exclude_uids == ("uid-gpu_rtx_6000-0",) and found.best.total == 1
        assert "does not need" in found.best.warnings[0]

    def test_a_named_type_that_is_full_is_full(self) -> None:
        live = hosts("compute_skylake", 1) + hosts("compute_cascadelake_r", 1)
        found = placed(analysis(), live=live, occupied=[busy("compute_skylake-0", -1, 9)], node_type="compute_skylake")
        assert found.full and names(found) == ["compute_skylake"]

    @pytest.mark.parametrize(
        ("wish", "hint"),
        [
            ("gpu_rtx6000", "gpu_rtx_6000"),
            ("GPU_RTX_6000", "gpu_rtx_6000"),
            ("gpu_h100", "CHI@TACC"),
            ("compute_haswell", "CHI@NU and CHI@NRP"),
            ("zzz", "compute_skylake"),
        ],
    )
    def test_an_unknown_type_is_no_full_type(self, wish: str, hint: str) -> None:
        with pytest.raises(UsageError) as caught:
            placed(analysis(), node_type=wish)
        assert wish in str(caught.value) and hint in hint_text(caught.value.hint)

    def test_a_named_image_excludes_what_it_cannot_serve(self) -> None:
        found = placed(analysis(architecture="aarch64"), "CHI@TACC", image=image("my-own-image"))
        assert names(found) == ["compute_arm64"]
        with pytest.raises(NothingSuitable, match=r"CC-Ubuntu24\.04-CUDA is unsuitable"):
            placed(analysis(), image=image("CC-Ubuntu24.04-CUDA"))


def test_kvm_flavors_are_placed_by_the_same_rules() -> None:
    offered = images(["CC-Ubuntu24.04", "CC-Ubuntu24.04-CUDA", "CC-Ubuntu24.04-CUDA-VGPU"])
    found = place(analysis(cores=4, ram=8, disk=30), flavors("KVM@TACC"), None, None, offered, now=NOW, hours=4)
    assert names(found) == ["m1.large", "m1.xlarge", "m1.xxlarge"]
    gpu = place(
        analysis(disk=30, gpu_required=True, gpu_memory_gb=40),
        flavors("KVM@TACC"),
        None,
        None,
        offered,
        now=NOW,
        hours=4,
    )
    assert names(gpu)[0] == "g1.h100.pci.1"


def test_a_site_without_chameleon_images_has_nothing() -> None:
    with pytest.raises(NothingSuitable, match="no Chameleon image"):
        placed(analysis(), offered=[image("cirros"), image("CC-Ubuntu24.04", visibility="private")])
