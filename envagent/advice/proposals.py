"""The five answers that an AI may give: flat objects with all fields required, as any server supports."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Proposal(BaseModel):
    """An answer. Nothing in it is trusted before `envagent.advice.bounds` has checked it."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"additionalProperties": False})

    reasoning: str


class RequirementsProposal(Proposal):
    """What the project's main job needs; null where the files do not say."""

    cpu_cores: int | None
    ram_gb: float | None
    gpu_required: bool
    gpu_vendor: Literal["nvidia", "amd", "intel"] | None
    gpu_count: int | None
    gpu_memory_gb: float | None
    cuda_required: bool
    cuda_version: str | None
    disk_gb: float | None
    os_type: str | None
    os_version: str | None
    architecture: Literal["x86_64", "aarch64"] | None
    python_version: str | None
    special_requirements: list[str]


class CandidatesProposal(Proposal):
    """Three to five image names of the list, best first."""

    candidates: list[str]


class ImageProposal(Proposal):
    """One image name of the candidates."""

    selected_image: str


class NodeTypeProposal(Proposal):
    """One node type of the list."""

    node_type: str


class DurationProposal(Proposal):
    """Hours of the lease."""

    duration_hours: int
