"""One run in memory: its row, checkpoints, outputs, intents and resources, as the journal has them.

This module loads runs and validates what was stored; it writes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from envagent.engine.journal import Journal
from envagent.engine.pipeline import Pipeline
from envagent.engine.step import Output, Stage
from envagent.engine.tables import (
    EventKind,
    EventRecord,
    IntentRecord,
    ResourceRecord,
    RunRecord,
    StageRecord,
    StageState,
)
from envagent.errors import RunMismatch, RunStateError, first_problem
from envagent.hints import Hint, teardown

AnyOutput = TypeVar("AnyOutput", bound=Output)

_OTHER_VERSION = Hint("resume it with the version that created it, or:", teardown())


def check_kept(row: RunRecord) -> None:
    """Check that a run is not being removed.

    Raises:
        RunStateError: its teardown has started.
    """
    if row.teardown_at is not None:
        raise RunStateError(
            f"run {row.run_id} has been, or is being, torn down; it cannot be resumed",
            hint=Hint(teardown()),
        )


def finished(row: StageRecord, output: Output, at: str) -> None:
    """Make a stage's row its checkpoint."""
    row.state, row.finished_at, row.error = StageState.SUCCEEDED.value, at, None
    row.model, row.model_version = type(output).__name__, type(output).version
    row.output = output.model_dump_json()


@dataclass(slots=True)
class Inventory:
    """What one run has requested and has in the cloud."""

    run_id: str
    intents: dict[tuple[str, int], IntentRecord] = field(default_factory=dict)
    """By kind and number."""
    resources: list[ResourceRecord] = field(default_factory=list)
    given_up: dict[tuple[str, int], float] = field(default_factory=dict)
    """By kind and number, on the steady clock: when waiting for the response to a request ended, if known."""
    asked: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """By kind and id: when this process requested a removal. One that another process recorded proves nothing."""
    removing: dict[tuple[str, str], float] = field(default_factory=dict)
    """By kind and id, on the steady clock: since when this process has waited for an object to go."""
    lost: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By kind and number: how many requests of this process went unanswered."""

    @classmethod
    def load(cls, journal: Journal, run_id: str) -> Inventory:
        """Read the intents and resources of a run."""
        intents = {(intent.kind, intent.number): intent for intent in journal.intents(run_id)}
        return cls(run_id, intents, journal.resources(run_id))

    def intents_of(self, kind: str) -> list[IntentRecord]:
        """List the intents of a kind as they are now; stages in other threads may add some meanwhile."""
        return [one for one in list(self.intents.values()) if one.kind == kind]

    def resource(self, kind: str, cloud_id: str) -> ResourceRecord | None:
        """Return the record of one object."""
        return next((one for one in self.resources if one.kind == kind and one.cloud_id == cloud_id), None)


class Run:
    """A run of a pipeline, loaded once and kept in step with the journal by the runner."""

    def __init__(self, pipeline: Pipeline, row: RunRecord, request: BaseModel, stages: dict[str, StageRecord]) -> None:
        self.pipeline = pipeline
        self.row = row
        self.request = request
        self.stages = stages
        self.outputs: dict[str, Output] = {}
        """Stage key to the output of each finished stage."""
        self.inventory = Inventory(row.run_id)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.row.run_id

    @classmethod
    def load(cls, journal: Journal, pipeline: Pipeline, row: RunRecord) -> Run:
        """Read a run and validate every stored output against the pipeline's current model.

        Raises:
            RunMismatch: the run belongs to another pipeline, or an output does not match its model.
        """
        run = cls.of(pipeline, row, journal.stages(row.run_id))
        run.inventory = Inventory.load(journal, row.run_id)
        return run

    @classmethod
    def of(cls, pipeline: Pipeline, row: RunRecord, stages: Iterable[StageRecord]) -> Run:
        """Validate a run's request and outputs, wherever they were stored.

        Raises:
            RunMismatch: the run belongs to another pipeline, or an output does not match its model.
        """
        if row.pipeline != pipeline.name:
            raise RunMismatch(f"run {row.run_id} belongs to the pipeline {row.pipeline!r}, not {pipeline.name!r}")
        try:
            request = pipeline.request.model_validate_json(row.request)
        except ValidationError as error:
            raise no_longer_fits(row.run_id, "request", error) from None
        rows = {f"{stored.step}.{stored.stage}": stored for stored in stages}
        if set(rows) != set(pipeline.stages):
            unknown = ", ".join(sorted(set(rows) ^ set(pipeline.stages)))
            raise RunMismatch(f"run {row.run_id} was created by a version with different steps: {unknown}")
        run = cls(pipeline, row, request, rows)
        for key, stored in rows.items():
            if stored.state == StageState.SUCCEEDED:
                run.outputs[key] = _validated(row, stored, pipeline.stages[key])
        return run

    def output(self, model: type[AnyOutput]) -> AnyOutput | None:
        """Return the output of this type; None while its stage is unfinished."""
        return cast("AnyOutput | None", self.outputs.get(self.pipeline.producer(model).key))

    def inputs(self, stage: Stage) -> dict[str, BaseModel]:
        """Return what a stage reads; every upstream stage must have finished."""
        sources = self.pipeline.sources[stage.key]
        return {name: self.request if key is None else self.outputs[key] for name, key in sources.items()}

    def is_ready(self, key: str) -> bool:
        """Return whether all inputs of a stage exist."""
        return all(source in self.outputs for source in self.pipeline.upstream[key])


def stored_summaries(events: Iterable[EventRecord]) -> dict[str, str]:
    """Return by stage key what each stage came to when it last finished; the events are a run's, oldest first."""
    return {
        event.stage or "": json.loads(event.detail).get("summary", "")
        for event in events
        if event.kind == EventKind.STAGE_SUCCEEDED
    }


def _validated(run: RunRecord, stored: StageRecord, stage: Stage) -> Output:
    model = stage.makes
    if stored.model != model.__name__ or stored.model_version != model.version or stored.output is None:
        raise RunMismatch(
            f"run {run.run_id}: the output of {stage.key} is {stored.model} version {stored.model_version}, "
            f"but this envagent reads {model.__name__} version {model.version}",
            hint=_OTHER_VERSION,
        )
    try:
        return model.model_validate_json(stored.output)
    except ValidationError as error:
        raise no_longer_fits(run.run_id, f"output of {stage.key}", error) from None


def no_longer_fits(run_id: str, what: str, error: ValidationError) -> RunMismatch:
    """Return the error for stored data that its current model rejects."""
    return RunMismatch(
        f"run {run_id}: the stored {what} does not match its model ({first_problem(error)})",
        hint=_OTHER_VERSION,
    )
