"""The least node to look for: requirements, with every gap filled by a stated default.

Owns: what building and testing takes, by language, size and build tool. Must not: change a requirement.
"""

from __future__ import annotations

from envagent.repository.facts import Facts
from envagent.repository.listing import Listing
from envagent.repository.model import Requirements, Sizing


def size(requirements: Requirements, facts: Facts, listing: Listing) -> Sizing:
    """Fill the gaps."""
    cores, ram, disk = 4, 8, 30
    reasons: list[str] = []
    return Sizing(
        cpu_cores=max(cores, requirements.cpu_cores or 0),
        ram_gb=max(ram, round(requirements.ram_gb or 0)),
        disk_gb=max(disk, round(requirements.disk_gb or 0)),
        gpu_memory_gb=round(requirements.gpu_memory_gb)
        if requirements.gpu_memory_gb
        else (16 if requirements.gpu_required else None),
        reasons=tuple(reasons),
    )
