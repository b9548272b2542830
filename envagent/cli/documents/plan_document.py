"""The document of a plan and its file: made of a run that stopped at its approval, read back by the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from envagent import __version__
from envagent.cli.documents.run_document import StoredRun, decision_parts, plan_part
from envagent.cli.documents.run_models import PlanDocument, RepositoryPart
from envagent.cli.render import times
from envagent.drafts import write_whole
from envagent.engine.step import Output
from envagent.engine.tables import EventKind
from envagent.environment.setup_plan import SetupPlan
from envagent.errors import PlanOutdated, UsageError, first_problem
from envagent.hints import Hint, Option
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.find_network import FoundNetwork
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Plan
from envagent.steps.request import RunRequest
from envagent.steps.saved_plan import SavedPlan, planned_decisions
from envagent.steps.select_image import ImageCandidates, SelectedImage

AnyOutput = TypeVar("AnyOutput", bound=Output)

LARGEST = 64 << 20
"""Bytes of a file; documents given along with the repository are part of it."""

SOME_RUN = "RUN_ID"
"""What stands for the id of the run that will carry the plan out."""


class _File(BaseModel):
    """What every version writes."""

    kind: Literal["envagent plan"]
    envagent: str
    saved: Any
    digest: str


def plan_document(run: StoredRun, request: RunRequest) -> PlanDocument:
    """Return the document of a run that waits for the approval of its plan."""
    identity, analyzed = _made(run, Initialized).identity, _made(run, AnalyzedRepository)
    saved = SavedPlan(
        wishes=request.wishes,
        identity=identity,
        analyzed=analyzed,
        candidates=_made(run, ImageCandidates),
        image=_made(run, SelectedImage),
        network=_made(run, FoundNetwork),
        plan=_made(run, Plan),
        decisions=planned_decisions(run.decisions),
        warnings=tuple(dict.fromkeys(one.message for one in run.events if one.kind == EventKind.WARNING)),
    )
    plan = plan_part(run)
    if plan is None:
        raise AssertionError(f"run {run.row.run_id} waits for approval without a plan")
    named = [one.model_copy(update={"name": one.name.replace(run.row.run_id, SOME_RUN)}) for one in plan.creates]
    return PlanDocument(
        envagent=__version__,
        made_at=times.now().isoformat(),
        cloud=request.cloud,
        site=identity.site,
        project=identity.project_name or identity.project_id,
        repository=RepositoryPart(url=analyzed.url, commit=analyzed.commit),
        requirements=analyzed.analysis.requirements.model_dump(mode="json"),
        plan=plan.model_copy(update={"creates": named}),
        decisions=decision_parts(run),
        warnings=list(saved.warnings),
        saved=saved.model_dump(mode="json"),
        digest=saved.digest,
    )


def planned_setup(document: PlanDocument) -> SetupPlan:
    """Return how the repository of a plan is set up on the server."""
    setup = AnalyzedRepository.model_validate(document.saved["analyzed"]).setup
    if setup is None:
        raise AssertionError("a new plan says how the repository is set up")
    return setup


def write_plan(path: Path, document: PlanDocument) -> None:
    """Write the file at once or not at all, for its owner alone.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        write_whole(path, document.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"cannot write the plan {path}: {error.strerror}", hint=Hint("choose another file with", Option("output"))
        ) from None


def read_plan(path: Path) -> SavedPlan:
    """Read a file that `write_plan` made; it may come from anybody.

    Raises:
        UsageError: it cannot be read, or is not a plan.
        PlanOutdated: another version made it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UsageError(f"{path} is not a plan: it is larger than {LARGEST >> 20} MiB")
    try:
        stored = _File.model_validate_json(content)
    except ValidationError as error:
        raise _invalid(path, error) from None
    if stored.envagent != __version__:
        raise PlanOutdated(f"the plan {path} was made by envagent {stored.envagent}; this is {__version__}")
    try:
        plan = SavedPlan.model_validate(stored.saved)
    except ValidationError as error:
        raise _invalid(path, error) from None
    if plan.digest != stored.digest:
        raise UsageError(f"the plan {path} was changed after it was made", hint=_NEW)
    return plan


_NEW = Hint("make a new plan, with the options that it should follow")


def _invalid(path: Path, error: ValidationError) -> UsageError:
    problem = first_problem(error)
    return UsageError(f"{path} is not a valid plan: {problem}", hint=_NEW)


def _made(run: StoredRun, model: type[AnyOutput]) -> AnyOutput:
    output = run.output(model)
    if output is None:
        raise AssertionError(f"run {run.row.run_id} waits for approval without {model.__name__}")
    return output
