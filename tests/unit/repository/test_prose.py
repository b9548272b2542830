from __future__ import annotations

import pytest

from envagent.repository.analyzer import analyze
from envagent.repository.facts import Facts, Said
from envagent.repository.prose import document
from envagent.repository.prose.tokens import tokens
from envagent.repository.results import Entry, Requirements, Snapshot
from tests.unit.repository.facts import facts_of

_INTRODUCTION = "# it\n\n" + "".join(f"Sentence {n} of what it is.\n\n" for n in range(9))
_MEASURED = ("ram", "vram", "disk", "cores", "gpus")


def said(text: str, *subjects: str, path: str = "README.md") -> list[Said]:
    """What a document says of these subjects."""
    return [one for one in facts_of(path, text).said if one.subject in subjects]


def stances(text: str, *subjects: str) -> set[str]:
    return {one.stance for one in said(text, *subjects)}


def concluded(text: str) -> Requirements:
    """What a repository needs that has this readme and nothing else."""
    entries = (Entry(path="README.md", size=len(text)),)
    return analyze(Snapshot(url="x", commit=None, entries=entries, files={"README.md": text})).requirements


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("It requires an NVIDIA GPU.", "need"),
        ("An NVIDIA GPU is required.", "need"),
        ("You will need a machine with a modern NVIDIA GPU.", "need"),
        ("## Requirements\n\n* One NVIDIA GPU with at least 24 GB of memory\n", "listed"),
        ("## Prerequisites\n\n1. NVIDIA GPU + CUDA cuDNN\n", "listed"),
        ("`make train` reproduces Table 2 (needs 4x A100-80GB on one node).", "need"),
        ("推理需要 NVIDIA 显卡。", "need"),
        ("You need a GPU with 22 GiB VRAM and CUDA support.", "need"),
        ("This does not require anything beyond a common GPU server.", "need"),
        ("It does not work without a GPU.", "need"),
        ("If you are not a reviewer, you will need a GPU.", "need"),
    ],
)
def test_needed(text: str, stance: str) -> None:
    assert stances(_INTRODUCTION + text, "gpu") == {stance}
    assert concluded(_INTRODUCTION + text).gpu_required


@pytest.mark.parametrize(
    ("text", "subject", "stance"),
    [
        ("No GPU is used.", "gpu", "denied"),
        ("A GPU is not required, but can lead to speed-up in some cases.", "gpu", "denied"),
        ("It does not require a GPU.", "gpu", "denied"),
        ("Aucune carte graphique n'est nécessaire.", "gpu", "denied"),
        ("None of the usual accelerators (GPU, FPGA) is required.", "gpu", "denied"),
        ("No special hardware (such as GPUs or FPGAs) is needed.", "gpu", "denied"),
        ("They run on any laptop in under a minute.", "cpu_will_do", "cpu"),
        (
            "It is designed to run on conventional laptops and does not require specialized hardware.",
            "cpu_will_do",
            "cpu",
        ),
    ],
)
def test_denied(text: str, subject: str, stance: str) -> None:
    assert stances(_INTRODUCTION + text, subject) == {stance}
    got = concluded(_INTRODUCTION + text)
    assert not got.gpu_required and not got.gpu_optional


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("GPU support is experimental.", "optional"),
        ("To use it on the GPU, you need to install CUDA first.", "optional"),
        ("If you have a GPU, it will be faster.", "optional"),
        ("It compiles to GPU/TPU/CPU.", "optional"),
        ("Accelerated by GPUs when available.", "optional"),
        ("## GPU support\n\nThis requires an NVIDIA GPU and the CUDA toolkit.", "optional"),
        ("The measurements were collected on 64 nodes, each with 8x NVIDIA H100 80GB.", "aside"),
        ("## Hardware used in the paper\n\nEach node with 8x NVIDIA H100 80GB.", "aside"),
        ("The benchmark must run for 500 iterations, whatever the number of its GPUs.", "optional"),
        ("## Hardware counters for C, C++ and CUDA\n\nWords.", "optional"),
        ("## Hardware Requirements\n\nThe code uses GPUs if they are available.", "optional"),
        ("For NVIDIA cards the drivers are included, so no action is required.", "named"),
        ("NVIDIA Mellanox ConnectX-5 NICs are required.", None),
        ("The driver NVIDIA MLNX_OFED is required.", None),
    ],
)
def test_neither(text: str, stance: str | None) -> None:
    assert stances(_INTRODUCTION + text, "gpu") == ({stance} if stance else set())
    assert not concluded(_INTRODUCTION + text).gpu_required


@pytest.mark.parametrize(
    "text",
    [
        "We also support GPUs. This requires an NVIDIA GPU.",
        "For building the CUDA image, nvidia-docker is required.",
    ],
)
def test_a_need_of_one_way_alone_decides_nothing(text: str) -> None:
    assert not concluded(_INTRODUCTION + text).gpu_required


def test_a_training_command_of_a_readme_is_a_sign() -> None:
    assert {s.kind for s in facts_of("README.md", "# It\n\n```\npython train.py --lr 0.1\n```\n").gpu} == {"network"}


def amounts(text: str) -> list[tuple[str, object, str]]:
    """Amounts with their stances; memory of which nothing tells whose it is is found as both kinds, and shown once."""
    found = said(text, *_MEASURED)
    plain = [one for one in found if "plain" in one.features]
    assert [one.value for one in plain if one.subject == "ram"] == [one.value for one in plain if one.subject == "vram"]
    return [
        ("memory" if one in plain else one.subject, one.value, one.stance)
        for one in found
        if one not in plain or one.subject == "ram"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It needs at least 256 GB of RAM, 32 cores and 2 TB of free disk.",
         [("ram", 256, "need"), ("disk", 2000, "need"), ("cores", 32, "need")]),
        ("au moins 64 Go de mémoire vive", [("ram", 64, "need")]),
        ("require at least 16GB of RAM, ideally 32GB", [("ram", 16, "need"), ("ram", 32, "recommend")]),
        ("A GPU with at least 24 GB of memory is required", [("vram", 24, "need")]),
        ("runs on a GPU that has at least 12GB of RAM", [("vram", 12, "need")]),
        ("needs 4x A100-80GB on one node", [("vram", 80, "need"), ("gpus", 4, "need")]),
        ("Memory: at least 32 GB is required", [("memory", 32, "need")]),
        ("requires a 100 Gb/s network and 10 GB files", []),
        ("with 12 vCPUs, 85 GB of RAM, a 100 GB boot disk it was tested",
         [("ram", 85, "tested"), ("disk", 100, "tested"), ("cores", 12, "tested")]),
        ("needs at least 16 threads", [("cores", 8, "need")]),
        ("| Model | VRAM |\n|--|--|\n| base | 6 GB |", [("vram", 6, "sized")]),
        ("needs 128 GB of RAM or, if the index shall stay there, over 1 TB of RAM",
         [("ram", 128, "need"), ("ram", 1000, "need")]),
        ("It requires GPU(s) with at least 16 GB of memory.", [("vram", 16, "need")]),
        ("# It\n\n## FAQ\n\nIt requires at least 24 GB of GPU memory.", [("vram", 24, "need")]),
        ("# It\n\n## News\n\nThe minimum GPU memory requirement for it is 11G.", [("vram", 11, "aside")]),
        ("requires around 12 GB of memory to hold everything on GPU", [("memory", 12, "need")]),
        ("It requires only 8 GB VRAM.", [("vram", 8, "need")]),
        ("It requires ~~64 GB~~ 32 GB of RAM.", [("ram", 32, "need")]),
        ("```\n# Complete with the small one. It needs at least 15 GB of GPU memory.\n```", [("vram", 15, "need")]),
        # What beside a number is no core.
        ("If you instead use CUDA <11 or CPU, you need another build.", []),
        ("You need about 90GB of CPU memory.", [("ram", 90, "need")]),
        ("It needs 4 or more CPU cores.", [("cores", 4, "need")]),
        # The memory of a GPU, however it is called.
        ("An NVIDIA GPU with memory >=18GB is required.", [("vram", 18, "need")]),
        ("It requires approximately 14.7GB peak VRAM.", [("vram", 14.7, "need")]),
        ("In FP16 the model requires more than 30GB of RAM.", [("memory", 30, "need")]),
        ("In FP16 on a CPU the model requires more than 30GB of RAM.", [("memory", 30, "need")]),
        # What it takes it needs; of two that will do, the larger is for comfort.
        ("It takes about 6GB VRAM for an image.", [("vram", 6, "takes")]),
        ("It needs an A100 (80GB) or an RTX 3090 (24GB).", [("vram", 80, "need"), ("vram", 24, "need")]),
        ("# It\n\n## FAQ\n\nAt least 4GB of GPU memory is required.", [("vram", 4, "need")]),
        # Comments in and behind commands.
        ("```\n# + less GPU memory (~16G)\npython main.py\n```", [("vram", 16, "sized")]),
        ("```\npython main.py -O # requires ~24G GPU memory\n```", [("vram", 24, "need")]),
        ("- ```\n  some code\n  ```\n\nIt needs 9 GB of GPU memory.", [("vram", 9, "need")]),
        ("- ```2024/10``` News\n\nIt needs 9 GB of GPU memory.", [("vram", 9, "need")]),
        # Lists and tables that get their meaning from what stands above or beside.
        ("The VRAM that it needs:\n\n- 8 GB for the base model\n", [("vram", 8, "listed")]),
        ("If you do not have enough GPU memory:\n\n- buy 8 GB\n", []),
        ("We list the GPU memory.\n\n| Bits | Peak |\n|--|--|\n| 16 | 22 GB |", [("vram", 22, "sized")]),
        ("We list the GPU memory.\n\n| Bits | Download |\n|--|--|\n| 16 | 22 GB |", []),
        ("| Way | Speed | Memory |\n|--|--|--|\n| a | 1.05 iters/sec | 18G |", [("memory", 18, "sized")]),
        ("80GB*8 GPUs are required.", [("vram", 80, "need"), ("gpus", 8, "need")]),
        ("For an A800 GPU:\n| Setting | Text |\n|--|--|\n| plain | 9G, 31s |", [("vram", 9, "optional")]),
        ("The peak Vmemory usage is 16GB.", [("vram", 16, "takes")]),
        ("| Model | Device | Memory |\n|--|--|--|\n| base | GPU | 19 GB |", [("vram", 19, "sized")]),
        ("| Model | Device | Memory |\n|--|--|--|\n| base | CPU | 19 GB |", [("ram", 19, "sized")]),
        ("## Hardware\n\n| Method | 7B |\n|--|--|\n| LoRA | 16GB |", [("memory", 16, "listed")]),
        ("A single RTX 3090 is sufficient.", [("vram", 24, "takes"), ("gpus", 1, "takes")]),
        ("| Size | GPU Mem. & Time |\n|--|--|\n| 512 | 12GB & 20s |", [("vram", 12, "sized")]),
        # An example in brackets ends with them; what has to be kept takes a footprint; a sum is over several.
        ("Each should have one core (e.g., a Xeon), 16GB DRAM.", [("ram", 16, "recommend"), ("cores", 1, "recommend")]),
        ("The index's memory footprint is down to ~10GB.", [("memory", 10, "sized")]),
        ("It needs 8 GPUs with 640 GB of GPU memory in total.", [("vram", 80, "need"), ("gpus", 8, "need")]),
        ("Its memory footprint is typically around 3.2 GB.", [("memory", 3.2, "sized")]),
        ("It only takes ~15GB of RAM for all of them.", [("ram", 15, "takes")]),
        ("Two Intel Xeon Gold 6230, 192 GB DRAM", [("ram", 192, "sized")]),
        ("A node of GPUs, each with GPU memory larger than 60GB", [("vram", 60, "sized")]),
        ("**DRAM:** 12 x 16GB DDR4 DRAM", [("ram", 192, "sized")]),
        ("It requires 8x80GB A100s.", [("vram", 80, "need"), ("gpus", 8, "need")]),
        ("| CPU | 2x Xeon 8260 |\n|--|--|\n| DRAM | 192GB |", [("ram", 192, "sized")]),
        ("Make sure that your machine has more than 32GB of free memory.", [("memory", 32, "need")]),
        ("## Hardware\n\nA longer one may require more RAM (128GB or more).", [("ram", 128, "optional")]),
        ("It reduces memory usage from 80 GB.", [("memory", 80, "sized")]),
        ("Images for nodes with up to 3 TB of memory.", [("memory", 3000, "sized")]),
        ("## Hardware\n\nA processor with support for up to 192GB memory.", [("memory", 192, "listed")]),
        ("Each uses 2 GB of memory per core.", []),
        ("- Memory: 4 x 16 GB DDR4", [("ram", 64, "sized")]),
        ("- Memory (RAM): 128GB", [("ram", 128, "sized")]),
        ("It needs a GPU with 40+GB of memory and 16+ GB RAM.", [("vram", 40, "need"), ("ram", 16, "need")]),
        ("Two servers with 128 GB of DRAM", [("ram", 128, "sized")]),
        ("## Requirements\n\nRecommended:\n\n- 128GB RAM\n\nMinimum:\n\n- 32GB RAM\n",
         [("ram", 128, "recommend"), ("ram", 32, "listed")]),
        ("It was tested with a 2080Ti (11GB).", [("vram", 11, "tested")]),
        ("Ubuntu 22.04, 32 GB RAM", [("ram", 32, "sized")]),
        ("A server with no less than 128 GB of DRAM.", [("ram", 128, "need")]),
        ("A server with less than 128 GB of DRAM.", [("ram", 128, "sized")]),
        ("16 GB of memory is all it takes.", [("memory", 16, "need")]),
        ("In int4 its memory usage is 16GB.", [("memory", 16, "sized")]),
        ("| Model | Memory | Device |\n|--|--|--|\n| 5B | 11 GB | RTX 3090 |", [("vram", 11, "sized")]),
        ("GPU requirements are:\n\n| Way | 19B |\n|--|--|\n| plain | 42GB |", [("vram", 42, "listed")]),
        ("| Precision | GPU Mem (GB) |\n|--|--|\n| fp16 | 26.0 |", [("vram", 26, "sized")]),
        ("建议使用 80GB 内存的 GPU。", [("vram", 80, "recommend")]),
        ("# It\n\n## News\n\n4-bit with CPU offloading reduces the minimum memory requirement to just 4 GB.",
         [("memory", 4, "aside")]),
        ("# It\n\n## FAQ\n\nA minimum of 8GB of RAM is recommended.", [("ram", 8, "need")]),
        ("It requires Python 3.10 and at least 4 GBs of RAM.", [("ram", 4, "need")]),
        # A heading that says of what, a requirement that shrinks, a column that tells what each row takes.
        ("## Memory requirements\n\nAll of its entries require 151GB.", [("memory", 151, "need")]),
        ("## GPU memory\n\nAll of its entries require 151GB.", [("vram", 151, "need")]),
        ("Without them the RAM requirement reduces to 35GB.", [("ram", 35, "need")]),
        ("| Index | Size/~Memory |\n|--|--|\n| core | 41G |", [("memory", 41, "sized")]),
        ("| Genome | CPU | RAM |\n|--|--|--|\n| worm | 8m54s | 41G |", [("ram", 41, "sized")]),
        ("```\n# less VRAM & slower (12G for one part)\npython main.py\n```", [("vram", 12, "sized")]),
        ("At least a GPU with 20GB memory; we advise a GPU with about 30 GB memory.",
         [("vram", 20, "need"), ("vram", 30, "recommend")]),
        ("It requires a GPU with 24G memory, or 16G memory with mixed precision.",
         [("vram", 24, "need"), ("vram", 16, "need")]),
        ("It requires a GPU with 24G memory and 16G of RAM.", [("vram", 24, "need"), ("ram", 16, "need")]),
        ("It requires a peak memory of 7GB on a V100.", [("vram", 7, "need")]),
        ("Al menos 24GB de memoria GPU.", [("vram", 24, "need")]),
        # Words of other languages, some of which stand without spaces.
        ("# It\n\n## Configuration requise\n\nUn serveur avec 48 Go de mémoire vive.", [("ram", 48, "listed")]),
        ("至少需要24GB显存,内存不少于64G。", [("vram", 24, "need"), ("ram", 64, "need")]),
        ("## 動作環境\n\n- メモリ16GB以上\n", [("memory", 16, "listed")]),
        ("## 요구 사항\n\n- GPU 메모리 24GB 이상\n", [("vram", 24, "listed")]),
        # Counts, by digits, words and signs, and models of GPUs and CPUs that have numbers of their own.
        ("RAM - 16 GB", [("ram", 16, "sized")]),
        ("Three NVIDIA GPUs are required.", [("gpus", 3, "need")]),
        ("The transfer test needs a pair of NVIDIA 3060ti GPUs.", [("vram", 8, "need"), ("gpus", 2, "need")]),
        ("dual RTX 3090", [("vram", 24, "sized"), ("gpus", 2, "named")]),
        ("4 * A100 (40 GB)", [("vram", 40, "sized"), ("gpus", 4, "named")]),
        ("A100 x 4", [("vram", 40, "sized"), ("gpus", 4, "named")]),
        ("two V100 32GB GPUs", [("vram", 32, "sized"), ("gpus", 2, "named")]),
        ("需要 8 张 A100 80G", [("vram", 80, "need"), ("gpus", 8, "need")]),
        ("One 80GB A100 is needed.", [("vram", 80, "need"), ("gpus", 1, "need")]),
        ("You need one NVIDIA GPU (RTX 3090/4090, A100 or H100).", [("vram", 24, "need"), ("gpus", 1, "need")]),
        ("GTX 1080 or 1070", [("vram", 8, "sized")]),
        ("The L4 load balancer scales to 1080 images.", []),
        ("| GPU | Memory (GB) |\n|--|--|\n| L4 | 24 |", [("vram", 24, "sized")]),
        ("Intel Core i9-9900K, 64GB RAM", [("ram", 64, "sized")]),
        ("An AMD Ryzen 7 5800X 8-Core Processor", [("cores", 8, "named")]),
        ("Of 48 cores each job got one core with 3 GB of RAM.",
         [("ram", 3, "sized"), ("cores", 48, "named"), ("cores", 1, "named")]),
        ("16 GB (32 GB recommended) of RAM", [("ram", 16, "recommend"), ("ram", 32, "recommend")]),
        ("| Component | Minimum | Recommended |\n|--|--|--|\n| RAM | 16 GB | 32 GB |\n| CPU cores | 4 | 8 |",
         [("ram", 16, "need"), ("ram", 32, "recommend"), ("cores", 4, "need"), ("cores", 8, "recommend")]),
        ("| Machine | RAM (GB) | Disk (GB) | Cores |\n|--|--|--|--|\n| server | 64 | 500 | 16 |",
         [("ram", 64, "sized"), ("disk", 500, "sized"), ("cores", 16, "named")]),
        ("No graphics card is needed: 6 GB of free RAM is enough.", [("memory", 6, "need")]),
        ("The search itself requires around 60GB of allocatable RAM.", [("ram", 60, "need")]),
        ("60GB of images on RAM disks", []),
        ("It took 2.6M GPU hours.", []),
        ("You need 8 A800 80G (or A100 80G) GPUs.", [("vram", 80, "need"), ("vram", 80, "need"), ("gpus", 8, "need")]),
        ("Training takes 30min on a 8xH100 node.", [("vram", 80, "sized"), ("gpus", 8, "takes")]),
        ("A minimum of 4 x 80GB multi-GPU system is required.", [("vram", 80, "need"), ("gpus", 4, "need")]),
        ("One GPU will do for a start, but training requires at least two.",
         [("gpus", 1, "takes"), ("gpus", 2, "need")]),
        ("See https://host.example/tree/a40ca69ff22aa1b3a2ee61a1098b", []),
        ("If your GPUs have less than 48GB, change the batch size.", [("vram", 48, "need")]),
        ("It runs on GPUs with less than 48GB.", [("vram", 48, "tested")]),
    ],
)  # fmt: skip
def test_amounts(text: str, expected: list[tuple[str, float, str]]) -> None:
    assert amounts(text) == expected


@pytest.mark.parametrize(
    ("text", "subject", "value", "stance"),
    [
        ("Requires compute capability 7.5+", "capability", 7.5, "need"),
        ("CUDA compute capability >= 8.0 is required.", "capability", 8.0, "need"),
        ("Hopper or newer GPUs are required.", "capability", 9.0, "need"),
        ("You need an SM90 device.", "capability", 9.0, "need"),
        ("Runs on Ampere, Ada Lovelace and Hopper GPUs.", "capability", 8.0, "tested"),
        ("You need a desktop with an Intel Core i9-9900K.", "cpu", "Intel Core i9-9900K", "need"),
        ("It needs an AMD EPYC 7763 CPU.", "cpu", "AMD EPYC 7763", "need"),
        ("An Ice Lake server is required.", "cpu", "Ice Lake", "need"),
        ("An Ice Lake processor or newer is required.", "cpu", "Ice Lake or newer", "need"),
        ("An Intel processor of the 8th generation is required.", "cpu", "8th generation", "need"),
        ("It needs a 3rd Gen Intel Xeon processor.", "cpu", "3rd Gen Intel Xeon", "need"),
        ("It needs CascadeLake machines.", "cpu", "CascadeLake", "need"),
        ("## Reproduce results\n\n1. Ensure you are running on a Kaby Lake CPU.", "cpu", "Kaby Lake", "need"),
        ("The experiments need two servers joined by a link.", "nodes", 2, "need"),
    ],
)
def test_generations_models_and_machines(text: str, subject: str, value: object, stance: str) -> None:
    (found,) = said(text, subject)
    assert (found.value, found.stance) == (value, stance)


@pytest.mark.parametrize(
    "text", ["We need a Pascal compiler.", "A Turing machine is required.", "Needs a Xeon or better."]
)
def test_names_that_are_no_generation(text: str) -> None:
    assert said(text, "capability", "cpu") == []


@pytest.mark.parametrize(
    ("text", "tag", "stance"),
    [
        ("## Hardware\n\n- A NIC that supports RDMA\n", "rdma", "listed"),
        ("The library supports RDMA and TCP.", "rdma", "optional"),
        ("A CPU with Intel SGX is needed for the evaluation.", "sgx", "need"),
        ("The artifact requires an Intel CPU with SGX2 support.", "sgx", "need"),
        ("A CPU with KVM is needed; SGX is not needed at all.", "sgx", "denied"),
        ("A CPU with KVM is needed; SGX is not needed at all.", "kvm", "need"),
        ("None of the usual accelerators (GPU, FPGA) is required.", "fpga", "denied"),
        ("NVIDIA Mellanox ConnectX-5 NICs are required.", "mellanox", "need"),
        ("For the second claim an arm64 server is needed.", "aarch64", "need"),
        ("A rooted Android phone is required.", "phone", "need"),
        ("Detection on NVIDIA Jetson Orin Nano.", "jetson", "named"),
    ],
)
def test_special_hardware(text: str, tag: str, stance: str) -> None:
    assert stances(text, f"special.{tag}") == {stance}


def test_a_minimum_is_no_miniature() -> None:
    (plain,), (mini,) = (said(f"The {word} GPU memory required is 11 GB.", "vram") for word in ("minimum", "mini"))
    assert "say.reduced" in mini.features - plain.features and "pre.least" in plain.features - mini.features


def test_what_will_do_without_a_gpu_too_is_no_need_of_one() -> None:
    assert stances("最低 3G 显存都可运行。", "gpu") == {"need"}
    assert "denied" in stances("最低 3G 显存或者没有显卡都可运行。", "gpu")


def test_an_example_is_marked_as_one() -> None:
    (plain,), (example,) = (
        said(f"{words}wo recordings each required 300 GB of RAM.", "ram") for words in ("T", "For example, t")
    )
    assert {"pre.example", "say.example"} == example.features - plain.features
    assert "denied" not in stances("An Apple M4 with at least 300 GB of RAM.", "special.apple-silicon") != set()


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("README.md", "doc.main"),
        ("artifact_evaluation/README.md", "doc.artifact"),
        ("part/README.md", "doc.part"),
        ("README_sycl.md", "doc.variant"),  # one way beside the main one
        ("README.zh-CN.md", "doc.translation"),
        ("docs/src/content/docs/start/system-requirements.mdx", "doc.install"),
        ("book/src/installation.md", "doc.install"),
        ("docs/src/installation.md", "doc.install"),
    ],
)
def test_documents_count_by_where_they_stand(path: str, document: str) -> None:
    (found,) = said("It needs at least 16 GB of RAM.", "ram", path=path)
    assert document in found.features and (found.tier == "main") == (
        document in ("doc.main", "doc.install", "doc.artifact")
    )


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("The profiling runs on a single A100 80G GPU.", "tested"),
        ("It is trained on one A100 GPU with 80GB memory.", "aside"),
        ("Tuning takes around 20 hours on an A100 (80G).", "sized"),
        ("It runs on multiple GPUs with 80 GB of memory.", "tested"),
        ("We fit it in 8 A100s with 80 GB of GPU memory.", "sized"),
    ],
)
def test_gpus_of_measurements_and_of_many_together_are_no_plain_need(text: str, stance: str) -> None:
    (found,) = said(text, "vram")
    assert (found.value, found.stance) == (80, stance)


def test_hours_are_told_with_the_amount() -> None:
    (found,) = said("Tuning takes 20 hours on an A100 (80G).", "vram")
    assert "say.time" in found.features


@pytest.mark.parametrize("text", ["We recommend r650 nodes.", "Use an r6a.4xlarge machine.", "Use c6220 servers."])
def test_the_number_of_a_model_counts_no_machines(text: str) -> None:
    assert said(text, "nodes") == []


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
    (found,) = said("![it](x.png)\n\n## Benchmarks\n\nTested on Ubuntu 20.04.\n", "ubuntu")
    assert "near-head.results" in found.features and found.stance == "aside"


@pytest.mark.parametrize(("heading", "elsewhere"), [("Windows", True), ("Linux & Windows", False), ("macOS", True)])
def test_what_is_for_linux_too_is_not_for_elsewhere(heading: str, elsewhere: bool) -> None:
    (found,) = said(f"# It\n\n## {heading}\n\nIt needs 16 GB of RAM.\n", "ram")
    assert ("near-head.elsewhere" in found.features) is elsewhere


@pytest.mark.parametrize(
    ("headings", "stance"),
    [
        (("News",), "aside"),
        (("References",), "aside"),
        (("Press",), "aside"),
        (("Words",), "sized"),
        (("Expression of genes",), "sized"),
        (("A reference annotation",), "sized"),
        (("What's new", "System requirements"), "listed"),
        (("Results", "Requirements"), "listed"),
    ],
)
def test_what_headings_are_an_aside(headings: tuple[str, ...], stance: str) -> None:
    text = "# It\n\n" + "".join(f"{'#' * (n + 2)} {words}\n\n" for n, words in enumerate(headings))
    assert stances(f"{text}It has 16 GB of RAM.\n", "ram") == {stance}


def test_the_readme_of_docs_speaks_where_the_top_has_none() -> None:
    text = "# It\n\nIt needs RDMA.\n"
    for has_main_readme, tier in ((False, "main"), (True, "other")):
        facts = Facts(has_main_readme=has_main_readme)
        document.read("docs/README.md", text, facts)
        assert [s.tier for s in facts.said if s.subject == "special.rdma"] == [tier]


def test_a_python_that_is_not_supported_is_none() -> None:
    assert pythons("It does not support Python 3.12.") == set()
    assert pythons("This is the last version that supports Python 3.9.") == set()
    assert pythons("Support for Python 2.7 was dropped.") == set()


def test_a_major_version_alone_counts_among_requirements_only() -> None:
    assert pythons("It was ported to Python 3 in 2015.") == set()
    assert pythons("## Prerequisites\n\n- python3-dev\n") == set()


def systems(text: str) -> list[tuple[object, bool, str]]:
    return [(one.value, one.newer, one.stance) for one in said(text, "ubuntu", "kernel", "centos", "rhel", "debian")]


@pytest.mark.parametrize(
    ("text", "versions", "newer", "stance"),
    [
        ("Tested on Ubuntu 20.04 and 22.04.", ("20.04", "22.04"), False, "tested"),
        ("Packages exist for Ubuntu 20.04 and newer.", ("20.04",), True, "named"),
        ("We assume Ubuntu 16.04 is being used", ("16.04",), False, "need"),
        ("Linux kernel 5.9 or later is required.", ("22.04",), True, "need"),
        ("The Docker image is based on Ubuntu 14.04.", ("14.04",), False, "aside"),
        ("The host runs Ubuntu 22.04 with Docker.", ("22.04",), False, "named"),
        ("Developed under Ubuntu Bionic.", ("18.04",), False, "tested"),
        ("* Ubuntu Focal (20.04)", ("20.04",), False, "named"),
        ("The Ubuntu LTS releases (20.04, 22.04)", ("20.04", "22.04"), False, "named"),
        ("Ubuntu 64-bit 16.04 or 18.04.", ("16.04", "18.04"), False, "named"),
        ("系统需要Ubuntu20.04", ("20.04",), False, "need"),
        ("On Ubuntu (we've tested on 20.04 and 22.04), see the Dockerfile.", ("20.04", "22.04"), False, "tested"),
        ("You need CentOS 7.", ("7",), False, "need"),
        ("We plan to migrate it to Ubuntu 20.04.", ("20.04",), False, "optional"),
    ],
)
def test_systems_in_prose(text: str, versions: tuple[str, ...], newer: bool, stance: str) -> None:
    assert systems(text) == [(versions, newer, stance)]


@pytest.mark.parametrize(
    "text",
    ["It has not been tested on Ubuntu 20.04.", "Ubuntu 20.04 is no longer supported.", "It does not run on CentOS 7."],
)
def test_a_release_that_will_not_do_is_no_constraint(text: str) -> None:
    assert systems(text) == []


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("[ROS](http://wiki.ros.org) (tested with Kinetic and Melodic)", ("16.04", "18.04")),
        ("Install ROS Noetic first.", ("20.04",)),
        ("You need ROS2 Humble.", ("22.04",)),
        ("Install ros-humble-desktop of ROS 2.", ("22.04",)),
        ("```\nsudo apt install ros-melodic-tf ros-melodic-pcl\n```", ("18.04",)),
        ("For example, ROS Noetic will do.", ("20.04",)),
        ("A humble wrapper of ROS.", None),
        ("# Humble FAQ", None),
        ("Ubuntu 18.04 with ROS Noetic", ("18.04",)),
    ],
)
def test_a_release_of_ros_tells_the_ubuntu_that_it_is_made_for(text: str, versions: tuple[str, ...] | None) -> None:
    assert [found for found, *_ in systems(text)] == ([versions] if versions else [])


@pytest.mark.parametrize(
    ("line", "versions"),
    [
        ("Ubuntu 14.04,16.04 and 18.04", ("14.04", "16.04", "18.04")),
        ("sudo apt-get install ros-melodic-tf", ("18.04",)),
        ("wget http://x/MLNX_OFED_LINUX-4.6-1.0.1.1-ubuntu18.04-x86_64.tgz", ("18.04",)),
        ("docker pull ubuntu:16.04", None),
        ("wget http://x/it-ubuntu18.04.tgz", None),
    ],
)
def test_of_what_is_set_like_code_only_names_and_what_is_made_for_a_release_tells_one(
    line: str, versions: tuple[str, ...] | None
) -> None:
    found = systems(f"# It\n\n## System requirements\n\nIt runs on:\n\n    {line}\n")
    assert [value for value, *_ in found] == ([versions] if versions else [])


def test_minutes_are_no_minimum_and_end_where_they_are_written() -> None:
    assert [(one.text, one.end) for one in tokens("30min, min")] == [("30", 2), ("minutes", 5), (",", 6), ("min", 10)]


def test_a_language_with_a_plus_is_no_minimum() -> None:
    assert [one.text for one in tokens("C++/CUDA, g++ 9+")] == ["c++", "/", "cuda", ",", "g++", "9", "+"]


def test_the_number_of_an_answer_is_no_gpu() -> None:
    assert said("## FAQ\n\n**A10:** It can be ignored.", "gpu_model") == []
    assert said("## FAQ\n\nA10 GPUs will do.", "gpu_model")


def test_the_first_cell_of_a_row_names_what_the_others_tell_of() -> None:
    table = "| | Linux | Windows |\n|---|---|---|\n| NVIDIA GPU | {} | {} |\n"
    assert stances("## Requirements\n\n" + table.format("experimental", "no"), "gpu") == {"optional"}
    assert stances("## Requirements\n\n" + table.format("yes", "yes"), "gpu") == {"listed"}
    codes = "The table tells the number of cores required.\n\n| Name | Time |\n|---|---|\n| tofino | 40 min |\n"
    assert stances(codes, "special.programmable-switch") == {"named"}


def test_a_machine_set_like_code_is_one_that_was_used() -> None:
    block = "```\nCPU: AMD EPYC 9654P, 96 physical cores\nMemory: 768 GiB\nOperating System: Ubuntu Server 24.04\n```\n"
    used = "## Hardware\n\nThe experiments were executed on six nodes with this configuration:\n\n" + block
    assert stances(used, "cores", "ram") == {"aside"}
    assert concluded(used).ram_gb is None
    assert (concluded(used).os_type, concluded(used).os_version) == ("ubuntu", "24.04")
    assert concluded("## Requirements\n\n" + block).ram_gb == 768
    assert said("## Usage\n\n" + block, "ram") == []


@pytest.mark.parametrize("heading", ["학습 환경", "訓練", "Training environment", "训练环境"])
def test_the_machine_of_a_training_is_an_aside(heading: str) -> None:
    wanted = {"named"} if heading == "訓練" else {"aside"}
    assert stances(f"# It\n\n## {heading}\n\n- V100 GPU x 32\n", "gpu") == wanted


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("## Requirements\n\n- Kernel: Linux Kernel 3.10+\n- OS: CentOS 7\n", ("centos", "7")),
        ("## Requirements\n\n- Linux Kernel 5.4\n", ("ubuntu", "22.04")),
        ("## Requirements\n\n- Ubuntu 18.04\n\n## Usage\n\nIf you use Ubuntu 20.04, type yes.\n", ("ubuntu", "18.04")),
        ("## Requirements\n\n- CentOS 7\n\n## Usage\n\nStart ./centos_linux64/run.\n", ("centos", "7")),
    ],
)
def test_what_is_asked_for_of_several_systems_that_are_named(text: str, system: tuple[str, str]) -> None:
    found = concluded(text)
    assert (found.os_type, found.os_version) == system


def test_a_simulator_of_gpus_needs_none() -> None:
    text = "# It\n\nIt has been built on GPGPU-Sim, a GPU simulator. "
    assert not concluded(text + "It is made for GPU kernels.").gpu_required
    assert "cpu" in stances(text, "cpu_will_do")


@pytest.mark.parametrize(
    ("text", "special"),
    [
        ("A CPU with KVM is needed; SGX is not needed at all.", ("kvm",)),
        ("A host that can start guests in a hypervisor is all it takes.", ("kvm",)),
        ("It has been tested on machines with KVM.", ()),
    ],
)
def test_virtualization_is_needed_where_one_sentence_says_so(text: str, special: tuple[str, ...]) -> None:
    assert concluded(f"# It\n\n{text}\n").special_requirements == special


def test_one_of_two_makers_will_do() -> None:
    found = concluded("# It\n\nThe attack needs an Intel Core i7-8700 or an Apple M1.\n")
    assert (found.special_requirements, found.architecture) == (("cpu: Intel Core i7-8700 or Apple M1",), None)
