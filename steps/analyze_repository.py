"""Step 1: what the repository needs, with evidence."""

from __future__ import annotations

from envagent.engine.step import Output, Step, Stopped, stage
from envagent.repository.results import Analysis
from envagent.steps.initialize import Initialized
from envagent.steps.record import record
from envagent.steps.request import RunRequest
from envagent.steps.services import StepContext


class AnalyzedRepository(Output):
    """One commit and what it needs."""

    url: str
    commit: str | None
    analysis: Analysis
    by_rules: Analysis | None = None
    """What the rules alone conclude, where the AI has changed it."""
    notes: tuple[str, ...] = ()
    """What was not read, and why."""


class AnalyzeRepository(Step):
    """Fetch the repository, read the files that tell, decide the requirements.

    Reads: the repository, untrusted; the AI where there is one.
    Creates: nothing (a temporary folder that is gone afterwards).
    Owner mark: none.
    Undo: nothing to undo.
    """

    @stage
    def analyze(self, context: StepContext, request: RunRequest, initialized: Initialized) -> AnalyzedRepository:
        """Read and conclude."""
        from envagent.repository.analyzer import analyze
        from envagent.repository.fetch import fetch
        from envagent.repository.git import Cancelled

        try:
            snapshot = fetch(request.repository, ref=request.ref, cancelled=context.stopping)
        except Cancelled:
            raise Stopped from None
        for note in snapshot.notes:
            context.report(note)
        ours = analyze(snapshot)
        analysis, decision = context.services.advisor.requirements(snapshot, ours)
        record(context, decision)
        return AnalyzedRepository(
            url=snapshot.url,
            commit=snapshot.commit,
            analysis=analysis,
            by_rules=None if analysis.requirements == ours.requirements else ours,
            notes=snapshot.notes,
        )
