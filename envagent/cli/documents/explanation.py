"""What `explain` shows: what a run decided, from which evidence, and what was refused."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document
from envagent.cli.documents.run_document import StoredRun, decision_part, plan_part
from envagent.cli.documents.run_list import StoredRequest
from envagent.cli.documents.run_models import DecisionPart, PlanPart, RepositoryPart
from envagent.steps.analyze_repository import AnalyzedRepository


class ExplanationDocument(Document):
    """`explain RUN_ID`: each decision with its evidence, what the rules alone would decide, and what was refused."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    repository: RepositoryPart
    requirements: dict[str, JsonValue] | None
    """What the repository needs; null until it is analyzed."""
    rules_requirements: dict[str, JsonValue] | None
    """What the built-in rules alone conclude; null if the AI did not change it."""
    sizing: dict[str, JsonValue] | None
    """The hardware that is looked for where the files state nothing, with the reasons."""
    evidence: list[dict[str, JsonValue]]
    """The quoted lines; text of the repository is untrusted."""
    assumptions: list[str]
    notes: list[str]
    """What was not read, and why."""
    decisions: list[DecisionPart]
    plan: PlanPart | None
    """With the node types that were considered, and why the others are excluded."""


def explanation(run: StoredRun) -> ExplanationDocument:
    """Return the explanation of a run, as far as it has decided anything."""
    analyzed, request = run.output(AnalyzedRepository), StoredRequest.of(run.row)
    analysis = None if analyzed is None else analyzed.analysis
    by_rules = None if analyzed is None or analyzed.by_rules is None else analyzed.by_rules.requirements
    return ExplanationDocument(
        run_id=run.row.run_id,
        repository=RepositoryPart(
            url=analyzed.url if analyzed else request.repository, commit=analyzed.commit if analyzed else None
        ),
        requirements=None if analysis is None else analysis.requirements.model_dump(mode="json"),
        rules_requirements=None if by_rules is None else by_rules.model_dump(mode="json"),
        sizing=None if analysis is None else analysis.sizing.model_dump(mode="json"),
        evidence=[] if analysis is None else [one.model_dump(mode="json") for one in analysis.evidence],
        assumptions=[] if analysis is None else list(analysis.assumptions),
        notes=[] if analyzed is None else list(analyzed.notes),
        decisions=[decision_part(one) for one in run.decisions],
        plan=plan_part(run),
    )
