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


class Document(Model):
    """A document that the user gives along with a repository."""

    name: str
    """The file's name, without its folders."""
    text: str
    """Markdown, or as the file has it; untrusted."""
    ending: str = ".md"
    """Of a file's name with such text, which says its format; empty if that has to be guessed."""
    pages: tuple[int, ...] = ()
    """The line on which each page begins, counted from 1; empty without pages."""
    left_out: str = ""
    """What was not read, in words."""

    def description(self) -> str:
        """Say what was read.

        >>> Document(name="appendix.pdf", text="...", pages=(1, 40)).description()
        'appendix.pdf (2 pages)'
        """
        size = f" ({len(self.pages)} page{'s' * (len(self.pages) > 1)})" if self.pages else ""
        return f"{self.name}{size}" + (f", without {self.left_out}" if self.left_out else "")


class Snapshot(Model):
    """One commit of a repository: the listing of its regular files, and the text of the relevant ones."""

    url: str
    commit: str | None
    ref: str | None = None
    entries: tuple[Entry, ...]
    files: dict[str, str]
    """Path to decoded text; untrusted."""
    pages: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """Of each PDF among the files, the line on which each page begins."""
    also: tuple[Document, ...] = ()
    """What the user gives along with the repository."""
    notes: tuple[str, ...] = ()
    """What was skipped and why, for the user."""

    def with_documents(self, documents: tuple[Document, ...]) -> Snapshot:
        """Return the snapshot together with documents, which its notes name."""
        read = tuple(f"Also read: {one.description()}." for one in documents)
        return self.model_copy(update={"also": documents, "notes": (*read, *self.notes)})


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
    python_allowed: tuple[str, ...] = ()
    """All minors that the files allow."""
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
