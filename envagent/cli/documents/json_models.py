"""The JSON documents: what `--json` prints on stdout, one document per command.

Fields are only ever added; what does not exist (yet) is null. Times are ISO 8601 in UTC. Texts that come from a
repository, a server or a model are untrusted data.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from envagent.cli.render.hint_text import hint_text
from envagent.errors import EnvagentError
from envagent.hints import Hint

SCHEMA_VERSION: Literal[1] = 1

RunStateName = Literal["running", "interrupted", "failed", "succeeded", "torn_down", "moved"]
LeasePhase = Literal["not_begun", "running", "ended", "removed"]


class Document(BaseModel):
    """An immutable part of a document."""

    model_config = ConfigDict(frozen=True, defer_build=True)  # most commands use few of them


class ErrorPart(Document):
    """Why something failed."""

    type: str
    """The error's class, see envagent/errors.py."""
    message: str
    hint: str
    """What to do next; its commands can be pasted."""
    service_said: str | None = None
    """The service's own words."""
    request_id: str | None = None
    exit_code: int
    step: str | None = None
    """The step that failed, and its stage: `launch_server.launch`."""

    @classmethod
    def of(
        cls, error: EnvagentError, run_id: str | None = None, *, again: str = "", removing: bool = False
    ) -> ErrorPart:
        """Return the part of an error in hand.

        Args:
            error: the error.
            run_id: the run that it belongs to, where the error does not know it.
            again: the command that is being carried out, for an error that belongs to no run.
            removing: whether the run's teardown has started: it is never resumed then.
        """
        return cls(
            type=type(error).__name__,
            message=error.message,
            hint=hint_text(error.hint, error.run_id or run_id, again=again, removing=removing),
            service_said=error.service_said,
            request_id=error.request_id,
            exit_code=error.exit_code,
        )

    @classmethod
    def stored(cls, stored: str, run_id: str) -> ErrorPart:
        """Read an error as the journal stores it."""
        record = json.loads(stored)
        hint = Hint.load(record.get("hint")) or EnvagentError.default_hint
        return cls(
            type=record["error"],
            message=record["message"],
            hint=hint_text(hint, run_id),
            service_said=record.get("service_said"),
            request_id=record.get("request_id"),
            exit_code=record["exit_code"],
            step=record.get("stage"),
        )


class CostPart(Document):
    """Service units; removing the lease early refunds what was not used."""

    su_per_hour: float
    su_estimate: float
    """For the whole lease."""
    su_so_far: float
    """What all leases of the run have used, each from its start until now, its end or its removal."""
    lease_start: str
    lease_end: str
    """When the lease ends, or would have ended, by itself."""
    charged_now: bool
    hours_so_far: float
    """The hours that su_so_far is for."""
    su_per_hour_now: float
    """What is charged now; 0 before the lease starts and after its end or removal."""
    hours_left: float
    """The hours that the lease will still be charged if it runs to its end."""
    su_left: float
    """What these hours cost."""
    lease_removed_at: str | None
    phase: LeasePhase


class RunLine(Document):
    """One run in the list of `status`."""

    run_id: str
    name: str | None = None
    """What the user calls it."""
    state: RunStateName
    repository: str
    cloud: str | None
    site: str | None
    node_type: str | None
    image: str | None
    lease_start: str | None
    lease_end: str | None
    """Of the current lease; null without one."""
    created_at: str
    updated_at: str
    looked_at: str
    """When the cloud was last known to be in this state."""
    error: str | None
    cost: CostPart | None
    """Null while there has been no lease."""
    archived_at: str | None
    owner: str | None = None
    """Who submitted it to a fleet; null for a run of one's own."""


class RunsDocument(Document):
    """`status`: the newest runs, and older ones that still have a lease; newest first."""

    schema_version: Literal[1] = SCHEMA_VERSION
    runs: list[RunLine]
    more: int
    """How many other runs are not listed because of --limit."""
    warnings: list[str]
    """Leases that end soon."""


class ArchivedDocument(Document):
    """`archive`: the runs that were put away, or back with --undo; newest first."""

    schema_version: Literal[1] = SCHEMA_VERSION
    runs: list[str]


class OrphanPart(Document):
    """A tagged object in the project."""

    kind: str
    id: str
    name: str
    run_id: str
    known_as: str | None
    """The run's state in this journal; null if the journal does not know it."""
    offered: bool
    """Whether the command removes it; false for a run in the journal (without --all), one that was moved to another
    journal, and while it is worked on."""
    outcome: Literal["left_alone", "removed", "still_there"]


class OrphansDocument(Document):
    """`teardown --orphans`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    orphans: list[OrphanPart]


class ErrorDocument(Document):
    """What any command prints with `--json` when it fails before there is a run."""

    schema_version: Literal[1] = SCHEMA_VERSION
    error: ErrorPart
