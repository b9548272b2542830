"""The document of `analyze`, made of what the repository and advice rooms hand out."""

from __future__ import annotations

from envagent.advice.decisions import Decision
from envagent.cli import times
from envagent.cli.documents import AnalysisDocument, DecisionPart, RepositoryPart
from envagent.repository.results import Analysis, Snapshot


def analysis_document(snapshot: Snapshot, analysis: Analysis, decision: Decision) -> AnalysisDocument:
    """Make the document."""
    told = decision.model_dump(mode="json")
    return AnalysisDocument(
        repository=RepositoryPart(url=snapshot.url, commit=snapshot.commit),
        requirements=analysis.requirements.model_dump(mode="json"),
        sizing=analysis.sizing.model_dump(mode="json"),
        evidence=[one.model_dump(mode="json") for one in analysis.evidence],
        assumptions=list(analysis.assumptions),
        languages=analysis.languages,
        workload=analysis.workload,
        notes=list(snapshot.notes),
        decision=DecisionPart(**told, step="analyze_repository.analyze", at=times.now().isoformat()),
    )
