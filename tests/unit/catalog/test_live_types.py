"""The catalogue refreshed by what a site reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from envagent.catalog import NodeType, describe, flavors, node_types, refresh, refresh_flavors
from envagent.cloud.port import Flavor, Host

UC = {t.name: t for t in node_types("CHI@UC")}
TACC = {t.name: t for t in node_types("CHI@TACC")}


def host(
    kind: str | None, properties: Mapping[str, str] | None = None, *, number: int = 1, reservable: bool = True
) -> Host:
    return Host(
        id=str(number), uid=f"uid-{number}", node_type=kind, reservable=reservable, properties=dict(properties or {})
    )


NEW_TYPE = {
    "architecture.platform_type": "x86_64",
    "architecture.smp_size": "2",
    "architecture.smt_size": "256",
    "main_memory.ram_size": str(768 << 30),
    "gpu.gpu": "True",
    "gpu.gpu_count": "8",
    "gpu.gpu_model": "GH100 [H100 SXM5 80GB]",
    "gpu.gpu_vendor": "NVIDIA",
    "processor.vendor": "AMD",
    "su_factor": "32.0",
    "storage_devices.0.size": "3840000000000",
    "storage_devices.0.device": "nvme0n1",
    "storage_devices.1.size": "960000000000",
    "network_adapters.0.interface": "Ethernet",
    "network_adapters.0.rate": "100000000000",
    "network_adapters.0.enabled": "True",
    "network_adapters.0.model": "MT28908 Family [ConnectX-6]",
    "network_adapters.1.interface": "InfiniBand",
    "network_adapters.1.enabled": "False",
}


def test_a_type_that_nobody_packaged_is_made_of_its_properties() -> None:
    (found,) = refresh((), [host("gpu_h100_new", NEW_TYPE)], region="CHI@UC")
    assert (found.name, found.region, found.count, found.known) == ("gpu_h100_new", "CHI@UC", 1, False)
    assert (found.threads, found.cores, found.sockets, found.ram_gb) == (256, 128, 2, 768)
    assert found.gpu is not None
    assert (found.gpu.count, found.gpu.memory_gb, found.gpu.compute_capability) == (8, 80, "9.0")
    assert (found.disk_gb, found.extra_disks_gb) == (960, (3840,))
    assert (found.nic_gbps, found.infiniband, found.rdma) == (100, True, True)
    assert found.su_factor == 32 and found.cpu_vendor == "amd" and "nvme" in found.tags


def test_a_charge_that_nobody_tells_follows_the_announced_scheme() -> None:
    untold = {key: value for key, value in NEW_TYPE.items() if key != "su_factor"}
    (gpus,) = refresh((), [host("x", untold)], region="X")
    (plain,) = refresh((), [host("y", {"architecture.smt_size": "48"})], region="X")
    assert (gpus.su_factor, plain.su_factor) == (32.0, 1.0)
    for ram, charge in ((511, 1.0), (512, 2.0)):
        (large,) = refresh((), [host("z", {"main_memory.ram_size": str(ram << 30)})], region="X")
        assert large.su_factor == charge


def test_without_hosts_the_package_stands() -> None:
    assert refresh(tuple(UC.values()), []) == tuple(UC.values())


def test_the_live_list_decides_what_exists_and_how_many() -> None:
    hosts = [host("compute_skylake", number=n) for n in range(3)] + [
        host("compute_skylake", number=9, reservable=False),
        host(None, number=10),
    ]
    (found,) = refresh(tuple(UC.values()), hosts)
    assert (found.name, found.count, found.cores) == ("compute_skylake", 3, 24)


def test_the_live_answer_wins_and_the_package_fills_the_gaps() -> None:
    one = describe(
        host("gpu_rtx_6000", {"su_factor": "3.5", "main_memory.ram_size": str(384 << 30)}), UC["gpu_rtx_6000"]
    )
    assert (one.su_factor, one.ram_gb, one.cores, one.disk_gb) == (3.5, 384, 24, 240)
    assert one.gpu == UC["gpu_rtx_6000"].gpu


def test_a_type_is_as_poor_as_its_poorest_node() -> None:
    hosts = [
        host(
            "compute_gigaio",
            {"gpu.gpu": "True", "gpu.gpu_count": "1", "gpu.gpu_model": "GA100 [A100 PCIe 80GB]"},
            number=1,
        ),
        host("compute_gigaio", {"gpu.gpu": "False"}, number=2),
        host("compute_gigaio", {"architecture.smt_size": "128"}, number=3),
    ]
    (found,) = refresh(tuple(UC.values()), hosts)
    assert found.gpu is not None and (found.gpu.count, found.gpu.guaranteed) == (1, 0)
    assert (found.threads, found.cores) == (128, 128)


def test_a_silent_host_of_a_composable_type_is_not_trusted_with_a_gpu() -> None:
    assert describe(host("compute_gigaio"), UC["compute_gigaio"]).gpu is None
    liqid = describe(host("compute_liqid"), TACC["compute_liqid"]).gpu
    assert liqid is not None and liqid.count == 1


def test_a_special_of_one_node_only_is_no_property_of_the_type() -> None:
    hosts = [
        host("compute_cascadelake_r", {"fpga.board_vendor": "Xilinx"}, number=1),
        host("compute_cascadelake_r", number=2),
    ]
    (found,) = refresh(tuple(UC.values()), hosts)
    assert "fpga" not in found.tags
    assert "fpga" in describe(hosts[0], UC["compute_cascadelake_r"]).tags


@pytest.mark.parametrize("junk", ["", "many", "NaN GB", "-", "0x10"])
def test_numbers_that_are_none_are_left_to_the_package(junk: str) -> None:
    odd = host("compute_skylake", {"su_factor": junk, "main_memory.ram_size": junk, "architecture.smt_size": junk})
    one = describe(odd, UC["compute_skylake"])
    assert (one.su_factor, one.ram_gb, one.threads) == (1.0, 192, 48)


@pytest.mark.parametrize(
    ("adapters", "infiniband", "rdma", "gbps"),
    [
        ({}, False, False, None),
        ({"0.interface": "Ethernet", "0.rate": "10000000000", "0.model": "Ethernet X710"}, False, False, 10),
        ({"0.interface": "Ethernet", "0.rate": "25000000000", "0.model": "ConnectX-4 Lx"}, False, True, 25),
        ({"0.interface": "Ethernet", "0.enabled": "False", "0.model": "ConnectX-4 Lx"}, False, False, None),
        ({"0.interface": "InfiniBand", "0.enabled": "False"}, True, True, None),
    ],
)
def test_adapters_tell_of_the_network(
    adapters: dict[str, str], infiniband: bool, rdma: bool, gbps: float | None
) -> None:
    properties = {f"network_adapters.{key}": value for key, value in adapters.items()}
    one = describe(host("new", properties), None)
    assert (one.infiniband, one.rdma, one.nic_gbps) == (infiniband, rdma, gbps)


@pytest.mark.parametrize(
    ("model", "tags"), [("MT42822 BlueField-2 integrated ConnectX-6 Dx", ("dpu",)), ("Ethernet X710", ())]
)
def test_an_adapter_may_be_a_dpu(model: str, tags: tuple[str, ...]) -> None:
    assert describe(host("new", {"network_adapters.0.model": model}), None).tags == tags


def test_what_a_type_is_known_for_is_not_lost_by_a_short_list_of_adapters() -> None:
    properties = {"network_adapters.0.interface": "Ethernet", "network_adapters.0.model": "X710"}
    one = describe(host("compute_haswell_ib", properties), TACC["compute_haswell_ib"])
    assert one.infiniband and one.rdma
    plain = describe(host("compute_cascadelake_r"), UC["compute_cascadelake_r"])
    assert (plain.infiniband, plain.rdma, plain.nic_gbps) == (False, True, 25)


@pytest.mark.parametrize(
    ("properties", "count"),
    [
        ({"gpu.gpu": "True"}, 1),
        ({"gpu.gpu": "True", "gpu.gpu_count": "4"}, 4),
        ({"gpu.gpu_count": "2"}, 2),
        ({"gpu.gpu": "False", "gpu.gpu_count": "1"}, None),
        ({"gpu.gpu": "true", "gpu.gpu_model": "Unheard of"}, 1),
    ],
)
def test_what_a_host_says_of_its_gpus_counts(properties: dict[str, str], count: int | None) -> None:
    gpu = describe(host("gpu_rtx_6000", properties), UC["gpu_rtx_6000"]).gpu
    assert (gpu.count if gpu else None) == count
    assert gpu is None or gpu.memory_gb == 24


def test_a_gpu_of_another_maker_has_no_memory_of_the_known_one() -> None:
    odd = {"gpu.gpu": "True", "gpu.gpu_model": "Instinct Z1", "gpu.gpu_vendor": "AMD"}
    gpu = describe(host("gpu_rtx_6000", odd), UC["gpu_rtx_6000"]).gpu
    assert gpu is not None and (gpu.vendor, gpu.memory_gb) == ("amd", None)
    same = {"gpu.gpu": "True", "gpu.gpu_model": "Z1", "gpu.gpu_vendor": "NVIDIA"}
    kept = describe(host("gpu_rtx_6000", same), UC["gpu_rtx_6000"]).gpu
    assert kept is not None and kept.memory_gb == 24


def test_an_arm_node_is_one() -> None:
    one = describe(host("new_arm", {"architecture.platform_type": "aarch64", "architecture.smt_size": "80"}), None)
    assert (one.architecture, one.cores) == ("aarch64", 80)


def test_live_flavors_decide_what_can_be_reserved() -> None:
    live = [
        Flavor(id="3", name="m1.medium", vcpus=2, ram_mb=4096, disk_gb=40),
        Flavor(id="r", name="reservation:9f", vcpus=2, ram_mb=4096, disk_gb=40),
        Flavor(id="b", name="baremetal", vcpus=1, ram_mb=1, disk_gb=1),
        Flavor(
            id="g",
            name="g2.gpu.h200.1",
            vcpus=24,
            ram_mb=131072,
            disk_gb=80,
            extra_specs={"pci_passthrough:alias": "h200:2"},
        ),
    ]
    found = {f.name: f for f in refresh_flavors(flavors("KVM@TACC"), live)}
    assert set(found) == {"m1.medium", "g2.gpu.h200.1"}
    assert (found["m1.medium"].flavor_id, found["m1.medium"].ram_gb, found["m1.medium"].known) == ("3", 4, True)
    gpu = found["g2.gpu.h200.1"].gpu
    assert gpu is not None and (gpu.vendor, gpu.count, gpu.memory_gb) == ("nvidia", 2, 141)
    assert refresh_flavors(flavors("KVM@TACC"), []) == flavors("KVM@TACC")


@dataclass(frozen=True)
class _Other:
    """Anything of the right shape is a reported host: the catalogue imports no cloud."""

    node_type: str | None = "compute_skylake"
    reservable: bool = True
    properties: dict[str, str] = field(default_factory=dict)


def test_any_object_of_the_right_shape_is_a_host() -> None:
    found: tuple[NodeType, ...] = refresh(tuple(UC.values()), [_Other()])
    assert found[0].name == "compute_skylake"
