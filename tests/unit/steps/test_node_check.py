"""What a node shows of itself is read without trusting it, and compared with what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envagent.catalog import NodeType, node_types
from envagent.repository.results import Requirements
from envagent.sandbox.cloud_time import Pace
from envagent.sandbox.inventory import sites
from envagent.sandbox.node_facts import node_of
from envagent.sandbox.node_files import Files
from envagent.sandbox.node_programs import programs_of, system_files
from envagent.sandbox.node_shell import Shell
from envagent.sandbox.profiles import CHAMELEON
from envagent.sandbox.records import Server
from envagent.sandbox.state import State
from envagent.sandbox.world import World
from envagent.steps.node_check import LOOK, SeenGpu, SeenNode, differences, read_node

A100 = """@threads
128
@cpu
Architecture:                         x86_64
CPU(s):                               128
Core(s) per socket:                   32
Socket(s):                            2
@memory
MemTotal:       527996956 kB
@disk
Filesystem        1B-blocks        Used    Available Use% Mounted on
/dev/sda1      470123454464 24122916864 425984073728   6% /
@devices
03:00.0 VGA compatible controller: Matrox Electronics Systems Ltd. Integrated Matrox G200eW3 Graphics Controller
17:00.0 3D controller: NVIDIA Corporation GA100 [A100 PCIe 40GB] (rev a1)
65:00.0 3D controller: NVIDIA Corporation GA100 [A100 PCIe 40GB] (rev a1)
@python
Python 3.10.12
@system
PRETTY_NAME="Ubuntu 22.04.4 LTS"
NAME="Ubuntu"
@gpus
NVIDIA A100-PCIE-40GB, 40960, 535.104.05
NVIDIA A100-PCIE-40GB, 40960, 535.104.05
@smi 0
"""

WITHOUT_DRIVER = A100.partition("NVIDIA A100-PCIE")[0] + "@smi 127\n"

FULL = SeenNode(
    architecture="x86_64",
    cores=64,
    threads=128,
    memory_gb=503.5,
    disk_gb=470.1,
    gpus=(SeenGpu(name="NVIDIA A100-PCIE-40GB", memory_gb=40.0),) * 2,
    devices={"nvidia": 2, "amd": 0, "intel": 0},
    driver="535.104.05",
    python="3.10.12",
    system="Ubuntu 22.04.4 LTS",
)

SKYLAKE = next(one for one in node_types("CHI@UC") if one.name == "compute_skylake")
V100 = next(one for one in node_types("CHI@UC") if one.name == "gpu_v100")


def test_a_real_node_is_read() -> None:
    assert read_node(A100) == FULL
    assert FULL.summary() == (
        "64 cores, 504 GB RAM, 470 GB disk, 2 x NVIDIA A100-PCIE-40GB 40 GB, driver 535.104.05, Python 3.10.12, "
        "Ubuntu 22.04.4 LTS"
    )
    without = FULL.model_copy(update={"gpus": None, "driver": None})
    assert read_node(WITHOUT_DRIVER) == without
    assert "470 GB disk, 2 x NVIDIA GPU without a driver, Python" in without.summary()


@pytest.mark.parametrize(
    "output",
    [
        "@threads\n-1\n@memory\nMemTotal: 1e9 kB\n@disk\n\n/dev/sda1\n@cpu\nSocket(s): two\nCore(s) per socket: 9\n",
        "@gpus\nFailed to initialize NVML: Driver/library version mismatch\n@smi 18",
        "@gpus\n"
        + "x" * 9000
        + ", [N/A], "
        + "9" * 9000
        + "\n"
        + ", , \n" * 9
        + "a, b, c\n" * 900
        + "@smi\n@python\nPython",
        "@" * 4000,
        "@threads\n" + "9" * 5000 + "\n@memory\nMemTotal: \u0663 kB",
    ],
)
def test_what_makes_no_sense_is_left_out(output: str) -> None:
    seen = read_node(output)
    assert seen is not None and len(seen.model_dump_json()) < 20_000
    assert (seen.threads, seen.memory_gb, seen.disk_gb, seen.cores) == (None, None, None, None)
    assert all(gpu.memory_gb is None for gpu in seen.gpus or ())


@pytest.mark.parametrize("site", ["uc", "tacc"])
def test_the_sandbox_shows_each_node_type_as_the_catalogue_describes_it(site: str, tmp_path: Path) -> None:
    world = World(sites()[site], State(tmp_path / "state.db"), 0.0, Pace(), CHAMELEON)
    image = next(one.id for one in world.site.images.values() if one.name == "CC-Ubuntu22.04-CUDA")
    given: dict[str, Any] = {"networks": [], "metadata": {}, "hints": {}, "updated_at": 0.0, "key_name": None}
    first = {host.node_type: host for host in reversed(world.site.hosts.values())}
    for offered in node_types(world.site.region):
        if offered.name not in first:
            continue
        server = Server(
            **world.fresh("p", "n"), user="u", image=image, flavor="f", host=first[offered.name].id, **given
        )
        node = node_of(world, server, "127.0.0.1")
        shell = Shell(node, Files(system_files(node)), programs_of(node), "cc")
        seen = read_node(shell.run(LOOK).out)
        assert seen is not None and seen.cores == offered.cores, offered.name
        assert differences(seen, Requirements(gpu_required=bool(offered.gpu and offered.gpu.guaranteed)), offered) == ()


def test_a_node_that_prints_nothing_has_shown_nothing() -> None:
    assert read_node("") is None
    assert read_node("Welcome to the machine\n") is None


def test_all_there_differs_in_nothing() -> None:
    needs = Requirements(gpu_required=True, gpu_count=2, gpu_memory_gb=40, cpu_cores=64, ram_gb=512, disk_gb=500)
    assert differences(FULL, needs, SKYLAKE) == ()


CASES: list[tuple[dict[str, object], dict[str, object], NodeType, list[str]]] = [
    (
        {"gpus": FULL.gpus and FULL.gpus[:1]},
        {"gpu_required": True, "gpu_count": 2},
        V100,
        ["asked for 2 GPUs, nvidia-smi shows 1"],
    ),
    ({"gpus": ()}, {"gpu_required": True}, V100, ["asked for 1 GPU, nvidia-smi shows 0"]),
    ({}, {}, V100, ["gpu_v100 has 4 GPUs, nvidia-smi shows 2"]),
    (
        {"gpus": (SeenGpu(name="T4", memory_gb=15.0),) * 4},
        {"gpu_required": True, "gpu_memory_gb": 24},
        V100,
        ["asked for 24 GB of GPU memory, nvidia-smi shows 15"],
    ),
    (
        {"gpus": None},
        {"gpu_required": True},
        V100,
        ["the image has no NVIDIA driver (nvidia-smi is missing; lspci shows 2 NVIDIA GPUs)"],
    ),
    (
        {"gpus": None, "devices": None},
        {"gpu_required": True},
        V100,
        ["the image has no NVIDIA driver (nvidia-smi is missing)"],
    ),
    (
        {"gpus": None, "devices": {"nvidia": 0}},
        {"gpu_required": True},
        SKYLAKE,
        ["asked for 1 GPU, lspci shows 0"],
    ),
    ({"gpus": None}, {}, V100, []),
    (
        {"gpus": None, "devices": {"amd": 1}},
        {"gpu_required": True, "gpu_vendor": "amd", "gpu_count": 2},
        SKYLAKE,
        ["asked for 2 GPUs, lspci shows 1"],
    ),
    ({"cores": 12}, {}, SKYLAKE, ["compute_skylake has 24 cores, lscpu shows 12"]),
    ({"cores": 24}, {"cpu_cores": 32}, SKYLAKE, ["asked for 32 cores, lscpu shows 24"]),
    ({"memory_gb": 93.9}, {"ram_gb": 128}, SKYLAKE, ["asked for 128 GB of memory, the node has 93.9"]),
    ({"disk_gb": 100.0}, {}, SKYLAKE, ["compute_skylake has 240 GB of disk, the root file system has 100"]),
    ({"architecture": "aarch64"}, {}, SKYLAKE, ["compute_skylake is x86_64, the node is aarch64"]),
    ({"python": "3.6.8"}, {"python_version": "3.11"}, SKYLAKE, ["asked for Python 3.11, python3 is 3.6.8"]),
    ({"python": None}, {"python_version": "3.11"}, SKYLAKE, ["asked for Python 3.11, python3 is missing"]),
    ({"python": "3.12.3"}, {"python_version": "3.11"}, SKYLAKE, []),
    ({"python": "3.8.10"}, {"python_version": "3.11", "python_allowed": ("3.8", "3.11")}, SKYLAKE, []),
]


@pytest.mark.parametrize(("shown", "asked", "offered", "wanted"), CASES)
def test_what_a_node_lacks(
    shown: dict[str, object], asked: dict[str, object], offered: NodeType, wanted: list[str]
) -> None:
    seen = FULL.model_copy(update=shown)
    assert list(differences(seen, Requirements.model_validate(asked), offered)) == wanted
