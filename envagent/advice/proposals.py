"""The five answers that an AI may give: flat objects with all fields required, as any server supports.

Each has the instruction that asks for it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class Proposal(BaseModel):
    """An answer. Nothing in it is trusted before `envagent.advice.bounds` has checked it."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"additionalProperties": False})

    task: ClassVar[str]
    """What the AI is asked to decide."""
    reasoning: str


class RequirementsProposal(Proposal):
    """What the project's main job needs; null where the files do not say."""

    task = """\
Decide what hardware the main job of the repository needs. The facts hold what our rules read from its files and the \
bounds. Correct them only where the files support it; use null where they do not say. A GPU that the project can use \
but does not need is not required; hardware of a paper's authors that the repository does not need is not one of \
its needs."""
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

    task = """\
Pick the three to five images of the list that suit the project best, best first: by distribution, version and Python, \
current builds before dated ones."""
    candidates: list[str]


class ImageProposal(Proposal):
    """One image name of the candidates."""

    task = "Pick the one image of the candidates that suits the project and the node type best."
    selected_image: str


class NodeTypeProposal(Proposal):
    """One node type of the list."""

    task = """\
Pick the one node type of the candidates that suits the project best. All of them satisfy its needs: prefer what is \
free, costs the fewest service units and wastes least, unless the project gains much from more."""
    node_type: str


class DurationProposal(Proposal):
    """Hours of the lease."""

    task = """\
Decide for how many hours to reserve the node, between the bounds. Reserved hours are charged, used or not, and can be \
given back early: the shortest time in which the project's main job is likely done."""
    duration_hours: int
