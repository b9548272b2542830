"""Judge whether a node satisfies a need, why not, and how much of it would be wasted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from envagent.advice.needs import GpuNeed, Need
from envagent.advice.specials import Condition, conditions, kinds_of
from envagent.catalog import NodeType
from envagent.catalog.gpus import capabilities, dotted, version

_CURRENT_BUILDS = (6, 0)
"""The oldest compute capability that frameworks built for CUDA 12 still support."""

_TOLERANCE = 0.97
"""A node of 251 GiB counts as one of 256 GB, and a GPU of 23.7 GB as one of 24 GB."""

_GUESS = 6.0
"""How much more disk than guessed a node should have. Of 28 research artifacts whose authors state their disk, a
quarter take more than 4 times the guess of 64 GB, and an eighth more than 6 times."""
_CRAMPED = 1.5
"""What a node with less than that counts as wasted, in doublings: it comes behind others of twice its size."""

VENDORS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}


def conditions_at(need: Need, nodes: Iterable[NodeType]) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """Return the conditions of a need at one site, and warnings; see `conditions`.

    Only nodes that are suitable otherwise decide which preferences can be met, so a preference excludes no node type
    if nothing would remain.
    """
    every = tuple(nodes)
    strict = tuple(Condition(kind, kind.levels[-1]) for kind in kinds_of(need.specials) if kind.strict)
    return conditions(need.specials, [node for node in every if lack(node, need, strict) is None] or every)


def lack(node: NodeType, need: Need, conditions: Sequence[Condition]) -> str | None:
    """Return the first thing that the node lacks, or None if it satisfies the need.

    Drawbacks that do not make a node useless are reported by `reluctance` instead.
    """
    return next(lacks(node, need, conditions), None)


def lacks(node: NodeType, need: Need, conditions: Sequence[Condition]) -> Iterator[str]:
    """Yield everything that the node lacks."""
    if node.architecture != need.architecture:
        yield f"{node.architecture}, the project needs {need.architecture}"
    if need.gpu is not None and (missing := _gpu_lack(node, need.gpu)):
        yield missing
    if node.cores < need.cores:
        yield f"{node.cores} cores, {need.cores} needed" if node.cores else "its cores are unknown"
    if node.ram_gb is not None and node.ram_gb < need.ram_gb * _TOLERANCE:
        yield f"{node.ram_gb} GB RAM, {need.ram_gb:g} needed"
    total = _disk_gb(node)
    if total < need.disk_gb * _TOLERANCE:
        yield f"{total} GB of disk, {need.disk_gb:g} needed" if total else "its disk is unknown"
    for condition in conditions:
        if condition.test is not None and not condition.test(node):
            yield f"without {condition.kind.name}"


def _disk_gb(node: NodeType) -> int:
    return node.disk_gb + sum(node.extra_disks_gb)


def _gpu_lack(node: NodeType, need: GpuNeed) -> str | None:
    gpu = node.gpu
    if gpu is None:
        return "no GPU"
    if gpu.vendor != need.vendor:
        return f"its GPUs are {VENDORS[gpu.vendor]}, the project needs {VENDORS[need.vendor]}"
    if gpu.guaranteed < 1:
        return "only some of its nodes have a GPU, and which is not shown"
    if gpu.guaranteed < need.count:
        return f"{gpu.guaranteed} GPU{'s' if gpu.guaranteed > 1 else ''} per node, {need.count} needed"
    if need.memory_gb and gpu.memory_gb is None:
        return f"the memory of its {gpu.model} is unknown"
    if gpu.memory_gb is not None and gpu.memory_gb < need.memory_gb * _TOLERANCE:
        return f"{gpu.memory_gb:g} GB per GPU, {need.memory_gb:g} needed"
    if need.capability and not gpu.compute_capability:
        return f"the compute capability of its {gpu.model} is unknown"
    if need.capability and version(gpu.compute_capability or "") < need.capability:
        return f"{gpu.model} has compute capability {gpu.compute_capability}, {dotted(need.capability)} needed"
    if need.cuda and gpu.compute_capability:
        oldest, _ = capabilities(need.cuda)
        if version(gpu.compute_capability) < oldest:
            return f"{gpu.model} is too old for CUDA {dotted(need.cuda)}"
    return None


def reluctance(node: NodeType, need: Need) -> str | None:
    """Return why a satisfying node is avoided while another type satisfies the need too, or None."""
    if need.gpu is None:
        return "has GPUs that the project does not need" if node.gpu is not None else None
    gpu = node.gpu
    if gpu is None or not gpu.compute_capability:
        return None
    if need.gpu.cuda and version(gpu.compute_capability) > capabilities(need.gpu.cuda)[1]:
        return f"{gpu.model} is newer than CUDA {dotted(need.gpu.cuda)}, which the project is built for"
    if version(gpu.compute_capability) < _CURRENT_BUILDS and (need.gpu.cuda is None or need.gpu.cuda >= (12, 0)):
        return f"{gpu.model} is too old for the current builds of most frameworks"
    return None


def warnings(node: NodeType, need: Need) -> tuple[str, ...]:
    """Return what a user should know about a node that satisfies the need."""
    found = []
    gpu = node.gpu
    if node.ram_gb is None:
        found.append("its RAM is unknown")
    if node.disk_gb < need.disk_gb * _TOLERANCE and node.extra_disks_gb:
        found.append("the data disks are unformatted: create and mount a file system for the space needed")
    if need.gpu is not None and gpu is not None:
        if need.gpu.assumed_vendor:
            found.append("the project names no GPU vendor; assuming NVIDIA")
        if gpu.compute_capability and not need.gpu.cuda and version(gpu.compute_capability) < (7, 5):
            found.append(f"CUDA 13 no longer supports the {gpu.model}: install builds for CUDA 12")
    return tuple(found)


def shortages(node: NodeType, need: Need) -> tuple[tuple[str, float], ...]:
    """Return by which amounts a node falls short, as texts, each with the doublings that are missing."""
    amounts: list[tuple[str, float, float]] = [
        ("cores", need.cores, node.cores),
        ("GB RAM", need.ram_gb, need.ram_gb if node.ram_gb is None else node.ram_gb),
        ("GB of disk", need.disk_gb, _disk_gb(node)),
    ]
    found: list[tuple[str, float]] = []
    if need.gpu is not None and node.gpu is not None:
        gpu = node.gpu
        amounts.append(("GPUs", need.gpu.count, gpu.guaranteed))
        amounts.append(("GB per GPU", need.gpu.memory_gb, gpu.memory_gb or need.gpu.memory_gb))
        capability, has = need.gpu.capability, gpu.compute_capability
        if capability and has and version(has) < capability:
            missing = math.log2(float(dotted(capability)) / float(has))
            found.append((f"compute capability {dotted(capability)} wanted, {has} here", missing))
    for unit, wanted, has_amount in amounts:
        if 0 < has_amount < wanted * _TOLERANCE:
            found.append((f"{wanted:g} {unit} wanted, {has_amount:g} here", math.log2(wanted / has_amount)))
    return tuple(found)


def waste(node: NodeType, need: Need) -> float:
    """Measure how badly a node suits that satisfies the need.

    It adds up the doublings of cores, RAM and GPU beyond the need, 1 per idle special feature, and something for a disk
    that may be too small where its size is a guess.
    """
    total = math.log2(max(node.cores, 1) / max(need.cores, 1))
    if node.ram_gb:
        total += math.log2(node.ram_gb / max(need.ram_gb, 1.0))
    if node.gpu is not None and need.gpu is not None:
        total += math.log2(max(node.gpu.count, 1) / need.gpu.count)
        if node.gpu.memory_gb:
            total += math.log2(node.gpu.memory_gb / max(need.gpu.memory_gb, 8.0)) if need.gpu.memory_gb else 0.0
    elif node.gpu is not None:
        total += 4.0 * max(node.gpu.count, 1)
    total += len(node.tags) + node.infiniband
    if need.disk_guessed and _disk_gb(node) < _GUESS * need.disk_gb:
        total += _CRAMPED
    return round(total, 2)
