"""Analyses, images and hosts to decide about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from envagent.catalog import NodeType, node_types
from envagent.cloud.port import Host, Image, Occupation
from envagent.repository.results import Analysis, Evidence, Requirements, Sizing, Snapshot

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REPO = "https://github.com/ChameleonCloud/cc-images"

UC_NAMES = (
    "CC-Ubuntu24.04",
    "CC-Ubuntu24.04-CUDA",
    "CC-Ubuntu24.04-ROCm",
    "CC-Ubuntu24.04-ARM64",
    "CC-Ubuntu22.04",
    "CC-Ubuntu22.04-CUDA",
    "CC-Ubuntu22.04-ARM64",
    "CC-Ubuntu20.04",
    "CC-Ubuntu20.04-CUDA11",
    "CC-CentOS9-Stream",
    "CC-CentOS8-stream-CUDA11",
    "CC-Ubuntu24.04_2025-05-05 19:32:07.856003",
    "CC-Ubuntu24.04-CUDA_2025-05-05 19:51:21.052062",
    "CC-Ubuntu22.04-CUDA-20240326",
    "Ubuntu22.04-HPC-MPI-Spack-CUDA",
    "cirros-0.6.2",
)


GPU: dict[str, Any] = {"gpu_required": True, "gpu_vendor": "nvidia", "cuda_required": True}
"""The requirements of a project that needs a GPU for CUDA."""


def image(name: str, number: int = 0, **changes: Any) -> Image:
    values: dict[str, Any] = {
        "id": f"id-{name}-{number}",
        "name": name,
        "status": "active",
        "visibility": "public",
        "created_at": NOW - timedelta(days=30 + number),
        "properties": {"build-repo": REPO} if name.startswith("CC-") else {},
    }
    return Image(**{**values, **changes})


def images(names: Iterable[str] = UC_NAMES) -> list[Image]:
    return [image(name) for name in names]


def analysis(
    *,
    cores: int = 4,
    ram: int = 8,
    disk: int = 50,
    gpu_memory: int | None = None,
    workload: str = "general",
    evidence: Sequence[Evidence] = (),
    **requirements: Any,
) -> Analysis:
    return Analysis(
        requirements=Requirements(**requirements),
        sizing=Sizing(cpu_cores=cores, ram_gb=ram, disk_gb=disk, gpu_memory_gb=gpu_memory),
        workload=workload,
        evidence=tuple(evidence),
    )


def evidence(field: str, value: str, quote: str = "a quote", confidence: Any = "high", note: str = "") -> Evidence:
    return Evidence(field=field, value=value, path="README.md", line=3, quote=quote, confidence=confidence, note=note)


def minimum(**amounts: float) -> list[Evidence]:
    """Document amounts as minimums."""
    return [evidence(field, f"{amount:g}", note="minimum") for field, amount in amounts.items()]


def snapshot(**files: str) -> Snapshot:
    values = files or {"README.md": "A project."}
    return Snapshot(url="https://github.com/o/r", commit="c" * 40, entries=(), files=values)


def hosts(kind: str, count: int, **properties: str) -> list[Host]:
    values = {key.replace("__", "."): value for key, value in properties.items()}
    return [Host(id=f"{kind}-{n}", uid=f"uid-{kind}-{n}", node_type=kind, properties=values) for n in range(count)]


def busy(host_id: str, start: float, end: float) -> Occupation:
    """Occupied from `start` to `end`, hours after NOW."""
    return Occupation(host_id=host_id, start=NOW + timedelta(hours=start), end=NOW + timedelta(hours=end))


def types(region: str = "CHI@UC") -> tuple[NodeType, ...]:
    return node_types(region)


def one(name: str, region: str = "CHI@UC") -> NodeType:
    return next(t for t in node_types(region) if t.name == name)
