from __future__ import annotations

import pytest

from tests.unit.repository.facts import facts_of


def gpu(text: str) -> float:
    """The strongest sign of a readme's second paragraph, after an introduction that says nothing."""
    intro = "# it\n\n" + "".join(f"Sentence {n} of what it is.\n\n" for n in range(9))
    signs = facts_of("README.md", intro + text).gpu
    return max((s.weight for s in signs), key=abs, default=0.0)


@pytest.mark.parametrize(
    "text",
    [
        "It requires an NVIDIA GPU.",
        "An NVIDIA GPU is required.",
        "You will need a machine with a modern NVIDIA GPU.",
        "## Requirements\n\n* One NVIDIA GPU with at least 24 GB of memory\n",
        "## Prerequisites\n\n1. NVIDIA GPU + CUDA cuDNN\n",
        "`make train` reproduces Table 2 (needs 4x A100-80GB on one node).",
        "推理需要 NVIDIA 显卡。",
    ],
)
def test_needed(text: str) -> None:
    assert gpu(text) >= 2.4


@pytest.mark.parametrize(
    "text",
    [
        "No GPU is used.",
        "A GPU is not required, but can lead to speed-up in some cases.",
        "It does not require a GPU.",
        "Aucune carte graphique n'est nécessaire.",
        "They run on any laptop in under a minute.",
        "It is designed to run on conventional laptops and does not require specialized hardware.",
    ],
)
def test_denied(text: str) -> None:
    assert gpu(text) <= -1.9


@pytest.mark.parametrize(
    "text",
    [
        "GPU support is experimental.",
        "To use it on the GPU, you need to install CUDA first.",
        "If you have a GPU, it will be faster.",
        "It compiles to GPU/TPU/CPU.",
        "Accelerated by GPUs when available.",
        "## GPU support\n\nThis requires an NVIDIA GPU and the CUDA toolkit.",
        "We also support GPUs. This requires an NVIDIA GPU.",
        "For building the CUDA image, nvidia-docker is required.",
        "The measurements were collected on 64 nodes, each with 8x NVIDIA H100 80GB.",
        "## Hardware used in the paper\n\nEach node with 8x NVIDIA H100 80GB.",
        "The benchmark must run for 500 iterations, whatever the number of its GPUs.",
        "NVIDIA Mellanox ConnectX-5 NICs are required.",
        "The driver NVIDIA MLNX_OFED is required.",
        "## Hardware counters for C, C++ and CUDA\n\nWords.",
        "## Hardware Requirements\n\nThe code uses GPUs if they are available.",
        "For NVIDIA cards the drivers are included, so no action is required.",
    ],
)
def test_neither(text: str) -> None:
    assert -1.3 <= gpu(text) <= 1.2


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("# It\n\nThis is a PyTorch implementation of the paper.", "dependency"),
        ("# It\n\n```\npython train.py --lr 0.1\n```\n", "network"),
    ],
)
def test_what_a_readme_says_of_itself_first(text: str, kind: str) -> None:
    assert {s.kind for s in facts_of("README.md", text).gpu} == {kind}


def amounts(text: str) -> list[tuple[str, float, str]]:
    return [(a.what, a.value, a.stance) for a in facts_of("README.md", text).amounts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It needs at least 256 GB of RAM, 32 cores and 2 TB of free disk.",
         [("ram", 256, "minimum"), ("disk", 2000, "minimum"), ("cores", 32, "minimum")]),
        ("au moins 64 Go de mémoire vive", [("ram", 64, "minimum")]),
        ("require at least 16GB of RAM, ideally 32GB", [("ram", 16, "minimum"), ("ram", 32, "recommended")]),
        ("A GPU with at least 24 GB of memory is required", [("vram", 24, "minimum")]),
        ("runs on a GPU that has at least 12GB of RAM", [("vram", 12, "minimum")]),
        ("needs 4x A100-80GB on one node", [("vram", 80, "minimum"), ("gpus", 4, "minimum")]),
        ("Memory: at least 32 GB is required", [("ram", 32, "minimum")]),
        ("requires a 100 Gb/s network and 10 GB files", []),
        ("with 12 vCPUs, 85 GB of RAM, a 100 GB boot disk it was tested",
         [("ram", 85, "tested"), ("disk", 100, "tested"), ("cores", 12, "tested")]),
        ("needs at least 16 threads", [("cores", 8, "minimum")]),
        ("| Model | VRAM |\n|--|--|\n| base | 6 GB |", [("vram", 6, "minimum")]),
        ("needs 128 GB of RAM or, if the index shall stay there, over 1 TB of RAM",
         [("ram", 128, "minimum"), ("ram", 1000, "mentioned")]),
        ("It requires GPU(s) with at least 16 GB of memory.", [("vram", 16, "minimum")]),
        ("# It\n\n## FAQ\n\nIt requires at least 24 GB of GPU memory.", [("vram", 24, "minimum")]),
        ("# It\n\n## News\n\nThe minimum GPU memory requirement for it is 11G.", [("vram", 11, "minimum")]),
        ("requires around 12 GB of memory to hold everything on GPU", [("vram", 12, "minimum")]),
        ("It requires only 8 GB VRAM.", [("vram", 8, "minimum")]),
        ("It requires ~~64 GB~~ 32 GB of RAM.", [("ram", 32, "minimum")]),
        ("```\n# Complete with the small one. It needs at least 15 GB of GPU memory.\n```", [("vram", 15, "minimum")]),
        ("It must hold the database in RAM. The database size is 29 GB.", [("ram", 34, "minimum")]),
        # What beside a number is no core.
        ("If you instead use CUDA <11 or CPU, you need another build.", []),
        ("You need about 90GB of CPU memory.", [("ram", 90, "minimum")]),
        ("It needs 4 or more CPU cores.", [("cores", 4, "minimum")]),
        # The memory of a GPU, however it is called.
        ("An NVIDIA GPU with memory >=18GB is required.", [("vram", 18, "minimum")]),
        ("It requires approximately 14.7GB peak VRAM.", [("vram", 14.7, "minimum")]),
        ("In FP16 the model requires more than 30GB of RAM.", [("vram", 30, "minimum")]),
        ("In FP16 on a CPU the model requires more than 30GB of RAM.", [("ram", 30, "minimum")]),
        # What it takes it needs; of two that will do, the larger is for comfort.
        ("It takes about 6GB VRAM for an image.", [("vram", 6, "minimum")]),
        ("It needs an A100 (80GB) or an RTX 3090 (24GB).", [("vram", 80, "recommended"), ("vram", 24, "minimum")]),
        ("# It\n\n## FAQ\n\nAt least 4GB of GPU memory is required.", [("vram", 4, "minimum")]),
        # Comments in and behind commands.
        ("```\n# + less GPU memory (~16G)\npython main.py\n```", [("vram", 16, "mentioned")]),
        ("```\npython main.py -O # requires ~24G GPU memory\n```", [("vram", 24, "minimum")]),
        ("- ```\n  some code\n  ```\n\nIt needs 9 GB of GPU memory.", [("vram", 9, "minimum")]),
        ("- ```2024/10``` News\n\nIt needs 9 GB of GPU memory.", [("vram", 9, "minimum")]),
        # Lists and tables that get their meaning from what stands above or beside.
        ("The VRAM that it needs:\n\n- 8 GB for the base model\n", [("vram", 8, "minimum")]),
        ("If you do not have enough GPU memory:\n\n- buy 8 GB\n", []),
        ("We list the GPU memory.\n\n| Bits | Peak |\n|--|--|\n| 16 | 22 GB |", [("vram", 22, "minimum")]),
        ("We list the GPU memory.\n\n| Bits | Download |\n|--|--|\n| 16 | 22 GB |", []),
        ("| Way | Speed | Memory |\n|--|--|--|\n| a | 1.05 iters/sec | 18G |", [("vram", 18, "mentioned")]),
        ("80GB*8 GPUs are required.", [("vram", 80, "minimum"), ("gpus", 8, "minimum")]),
        ("For an A800 GPU:\n| Setting | Text |\n|--|--|\n| plain | 9G, 31s |", [("vram", 9, "minimum")]),
        ("The peak Vmemory usage is 16GB.", [("vram", 16, "mentioned")]),
        ("| Model | Device | Memory |\n|--|--|--|\n| base | GPU | 19 GB |", [("vram", 19, "minimum")]),
        ("| Model | Device | Memory |\n|--|--|--|\n| base | CPU | 19 GB |", [("ram", 19, "tested")]),
        ("## Hardware\n\n| Method | 7B |\n|--|--|\n| LoRA | 16GB |", [("vram", 16, "minimum")]),
        ("A single RTX 3090 is sufficient.", [("vram", 24, "tested")]),
        ("| Size | GPU Mem. & Time |\n|--|--|\n| 512 | 12GB & 20s |", [("vram", 12, "minimum")]),
        # An example in brackets ends with them; what has to be kept takes a footprint; a sum is over several.
        ("Each should have one core (e.g., a Xeon), 16GB DRAM.", [("ram", 16, "recommended")]),
        ("The index's memory footprint is down to ~10GB.", [("ram", 10, "tested")]),
        ("It needs 8 GPUs with 640 GB of GPU memory in total.", [("vram", 80, "minimum"), ("gpus", 8, "minimum")]),
        ("Its memory footprint is typically around 3.2 GB.", [("ram", 3.2, "tested")]),
        ("It only takes ~15GB of RAM for all of them.", [("ram", 15, "tested")]),
        ("Two Intel Xeon Gold 6230, 192 GB DRAM", [("ram", 192, "tested")]),
        ("A node of GPUs, each with GPU memory larger than 60GB", [("vram", 60, "mentioned")]),
        ("**DRAM:** 12 x 16GB DDR4 DRAM", [("ram", 192, "mentioned")]),
        ("It requires 8x80GB A100s.", [("vram", 80, "minimum"), ("gpus", 8, "minimum")]),
        ("| CPU | 2x Xeon 8260 |\n|--|--|\n| DRAM | 192GB |", [("ram", 192, "tested")]),
        ("Make sure that your machine has more than 32GB of free memory.", [("ram", 32, "minimum")]),
        ("## Hardware\n\nA longer one may require more RAM (128GB or more).", [("ram", 128, "mentioned")]),
        ("It reduces memory usage from 80 GB.", [("ram", 80, "mentioned")]),
        ("Images for nodes with up to 3 TB of memory.", [("ram", 3000, "mentioned")]),
        ("## Hardware\n\nA processor with support for up to 192GB memory.", [("ram", 192, "mentioned")]),
        ("Each uses 2 GB of memory per core.", []),
        ("- Memory: 4 x 16 GB DDR4", [("ram", 64, "mentioned")]),
        ("- Memory (RAM): 128GB", [("ram", 128, "mentioned")]),
        ("It needs a GPU with 40+GB of memory and 16+ GB RAM.", [("vram", 40, "minimum"), ("ram", 16, "minimum")]),
        ("Two servers with 128 GB of DRAM", [("ram", 128, "tested")]),
        ("## Requirements\n\nRecommended:\n\n- 128GB RAM\n\nMinimum:\n\n- 32GB RAM\n",
         [("ram", 128, "recommended"), ("ram", 32, "minimum")]),
        ("It was tested with a 2080Ti (11GB).", [("vram", 11, "tested")]),
        ("Ubuntu 22.04, 32 GB RAM", [("ram", 32, "tested")]),
        ("A server with no less than 128 GB of DRAM.", [("ram", 128, "minimum")]),
        ("A server with less than 128 GB of DRAM.", [("ram", 128, "mentioned")]),
        ("16 GB of memory is all it takes.", [("ram", 16, "minimum")]),
        ("In int4 its memory usage is 16GB.", [("vram", 16, "mentioned")]),
        ("| Model | Memory | Device |\n|--|--|--|\n| 5B | 11 GB | RTX 3090 |", [("vram", 11, "minimum")]),
        ("GPU requirements are:\n\n| Way | 19B |\n|--|--|\n| plain | 42GB |", [("vram", 42, "minimum")]),
        ("| Precision | GPU Mem (GB) |\n|--|--|\n| fp16 | 26.0 |", [("vram", 26, "minimum")]),
        ("建议使用 80GB 内存的 GPU。", [("vram", 80, "recommended")]),
        ("# It\n\n## News\n\n4-bit with CPU offloading reduces the minimum memory requirement to just 4 GB.",
         [("vram", 4, "minimum")]),
        ("# It\n\n## FAQ\n\nA minimum of 8GB of RAM is recommended.", [("ram", 8, "minimum")]),
        ("It requires Python 3.10 and at least 4 GBs of RAM.", [("ram", 4, "minimum")]),
        # A heading that says of what, a requirement that shrinks, a column that tells what each row takes.
        ("## Memory requirements\n\nAll of its entries require 151GB.", [("ram", 151, "minimum")]),
        ("## GPU memory\n\nAll of its entries require 151GB.", []),
        ("Without them the RAM requirement reduces to 35GB.", [("ram", 35, "minimum")]),
        ("| Index | Size/~Memory |\n|--|--|\n| core | 41G |", [("ram", 41, "tested")]),
        ("| Genome | CPU | RAM |\n|--|--|--|\n| worm | 8m54s | 41G |", [("ram", 41, "mentioned")]),
        ("```\n# less VRAM & slower (12G for one part)\npython main.py\n```", [("vram", 12, "mentioned")]),
        ("At least a GPU with 20GB memory; we advise a GPU with about 30 GB memory.",
         [("vram", 20, "minimum"), ("vram", 30, "recommended")]),
        ("It requires a GPU with 24G memory, or 16G memory with mixed precision.",
         [("vram", 24, "recommended"), ("vram", 16, "minimum")]),
        ("It requires a GPU with 24G memory and 16G of RAM.", [("vram", 24, "minimum"), ("ram", 16, "minimum")]),
        ("It requires a peak memory of 7GB on a V100.", [("vram", 7, "minimum")]),
        ("Al menos 24GB de memoria GPU.", [("vram", 24, "mentioned")]),
        # Words of other languages, some of which stand without spaces.
        ("# It\n\n## Configuration requise\n\nUn serveur avec 48 Go de mémoire vive.", [("ram", 48, "minimum")]),
        ("至少需要24GB显存,内存不少于64G。", [("vram", 24, "minimum"), ("ram", 64, "minimum")]),
        ("## 動作環境\n\n- メモリ16GB以上\n", [("ram", 16, "minimum")]),
        ("## 요구 사항\n\n- GPU 메모리 24GB 이상\n", [("vram", 24, "minimum")]),
    ],
)  # fmt: skip
def test_amounts(text: str, expected: list[tuple[str, float, str]]) -> None:
    assert amounts(text) == expected


def test_a_minimum_is_no_miniature() -> None:
    plain, mini = (
        facts_of("README.md", f"The {w} GPU memory required is 11 GB.").amounts[0] for w in ("minimum", "mini")
    )
    assert plain.weight > mini.weight


def test_what_will_do_without_a_gpu_too_says_little_of_its_memory() -> None:
    plain, either = (
        facts_of("README.md", f"最低 3G 显存{words}都可运行。").amounts[0].weight for words in ("", "或者没有显卡")
    )
    assert either < 0.5 * plain


def test_an_example_says_little() -> None:
    plain, example = (
        facts_of("README.md", f"{words}wo recordings each required 300 GB of RAM.").amounts[0].weight
        for words in ("T", "For example, t")
    )
    assert example < 0.5 * plain
    footprint = facts_of("README.md", "For example, for humans its memory footprint is 300 GB.").amounts[0].weight
    assert footprint == plain, "which is told by examples"
    assert facts_of("README.md", "An Apple M4 with at least 300 GB of RAM.").amounts[0].weight < 0.5 * plain


def test_documents_count_by_where_they_stand() -> None:
    def weight(path: str) -> float:
        return facts_of(path, "It needs at least 16 GB of RAM.").amounts[0].weight

    assert weight("README.md") > weight("artifact_evaluation/README.md") > weight("part/README.md")
    assert weight("README.md") > weight("README_sycl.md"), "one way beside the main one"
    assert weight("docs/src/content/docs/start/system-requirements.mdx") > weight("part/README.md")
    assert weight("book/src/installation.md") == weight("docs/src/installation.md")


def test_training_on_a_gpu_that_is_named_by_its_model_alone_speaks_of_gpus() -> None:
    assert gpu("It enables the full tuning of a small model on a single RTX 3090.") < 1.0
    assert gpu("It enables the finetuning of a small model on a single RTX 3090.") >= 1.0


@pytest.mark.parametrize(
    "text",
    [
        "The profiling runs on a single A100 80G GPU.",
        "It is trained on one A100 GPU with 80GB memory.",
        "Tuning takes around 20 hours on an A100 (80G).",
        "It runs on multiple GPUs with 80 GB of memory.",
        "We fit it in 8 A100s with 80 GB of GPU memory.",
    ],
)
def test_gpus_of_measurements_and_of_many_together_say_little(text: str) -> None:
    plain = facts_of("README.md", "It runs on a GPU with 80 GB of memory.").amounts[0]
    assert all(a.weight < 0.5 * plain.weight for a in facts_of("README.md", text).amounts if a.what == "vram")


def pythons(text: str) -> set[str]:
    signs = facts_of("README.md", text).pythons
    return set(signs[0].allowed) if signs else set()


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("Requires Python 3.9 or newer.", "3.9", "3.14"),
        ("Python (>=3.8, <3.12) is required.", "3.8", "3.11"),
        ("Python 3.8-3.11 is supported.", "3.8", "3.11"),
        ("Python 3.10 or 3.11", "3.10", "3.11"),
        ("Python (version >= 3.7)", "3.7", "3.14"),
        ("- python>=3.10", "3.10", "3.14"),
        ("tested with Python 3.10.6", "3.10", "3.10"),
        ("## Prerequisites\n\n- Python 3\n", "3.4", "3.14"),
        ("## Prerequisites\n\n- Python 2 or 3\n", "2.7", "3.14"),
        ("## Prerequisites\n\n- Python 3.x\n", "3.4", "3.14"),
    ],
)
def test_python_versions_in_prose(text: str, first: str, last: str) -> None:
    found = sorted(pythons(text), key=lambda v: [int(part) for part in v.split(".")])
    assert (found[0], found[-1]) == (first, last)


@pytest.mark.parametrize("line", ["* torch==1.6.0", "```\nPyTorch == 1.6.0+cu101\n```", "    torch==1.6.0"])
def test_pins_that_a_document_lists_are_packages(line: str) -> None:
    (package,) = facts_of("README.md", f"# It\n\n## Environment\n\n{line}\n").packages
    assert (package.name, package.pinned, package.scope) == ("torch", "1.6.0", "documented")


def test_a_picture_for_a_title_leaves_sections_sections() -> None:
    (sign,) = facts_of("README.md", "![it](x.png)\n\n## Benchmarks\n\nTested on Ubuntu 20.04.\n").systems
    assert sign.weight < 0.6


def test_what_headings_are_an_aside() -> None:
    def weight(*headings: str) -> float:
        text = "# It\n\n" + "".join(f"{'#' * (n + 2)} {words}\n\n" for n, words in enumerate(headings))
        return facts_of("README.md", f"{text}It has 16 GB of RAM.\n").amounts[0].weight

    assert weight("News") == weight("References") == weight("Press") < weight("Words")
    assert weight("Expression of genes") == weight("A reference annotation") == weight("Words")
    assert weight("What's new", "System requirements") == weight("Words"), "what requirements stand below"
    assert weight("Results", "Requirements") < weight("Words")


def test_a_python_that_is_not_supported_is_none() -> None:
    assert pythons("It does not support Python 3.12.") == set()
    assert pythons("This is the last version that supports Python 3.9.") == set()
    assert pythons("Support for Python 2.7 was dropped.") == set()


def test_a_major_version_alone_counts_among_requirements_only() -> None:
    assert pythons("It was ported to Python 3 in 2015.") == set()
    assert pythons("## Prerequisites\n\n- python3-dev\n") == set()


def test_systems_in_prose() -> None:
    def best(text: str) -> tuple[tuple[str, ...], bool]:
        sign = max(facts_of("README.md", text).systems, key=lambda s: s.weight)
        return sign.versions, sign.and_newer

    assert best("Tested on Ubuntu 20.04 and 22.04.") == (("20.04", "22.04"), False)
    assert best("Packages exist for Ubuntu 20.04 and newer.") == (("20.04",), True)
    assert best("We assume Ubuntu 16.04 is being used") == (("16.04",), False)
    assert best("Linux kernel 5.9 or later is required.") == (("22.04",), True)
    in_a_container = facts_of("README.md", "The Docker image is based on Ubuntu 14.04.").systems
    assert all(s.weight < 0.3 for s in in_a_container)
    assert facts_of("README.md", "The host runs Ubuntu 22.04 with Docker.").systems[0].weight > 0.6
    assert best("Developed under Ubuntu Bionic.") == (("18.04",), False)
    assert best("* Ubuntu Focal (20.04)") == (("20.04",), False)
    assert best("The Ubuntu LTS releases (20.04, 22.04)") == (("20.04", "22.04"), False)
    assert best("Ubuntu 64-bit 16.04 or 18.04.") == (("16.04", "18.04"), False)
    assert best("系统需要Ubuntu20.04") == (("20.04",), False)
    assert best("On Ubuntu (we've tested on 20.04 and 22.04), see the Dockerfile.") == (("20.04", "22.04"), False)


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("[ROS](http://wiki.ros.org) (tested with Kinetic and Melodic)", ("16.04", "18.04")),
        ("Install ROS Noetic first.", ("20.04",)),
        ("You need ROS2 Humble.", ("22.04",)),
        ("Install ros-humble-desktop of ROS 2.", ("22.04",)),
        ("```\nsudo apt install ros-melodic-tf ros-melodic-pcl\n```", ("18.04",)),
        ("A humble wrapper of ROS.", None),
        ("# Humble FAQ", None),
        ("Ubuntu 18.04 with ROS Noetic", ("18.04",)),
    ],
)
def test_a_release_of_ros_tells_the_ubuntu_that_it_is_made_for(text: str, versions: tuple[str, ...] | None) -> None:
    signs = facts_of("README.md", text).systems
    assert [s.versions for s in signs] == ([versions] if versions else [])


def test_a_release_that_is_planned_or_given_up_is_no_constraint() -> None:
    def weight(text: str) -> float:
        return facts_of("README.md", text).systems[0].weight

    plain = weight("It runs on Ubuntu 20.04.")
    assert weight("We plan to migrate it to Ubuntu 20.04.") < 0.5 * plain
    assert weight("It has not been tested on Ubuntu 20.04.") < 0.5 * plain
    assert weight("Ubuntu 20.04 is no longer supported.") < 0.5 * plain
    assert weight("For example, ROS Noetic will do.") < weight("ROS Noetic will do.")


def test_systems_set_like_code_are_no_command() -> None:
    listed, command = (
        facts_of("README.md", f"# It\n\n## System requirements\n\nIt runs on:\n\n    {line}\n").systems[0].weight
        for line in ("Ubuntu 14.04,16.04 and 18.04", "docker pull ubuntu:16.04")
    )
    assert listed > 1.0 > command


@pytest.mark.parametrize(
    "command",
    ["sudo apt-get install ros-melodic-tf", "wget http://x/MLNX_OFED_LINUX-4.6-1.0.1.1-ubuntu18.04-x86_64.tgz"],
)
def test_packages_and_drivers_for_a_release_tell_it_as_other_commands_do_not(command: str) -> None:
    (sign,) = facts_of("README.md", f"```\n{command}\n```\n").systems
    (other,) = facts_of("README.md", "```\nwget http://x/it-ubuntu18.04.tgz\n```\n").systems
    assert sign.versions == other.versions == ("18.04",)
    assert sign.weight >= 0.6 > other.weight
