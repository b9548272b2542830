"""Which operating system and architecture the machine must have.

Owns: choosing an Ubuntu release among those named, and naming special features. The base image of a container does not
constrain its host and never reaches this place. Must not: know which images a site has.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from envagent.catalog import cpus, node_types, sites
from envagent.repository.conclusions import model
from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Facts, Said, SpecialSign, SystemSign
from envagent.repository.knowledge import table
from envagent.repository.results import Evidence

_RELEASES = ("14.04", "16.04", "18.04", "20.04", "22.04", "24.04")
_USUAL = "22.04"
_NEAR_BEST = 0.5
_CREDIBLE = 0.3
_FIRM = 0.5
_OTHERS = frozenset(("centos", "rhel", "rocky", "almalinux", "debian", "fedora", "opensuse"))
_DISTRIBUTIONS = _OTHERS | {"ubuntu", "kernel"}

ASKED = frozenset(("need", "listed", "recommend"))
"""The stances of what the machine should have."""
_IN_PASSING = frozenset(("optional", "aside", "named"))
_SPECIAL_ENOUGH = 0.39
_CPU = "cpu: "
_USUAL_CPU = re.compile(r"intel|amd|core|xeon|epyc|ryzen|\bi\d|lake|zen|apple", re.IGNORECASE)
_ARCHITECTURES = ("aarch64", "x86_64")
_OTHER_PLATFORMS = frozenset(("macos", "windows", "apple-silicon"))
_CHIPS = ("gaudi", "tpu", "trainium", "ascend", "apple-silicon", "microcontroller", "phone")
_RARE = frozenset((
    "sdr", "phone", "microcontroller", "gaudi", "tpu", "trainium", "ascend", "programmable-switch", "smartnic", "dpu",
    "tdx", "sev-snp", "intel-pt", "avx512", "avx2", "cxl", "jetson", "aarch64", "fpga", "zns", "pim",
))  # fmt: skip
_EITHER = (("tdx", "sev-snp"), ("smartnic", "fpga"))
"""No machine has both, or the first is built from the second."""
_OFTEN_A_TOPIC = frozenset({"fpga", "docker", "kvm", "nvme", "kernel", "numa", "mpi", "kernel-module"})
"""What repositories often work for, on machines without it."""


def conclude_system(facts: Facts) -> tuple[str | None, str | None, list[Evidence]]:
    """Return distribution and release, or None for what no document says."""
    named = _systems(facts)
    ubuntu = [s for s in named if s.distribution == "ubuntu" and s.weight >= _CREDIBLE]
    elsewhere = {s.distribution for s in named} - {"ubuntu", "debian"}
    # Instructions for many distributions name versions in passing; only a firm statement is a constraint then.
    if len(elsewhere) > 1:
        ubuntu = [s for s in ubuntu if s.weight >= _FIRM]
    best = max((s.weight for s in ubuntu), default=0.0)
    strong = [s for s in ubuntu if s.weight >= _NEAR_BEST * best]
    if release := _release(strong):
        deciding = max(strong, key=lambda s: (release in s.versions, s.weight))
        return "ubuntu", release, [evidence("os_version", release, deciding.spot, 2 * deciding.weight)]
    others = [s for s in named if s.distribution != "ubuntu" and s.versions and s.weight >= _CREDIBLE]
    if others and len(elsewhere) == 1:
        one = max(others, key=lambda s: s.weight)
        return one.distribution, one.versions[0], [evidence("os_type", one.distribution, one.spot, 2 * one.weight)]
    return None, None, []


def _systems(facts: Facts) -> list[SystemSign]:
    """Return what manifests and sentences name, each with the probability that the machine must have it."""
    found = [replace(sign, weight=sign.weight / 2) for sign in facts.systems]
    others = any(s.subject in _OTHERS for s in facts.said)
    asked = any(s.subject == "ubuntu" and s.tier == "main" and s.stance in ASKED for s in facts.said)
    for said in facts.said:
        distribution = said.subject
        if distribution not in _DISTRIBUTIONS or not isinstance(said.value, tuple):
            continue
        if asked and said.stance in _IN_PASSING:
            # `Tested on Ubuntu 18.04. On Ubuntu 20.04, install another package.`
            continue
        if distribution == "kernel":
            # A kernel stands for the Ubuntu that brings it, unless another distribution is named.
            if others:
                continue
            distribution = "ubuntu"
        if distribution == "ubuntu" or said.stance != "named":
            weight = model.probability("system", said.features)
            found.append(SystemSign(distribution, said.value, said.newer, weight, said.spot))
    return found


def _release(systems: list[SystemSign]) -> str | None:
    """Return the usual release if it is allowed, else the newest one named."""
    exact = {v for s in systems if not s.and_newer for v in s.versions if v in _RELEASES}
    newer = [min(s.versions) for s in systems if s.and_newer]
    if exact:
        return _USUAL if _USUAL in exact else max(exact)
    return max(_USUAL, *newer) if newer else None


def conclude_special(
    facts: Facts, *, gpu_vendor: str | None
) -> tuple[tuple[str, ...], Literal["x86_64", "aarch64"] | None, list[Evidence]]:
    """Return the tags of special features, and the architecture if only one will do."""
    by_tag = tagged(facts)
    weights = {tag: model.probability("special", special_features(tag, said)) for tag, said in by_tag.items()}
    places = {
        tag: max(said, key=lambda s: model.weight("special", f"{s.stance}.{s.tier}")).spot
        for tag, said in by_tag.items()
    }
    for sign in [*facts.specials, *_package_signs(facts)]:
        weight, before = min(1.0, sign.weight / 3), weights.get(sign.tag, 0.0)
        if weight > before:
            places[sign.tag] = sign.spot
        weights[sign.tag] = 1 - (1 - before) * (1 - weight)
    demanded = [tag for tag in _ARCHITECTURES if any(_demands(s) for s in by_tag.get(tag, ()))]
    unneeded: set[str] = set()
    if weights.keys() >= set(_ARCHITECTURES) and len(demanded) != 1:
        # What names both architectures runs on both.
        unneeded.update(_ARCHITECTURES)
    if gpu_vendor is not None or any(s.subject in _DISTRIBUTIONS for s in facts.said):
        # What runs on a Linux or with a GPU of a server needs no other system.
        unneeded |= _OTHER_PLATFORMS
    # A CPU is taken only where it is needed in so many words, and then one sentence is enough, as for KVM.
    in_words = {tag for tag in by_tag if tag.startswith(_CPU)}
    if any(s.stance == "need" for s in _speaking(by_tag.get("kvm", []))):
        in_words.add("kvm")
    chosen = {
        tag: weight
        for tag, weight in weights.items()
        if tag not in unneeded and (tag in in_words or weight >= _SPECIAL_ENOUGH) and _is_firm(tag, by_tag)
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
    tags = chosen.keys() - {*_ARCHITECTURES, "rocm", *asked}
    if asked:
        # A machine has one of them.
        if not apple:
            tags.discard("apple-silicon")
        tags.add(_CPU + " or ".join(tag.removeprefix(_CPU) for tag in asked))
    if "intel-pt" in tags:
        tags.add(f"{_CPU}Intel CPU")
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
        model.probability("special", special_features(tag, by_tag[tag])) >= _SPECIAL_ENOUGH and _is_firm(tag, by_tag)
        for tag in by_tag.keys() & _CHIPS
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
    needed = any(s.stance == "need" for s in main)
    asked = needed or any(s.stance == "listed" for s in main)
    early = any(s.stance != "optional" and "early" in s.features for s in main)
    if tag.startswith(_CPU):
        # Few machines have a CPU of another maker than Intel or AMD: one that is listed is meant.
        return needed or (asked and not _somewhere(tag.removeprefix(_CPU)) and not _USUAL_CPU.search(tag))
    if tag in _OTHER_PLATFORMS:
        return any(s.stance in ("need", "listed") for s in main if "doc.main" in s.features) or (
            tag == "apple-silicon" and early
        )
    if tag not in _RARE or tag not in by_tag:
        return True
    emulated = [s for s in main if "say.emulated" in s.features]
    if emulated and all(s in emulated for s in main if s.stance == "need"):
        return False
    return asked or (early and tag != "microcontroller")


def special_features(tag: str, said: list[Said]) -> dict[str, float]:
    """Describe how a repository mentions a feature."""
    early = ["early" for s in said if "early" in s.features]
    held = model.counted([*(f"{s.stance}.{s.tier}" for s in said), *early])
    if tag in _OFTEN_A_TOPIC:
        held |= {"topic": 1.0, "topic&early": held.get("early", 0.0), "topic&need": held.get("need.main", 0.0)}
    return held


def _speaking(said: list[Said]) -> list[Said]:
    """Return what speaks for the whole project: the main documents, or parts that agree where those are silent."""
    main = [s for s in said if s.tier == "main"]
    agreed = not main and len({s.spot.path for s in said if s.stance == "need"}) > 1
    return said if agreed else main


def _package_signs(facts: Facts) -> list[SpecialSign]:
    return [
        SpecialSign(row["tag"], 1.5, package.spot)
        for row in table("packages")["special"]
        for package in facts.packages
        if package.name in row["names"] and package.scope == "main"
    ]
