"""The JSON document of `pack`, and the files of the folder that it writes."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from envagent.cli.documents.json_models import SCHEMA_VERSION, CostPart, Document, RunStateName
from envagent.cli.documents.run_models import CandidatePart, DecisionPart, ImagePart, NodePart, RepositoryPart
from envagent.cli.documents.setup_models import SetupDocument


class PackedDocument(Document):
    """`pack RUN_ID`: the folder that it has written."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    folder: str
    files: list[str]
    missing: list[str]
    """What the folder should have and has not, each with the reason."""
    next: list[str]


class PackedRequirements(Document):
    """`requirements.json`: what the repository needs, with the quoted lines; its texts are untrusted."""

    repository: RepositoryPart
    requirements: dict[str, JsonValue]
    sizing: dict[str, JsonValue]
    evidence: list[dict[str, JsonValue]]
    assumptions: list[str]
    notes: list[str]


class PackedPlan(Document):
    """`plan.json`: the node types that were considered, and each decision with its reason."""

    hours: int
    hours_reason: str
    service_units: float
    candidates: list[CandidatePart]
    excluded: dict[str, str]
    decisions: list[DecisionPart]


class PackedResult(Document):
    """`result.json`: what was reserved and what it cost, what the node showed, and how the set-up ended."""

    run_id: str
    state: RunStateName
    repository: RepositoryPart
    site: str | None
    node_type: str | None
    image: ImagePart | None
    hours: int
    started_at: str
    cost: CostPart | None
    node: NodePart | None
    setup: SetupDocument | None
    simulated: bool
    """Whether there was no real node: a run in the sandbox."""
    missing: list[str]
