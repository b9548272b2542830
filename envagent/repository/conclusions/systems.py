"""Which operating system and architecture the machine must have.

Owns: choosing an Ubuntu release among those named, and naming special features. The base image of a container does not
constrain its host and never reaches this place. Must not: know which images a site has.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from envagent.catalog import cpus, node_types, sites
from envagent.repository.conclusions import model
from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Facts, Said, SpecialSign, Spot
from envagent.repository.knowledge import table
from envagent.repository.results import Evidence

_RELEASES = ("14.04", "16.04", "18.04", "20.04", "22.04", "24.04")
_USUAL = "22.04"
_NEAR_BEST = 0.5
_CREDIBLE = 0.3
_FIRM = 0.5
_SPECIAL_ENOUGH = 0.39
_CPU_ENOUGH = 0.3
"""One sentence is enough for a CPU, which is taken only where it is needed in so many words; see `_is_firm`."""
_OFTEN_A_TOPIC = frozenset({"fpga", "docker", "kvm", "nvme", "kernel", "numa", "mpi", "kernel-module"})
"""What repositories often work for, on machines without it."""
_ARCHITECTURES = ("aarch64", "x86_64")


@dataclass(frozen=True)
class _System:
    distribution: str
    versions: tuple[str, ...]
    newer: bool
    weight: float
    spot: Spot
    of_a_kernel: bool = False


def conclude_system(facts: Facts) -> tuple[str | None, str | None, list[Evidence]]:
    """Return distribution and release, or None for what no document says."""
    named = _systems(facts)
    if any(s.subject in _OTHERS and s.tier == "main" and s.stance in ("need", "listed") for s in facts.said):
        # A kernel does not stand for Ubuntu where another distribution is asked for.
        named = [s for s in named if not s.of_a_kernel]
    ubuntu = [s for s in named if s.distribution == "ubuntu" and s.weight >= _CREDIBLE]
    elsewhere = {s.distribution for s in named if s.weight >= 0.15} - {"ubuntu", "debian"}
    # Instructions for many distributions name versions in passing; only a firm statement is a constraint then.
    if len(elsewhere) > 1:
        ubuntu = [s for s in ubuntu if s.weight >= _FIRM]
    if ubuntu:
        best = max(s.weight for s in ubuntu)
        strong = [s for s in ubuntu if s.weight >= _NEAR_BEST * best]
        release = _release(strong)
        if release is not None:
            deciding = max(strong, key=lambda s: (release in s.versions, s.weight))
            return "ubuntu", release, [evidence("os_version", release, deciding.spot, 2 * deciding.weight)]
    others = [s for s in named if s.distribution != "ubuntu" and s.versions and s.weight >= _CREDIBLE]
    if others and len(elsewhere) == 1:
        one = max(others, key=lambda s: s.weight)
        return one.distribution, one.versions[0], [evidence("os_type", one.distribution, one.spot, 2 * one.weight)]
    return None, None, []


def _systems(facts: Facts) -> list[_System]:
    """Return what manifests and sentences name; a kernel stands for the release that brings it."""
    found = [_System(s.distribution, s.versions, s.and_newer, s.weight / 2, s.spot) for s in facts.systems]
    for said in facts.said:
        passing = said.subject in _OTHERS and said.tier != "main" and said.stance == "named"
        if said.subject in _DISTRIBUTIONS and isinstance(said.value, tuple) and not passing:
            distribution = "ubuntu" if said.subject == "kernel" else said.subject
            weight = model.probability("system", said.features)
            found.append(_System(distribution, said.value, said.newer, weight, said.spot, said.subject == "kernel"))
    return found


_OTHERS = frozenset(("centos", "rhel", "rocky", "almalinux", "debian", "fedora", "opensuse"))
_DISTRIBUTIONS = _OTHERS | {"ubuntu", "kernel"}


def _release(systems: list[_System]) -> str | None:
    """Return the usual release if it is allowed, else the newest one named."""
    exact = {v for s in systems if not s.newer for v in s.versions if v in _RELEASES}
    newer = [min(s.versions) for s in systems if s.newer]
    if exact:
        return _USUAL if _USUAL in exact else max(exact)
    if newer:
        return max(_USUAL, max(newer))
    return None


def conclude_special(
    facts: Facts, *, gpu_vendor: str | None
) -> tuple[tuple[str, ...], Literal["x86_64", "aarch64"] | None, list[Evidence]]:
    """Return the tags of special features, and the architecture if only one will do."""
    by_tag = tagged(facts)
    weights = {tag: model.probability("special", special_features(tag, said)) for tag, said in by_tag.items()}
    places = {
        tag: max(said, key=lambda s: (_RANK.get(s.stance, 0), s.tier == "main")).spot for tag, said in by_tag.items()
    }
    for sign in [*facts.specials, *_package_signs(facts)]:
        weight = min(1.0, sign.weight / 3)
        together = 1 - (1 - weights.get(sign.tag, 0.0)) * (1 - weight)
        if weight > weights.get(sign.tag, 0.0):
            places[sign.tag] = sign.spot
        weights[sign.tag] = together
    demanded = {tag for tag in _ARCHITECTURES if any(_demands(s) for s in by_tag.get(tag, ()))}
    if weights.get("x86_64", 0) and weights.get("aarch64", 0) and len(demanded) != 1:
        # What names both architectures runs on both, unless it is made for boards that have one.
        weights.pop("x86_64")
        if weights.get("jetson", 0) < _FIRM:
            weights.pop("aarch64")
    if gpu_vendor is not None or any(s.subject in _DISTRIBUTIONS for s in facts.said):
        # What runs on a Linux or with a GPU of a server needs no other system.
        weights = {tag: weight for tag, weight in weights.items() if tag not in _OTHER_PLATFORMS}
    signed = {sign.tag for sign in facts.specials}
    # What only some nodes have, one page besides the main documents does not ask for.
    aside = {tag for tag in _OF_SOME_NODES - signed if tag in by_tag and not _speaking(by_tag[tag])}
    chosen = {
        tag: weight
        for tag, weight in weights.items()
        if weight >= (_CPU_ENOUGH if tag.startswith(_CPU) else _SPECIAL_ENOUGH)
        and tag not in aside
        and _is_firm(tag, by_tag)
    }
    for pair in _EITHER:
        if chosen.keys() >= set(pair):
            del chosen[min(pair, key=chosen.__getitem__)]
    if "macos" in chosen:
        chosen |= {tag: weight for tag, weight in weights.items() if tag.startswith(f"{_CPU}Apple")}
    found = [
        evidence("architecture" if tag in _ARCHITECTURES else "special_requirements", tag, places[tag], 2 * weight)
        for tag, weight in chosen.items()
    ]
    asked = [tag for tag in chosen if tag.startswith(_CPU)]
    apple = all(tag.startswith(f"{_CPU}Apple") for tag in asked) and (asked or "apple-silicon" in chosen)
    architecture: Literal["x86_64", "aarch64"] | None = None
    if "aarch64" in chosen or apple:
        architecture = "aarch64"
    elif "x86_64" in chosen:
        architecture = "x86_64"
    tags = set(chosen) - {*_ARCHITECTURES, "rocm", *asked, *(() if apple else ("apple-silicon",))}
    if asked:
        # A machine has one of them.
        tags.add(_CPU + " or ".join(tag.removeprefix(_CPU) for tag in asked))
    tags |= {_IMPLIED[tag] for tag in tags & _IMPLIED.keys()}
    if gpu_vendor == "amd":
        tags.add("rocm")
    return tuple(sorted(tags)), architecture, found


def _demands(said: Said) -> bool:
    return said.stance == "need" and "near-head.requirements" in said.features


def tagged(facts: Facts) -> dict[str, list[Said]]:
    """Return what sentences say of special hardware, by tag; a named CPU is a tag of its own."""
    found: dict[str, list[Said]] = defaultdict(list)
    # Comments of scripts tell how they work, not what the machine must have.
    for said in (s for s in facts.said if s.tier != "side" and "in.comment" not in s.features):
        if said.subject.startswith("special."):
            found[said.subject.removeprefix("special.")].append(said)
        elif said.subject == "cpu":
            found[f"{_CPU}{said.value}"].append(said)
    return found


def other_chip(facts: Facts) -> bool:
    """Return whether the main job is made for accelerators that are no GPUs, or for devices that are no servers."""
    by_tag = tagged(facts)
    return any(
        tag in by_tag
        and model.probability("special", special_features(tag, by_tag[tag])) >= _SPECIAL_ENOUGH
        and _is_firm(tag, by_tag)
        for tag in _CHIPS
    )


def cpus_named(facts: Facts) -> list[str]:
    """Tell which CPUs the main documents name without asking for them: results may depend on them."""
    places = {
        tag.removeprefix(_CPU): said[0].spot
        for tag, said in tagged(facts).items()
        if tag.startswith(_CPU) and said[0].tier == "main" and not _is_firm(tag, {tag: said})
    }
    return [
        f"{place.path}:{place.line} names a CPU, on which results may depend: {cpu}"
        + ("." if _somewhere(cpu) else ", and no Chameleon site has one like it.")
        for cpu, place in places.items()
    ][:2]


@lru_cache(maxsize=64)
def _somewhere(cpu: str) -> bool:
    """Return whether a site has a CPU like one that is named; True if the name says too little."""
    known = cpus.named(cpu)
    return known is None or any(known.alike(node) for site in sites() for node in node_types(site.region))


def _is_firm(tag: str, by_tag: dict[str, list[Said]]) -> bool:
    """Return whether hardware that few sites have is asked for, not only named."""
    main = _speaking(by_tag.get(tag, []))
    asked = any(s.stance in ("need", "listed") for s in main)
    early = any(s.stance != "optional" and "early" in s.features for s in main)
    if tag.startswith(_CPU):
        # Few machines have a CPU of another maker than Intel or AMD: one that is listed is meant.
        rare = not _somewhere(tag.removeprefix(_CPU)) and not _USUAL_CPU.search(tag)
        return any(s.stance == "need" for s in main) or (rare and asked)
    emulated = [s for s in main if "say.emulated" in s.features]
    if tag in _RARE | {"pmem"} and emulated and all(s.stance != "need" for s in main if s not in emulated):
        return False
    if tag in _OTHER_PLATFORMS:
        return any(s.stance in ("need", "listed") for s in main if "doc.main" in s.features) or (
            tag == "apple-silicon" and any("early" in s.features for s in main)
        )
    return tag not in _RARE or tag not in by_tag or asked or (early and tag != "microcontroller")


_CPU = "cpu: "
_USUAL_CPU = re.compile(r"intel|amd|core|xeon|epyc|ryzen|\bi\d|lake|zen|apple", re.IGNORECASE)
_CHIPS = frozenset(("gaudi", "tpu", "trainium", "ascend", "apple-silicon", "microcontroller", "phone"))
_OTHER_PLATFORMS = frozenset(("macos", "windows", "apple-silicon"))
_IMPLIED = {"intel-pt": f"{_CPU}Intel CPU"}
_RARE = frozenset((
    "sdr", "phone", "microcontroller", "gaudi", "tpu", "trainium", "ascend", "programmable-switch", "smartnic", "dpu",
    "tdx", "sev-snp", "intel-pt", "avx512", "avx2", "cxl", "jetson", "aarch64", "fpga", "zns", "pim",
))  # fmt: skip
_OF_SOME_NODES = frozenset(("rdma", "infiniband", "mellanox", "nvme", "sgx", "pmem", "gpudirect"))
_EITHER = (("tdx", "sev-snp"), ("smartnic", "fpga"))
"""No machine has both, or the first is built from the second."""
_RANK = {"need": 4, "listed": 3, "tested": 2, "recommend": 2, "purpose": 1, "named": 1}


def special_features(tag: str, said: list[Said]) -> dict[str, float]:
    """Describe how a repository mentions a feature."""
    agreed = _agreed(said)
    held = model.counted(
        name
        for s in said
        for name in (f"{s.stance}.{'main' if agreed else s.tier}", *(("early",) if "early" in s.features else ()))
    )
    if tag in _OFTEN_A_TOPIC:
        held |= {"topic": 1.0, "topic&early": held.get("early", 0.0), "topic&need": held.get("need.main", 0.0)}
    return held


def _speaking(said: list[Said]) -> list[Said]:
    """Return what speaks for the whole project: the main documents, or parts that agree where those are silent."""
    return said if _agreed(said) else [s for s in said if s.tier == "main"]


def _agreed(said: list[Said]) -> bool:
    """Return whether several parts of the project need the same, and no main document speaks of it."""
    needed = {s.spot.path for s in said if s.stance == "need"}
    return len(needed) > 1 and all(s.tier != "main" for s in said)


def _package_signs(facts: Facts) -> list[SpecialSign]:
    return [
        SpecialSign(row["tag"], 1.5, package.spot)
        for row in table("packages")["special"]
        for package in facts.packages
        if package.name in row["names"] and package.scope == "main"
    ]
