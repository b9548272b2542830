"""A run that was packed, for somebody else to make the same again: what a new run takes from it.

It holds the analysis with the plan of the set-up, so a run that starts with it reads no repository; node type, image
and hours become the wishes of its request, and are planned and priced again. A pack can have been written by anybody.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from envagent.advice.decisions import Decision
from envagent.advice.duration import LONGEST_HOURS, SHORTEST_HOURS
from envagent.engine.execution import Known
from envagent.environment.setup_plan import SetupPlan
from envagent.errors import RepositoryRefused
from envagent.repository.source import Remote, parse_source
from envagent.steps import PROVISIONING
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.saved_plan import PlannedDecision

MOST_STEPS = 200
LONGEST_STEP = LONGEST_HOURS * 60
"""Minutes."""

_FOLDER = re.compile(r"(?!\.)[\w.+-]{1,100}")
_INSIDE = re.compile(r"(?:(?!\.\.?(?:/|$))[^/\0]+(?:/|$))*")

Name = Annotated[str, Field(min_length=1, max_length=255)]


class PackedRun(BaseModel):
    """What a run takes from a pack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Annotated[str, Field(max_length=2000)]
    commit: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
    site: Name
    """The region where it was made."""
    node_type: Name
    image_id: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]
    image_name: Name
    hours: Annotated[int, Field(ge=SHORTEST_HOURS, le=LONGEST_HOURS)]
    setup: bool
    """Whether the repository was set up on the server."""
    analyzed: AnalyzedRepository

    @model_validator(mode="after")
    def _consistent(self) -> PackedRun:
        """Check what the steps take for granted, because they computed it."""
        plan = self.analyzed.setup
        try:
            source = parse_source(self.repository)
        except RepositoryRefused:
            source = None
        written = {self.repository, f"{self.repository}.git"}  # as a server has it
        if not isinstance(source, Remote) or source.url not in written or source.refs:
            raise ValueError("its repository is not the address of a public one")
        if plan is None:
            raise ValueError("it has no plan of a set-up")
        same = {self.analyzed.url, plan.url} == {self.repository} and {self.analyzed.commit, plan.commit} == {
            self.commit
        }
        if not same:
            raise ValueError("its parts are about different repositories or commits")
        if not (_FOLDER.fullmatch(plan.name) and _INSIDE.fullmatch(plan.folder)):
            raise ValueError("its set-up is for a folder outside the clone")
        if len(plan.steps) > MOST_STEPS or not all(0 < one.minutes <= LONGEST_STEP for one in plan.steps):
            raise ValueError("its set-up is longer than any lease")
        if not all(re.fullmatch(r"[\w-]{1,60}", one.name) for one in plan.steps):
            raise ValueError("a step of its set-up has a name that cannot be a file's")
        return self

    @property
    def setup_plan(self) -> SetupPlan:
        """How the repository is set up; a pack always says so."""
        if self.analyzed.setup is None:
            raise AssertionError("a pack without a plan of its set-up is not valid")
        return self.analyzed.setup

    def known(self) -> Known:
        """Return what a run starts with: the analysis, and that its requirements are those of the pack."""
        decision = Decision(
            name="requirements",
            value=self.analyzed.analysis.requirements.model_dump(mode="json"),
            source="user",
            reason="taken from a packed run, with its evidence",
        )
        stage = PROVISIONING.producer(AnalyzedRepository).key
        return Known((self.analyzed,), [PlannedDecision(stage=stage, decision=decision).record()])
