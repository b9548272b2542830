"""From facts to requirements: each rule by the smallest set of facts that shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from envagent.repository.conclusions import amounts, gpu, model, python_version, sizing, systems
from envagent.repository.facts import (
    Amount,
    CudaSign,
    Facts,
    GpuSign,
    Package,
    PythonSign,
    Said,
    SpecialSign,
    Spot,
    SystemSign,
    minors,
)
from envagent.repository.languages import Survey
from envagent.repository.results import Requirements

SPOT = Spot("README.md", 1, "words")


def mention(subject: str, value: Any, stance: str, *features: str, spot: Spot = SPOT) -> Said:
    return Said(subject, value, frozenset({"doc.main", "in.prose", f"is.{subject}", *features}), stance, spot)


NEEDS = mention("gpu", "gpu", "need", "pre.need")
DENIES = mention("gpu", "gpu", "denied", "denied")


def package(name: str, *, local: str = "", scope: Any = "main", pinned: str | None = None, extras: str = "") -> Package:
    return Package(name, SpecifierSet(), frozenset(extras.split()), local, scope, SPOT, pinned)


def amount(what: Any, value: float, stance: Any = "minimum", weight: float = 1.0) -> Amount:
    return Amount(what, value, stance, weight, SPOT)


@pytest.mark.parametrize(
    ("said", "signs", "required"),
    [
        ([], [], False),
        ([NEEDS], [], True),
        ([DENIES], [], False),
        ([NEEDS, DENIES], [], False),
        ([], [GpuSign("container", 3.0, None, SPOT)], True),  # what a manifest asks for plainly
        ([DENIES], [GpuSign("container", 3.0, None, SPOT)], False),
        ([mention("gpu", "gpu", "optional", "say.optional")] * 9, [], False),
        ([mention("gpu", "gpu", "aside", "head.aside")] * 9, [], False),
        ([mention("cpu_will_do", "any laptop", "cpu")], [], False),
    ],
)
def test_gpu_by_what_is_said_and_signs(said: list[Said], signs: list[GpuSign], required: bool) -> None:
    assert gpu.conclude(Facts(gpu=signs, said=said)).required is required


def test_a_request_for_gpus_decides_unless_something_shows_that_it_runs_without() -> None:
    request, tests = GpuSign("container", 3.0, "nvidia", SPOT), GpuSign("tests", -1.0, None, SPOT)
    assert gpu.conclude(Facts(gpu=[request])).required
    assert not gpu.conclude(Facts(gpu=[request, tests])).required


def test_said_often_is_not_said_by_several_kinds() -> None:
    once, often = (gpu.gpu_features([GpuSign("command", 1.0, None, SPOT)] * n, [NEEDS] * n) for n in (1, 50))
    assert often["command+"] == once["command+"] + 0.8
    assert often["need.main"] == 1.5 < 3 * once["need.main"]


def test_a_package_named_in_many_files_is_one_fact() -> None:
    once, often = ([package("torch", scope=s) for s in scopes] for scopes in (["main"], ["main", "component"] * 9))
    described = [gpu.gpu_features(gpu.signs_of(Facts(packages=packages)), []) for packages in (once, often)]
    assert described[0] == described[1]


def test_training_speaks_of_a_gpu_only_beside_a_deep_learning_framework() -> None:
    def together(name: str) -> float:
        trains = Facts(gpu=[GpuSign("network", 1.0, None, SPOT)] * 3, packages=[package(name)])
        return gpu.gpu_features(gpu.signs_of(trains), [])["framework&network"]

    assert (together("torch"), together("scikit-learn")) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("packages", "required", "vendor"),
    [
        ([package("torch", local="cu121")], True, "nvidia"),
        ([package("torch", local="rocm5")], True, "amd"),
        ([package("torch", local="cpu")], False, None),
        ([package("cupy-cuda12x")], True, "nvidia"),
        ([package("cupy-cuda12x", scope="optional")], False, None),
        ([package("numpy")], False, None),
        ([package("onnxruntime-gpu")], False, None),
        ([package("jax", extras="cuda12")], True, "nvidia"),
    ],
)
def test_gpu_packages(packages: list[Package], required: bool, vendor: str | None) -> None:
    concluded = gpu.conclude(Facts(packages=packages))
    assert (concluded.required, concluded.vendor) == (required, vendor)


def test_the_vendor_is_that_of_the_model_that_is_asked_for() -> None:
    model_of_amd = mention("gpu_model", "mi250x", "need", "pre.need")
    assert gpu.conclude(Facts(said=[NEEDS, model_of_amd])).vendor == "amd"


def test_optional_is_said_where_it_is_not_required() -> None:
    assert gpu.conclude(Facts(gpu=[GpuSign("optional", -0.6, None, SPOT)])).optional
    assert not gpu.conclude(Facts(said=[NEEDS], gpu=[GpuSign("optional", -0.1, None, SPOT)])).optional


def test_cuda_of_the_strongest_place_and_never_for_amd() -> None:
    cuda = [CudaSign("11.8", 0.5, SPOT), CudaSign("12.1", 1.0, SPOT)]
    assert gpu.conclude(Facts(said=[NEEDS], cuda=cuda)).cuda_version == "12.1"
    assert gpu.conclude(Facts(cuda=cuda)).cuda_version is None
    amd = GpuSign("container", 3.0, "amd", SPOT)
    assert gpu.conclude(Facts(gpu=[amd], cuda=cuda)).cuda_version is None


@pytest.mark.parametrize(
    ("found", "memory"),
    [
        ([], None),
        ([amount("vram", 24)], 24),
        ([amount("vram", 8), amount("vram", 16)], 16),
        ([amount("vram", 8), amount("vram", 80)], 8),
        ([amount("vram", 8), amount("vram", 14), amount("vram", 32)], 32),  # one GPU for most variants
        ([amount("vram", 8), amount("vram", 32.5)], 8),
        ([amount("vram", 24), amount("vram", 80, "recommended")], 80),
        ([amount("vram", 12, "tested", weight=0.3)], 12),  # said in passing is still said
        ([amount("vram", 12, "tested", weight=0.1)], None),
        ([amount("vram", 11.5)], 12),
        ([amount("vram", 192)], 96),  # the sum over several
        ([amount("vram", 640)], None),
        ([amount("vram", 24), amount("vram", 10, weight=0.1)], 24),
    ],
)
def test_gpu_memory(found: list[Amount], memory: float | None) -> None:
    assert gpu.conclude(Facts(said=[NEEDS], amounts=found)).memory_gb == memory


@pytest.mark.parametrize(
    ("found", "value"),
    [
        ([], None),
        ([amount("ram", 16)], 16),
        ([amount("ram", 16), amount("ram", 32, "recommended")], 32),
        ([amount("ram", 16), amount("ram", 64, "recommended")], 64),
        ([amount("ram", 16), amount("ram", 512, "mentioned")], 16),
        ([amount("ram", 512, "mentioned", weight=0.5)], None),
        ([amount("ram", 16), amount("ram", 32)], 32),
        ([amount("disk", 16)], None),
        ([amount("ram", 64, weight=0.1)], None),
    ],
)
def test_amounts(found: list[Amount], value: float | None) -> None:
    concluded, evidence = amounts.conclude(Facts(amounts=found), "ram", "ram_gb")
    assert concluded == value and len(evidence) == (value is not None)


def python(allowed: str, authority: int = 4, path: str = "pyproject.toml") -> PythonSign:
    return PythonSign(minors(SpecifierSet(allowed)), authority, Spot(path, 1, allowed))


def test_beside_a_stated_minimum_the_machine_of_a_paper_is_no_need() -> None:
    used = mention("ram", 48.0, "aside", "say.used", "early", "from.right", "pre.need", "pre.least")
    stated = mention("disk", 90.0, "listed", "near-head.requirements", "from.right")
    assert amounts.conclude(Facts(said=[used]), "ram", "ram_gb")[0] == 48
    assert amounts.conclude(Facts(said=[used, stated]), "ram", "ram_gb")[0] is None


def test_what_a_small_part_takes_does_not_bound_the_memory_that_is_required() -> None:
    required = mention("vram", 32.0, "need", "early", "pre.need", "from.right")
    part = mention("vram", 2.0, "takes", "early", "pre.takes", "from.right")
    assert gpu.conclude(Facts(said=[NEEDS, required, part])).memory_gb == 32
    assert gpu.conclude(Facts(said=[NEEDS, part])).memory_gb == 2


def test_memory_is_not_a_gpus_where_a_gpus_is_told_by_name() -> None:
    named = mention("vram", 24.0, "need", "early", "pre.least")
    plain = mention("vram", 64.0, "listed", "early", "plain", "near-head.requirements")
    assert gpu.conclude(Facts(said=[NEEDS, named, plain])).memory_gb == 24


def test_what_a_job_takes_says_more_than_the_gpu_that_was_used() -> None:
    used = mention("vram", 80.0, "aside", "early", "from.right", "pre.need")
    table = mention("vram", 26.0, "sized", "early", "from.right", "pre.least")
    assert gpu.conclude(Facts(said=[NEEDS, used])).memory_gb == 80
    assert gpu.conclude(Facts(said=[NEEDS, used, table])).memory_gb == 26


def test_more_gpus_than_any_node_has_are_needed_in_so_many_words_or_not_at_all() -> None:
    def count(stance: str) -> int | None:
        return gpu.conclude(Facts(said=[NEEDS, mention("gpus", 32.0, stance, "early", "pre.least")])).count

    assert (count("listed"), count("need")) == (1, 32)


def test_of_a_list_by_jobs_the_smaller_ones_count() -> None:
    def concluded(*found: tuple[int, float]) -> float | None:
        listed = [Amount("ram", gb, "minimum", 1.0, Spot("README.md", line, "words")) for line, gb in found]
        return amounts.conclude(Facts(amounts=listed), "ram", "ram_gb")[0]

    assert concluded((1, 16), (3, 32), (5, 128), (7, 2000)) == 32
    assert concluded((1, 16), (20, 32), (40, 2000)) == 2000, "which are no list"
    assert concluded((1, 16), (3, 256)) == 256, "two are parts or places"
    assert concluded((1, 16), (1, 64), (2, 256)) == 256, "nor are two lines"


@pytest.mark.parametrize(
    ("signs", "version"),
    [
        ([], None),
        ([python(">=3.8")], "3.11"),
        ([python(">=3.8,<3.10")], "3.9"),
        ([python("<3.8")], "3.7"),
        ([python(">=3.8"), python("==3.9.*", 3)], "3.9"),
        ([python(">=3.10"), python("==3.8.*", 3)], "3.11"),
        ([python(">=3.12", 0)], None),
        ([python(">=3.8"), python("==3.12.*", 0)], "3.12"),
    ],
)
def test_python(signs: list[PythonSign], version: str | None) -> None:
    assert python_version.conclude(Facts(pythons=signs), python_share=0.0).version == version


def test_python_that_contradicts_is_named() -> None:
    facts = Facts(pythons=[python(">=3.10"), python("==3.8.*", 3, "environment.yml")])
    assert "environment.yml says otherwise" in python_version.conclude(facts, python_share=1.0).assumptions[0]


def test_python_by_the_wheels_that_exist() -> None:
    old = Facts(packages=[package("torch", pinned="1.7.1")])
    version = python_version.conclude(old, python_share=1.0).version
    assert version is not None and int(version.split(".")[1]) <= 9
    assert python_version.conclude(Facts(packages=[package("torch")]), python_share=1.0).version == "3.11"
    assert python_version.conclude(Facts(packages=[package("torch")]), python_share=0.0).version is None


def system(distribution: str, *versions: str, newer: bool = False, weight: float = 1.0) -> SystemSign:
    return SystemSign(distribution, versions, newer, weight, SPOT)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([], (None, None)),
        ([system("ubuntu", "20.04")], ("ubuntu", "20.04")),
        ([system("ubuntu", "20.04", "22.04")], ("ubuntu", "22.04")),
        ([system("ubuntu", "18.04", "20.04")], ("ubuntu", "20.04")),
        ([system("ubuntu", "18.04", newer=True)], ("ubuntu", "22.04")),
        ([system("ubuntu", "24.04", newer=True)], ("ubuntu", "24.04")),
        ([system("ubuntu")], (None, None)),
        ([system("ubuntu", "20.04", weight=0.2)], (None, None)),
        ([system("centos", "7")], ("centos", "7")),
        ([system("centos", "7"), system("fedora", "38")], (None, None)),
    ],
)
def test_system(signs: list[SystemSign], expected: tuple[str | None, str | None]) -> None:
    assert systems.conclude_system(Facts(systems=signs))[:2] == expected


@pytest.mark.parametrize(
    ("signs", "vendor", "tags", "architecture"),
    [
        ([], None, (), None),
        ([("rdma", 1.5)], None, ("rdma",), None),
        ([("rdma", 0.9)], None, (), None),
        ([("rdma", 1.3), ("rdma", 1.0)], None, ("rdma",), None),
        ([("aarch64", 1.5)], None, (), "aarch64"),
        ([("aarch64", 1.5), ("x86_64", 1.5)], None, (), None),  # what names both runs on both
        ([], "amd", ("rocm",), None),
        ([("rocm", 1.5)], "nvidia", (), None),
    ],
)
def test_special(
    signs: list[tuple[str, float]], vendor: str | None, tags: tuple[str, ...], architecture: str | None
) -> None:
    facts = Facts(specials=[SpecialSign(tag, weight, SPOT) for tag, weight in signs])
    assert systems.conclude_special(facts, gpu_vendor=vendor)[:2] == (tags, architecture)


def elsewhere(subject: str, value: Any, stance: str, path: str) -> Said:
    said = mention(subject, value, stance, spot=Spot(path, 1, "words"))
    return replace(said, features=said.features - {"doc.main"} | {"doc.part"})


def test_what_several_parts_need_alike_is_needed_where_the_readme_is_silent() -> None:
    parts = [elsewhere("cpu", "Intel Kaby Lake", "need", f"{part}/README.md") for part in "ab"]
    assert systems.conclude_special(Facts(said=parts), gpu_vendor=None)[0] == ("cpu: Intel Kaby Lake",)
    assert systems.conclude_special(Facts(said=parts[:1]), gpu_vendor=None)[0] == ()
    named = mention("cpu", "Xeon Gold 6126", "tested")
    assert systems.conclude_special(Facts(said=[*parts[:1], named]), gpu_vendor=None)[0] == ()


def test_what_is_emulated_need_not_be_there() -> None:
    def needed(*said: Said) -> tuple[str, ...]:
        return systems.conclude_special(Facts(said=list(said)), gpu_vendor=None)[0]

    title = mention("special.cxl", None, "named", "early")
    emulated = mention("special.cxl", None, "need", "early", "say.emulated")
    assert needed(title, title, emulated) == ()
    assert needed(title, title, mention("special.cxl", None, "need")) == ("cxl",)


def test_a_microcontroller_is_asked_for_not_only_served() -> None:
    topic = [mention("special.microcontroller", None, "named", "early")] * 3
    assert systems.conclude_special(Facts(said=topic), gpu_vendor=None)[0] == ()
    board = mention("special.microcontroller", None, "need")
    assert systems.conclude_special(Facts(said=[*topic, board]), gpu_vendor=None)[0] == ("microcontroller",)


def test_the_comments_of_scripts_ask_for_no_hardware() -> None:
    readme = mention("special.rdma", None, "need", "early")
    comment = replace(readme, features=readme.features - {"in.prose"} | {"in.comment"})
    assert systems.conclude_special(Facts(said=[readme] * 2), gpu_vendor=None)[0] == ("rdma",)
    assert systems.conclude_special(Facts(said=[comment] * 2), gpu_vendor=None)[0] == ()


def test_a_cpu_of_an_unusual_maker_need_only_be_listed() -> None:
    def listed(cpu: str) -> tuple[str, ...]:
        said = [mention("cpu", cpu, "listed", "early")] * 3
        return systems.conclude_special(Facts(said=said), gpu_vendor=None)[0]

    assert listed("Hygon") == ("cpu: Hygon",)
    assert listed("i7-9750H") == ()


@pytest.mark.parametrize(("cpu", "end"), [("i7-9750H", ", and no Chameleon site has one like it."), ("Skylake", ".")])
def test_a_cpu_that_is_only_named_is_told(cpu: str, end: str) -> None:
    (told,) = systems.cpus_named(Facts(said=[mention("cpu", cpu, "tested")]))
    assert told == f"README.md:1 names a CPU, on which results may depend: {cpu}{end}"


@pytest.mark.parametrize(
    ("cpus", "tags", "architecture"),
    [
        (("Skylake", "Ice Lake"), ("cpu: Skylake or Ice Lake",), None),
        (("Intel Core i7-8700", "Apple M1"), ("cpu: Intel Core i7-8700 or Apple M1",), None),
        (("Apple M1", "Apple M2"), ("cpu: Apple M1 or Apple M2",), "aarch64"),
    ],
)
def test_of_several_cpus_one_will_do(cpus: tuple[str, ...], tags: tuple[str, ...], architecture: str | None) -> None:
    said = [mention("cpu", cpu, "need") for cpu in cpus]
    assert systems.conclude_special(Facts(said=said), gpu_vendor=None)[:2] == (tags, architecture)


def test_macos_on_a_named_apple_cpu_needs_that_cpu() -> None:
    apple, macos = mention("cpu", "Apple M1", "named"), mention("special.macos", None, "listed", "early")
    assert systems.conclude_special(Facts(said=[apple]), gpu_vendor=None)[:2] == ((), None)
    both = systems.conclude_special(Facts(said=[apple, macos]), gpu_vendor=None)
    assert both[:2] == (("cpu: Apple M1", "macos"), "aarch64")


def test_another_accelerator_is_no_gpu_unless_one_is_asked_for() -> None:
    gaudi = [mention("special.gaudi", None, "named", "early")] * 4
    signs = [GpuSign("command", 2.5, None, SPOT)]
    assert gpu.conclude(Facts(gpu=signs)).required
    assert not gpu.conclude(Facts(said=gaudi, gpu=signs)).required
    assert gpu.conclude(Facts(said=[*gaudi, NEEDS], gpu=signs)).required


def test_a_gpu_that_is_needed_is_at_least_one() -> None:
    assert gpu.conclude(Facts(said=[NEEDS])).count == 1
    assert gpu.conclude(Facts(said=[DENIES])).count is None


def test_a_gpu_that_is_only_named_tells_no_memory() -> None:
    def needed(stance: str, *features: str) -> float | None:
        likely = ("as.need", "pre.need", "pre.least", "head.requirements", "say.need", "say.least", "from.right")
        vram = mention("vram", 40.0, stance, *likely, *features)
        return gpu.conclude(Facts(gpu=[GpuSign("container", 3.0, None, SPOT)], said=[vram])).memory_gb

    assert needed("need", "from.model") == 40.0
    assert needed("aside", "from.model") is None
    assert needed("optional", "of a model") is None
    assert needed("optional") == 40.0


NOTHING = Survey({}, 0)


def test_sizing_never_lowers_a_requirement() -> None:
    asked = Requirements(cpu_cores=96, ram_gb=300.5, disk_gb=4000, gpu_required=True, gpu_memory_gb=48)
    sized = sizing.size(asked, Facts(), NOTHING)
    assert (sized.cpu_cores, sized.ram_gb, sized.disk_gb, sized.gpu_memory_gb) == (96, 301, 4000, 48)


def test_sizing_fills_every_gap_with_a_reason() -> None:
    modest = sizing.size(Requirements(), Facts(), NOTHING)
    hungry = sizing.size(Requirements(gpu_required=True), Facts(), NOTHING)
    assert modest.gpu_memory_gb is None and hungry.gpu_memory_gb
    assert hungry.ram_gb > modest.ram_gb and hungry.reasons


def test_sizing_follows_content_and_model() -> None:
    large = sizing.size(Requirements(), Facts(), Survey({}, 20 << 30))
    assert large.disk_gb >= 60
    small = Facts(said=[mention("parameters", 13.0, "named")])
    assert sizing.size(Requirements(gpu_required=True), small, NOTHING).gpu_memory_gb == 32
    giant = Facts(said=[mention("parameters", 405.0, "named")])
    assert sizing.size(Requirements(gpu_required=True), giant, NOTHING).gpu_memory_gb == 80


def test_which_of_several_memories_was_taken_is_told() -> None:
    concluded = gpu.conclude(Facts(said=[NEEDS], amounts=[amount("vram", 8), amount("vram", 30)]))
    (found,) = [e for e in concluded.evidence if e.field == "gpu_memory_gb"]
    assert (found.value, found.note) == ("30", "minimum, the largest within 4 times the least, 8 GB")


def test_memory_of_which_nothing_tells_whose_it_is_says_nothing_of_gpus() -> None:
    vram = mention("vram", 6.0, "need", "pre.need")
    plain = mention("vram", 6.0, "need", "pre.need", "plain")
    assert gpu.mentioned(Facts(said=[vram, plain])) == [vram]
    assert gpu.conclude(Facts(said=[vram], packages=[package("torch")])).required


def test_of_what_a_model_never_saw_nothing_counts() -> None:
    assert model.score("gpu", {"unheard of": 9.0}) == model.score("gpu", ())
    assert 0.0 < model.probability("amount", ["plain"]) < model.probability("amount", ["pre.need", "pre.least"]) < 1.0
