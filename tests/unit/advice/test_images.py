"""Which image: by distribution, release, variant, build; on which node it may run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from envagent.advice.images import (
    explain,
    find_named,
    lacking,
    misfit,
    ranked,
    shortlist,
    ssh_user,
    traits,
    worse,
)
from envagent.advice.needs import need_of
from envagent.catalog import flavors
from envagent.cli.render.hint_text import hint_text
from envagent.errors import UsageError

from .samples import NOW, analysis, image, images, one

ALL = images()


def best(kind: str, region: str = "CHI@UC", offered: Any = None, **wanted: Any) -> str:
    found = ranked(ALL if offered is None else offered, [one(kind, region)], need_of(analysis(**wanted)))
    return found[0].name


GPU: dict[str, Any] = {"gpu_required": True, "cuda_required": True}


@pytest.mark.parametrize(
    ("name", "distro", "release", "variant", "current"),
    [
        ("CC-Ubuntu24.04", "ubuntu", "24.04", "base", True),
        ("CC-Ubuntu22.04-CUDA", "ubuntu", "22.04", "cuda", True),
        ("CC-Ubuntu24.04-CUDA-VGPU", "ubuntu", "24.04", "vgpu", True),
        ("CC-Ubuntu24.04-ROCm", "ubuntu", "24.04", "rocm", True),
        ("CC-Ubuntu22.04-ARM64", "ubuntu", "22.04", "arm64", True),
        ("CC-Centos9-Stream", "centos", "9", "base", True),
        ("CC-CentOS9-Stream_2025-04-03 16:18:57.315019", "centos", "9", "base", False),
        ("CC-Ubuntu20.04-CUDA11-20211129", "ubuntu", "20.04", "cuda", False),
        ("CC-Ubuntu20.04-20221005-1665164598.226599", "ubuntu", "20.04", "base", False),
        ("CC-Ubuntu22.04-CUDA_2025-05-05 19:42:40.161961", "ubuntu", "22.04", "cuda", False),
    ],
)
def test_a_name_tells(name: str, distro: str, release: str, variant: str, current: bool) -> None:
    seen = traits(image(name))
    assert (seen.distro, seen.release, seen.variant, seen.current) == (distro, release, variant, current)
    assert seen.official


@pytest.mark.parametrize("name", ["CC-Ubuntu22.04-my-snapshot", "my CC-Ubuntu22.04", "CC-Ubuntu", "Ubuntu24.04"])
def test_other_names_are_not_chameleons(name: str) -> None:
    assert traits(image(name)).variant == "custom" and not traits(image(name)).official


@pytest.mark.parametrize(
    "changes",
    [
        {"visibility": "private"},
        {"visibility": "shared"},
        {"visibility": "community"},
        {"status": "deactivated"},
        {"properties": {"build-repo": "https://github.com/somebody/images"}},
    ],
)
def test_copies_are_not_official_whatever_their_name(changes: dict[str, Any]) -> None:
    copy = image("CC-Ubuntu24.04", **changes)
    assert not traits(copy).official
    assert ranked([copy], [one("compute_skylake")], need_of(analysis())) == []


class TestChoice:
    """The best image of a site for a node."""

    def test_the_default_is_the_current_ubuntu(self) -> None:
        assert best("compute_skylake") == "CC-Ubuntu24.04"

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ({"os_type": "ubuntu", "os_version": "22.04"}, "CC-Ubuntu22.04"),
            ({"os_type": "ubuntu", "os_version": "20.04"}, "CC-Ubuntu20.04"),
            ({"os_type": "ubuntu", "os_version": "18.04"}, "CC-Ubuntu22.04"),
            ({"os_type": "ubuntu", "os_version": "16.04"}, "CC-Ubuntu22.04"),
            ({"os_type": "ubuntu", "os_version": "23.10"}, "CC-Ubuntu24.04"),
            ({"os_type": "ubuntu", "os_version": "26.04"}, "CC-Ubuntu24.04"),
            ({"os_type": "debian", "os_version": "11"}, "CC-Ubuntu22.04"),
            ({"os_type": "debian", "os_version": "13"}, "CC-Ubuntu24.04"),
            ({"os_type": "rhel", "os_version": "7.9"}, "CC-CentOS9-Stream"),
            ({"os_type": "centos"}, "CC-CentOS9-Stream"),
            ({"os_type": "rocky", "os_version": "8"}, "CC-CentOS9-Stream"),
            ({"os_type": "debian"}, "CC-Ubuntu24.04"),
            ({"python_version": "3.10"}, "CC-Ubuntu22.04"),
            ({"python_version": "3.12"}, "CC-Ubuntu24.04"),
            ({"python_version": "3.8"}, "CC-Ubuntu24.04"),
            ({"python_version": "3.11", "python_allowed": ("3.9", "3.10", "3.11")}, "CC-Ubuntu22.04"),
            ({"python_version": "3.11", "python_allowed": ("3.10", "3.11", "3.12")}, "CC-Ubuntu24.04"),
            ({"python_version": "3.10", "os_version": "24.04", "os_type": "ubuntu"}, "CC-Ubuntu24.04"),
        ],
    )
    def test_requirements_change_it(self, wanted: dict[str, Any], expected: str) -> None:
        assert best("compute_skylake", **wanted) == expected

    @pytest.mark.parametrize(
        ("offered", "wanted", "expected"),
        [
            (("CC-Ubuntu24.04", "CC-Ubuntu22.04"), {"os_version": "20.04"}, "CC-Ubuntu22.04"),
            (("CC-Ubuntu24.04", "CC-Ubuntu22.04", "CC-Ubuntu20.04"), {"os_version": "18.04"}, "CC-Ubuntu22.04"),
            (("CC-Ubuntu24.04", "CC-Ubuntu18.04"), {"os_version": "18.04"}, "CC-Ubuntu18.04"),
            (("CC-Ubuntu26.04", "CC-Ubuntu24.04"), {"os_version": "22.04"}, "CC-Ubuntu24.04"),
            (("CC-Ubuntu26.04", "CC-Ubuntu24.04"), {"os_version": "25.04"}, "CC-Ubuntu24.04"),
            (
                ("CC-Ubuntu26.04", "CC-Ubuntu24.04"),
                {"os_version": "25.04", "python_version": "3.14"},
                "CC-Ubuntu26.04",
            ),
            (("CC-CentOS8-Stream", "CC-CentOS9-Stream"), {"os_type": "rocky", "os_version": "8"}, "CC-CentOS9-Stream"),
            (("CC-CentOS8-Stream", "CC-CentOS9-Stream"), {"os_type": "centos", "os_version": "8"}, "CC-CentOS8-Stream"),
            (("CC-CentOS7", "CC-CentOS9-Stream"), {"os_type": "centos", "os_version": "8"}, "CC-CentOS9-Stream"),
        ],
    )
    def test_without_the_required_release_the_nearest_maintained_one(
        self, offered: tuple[str, ...], wanted: dict[str, Any], expected: str
    ) -> None:
        assert best("compute_skylake", offered=images(offered), **{"os_type": "ubuntu", **wanted}) == expected

    def test_no_cuda_image_for_a_cpu_project(self) -> None:
        for kind in ("compute_skylake", "gpu_rtx_6000"):
            found = ranked(ALL, [one(kind)], need_of(analysis()))
            assert found and not any(traits(i).cuda for i in found)

    @pytest.mark.parametrize(
        ("kind", "region", "wanted", "expected"),
        [
            ("gpu_rtx_6000", "CHI@UC", GPU, "CC-Ubuntu24.04-CUDA"),
            ("gpu_rtx_6000", "CHI@UC", {**GPU, "os_type": "ubuntu", "os_version": "22.04"}, "CC-Ubuntu22.04-CUDA"),
            ("gpu_rtx_6000", "CHI@UC", {**GPU, "os_type": "centos", "os_version": "8"}, "CC-Ubuntu24.04-CUDA"),
            ("gpu_k80", "CHI@TACC", GPU, "CC-Ubuntu20.04-CUDA11"),
            ("gpu_mi100", "CHI@TACC", {"gpu_required": True, "gpu_vendor": "amd"}, "CC-Ubuntu24.04-ROCm"),
            ("gpu_pontevecchio", "CHI@TACC", {"gpu_required": True, "gpu_vendor": "intel"}, "CC-Ubuntu24.04"),
            ("compute_arm64", "CHI@TACC", {"architecture": "aarch64"}, "CC-Ubuntu24.04-ARM64"),
        ],
    )
    def test_the_nodes_vendor_and_architecture_decide_the_variant(
        self, kind: str, region: str, wanted: dict[str, Any], expected: str
    ) -> None:
        assert best(kind, region, **wanted) == expected

    def test_a_slice_of_a_gpu_has_its_own_image(self) -> None:
        kinds = {f.name: f for f in flavors("KVM@TACC")}
        need = need_of(analysis(gpu_required=True))
        slice_, whole = kinds["g1.h100.vgpu.1g.12gb"], kinds["g1.h100.pci.1"]
        special, usual = image("CC-Ubuntu24.04-CUDA-VGPU"), image("CC-Ubuntu24.04-CUDA")
        assert misfit(special, slice_, need) is None is misfit(usual, whole, need)
        assert misfit(usual, slice_, need) and misfit(special, whole, need)

    def test_the_newest_public_of_one_name_counts_and_current_beats_newer_dated(self) -> None:
        old = image("CC-Ubuntu24.04", 1, created_at=NOW - timedelta(days=90))
        new = image("CC-Ubuntu24.04", 2, created_at=NOW - timedelta(days=60))
        private = image("CC-Ubuntu24.04", 3, created_at=NOW, visibility="private")
        dated = image("CC-Ubuntu24.04-20261122", 4, created_at=NOW)
        found = ranked([old, private, dated, new], [one("compute_skylake")], need_of(analysis()))
        assert [i.id for i in found] == [new.id, dated.id]

    def test_a_superseded_build_is_not_current(self) -> None:
        stale = image("CC-Ubuntu24.04", properties={"chameleon-supported": "no"})
        assert best("compute_skylake", offered=[stale, image("CC-Ubuntu22.04")]) == "CC-Ubuntu22.04"

    def test_the_shortlist_has_three_to_five_and_no_more_old_ones_than_needed(self) -> None:
        found = ranked(ALL, [one("compute_skylake")], need_of(analysis()))
        listed = shortlist(found)
        assert [i.name for i in listed] == [
            "CC-Ubuntu24.04",
            "CC-Ubuntu22.04",
            "CC-Ubuntu24.04_2025-05-05 19:32:07.856003",
            "CC-CentOS9-Stream",
        ]
        assert shortlist(found[:1]) == found[:1]

    def test_of_dated_builds_without_a_date_the_name_tells_the_newest(self) -> None:
        names = ("CC-Ubuntu24.04-20231115", "CC-Ubuntu24.04_2025-05-05 19:32:07", "CC-Ubuntu24.04-20240326")
        dated = [image(name, created_at=None) for name in names]
        found = ranked(dated, [one("compute_skylake")], need_of(analysis()))
        assert [i.name for i in found] == [names[1], names[2], names[0]]

    def test_of_two_toolkits_of_one_release_the_current_one(self) -> None:
        offered = [image("CC-Ubuntu20.04-CUDA11"), image("CC-Ubuntu20.04-CUDA")]
        assert best("gpu_v100", offered=offered, **GPU) == "CC-Ubuntu20.04-CUDA"

    def test_images_for_the_best_node_come_first(self) -> None:
        nodes = [one("gpu_k80", "CHI@TACC"), one("gpu_p100", "CHI@TACC")]
        found = ranked(ALL, nodes, need_of(analysis(**GPU)))
        assert found[0].name == "CC-Ubuntu20.04-CUDA11" and "CC-Ubuntu24.04-CUDA" in [i.name for i in found]

    @pytest.mark.parametrize(
        ("chosen", "wanted", "words"),
        [
            ("CC-Ubuntu20.04", {}, "no longer maintained"),
            ("CC-CentOS9-Stream", {}, "another distribution"),
            ("CC-Ubuntu24.04", {"os_type": "ubuntu", "os_version": "22.04"}, "further from the release 22.04"),
            ("CC-Ubuntu24.04_2025-05-05 19:32:07.856003", {}, "superseded"),
            ("CC-Ubuntu22.04", {}, None),
        ],
    )
    def test_where_another_choice_is_worse_than_the_rules(
        self, chosen: str, wanted: dict[str, Any], words: str | None
    ) -> None:
        need = need_of(analysis(**wanted))
        first = ranked(ALL, [one("compute_skylake")], need)[0]
        found = worse(image(chosen), first, need)
        assert (found is None) is (words is None) and (words or "") in (found or "")
        assert worse(first, image(chosen), need) is None

    @pytest.mark.parametrize("version", ["9", "9-stream", "9.4", "Stream 9"])
    def test_releases_are_compared_as_people_write_them(self, version: str) -> None:
        offered = images(["CC-CentOS9-Stream", "CC-Ubuntu24.04"])
        assert best("compute_skylake", offered=offered, os_type="centos", os_version=version) == "CC-CentOS9-Stream"

    def test_what_a_node_would_need_is_said(self) -> None:
        need = need_of(analysis(**GPU))
        assert (
            lacking(images(["CC-Ubuntu24.04"]), one("gpu_k80", "CHI@TACC"), need) == "the cuda variant is not available"
        )
        old = lacking(images(["CC-Ubuntu24.04-CUDA"]), one("gpu_k80", "CHI@TACC"), need)
        assert old == "CC-Ubuntu24.04-CUDA: the Tesla K80 is too old for its CUDA 12.6"

    def test_the_choice_does_not_depend_on_the_order_of_the_list(self) -> None:
        need = need_of(analysis(**GPU))
        assert ranked(ALL, [one("gpu_rtx_6000")], need) == ranked(ALL[::-1], [one("gpu_rtx_6000")], need)


class TestNamed:
    """The user names an image."""

    def test_by_id_by_name_and_by_case(self) -> None:
        for wish in ("id-cirros-0.6.2-0", "cirros-0.6.2", "CIRROS-0.6.2"):
            assert find_named(ALL, wish).name == "cirros-0.6.2"

    def test_of_several_chameleon_builds_the_newest_public_one(self) -> None:
        several = [
            image("CC-Ubuntu24.04", 9),
            image("CC-Ubuntu24.04", 1),
            image("CC-Ubuntu24.04", 0, visibility="private"),
        ]
        assert find_named(several, "CC-Ubuntu24.04").id == "id-CC-Ubuntu24.04-1"

    def test_of_several_others_none(self) -> None:
        with pytest.raises(UsageError, match="2 images are named mine") as caught:
            find_named([image("mine", 1), image("mine", 2)], "mine")
        assert "id-mine-1, id-mine-2" in hint_text(caught.value.hint)

    def test_an_unknown_name_brings_near_ones(self) -> None:
        with pytest.raises(UsageError) as caught:
            find_named(ALL, "CC-Ubuntu24.04-CUDAA")
        assert "CC-Ubuntu24.04-CUDA" in hint_text(caught.value.hint)

    def test_an_image_that_is_not_active_is_refused(self) -> None:
        with pytest.raises(UsageError, match="deactivated"):
            find_named([image("x", status="deactivated")], "x")


class TestMisfit:
    """Why an image cannot serve."""

    def test_size_and_architecture(self) -> None:
        need = need_of(analysis())
        assert "500 GB of disk" in (
            misfit(image("CC-Ubuntu24.04", min_disk_gb=500), one("compute_skylake"), need) or ""
        )
        arm = image("own", properties={"architecture": "aarch64"})
        assert "is x86_64" in (misfit(arm, one("compute_skylake"), need) or "")
        assert misfit(image("own"), one("compute_skylake"), need) is None

    def test_a_gpu_need_on_a_cpu_node_takes_the_base_image(self) -> None:
        need = need_of(analysis(**GPU))
        assert misfit(image("CC-Ubuntu24.04"), one("compute_skylake"), need) is None
        assert misfit(image("CC-Ubuntu24.04-CUDA"), one("compute_skylake"), need) is not None


@pytest.mark.parametrize(
    ("name", "properties", "user"),
    [
        ("CC-Ubuntu24.04", {}, "cc"),
        ("CC-CentOS9-Stream", {}, "cc"),
        ("my-snapshot", {"build-repo": "https://github.com/ChameleonCloud/cc-images"}, "cc"),
        ("Ubuntu22.04-HPC", {}, "ubuntu"),
        ("centos-7-generic", {}, "centos"),
        ("debian-12", {}, "debian"),
        ("cirros-0.6.2", {}, "cirros"),
        ("own", {"os_admin_user": "alice"}, "alice"),
        ("own", {"os_admin_user": "-oProxyCommand=x"}, "cc"),
    ],
)
def test_the_login_user(name: str, properties: dict[str, str], user: str) -> None:
    assert ssh_user(image(name, properties=properties)) == user


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("CC-Ubuntu20.04", {"os_type": "ubuntu", "os_version": "20.04"}, "no longer maintained"),
        ("CC-Ubuntu24.04", {"python_version": "3.9"}, "ships Python 3.12"),
        ("CC-Ubuntu24.04-CUDA", {**GPU, "os_type": "centos"}, "asks for centos"),
        ("CC-Ubuntu24.04", {"os_type": "ubuntu", "os_version": "18.04"}, "asks for ubuntu 18.04"),
        ("CC-Ubuntu24.04-CUDA", {**GPU, "cuda_version": "13.0"}, "too old for CUDA 13.0"),
        ("CC-CentOS9-Stream", {"os_type": "rocky"}, "closest relative"),
        ("own", {}, "not a Chameleon build"),
    ],
)
def test_what_does_not_match_is_said(name: str, wanted: dict[str, Any], words: str) -> None:
    reason, warnings = explain(image(name), need_of(analysis(**wanted)))
    assert reason and any(words in text for text in warnings)


def test_a_match_has_nothing_to_warn_of() -> None:
    reason, warnings = explain(image("CC-Ubuntu24.04"), need_of(analysis(python_version="3.12")))
    assert reason == "ubuntu 24.04, no GPU software, the current public Chameleon build" and warnings == ()
