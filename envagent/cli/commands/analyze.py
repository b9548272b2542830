"""envagent analyze: show what a repository needs, with the evidence; contacts no cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envagent.cli.commands.options import ALSO, AS_JSON, CONFIG, NO_AI, REF, REPO, examples

if TYPE_CHECKING:
    from envagent.advice.decisions import Decision
    from envagent.cli.documents.run_models import AnalysisDocument
    from envagent.repository.results import Analysis, Snapshot

EPILOG = examples(
    "envagent analyze https://github.com/karpathy/minGPT",
    "envagent analyze ./my-project --no-ai --json",
)


def analyze(
    repo: REPO,
    as_json: AS_JSON = False,
    no_ai: NO_AI = False,
    ref: REF = None,
    also: ALSO = None,
    config: CONFIG = None,
) -> int:
    """Show which hardware and system a repository needs, and why.

    Reads files of the repository and runs none of them; contacts no cloud and reserves nothing.
    """
    from envagent.cli.home import read_settings
    from envagent.cli.inputs import given_documents, stored_name
    from envagent.cli.interaction import StopSignals
    from envagent.cli.render import screens
    from envagent.cli.render.terminal import err, out, print_document
    from envagent.cli.wiring import make_advisor
    from envagent.engine.step import Stopped
    from envagent.repository.analyzer import analyze as conclude
    from envagent.repository.fetch import fetch
    from envagent.repository.git import Cancelled

    repository = stored_name(repo, ref)
    settings = read_settings(config, repository=repository)
    documents = given_documents(also)
    terminal = err()
    with StopSignals(lambda: terminal.line("stopping"), lambda: None) as stop:
        advisor = make_advisor(settings, ai=not no_ai, stop=stop.event)
        try:
            snapshot = fetch(repository, ref=ref, cancelled=stop.event.is_set).with_documents(documents)
            analysis, decision = advisor.requirements(snapshot, conclude(snapshot))
        except (Cancelled, Stopped):
            return stop.exit_code
    document = _document(snapshot, analysis, decision)
    print_document(document) if as_json else screens.show_analysis(out(), document)
    return 0


def _document(snapshot: Snapshot, analysis: Analysis, decision: Decision) -> AnalysisDocument:
    """Return the JSON document."""
    from envagent.cli.documents.run_models import AnalysisDocument, DecisionPart, RepositoryPart
    from envagent.cli.render import times
    from envagent.steps import PROVISIONING
    from envagent.steps.analyze_repository import AnalyzedRepository

    decided = decision.model_dump(mode="json")
    return AnalysisDocument(
        repository=RepositoryPart(url=snapshot.url, commit=snapshot.commit),
        requirements=analysis.requirements.model_dump(mode="json"),
        sizing=analysis.sizing.model_dump(mode="json"),
        evidence=[one.model_dump(mode="json") for one in analysis.evidence],
        assumptions=list(analysis.assumptions),
        languages=analysis.languages,
        workload=analysis.workload,
        notes=list(snapshot.notes),
        decision=DecisionPart(
            **decided, step=PROVISIONING.producer(AnalyzedRepository).key, at=times.now().isoformat()
        ),
    )
