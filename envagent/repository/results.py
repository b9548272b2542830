"""What the repository room returns: the snapshot that was read, and what it says about the hardware."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Confidence = Literal["high", "medium", "low"]


class Model(BaseModel):
    """An immutable value."""

    model_config = ConfigDict(frozen=True)


class Entry(Model):
    """A regular file of the tree: path with forward slashes, size in bytes (None if not fetched)."""

    path: str
    size: int | None


class Snapshot(Model):
    """One commit of a repository: the listing of its regular files, and the text of the relevant ones."""

    url: str
    commit: str | None
    ref: str | None = None
    entries: tuple[Entry, ...]
    files: dict[str, str]
    """Path to decoded text; untrusted."""
    notes: tuple[str, ...] = ()
    """What was skipped and why, for the user."""


class Evidence(Model):
    """Why a field has its value: a place and the quote found there (untrusted text)."""

    field: str
    value: str
    path: str
    line: int | None
    quote: str
    confidence: Confidence
    note: str = ""


class Requirements(Model):
    """What the repository's main job needs, according to its files; None means unknown."""

    cpu_cores: int | None = None
    ram_gb: float | None = None
    gpu_required: bool = False
    gpu_optional: bool = False
    gpu_vendor: Literal["nvidia", "amd", "intel"] | None = None
    gpu_count: int | None = None
    gpu_memory_gb: float | None = None
    """Per GPU."""
    compute_capability: str | None = None
    """The least one, such as 9.0, where a GPU generation is asked for."""
    cuda_required: bool = False
    cuda_version: str | None = None
    disk_gb: float | None = None
    os_type: str | None = None
    """ubuntu, centos, ..."""
    os_version: str | None = None
    architecture: Literal["x86_64", "aarch64"] | None = None
    python_version: str | None = None
    """The CPython minor to install, such as 3.11."""
    special_requirements: tuple[str, ...] = ()
    node_count: int | None = None
    """Machines that the main job needs at the same time, where more than one is asked for."""


class Sizing(Model):
    """What a node must have: the requirements, with every gap filled by a stated default."""

    cpu_cores: int
    ram_gb: int
    disk_gb: int
    gpu_memory_gb: int | None = None
    reasons: tuple[str, ...] = ()


class Analysis(Model):
    """Requirements with their evidence, the sizing, and what had to be assumed."""

    requirements: Requirements
    sizing: Sizing
    evidence: tuple[Evidence, ...] = ()
    assumptions: tuple[str, ...] = ()
    languages: dict[str, int] = Field(default_factory=dict)
    """File count per programming language, most first."""
    workload: str = "general"
    """training, inference, build, benchmark, storage, network, general: a hint for the duration."""
