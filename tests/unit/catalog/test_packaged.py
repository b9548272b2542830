"""The packaged facts are whole, dated and consistent with each other."""

from __future__ import annotations

import pytest

from envagent.catalog import Gpu, NodeType, flavors, node_types, site, sites
from envagent.catalog.gpus import GpuModel, architectures, capabilities, identify, models, version
from envagent.catalog.packaged import load
from envagent.catalog.releases import cuda_toolkit, relative, releases

BAREMETAL = [s.region for s in sites() if s.kind == "baremetal"]


def test_every_site_is_found_by_region_and_by_uid() -> None:
    for known in sites():
        assert site(known.region) == site(known.uid.upper()) == known
        assert known.auth_url.startswith("https://") and known.auth_url.endswith(":5000/v3")
    assert site("CHI@Nowhere") is None


@pytest.mark.parametrize("region", BAREMETAL)
def test_node_types_are_dated_and_plausible(region: str) -> None:
    types = node_types(region)
    assert len({t.name for t in types}) == len(types)
    for t in types:
        assert t.known and t.source and t.count > 0
        assert 0 < t.cores <= t.threads and t.disk_gb > 0 and t.su_factor > 0
        assert t.ram_gb is None or t.ram_gb >= 32
        assert (t.gpu is not None) == (t.name.startswith(("gpu_", "compute_liqid", "compute_gigaio")))
        if t.gpu and t.gpu.vendor == "nvidia":
            assert version(t.gpu.compute_capability or "")


def test_gpus_have_no_field_that_the_model_ignores() -> None:
    found = [item["gpu"] for name in ("node_types", "flavors") for item in load(f"{name}.json")[name] if "gpu" in item]
    assert found and {key for gpu in found for key in gpu} <= Gpu.model_fields.keys()


def test_a_node_type_of_an_earlier_journal_still_loads() -> None:
    now = next(t for t in node_types("CHI@UC") if t.gpu)
    stored = now.model_dump(mode="json")
    stored["gpu"]["family"] = "ampere"
    assert NodeType.model_validate(stored) == now


def test_the_sites_whose_hardware_is_packaged() -> None:
    """A new site may do without: its node types are those that it shows."""
    described = {"CHI@UC", "CHI@TACC", "CHI@NCAR", "CHI@NU", "CHI@NRP"}
    assert {region for region in BAREMETAL if node_types(region)} >= described
    assert {item["region"] for item in load("node_types.json")["node_types"]} <= set(BAREMETAL)


def test_a_region_that_is_not_known_has_nothing() -> None:
    assert node_types("CHI@Nowhere") == () == flavors("CHI@Nowhere")


def test_what_the_seed_documents_name_wrongly_is_not_in_the_catalogue() -> None:
    names = {t.name for region in BAREMETAL for t in node_types(region)}
    assert not names & {"gpu_a100", "gpu_rtx_5000", "compute_cascadelake_r640", "compute_skylake_384gb"}
    assert "compute_haswell" not in {t.name for r in ("CHI@UC", "CHI@TACC") for t in node_types(r)}


def test_kvm_flavors_are_virtual_node_types() -> None:
    found = {f.name: f for f in flavors("KVM@TACC")}
    assert all(f.virtual for f in found.values())
    assert found["m1.large"].cores == 4 and found["m1.large"].ram_gb == 8
    assert found["g1.h100.pci.1"].gpu is not None


@pytest.mark.parametrize(
    ("model", "memory", "capability"),
    [
        ("TU102GL [Quadro RTX 6000/8000]", 24, "7.5"),
        ("GA100 [A100 PCIe 80GB]", 80, "8.0"),
        ("GA100 [A100 PCIe 40GB]", 40, "8.0"),
        ("GV100GL [Tesla V100 SXM2 32GB]", 32, "7.0"),
        ("GP100GL [Tesla P100 PCIe 16GB]", 16, "6.0"),
        ("GK210GL [Tesla K80]", 12, "3.7"),
        ("NVIDIA H100 NVL", 94, "9.0"),
        ("GH100 [H100 NVL]", 94, "9.0"),
        ("GH100 [H100 PCIe]", 80, "9.0"),
        ("GA102GL [A10]", 24, "8.6"),
        ("AD104GL [L4]", 24, "8.9"),
        ("AD102GL [RTX 6000 Ada Generation]", 48, "8.9"),
        ("NVIDIA-A100-SXM4-80GB", 80, "8.0"),
        ("GB202 [GeForce RTX5090]", 32, "12.0"),
        ("GP102 [GeForce GTX 1080Ti]", 11, "6.1"),
        ("NVIDIA Z9000 64GB", 64, None),
    ],
)
def test_a_gpu_is_identified_by_its_name(model: str, memory: int, capability: str | None) -> None:
    gpu = identify(model, vendor="NVIDIA", count=2)
    assert gpu is not None
    assert (gpu.vendor, gpu.memory_gb, gpu.compute_capability, gpu.count) == ("nvidia", memory, capability, 2)


def test_gpu_models_are_whole_and_each_spelling_means_one() -> None:
    spelled = [one for model in models() for one in (*model.spellings, *model.ambiguous)]
    assert len(set(spelled)) == len(spelled) and len({model.name for model in models()}) == len(models())
    assert all(" ".join(one.lower().split()) == one for one in spelled)
    for model in models():
        assert model.spellings and model.memory_gb and model.memory_gb == tuple(sorted(set(model.memory_gb)))
        assert (model.compute_capability is not None) == (model.vendor == "nvidia")


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_a_gpu_model_is_identified_by_each_of_its_spellings(model: GpuModel) -> None:
    for spelling in (*model.spellings, *model.ambiguous):
        for written in (spelling, spelling.upper().replace(" ", "-"), spelling.replace(" ", "")):
            gpu = identify(f"Device 1 ({written})")
            assert gpu is not None, written
            assert (gpu.vendor, gpu.memory_gb) == (model.vendor, model.memory_gb[0]), written
            assert gpu.compute_capability == model.compute_capability, written


@pytest.mark.parametrize("word", ["a1000x", "ga10", "xp100", "h100s5", "3090x", "rtx", "max", "g200e"])
def test_a_part_of_a_word_is_not_a_gpu(word: str) -> None:
    assert identify(word) is None


@pytest.mark.parametrize(
    ("word", "least"),
    [
        ("hopper", "9.0"),
        ("rtx 30 series", "8.6"),
        ("ada lovelace", "8.9"),
        ("blackwell", "10.0"),
        ("sm_86", "8.6"),
        ("sm90", "9.0"),
    ],
)
def test_a_generation_has_its_least_compute_capability(word: str, least: str) -> None:
    assert architectures()[word] == least


def test_generations_agree_with_the_models() -> None:
    words = {model.architecture.casefold(): model for model in models() if model.vendor == "nvidia"}
    for word in words:
        numbers = [version(m.compute_capability or "") for m in models() if m.architecture.casefold() == word]
        assert version(architectures()[word]) == min(numbers)


def test_vendors_are_told_apart_and_nonsense_is_no_gpu() -> None:
    amd = identify("Arcturus GL-XL [Instinct MI100]")
    intel = identify("Data Center GPU Max 1550")
    assert amd and amd.vendor == "amd" and intel and intel.vendor == "intel"
    assert identify("Matrox G200eW3") is None


@pytest.mark.parametrize(
    ("cuda", "oldest", "newest"), [("10.2", (3, 0), (7, 5)), ("11.4", (3, 5), (8, 6)), ("12.6", (5, 0), (9, 0))]
)
def test_cuda_releases_bound_the_compute_capability(
    cuda: str, oldest: tuple[int, int], newest: tuple[int, int]
) -> None:
    assert capabilities(version(cuda)) == (oldest, newest)


def test_versions_are_parsed_strictly() -> None:
    assert version("12") == (12, 0) and version("12.6.1") == (12, 6)
    for text in ("", "x", "12.x", "-1", "1e3"):
        with pytest.raises(ValueError, match="not a version"):
            version(text)


def test_releases_have_a_default_and_relatives() -> None:
    assert next(r for r in releases() if r.distro == "ubuntu").release == "24.04"
    assert relative(None) == relative("Debian") == "ubuntu"
    assert relative("rocky") == relative("RHEL") == "centos"
    assert cuda_toolkit(eleven=True) < cuda_toolkit(eleven=False)
