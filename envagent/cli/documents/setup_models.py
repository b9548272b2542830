"""The JSON document of a set-up: its steps as they were planned and how they ended, and what was proved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document, ErrorPart

SetupStepState = Literal["pending", "running", "failed", "succeeded"]
SetupState = Literal["pending", "running", "interrupted", "failed", "succeeded"]


class ReasonPart(Document):
    """Why a step is there; what no file says has no path. The texts are untrusted."""

    belief: str
    """How much the source is believed: `machine file`, `manifest`, `readme` or `convention`."""
    path: str
    line: int | None
    quote: str


class SetupStepPart(Document):
    """A step of the plan; untrusted where it comes from the repository."""

    number: int
    name: str
    phase: str
    title: str
    commands: list[str]
    """As the script has them."""
    from_repository: bool
    """Whether it runs commands of the repository as they stand there."""
    reasons: list[ReasonPart]
    state: SetupStepState
    exit_status: int | None
    """Null before its end, and if its job vanished."""
    seconds: int | None
    tries: int
    """How many jobs were started for it."""


class RepairPart(Document):
    """A command that an AI proposed when a step had failed, and that ran on the server; untrusted."""

    number: int
    step: int
    """The step that it was for."""
    command: str
    reason: str
    state: SetupStepState
    exit_status: int | None
    seconds: int | None


class JobPart(Document):
    """What a job of a set-up has written, or with --follow a line of it; untrusted."""

    job: str
    output: str


class SetupLogDocument(Document):
    """`logs RUN_ID --setup`: the jobs of a set-up, oldest first. With --follow, each line is a document of its own."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    jobs: list[JobPart]


class SetupDocument(Document):
    """The set-up of a repository on the server of a run: `setup RUN_ID`, and `setup` in the document of a run."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    repository: str
    commit: str | None
    folder: str
    """The clone, in the home of the server's user."""
    ecosystem: str
    state: SetupState
    simulated: bool
    """Whether the server is one of the sandbox, where nothing is carried out."""
    steps: list[SetupStepPart]
    repairs: list[RepairPart] = Field(default=[])
    proved: list[str]
    not_proved: list[str]
    """What was to be proved and was not, with the reasons."""
    notes: list[str]
    """What is not set up, and why."""
    error: ErrorPart | None
