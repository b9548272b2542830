"""CPU generations: of models as sites report them, and of words as people write them."""

from __future__ import annotations

import re

import pytest

from envagent.catalog import NodeType, node_types, sites
from envagent.catalog.cpus import features, generation, generations, named

TYPES = [t for s in sites() for t in node_types(s.region)]


def node(name: str) -> NodeType:
    return next(t for t in TYPES if t.name == name)


def alike(words: str) -> set[str]:
    found = named(words)
    assert found is not None
    return {t.name for t in TYPES if found.alike(t)}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "Sandy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2650 v2 @ 2.60GHz", "Ivy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2670 v3 @ 2.30GHz", "Haswell"),
        ("Intel(R) Xeon(R) CPU E7-8890 v4 @ 2.20GHz", "Broadwell"),
        ("Intel(R) Xeon(R) Gold 6126 CPU @ 2.60GHz", "Skylake"),
        ("Intel(R) Xeon(R) Silver 4114 CPU @ 2.20GHz", "Skylake"),
        ("Intel(R) Xeon(R) Gold 6240R CPU @ 2.40GHz", "Cascade Lake"),
        ("Intel(R) Xeon(R) Platinum 8380H CPU @ 2.90GHz", "Cooper Lake"),
        ("Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", "Ice Lake"),
        ("Intel(R) Xeon(R) Platinum 8468", "Sapphire Rapids"),
        ("INTEL(R) XEON(R) GOLD 6530", "Emerald Rapids"),
        ("Intel(R) Xeon(R) 6980P", "Granite Rapids"),
        ("AMD EPYC 7551P 32-Core Processor", "Zen"),
        ("AMD EPYC 7H12 64-Core Processor", "Zen 2"),
        ("AMD EPYC 7763 64-Core Processor", "Zen 3"),
        ("AMD EPYC 9654 96-Core Processor", "Zen 4"),
        ("AMD EPYC 9965 192-Core Processor", "Zen 5"),
        ("AMD EPYC 4545P 16-Core Processor", "Zen 5, EPYC 4005"),
        ("Intel(R) Core(TM) i9-9900K CPU @ 3.60GHz", "Intel Core"),
        ("AMD Ryzen 9 5950X 16-Core Processor", "Ryzen"),
        ("Apple M1 Pro", "Apple silicon"),
        ("a processor", None),
        (None, None),
    ],
)
def test_a_model_has_its_generation(model: str | None, name: str | None) -> None:
    found = generation(model)
    assert (found and found.name) == name


def test_every_model_of_the_catalogue_has_a_generation() -> None:
    assert [t.cpu_model for t in TYPES if generation(t.cpu_model) is None] == []
    for one in generations():
        assert one.names == tuple(name.lower() for name in one.names) and 2005 < one.year < 2030
        assert set(one.features) <= {"avx2", "avx512", "intel-pt", "sgx", "tdx", "sev-snp"}
        assert re.compile(one.models).groups == 0


def test_features_are_those_of_the_generation() -> None:
    assert features(node("compute_haswell_ib")) == {"avx2"}
    assert features(node("compute_zen3")) == {"avx2", "sev-snp"}
    assert {"avx512", "sgx"} <= features(node("compute_icelake_r650"))
    assert features(node("compute_skylake").model_copy(update={"cpu_model": None})) == set()


@pytest.mark.parametrize(
    ("words", "some", "not_these"),
    [
        ("Ice Lake", {"compute_icelake_r650"}, {"compute_skylake", "gpu_h100"}),
        ("icelake", {"compute_icelake_r650"}, {"compute_zen3"}),
        ("Intel Cascade-Lake", {"compute_cascadelake"}, {"compute_skylake"}),
        ("3rd Gen Intel Xeon Scalable processor", {"compute_icelake_r750"}, {"compute_zen3", "compute_skylake"}),
        ("3rd generation AMD EPYC", {"compute_zen3"}, {"compute_icelake_r750", "storage_nvme"}),
        ("Zen 3", {"compute_zen3"}, {"storage_nvme"}),
        ("Skylake or newer", {"compute_skylake", "compute_icelake_r650", "gpu_h100"}, {"compute_zen3", "gpu_p100"}),
        ("Skylake or Ice Lake", {"compute_skylake", "compute_icelake_r650"}, {"compute_cascadelake"}),
        ("Intel Xeon Gold 6130", {"compute_skylake"}, {"compute_cascadelake"}),
        ("Intel Xeon", {"compute_skylake", "compute_haswell"}, {"compute_zen3"}),
        ("AMD EPYC", {"compute_zen3", "storage_nvme"}, {"compute_skylake"}),
        ("an Intel processor", {"compute_skylake"}, {"compute_zen3", "compute_arm64"}),
    ],
)
def test_words_name_processors(words: str, some: set[str], not_these: set[str]) -> None:
    found = alike(words)
    assert some <= found and not found & not_these


@pytest.mark.parametrize(
    "words",
    [
        "Intel Core i9-9900K",
        "i7-6700 (Skylake)",
        "Coffee Lake",
        "8th gen Intel",
        "Ryzen 7 5800X",
        "AMD Threadripper",
        "Apple M1",
        "Raspberry Pi 4",
        "Hygon",
        "Xeon E-2288G",
        "Xeon W-2195",
        "Kunpeng 920",
        "POWER9",
    ],
)
def test_processors_of_other_machines_are_known_and_nobody_has_them(words: str) -> None:
    assert alike(words) == set()


def test_a_model_is_more_exact_than_its_generation() -> None:
    found = named("Xeon Gold 6126")
    assert found is not None and found.exact is not None
    assert found.exact(node("compute_skylake")) and not found.exact(node("compute_cascadelake"))
    other = named("Xeon Gold 6130")
    assert other is not None and other.exact is not None and not other.exact(node("compute_skylake"))
    generation_only = named("Skylake")
    assert generation_only is not None and generation_only.exact is None


@pytest.mark.parametrize("words", ["", "64 bits", "vulnerable to some attack"])
def test_words_that_name_no_processor(words: str) -> None:
    assert named(words) is None
