"""The least node to look for: requirements, with every gap filled by a stated default.

Owns: what building and testing takes, by language, size and dependencies. Each default gives its reason; the numbers
stand in knowledge/builds.toml with theirs, and aim at the middle of the window from the true need to eight times it.
Must not: lower or change a requirement.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from envagent.repository.facts import Facts, Scope
from envagent.repository.knowledge import rows_by_name, table
from envagent.repository.languages import Survey
from envagent.repository.results import Requirements, Sizing

# A clone with its history, and what is unpacked or generated from it.
_CONTENT_FACTOR = 3
_LEAST = (2, 2, 4)
# A language with less than this part of the largest one's files is seldom built by itself.
_MINOR = 0.1
_FOR_GPUS = ("CUDA", "HIP")
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


def size(requirements: Requirements, facts: Facts, listing: Survey) -> Sizing:
    """Fill the gaps of the requirements with what such a repository takes."""
    need = _Need(*_LEAST, [])
    _languages(need, listing, on_gpus=requirements.gpu_required)
    everything, installed = _names(facts, None), _names(facts, _installed(listing))
    for pattern, row in rows_by_name("builds", "dependencies"):
        if any(pattern.fullmatch(name) for name in (everything if row.get("anywhere") else installed)):
            need.at_least(row["cores"], row["ram"], row["disk"], row["why"])
    if any(s.subject == "research" and s.tier == "main" for s in facts.said):
        row = table("builds")["research"]
        # How much disk the experiments take is known where it is documented.
        need.at_least(row["cores"], row["ram"], 0 if requirements.disk_gb else row["disk"], row["why"])
    if "docker" in requirements.special_requirements:
        images = table("builds")["containers"]["disk"]
        need.at_least(need.cores, need.ram, need.disk + images, "container images")
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


def _languages(need: _Need, listing: Survey, *, on_gpus: bool) -> None:
    rows = table("builds")["languages"]
    counts = Counter(listing.languages)
    if not on_gpus:
        counts["C++"] += sum(counts.pop(name, 0) for name in _FOR_GPUS)
    largest = max(counts.values(), default=0)
    for language, count in counts.items():
        if language == "Shell" or not count or count < _MINOR * largest:
            continue
        fitting = [row for row in rows.get(language, rows["other"]) if count >= row[0]]
        _, cores, ram, disk = fitting[-1]
        need.at_least(cores, ram, disk, f"{count} {language} file{'s' * (count > 1)}")


def _installed(listing: Survey) -> tuple[Scope, ...]:
    """Return the scopes of the dependencies that a build installs."""
    return ("main", "component", "documented") if listing.share("Python", "Jupyter") >= 0.5 else ("main",)


def _names(facts: Facts, scopes: tuple[Scope, ...] | None) -> set[str]:
    """Return the dependencies of these scopes; a CPU wheel has another name than the one with CUDA libraries."""
    return {
        f"{p.name}+cpu" if p.local == "cpu" else p.name for p in facts.packages if scopes is None or p.scope in scopes
    }


def _gpu_memory(requirements: Requirements, facts: Facts, need: _Need, usual: int) -> int:
    if requirements.gpu_memory_gb:
        return int(requirements.gpu_memory_gb)
    sizes = [s.value for s in facts.said if s.subject == "parameters" and isinstance(s.value, float)]
    if sizes:
        billions = min(sizes)
        memory = min(_LARGEST_GPU, max(usual, round(billions * _GB_PER_BILLION)))
        need.reasons.append(f"{memory} GB GPU memory for a model of {billions:g} billion parameters")
        return memory
    need.reasons.append(f"{usual} GB GPU memory, as nothing is documented")
    return usual
