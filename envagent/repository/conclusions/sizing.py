"""The least node to look for: requirements, with every gap filled by a stated default.

Owns: what building and testing takes, by language, size and dependencies. Each default gives its reason, and none is
meant to exceed the true need by much: the table's rows stay within a few times what such repositories take.
Must not: lower or change a requirement.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from envagent.repository.facts import Facts
from envagent.repository.knowledge import table
from envagent.repository.listing import Listing
from envagent.repository.model import Requirements, Sizing

_DOCKER_GB = 10
_CONTENT_FACTOR = 3
_LARGEST_GPU = 80
# Half-precision weights take two bytes a parameter; activations and caches a quarter more.
_GB_PER_BILLION = 2.5


@dataclass
class _Need:
    cores: int
    ram: int
    disk: int
    reasons: list[str]

    def at_least(self, cores: int, ram: int, disk: int, why: str) -> None:
        if cores > self.cores or ram > self.ram or disk > self.disk:
            self.reasons.append(f"at least {cores} cores, {ram} GB RAM, {disk} GB disk for {why}")
        self.cores, self.ram, self.disk = max(self.cores, cores), max(self.ram, ram), max(self.disk, disk)


def size(requirements: Requirements, facts: Facts, listing: Listing) -> Sizing:
    """Fill the gaps of the requirements with what such a repository takes."""
    need = _Need(1, 2, 5, [])
    _languages(need, listing)
    names = {p.name for p in facts.packages if p.scope in ("main", "component", "documented")}
    for pattern, row in _dependencies():
        if any(pattern.fullmatch(name) for name in names):
            need.at_least(row["cores"], row["ram"], row["disk"], row["why"])
    if "docker" in requirements.special_requirements:
        need.at_least(need.cores, need.ram, need.disk + _DOCKER_GB, "container images")
    content = listing.total_bytes * _CONTENT_FACTOR >> 30
    if content:
        need.at_least(need.cores, need.ram, need.disk + content, f"{listing.total_bytes >> 20} MB of content")
    gpu_memory = None
    if requirements.gpu_required:
        host = table("builds")["gpu"]
        need.at_least(host["cores"], host["ram"], host["disk"], "a job on a GPU, its data and its weights")
        gpu_memory = _gpu_memory(requirements, facts, need, host["memory"])
    for what, value in (
        ("cores", requirements.cpu_cores),
        ("RAM", requirements.ram_gb),
        ("disk", requirements.disk_gb),
    ):
        if value:
            need.reasons.append(f"{what}: {value:g}, as documented")
    return Sizing(
        cpu_cores=max(need.cores, requirements.cpu_cores or 0),
        ram_gb=max(need.ram, math.ceil(requirements.ram_gb or 0)),
        disk_gb=max(need.disk, math.ceil(requirements.disk_gb or 0)),
        gpu_memory_gb=gpu_memory,
        reasons=tuple(need.reasons),
    )


def _languages(need: _Need, listing: Listing) -> None:
    rows = table("builds")["languages"]
    for language, count in listing.languages.items():
        if language == "Shell" or count < 0.1 * max(listing.languages.values()):
            continue
        fitting = [row for row in rows.get(language, rows["other"]) if count >= row[0]]
        _, cores, ram, disk = fitting[-1]
        need.at_least(cores, ram, disk, f"{count} {language} files")


@cache
def _dependencies() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    return [
        (re.compile("|".join(re.escape(n).replace(r"\*", ".*") for n in row["names"])), row)
        for row in table("builds")["dependencies"]
    ]


def _gpu_memory(requirements: Requirements, facts: Facts, need: _Need, usual: int) -> int:
    if requirements.gpu_memory_gb:
        return int(requirements.gpu_memory_gb)
    sizes = [a.value for a in facts.amounts if a.what == "parameters"]
    if sizes:
        billions = min(sizes)
        memory = min(_LARGEST_GPU, max(usual, round(billions * _GB_PER_BILLION)))
        need.reasons.append(f"{memory} GB GPU memory for a model of {billions:g} billion parameters")
        return memory
    need.reasons.append(f"{usual} GB GPU memory, as nothing is documented")
    return usual
