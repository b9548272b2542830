"""The JSON document of `nodes`: what the configured sites have free."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document, ErrorPart
from envagent.cli.site_survey import SiteAnswer


class GpuPart(Document):
    """The GPUs of one node."""

    model: str
    count: int
    """On a typical node."""
    guaranteed: int
    """On each node of the type."""
    memory_gb: float | None
    """Per GPU."""


class NodeTypePart(Document):
    """A node type at one site; the hardware is what each of its nodes has."""

    node_type: str
    site: str
    cloud: str | None
    """The name in clouds.yaml of the cloud that was asked; null means OS_*."""
    virtual: bool
    """Whether it is a flavor of virtual machines."""
    cores: int
    ram_gb: int | None
    disk_gb: int
    gpu: GpuPart | None
    architecture: str
    tags: list[str]
    """What else is special: fpga, nvme, pmem, ..."""
    hardware: str
    """Cores, RAM and GPUs in a few words."""
    free_now: int | None
    """Nodes that are free for the whole period, from now on; null if the site does not show it."""
    total: int
    """Nodes that can be reserved; 0 if unknown."""
    next_free: str | None
    """The earliest start of such a period."""
    su_per_hour: float


class UnansweredPart(Document):
    """A site without an answer."""

    cloud: str | None
    site: str | None
    error: ErrorPart


class NodesDocument(Document):
    """`nodes`: the node types of the sites that answered, by site."""

    schema_version: Literal[1] = SCHEMA_VERSION
    hours: int
    """For how long a node must be free to count."""
    looked_at: str
    node_types: list[NodeTypePart]
    unanswered: list[UnansweredPart]


def nodes_document(answers: list[SiteAnswer], now: datetime, hours: int, *, gpu: bool) -> NodesDocument:
    """Return what sites answered.

    Args:
        answers: the answers, in the order in which they are to be shown.
        now: when they were asked.
        hours: for how long a node must be free.
        gpu: whether only node types with a GPU count.
    """
    return NodesDocument(
        hours=hours,
        looked_at=now.isoformat(),
        node_types=[part for answer in answers for part in _node_types(answer) if part.gpu is not None or not gpu],
        unanswered=[
            UnansweredPart(cloud=answer.cloud, site=answer.region, error=ErrorPart.of(answer.error))
            for answer in answers
            if answer.error is not None
        ],
    )


def _node_types(answer: SiteAnswer) -> list[NodeTypePart]:
    return [
        NodeTypePart(
            node_type=one.node_type.name,
            site=answer.region or "",
            cloud=answer.cloud,
            virtual=one.node_type.virtual,
            cores=one.node_type.cores,
            ram_gb=one.node_type.ram_gb,
            disk_gb=one.node_type.disk_gb,
            gpu=None if one.node_type.gpu is None else GpuPart(**one.node_type.gpu.model_dump()),
            architecture=one.node_type.architecture,
            tags=list(one.node_type.tags),
            hardware=one.node_type.hardware,
            free_now=one.free_now,
            total=one.node_type.count,
            next_free=None if one.next_free is None else one.next_free.isoformat(),
            su_per_hour=one.node_type.su_factor,
        )
        for one in answer.found
    ]
