"""Is a GPU needed, whose, and how much memory must it have?

Owns: gathering what sentences and manifests say of GPUs into features of the whole repository, which the model weighs.
Must not: read text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from envagent.catalog import gpus
from envagent.repository.conclusions import amounts, model, systems
from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import CudaSign, Facts, GpuSign, Package, Said, Scope, Spot, Vendor
from envagent.repository.knowledge import rows_by_name
from envagent.repository.readers.targets import cuda_version
from envagent.repository.results import Evidence

_GPU_ONLY = 2.5
_REPEATED = 0.2
_LARGEST_GPU = 96
_SUBJECTS = frozenset(("gpu", "purpose", "cpu_will_do", "vram"))
_ENOUGH = -0.3
_FOR_OPTIONAL = -2.5
_FIRM = ("need.main", "listed.main", "takes.main")
_AGAINST = frozenset(("denied.main", "optional.main", "cpu.main"))
_WITHOUT = frozenset(("cpu.main", "cpu.guide", "denied.main", "denied.guide", "tests-"))
_OF_MANIFESTS = ("dependency+", "container+", "sources+", "command+")
_SCOPE: dict[Scope, float] = {"main": 1.0, "component": 0.5, "documented": 0.4, "optional": 0.0, "development": 0.1}
_VENDOR_OF: dict[str, Vendor] = {"cuda": "nvidia", "amd_gpu": "amd", "intel_gpu": "intel"}


@dataclass(frozen=True)
class GpuConclusion:
    """The answer, with the evidence for it."""

    required: bool
    optional: bool
    vendor: Vendor | None
    cuda_version: str | None
    memory_gb: float | None
    count: int | None
    capability: str | None
    evidence: tuple[Evidence, ...]


def conclude(facts: Facts) -> GpuConclusion:
    """Weigh everything that is said of GPUs."""
    signs, said = signs_of(facts), mentioned(facts)
    total = model.score("gpu", gpu_features(signs, said))
    # A board that is named first brings its GPU.
    board = any(s.subject == "special.jetson" and "early" in s.features for s in facts.said)
    firm = any(s.tier == "main" and s.stance in systems.ASKED for s in said)
    required = (total > _ENOUGH or board) and (firm or not systems.other_chip(facts))
    optional = not required and (total > _FOR_OPTIONAL or any(s.kind == "optional" for s in signs))
    models = [s for s in facts.said if s.subject == "gpu_model" and s.tier != "side"]
    vendor = _vendor(signs, [*said, *models]) if required else None
    found = [evidence("gpu_required", required, *place) for place in _told(signs, said, required)]
    memory, count, capability = None, None, None
    if required:
        memory, memory_evidence = amounts.conclude_gpu_memory(facts, _LARGEST_GPU)
        number, count_evidence = amounts.conclude(facts, "gpus", "gpu_count")
        least, capability_evidence = amounts.conclude(facts, "capability", "compute_capability")
        found += [*memory_evidence, *count_evidence, *capability_evidence]
        count = int(number) if number else 1
        capability = f"{least:.1f}" if least else None
    cuda = _cuda(facts) if required and vendor != "amd" else None
    if cuda is not None:
        found.append(evidence("cuda_version", cuda.version, cuda.spot, cuda.weight))
    version = cuda.version if cuda else None
    return GpuConclusion(required, optional, vendor, version, memory, count, capability, tuple(found))


def signs_of(facts: Facts) -> list[GpuSign]:
    """Return the signs of manifests and code, dependencies included."""
    return [*facts.gpu, *_package_signs(facts.packages)]


def mentioned(facts: Facts) -> list[Said]:
    """Return what sentences say of GPUs."""
    return [
        s
        for s in facts.said
        if s.subject in _SUBJECTS and not s.features & {"plain", "from.model"} and s.tier != "side"
    ]


def gpu_features(signs: list[GpuSign], said: list[Said]) -> dict[str, float]:
    """Describe a repository: how often sentences take each stance, and how strong the signs of each kind are."""
    held = model.counted(_name(s) for s in said)
    kinds: dict[str, list[float]] = defaultdict(list)
    for sign in signs:
        kinds[sign.kind + ("+" if sign.weight > 0 else "-")].append(abs(sign.weight))
    for kind, weights in kinds.items():
        weights.sort(reverse=True)
        # Signs of one kind repeat each other.
        held[kind] = weights[0] + min(0.8, _REPEATED * sum(weights[1:]))
    if not signs:
        held["sparse"] = 1.0
    if not held.keys() & _AGAINST:
        # Nothing in the main documents speaks of another way.
        held |= {f"unopposed {name}": 1.0 for name in _FIRM if name in held}
    if held.keys() & _WITHOUT:
        held["opposed"] = 1.0
    else:
        # A container or a command for GPUs is one of two ways where something shows another.
        held |= {f"unopposed {kind}": held[kind] for kind in _OF_MANIFESTS if kind in held}
    if not said:
        # Where no sentence speaks of GPUs, the manifests speak alone.
        held |= {f"silent {kind}": held[kind] for kind in kinds}
    framework = any(s.kind == "dependency" and s.weight >= 0.5 and "framework" in s.note for s in signs)
    held["framework"] = float(framework)
    held["framework&network"] = float(framework and "network+" in held)
    return held


def _name(said: Said) -> str:
    """Return the feature of the repository that a mention of a GPU counts for."""
    kind = "cuda." if said.value in _VENDOR_OF else ""
    tier = "guide" if "doc.install" in said.features else said.tier
    return f"{kind}{said.stance}.{tier}"


def _told(signs: list[GpuSign], said: list[Said], required: bool) -> list[tuple[Spot, float, str]]:
    """Return the five places that say most for the answer, each with its weight and what it says."""
    places = [(s.spot, s.weight, s.note) for s in signs]
    for one in said:
        weight = model.weight("gpu", _name(one))
        places.append((one.spot, weight, _WHY.get(one.stance, "names one")))
    strongest: dict[tuple[str, int | None], tuple[Spot, float, str]] = {}
    for spot, weight, why in sorted(places, key=lambda place: -abs(place[1])):
        if weight and (weight > 0) == required:
            strongest.setdefault((spot.path, spot.line), (spot, weight, why))
    return list(strongest.values())[:5]


_WHY = {
    "need": "says that it needs one", "listed": "stands among its requirements", "recommend": "recommends one",
    "tested": "says on what it was tested", "sized": "says how much GPU memory",
    "takes": "says how much GPU memory it takes",
    "optional": "names a GPU as one way", "denied": "says that no GPU is needed", "cpu": "says that a CPU will do",
    "purpose": "its purpose is work on GPUs", "aside": "tells of a machine that was used",
}  # fmt: skip


def _vendor(signs: list[GpuSign], said: list[Said]) -> Vendor:
    weight: dict[Vendor, float] = defaultdict(float)
    for sign in signs:
        if sign.vendor is not None:
            weight[sign.vendor] += sign.weight
    for one in said:
        named = gpus.by_spelling().get(str(one.value))
        vendor = named.vendor if named else _VENDOR_OF.get(str(one.value))
        if vendor and one.stance not in ("optional", "aside", "denied"):
            weight[vendor] += 0.5
    return max(weight, key=lambda v: weight[v]) if weight else "nvidia"


def _package_signs(packages: list[Package]) -> list[GpuSign]:
    scopes = {p.scope for p in packages}
    # Where nothing is declared closer to the job, the next closest place stands for it.
    standing_in: Scope = "main" if "main" in scopes else "component" if "component" in scopes else "documented"
    found: list[tuple[str, GpuSign]] = []
    for package in packages:
        factor = 1.0 if package.scope == standing_in else _SCOPE[package.scope]
        for weight, vendor, why in _weights(package):
            if package.scope != "optional":
                kind: Literal["denial", "dependency"] = "denial" if weight < 0 else "dependency"
                sign = GpuSign(kind, weight * factor, vendor, package.spot, f"{package.name} {why}")
                found.append((package.name, sign))
            elif weight >= _GPU_ONLY:
                # An extra or a variant says that there is a way without.
                sign = GpuSign("optional", -0.3, vendor, package.spot, f"{package.name}, one way, {why}")
                found.append((package.name, sign))
    # The same package in many files is one fact.
    found.sort(key=lambda named: -abs(named[1].weight))
    signs: dict[tuple[str, str], GpuSign] = {}
    for name, sign in found:
        signs.setdefault((name, sign.kind), sign)
    return list(signs.values())


def _weights(package: Package) -> list[tuple[float, Vendor | None, str]]:
    found: list[tuple[float, Vendor | None, str]] = []
    if re.fullmatch(r"cu\d+|cuda.*", package.local):
        found.append((3.0, "nvidia", "is a CUDA build"))
    elif package.local.startswith("rocm"):
        found.append((3.0, "amd", "is a ROCm build"))
    elif package.local == "cpu":
        return [(-3.0, None, "is built for CPUs only")]
    if any(re.match(r"(and-)?cuda|gpu", extra) for extra in package.extras):
        found.append((2.5, "nvidia", "is wanted with its CUDA extra"))
    elif "cpu" in package.extras:
        return [(-1.0, None, "is wanted with its CPU extra")]
    for names, row in rows_by_name("packages", "gpu"):
        if names.fullmatch(package.name):
            found.append((row["weight"], row.get("vendor"), row["why"]))
            break
    return found


def _cuda(facts: Facts) -> CudaSign | None:
    """Return the strongest sign; a build that names a major release only is said better by any other."""
    signs = [
        CudaSign(version, 2.0 * _SCOPE[package.scope], package.spot)
        for package in facts.packages
        if (version := cuda_version(package.local)) and "." in version
    ]
    return max([*facts.cuda, *signs], key=lambda s: s.weight, default=None)
