"""Is a GPU needed, whose, and how much memory must it have?

Owns: weighing signs for and against. Signs of one kind repeat each other, so within a kind the strongest counts fully
and the others little; the kinds add up, and from `_ENOUGH` on a GPU is needed. Must not: read text.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Amount, CudaSign, Facts, GpuSign, Package, Scope, Vendor
from envagent.repository.knowledge import table
from envagent.repository.results import Evidence

_ENOUGH = 2.0
_REPEATED = 0.2
_MOST_BY_REPETITION = 0.8
_CREDIBLE = 0.1
_VARIANTS = 4.0
_GPU_ONLY = 2.5
_A_FRAMEWORK = 0.8
_LARGEST_GPU = 80
_SCOPE: dict[Scope, float] = {"main": 1.0, "component": 0.5, "documented": 0.4, "optional": 0.0, "development": 0.1}
_FRAMEWORKS = frozenset({"torch", "tensorflow", "jax", "jaxlib", "paddlepaddle", "mxnet", "keras"})


@dataclass(frozen=True)
class GpuConclusion:
    """The answer, with the evidence for it."""

    required: bool
    optional: bool
    vendor: Vendor | None
    cuda_version: str | None
    memory_gb: float | None
    count: int | None
    evidence: tuple[Evidence, ...]


def conclude(facts: Facts) -> GpuConclusion:
    """Weigh all signs."""
    packages = _package_signs(facts.packages)
    signs = [*_containers_as_one_way(facts.gpu, packages), *packages, *_memory_signs(facts.amounts)]
    if not any(s.kind == "dependency" and s.weight >= _A_FRAMEWORK for s in signs):
        # Much else is trained, sampled and kept in checkpoints.
        signs = [s for s in signs if s.kind != "network"]
    total = _total(signs)
    required = total >= _ENOUGH
    positive = [s for s in signs if s.weight > 0]
    optional = not required and (_total(positive) >= 0.8 or any(s.kind == "optional" for s in signs))
    vendor = _vendor(positive) if required else None
    told = sorted((s for s in signs if (s.weight > 0) == required), key=lambda s: -abs(s.weight))[:5]
    found = [evidence("gpu_required", required, s.spot, s.weight, s.note) for s in told]
    memory, count = None, None
    if required:
        memory, memory_evidence = _memory(facts.amounts)
        found += memory_evidence
        counts = [a for a in facts.amounts if a.what == "gpus" and a.weight >= 0.5]
        count = int(max(counts, key=lambda a: a.weight).value) if counts else None
    cuda = _cuda([*facts.cuda, *_package_cuda(facts.packages)]) if required and vendor != "amd" else None
    if cuda is not None:
        found.append(evidence("cuda_version", cuda.version, cuda.spot, cuda.weight))
    return GpuConclusion(required, optional, vendor, cuda.version if cuda else None, memory, count, tuple(found))


def _containers_as_one_way(signs: list[GpuSign], packages: list[GpuSign]) -> list[GpuSign]:
    """Weaken GPU containers where the manifest has an extra for GPUs."""
    if not any(sign.kind == "optional" for sign in packages):
        return signs
    return [replace(s, weight=s.weight / 2) if s.kind == "container" and s.weight > 0 else s for s in signs]


def _memory_signs(amounts: list[Amount]) -> list[GpuSign]:
    """Count statements of GPU memory as signs that a GPU is used."""
    return [
        GpuSign(
            "memory",
            (2.0 if a.stance == "minimum" else 1.0) * a.weight,
            None,
            a.spot,
            "says how much GPU memory it takes",
        )
        for a in amounts
        if a.what == "vram" and a.stance != "tested"
    ]


def _total(signs: list[GpuSign]) -> float:
    kinds: dict[str, list[float]] = defaultdict(list)
    for sign in signs:
        kinds[sign.kind + ("+" if sign.weight > 0 else "-")].append(sign.weight)
    total = 0.0
    for kind, weights in kinds.items():
        weights.sort(key=abs, reverse=True)
        # Many weak signs are still weak; that there are many ways without a GPU tells more.
        most = _MOST_BY_REPETITION if kind == "optional-" else min(_MOST_BY_REPETITION, abs(weights[0]) / 2)
        rest = max(-most, min(most, _REPEATED * sum(weights[1:])))
        total += weights[0] + rest
    return total


def _vendor(signs: list[GpuSign]) -> Vendor:
    weight: dict[Vendor, float] = defaultdict(float)
    for sign in signs:
        if sign.vendor is not None:
            weight[sign.vendor] += sign.weight
    return max(weight, key=lambda v: weight[v]) if weight else "nvidia"


def _package_signs(packages: list[Package]) -> list[GpuSign]:
    scopes = {p.scope for p in packages}
    # Where nothing is declared closer to the job, the next closest place stands for it.
    standing_in: Scope = "main" if "main" in scopes else "component" if "component" in scopes else "documented"
    frameworks = {p.name for p in packages if p.name in _FRAMEWORKS and "cpu" not in p.local}
    choice = any(p.scope == "documented" and _for_cpu(p) for p in packages)
    signs: dict[tuple[str, str, bool], GpuSign] = {}

    def add(package: Package, sign: GpuSign) -> None:
        # The same package in many files is one fact.
        told = package.name, sign.kind, sign.weight > 0
        if told not in signs or abs(sign.weight) > abs(signs[told].weight):
            signs[told] = sign

    for package in packages:
        factor = 1.0 if package.scope == standing_in else _SCOPE[package.scope]
        for weight, vendor, why in _weights(package):
            # An extra, a variant, or one of two commands shown says that there is a way without.
            extra = package.scope == "optional" or (package.scope == "documented" and (choice or package.extras))
            if extra and weight >= _GPU_ONLY:
                add(package, GpuSign("optional", -0.3, vendor, package.spot, f"{package.name}, one way, {why}"))
            elif package.scope != "optional":
                # A CPU build beside another framework is an auxiliary.
                own = weight * 0.2 if weight < 0 and frameworks - {package.name} else weight
                kind: Literal["denial", "dependency"] = "denial" if own < 0 else "dependency"
                add(package, GpuSign(kind, own * factor, vendor, package.spot, f"{package.name} {why}"))
    return list(signs.values())


def _for_cpu(package: Package) -> bool:
    return package.local == "cpu" or package.name.endswith(("-cpu", "cpuonly")) or "cpu" in package.extras


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
    for names, weight, vendor, why in _known():
        if names.fullmatch(package.name):
            found.append((weight, vendor, why))
            break
    return found


@cache
def _known() -> list[tuple[re.Pattern[str], float, Vendor | None, str]]:
    return [
        (
            re.compile("|".join(re.escape(n).replace(r"\*", ".*") for n in row["names"])),
            row["weight"],
            row.get("vendor"),
            row["why"],
        )
        for row in table("packages")["gpu"]
    ]


def _package_cuda(packages: list[Package]) -> list[CudaSign]:
    signs = []
    for package in packages:
        if found := re.fullmatch(r"cu(\d{2})(\d)", package.local):
            signs.append(CudaSign(f"{found[1]}.{found[2]}", 2.0 * _SCOPE[package.scope], package.spot))
        elif package.name in ("cudatoolkit", "pytorch-cuda", "cuda-toolkit", "cuda-version") and package.pinned:
            version = ".".join(package.pinned.split(".")[:2])
            signs.append(CudaSign(version, 1.8 * _SCOPE[package.scope], package.spot))
    return signs


def _cuda(signs: list[CudaSign]) -> CudaSign | None:
    return max(signs, key=lambda s: s.weight, default=None)


def _memory(amounts: list[Amount]) -> tuple[float | None, list[Evidence]]:
    """Choose the largest credible amount within four times the smallest.

    Readmes tell of variants: smaller models, fewer bits, longer outputs. Such a GPU runs most of them without being
    far too large for the smallest. What no single GPU has is the sum over several.
    """
    factor = {"minimum": 1.0, "recommended": 0.8, "tested": 0.5, "mentioned": 0.4}
    weighed = [(a.weight * factor[a.stance], a) for a in amounts if a.what == "vram"]
    best = max((w for w, _ in weighed), default=0.0)
    credible = [a for w, a in weighed if w >= max(0.5 * best, _CREDIBLE)]
    if not credible:
        return None, []
    single = [a for a in credible if a.value <= _LARGEST_GPU]
    if not single:
        return float(_LARGEST_GPU), [_memory_evidence(_LARGEST_GPU, credible[0])]
    least = min(a.value for a in single)
    strict = [a for a in single if a.stance == "minimum"] or single
    within = [a for a in strict if math.ceil(a.value) <= _VARIANTS * least]
    chosen = max(within, key=lambda a: a.value) if within else min(strict, key=lambda a: a.value)
    note = f", the most that is told within {_VARIANTS:g} times the least, {least:g} GB" if chosen.value > least else ""
    return float(math.ceil(chosen.value)), [_memory_evidence(chosen.value, chosen, note)]


def _memory_evidence(value: float, amount: Amount, note: str = "") -> Evidence:
    return evidence("gpu_memory_gb", value, amount.spot, amount.weight, amount.stance + note)
