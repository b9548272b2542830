"""The request that starts a run: the repository, and what the user wants."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from envagent.engine.step import Described
from envagent.errors import RepositoryRefused
from envagent.repository.results import Document
from envagent.repository.source import parse_source


class Wishes(BaseModel):
    """What the user wants, as far as it shapes the plan; None leaves the choice to envagent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    """`https://` URL or local path."""
    ref: str | None = None
    also: tuple[Document, ...] = ()
    """What is read along with the repository; stored whole, so that a run can be resumed without the files."""
    cloud: str | None = None
    """clouds.yaml name; None means OS_CLOUD or OS_*."""
    node_type: str | None = None
    image: str | None = None
    hours: int | None = Field(default=None, ge=1, le=168)
    max_su: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The most that the lease may cost, whatever is decided or refused; None for what the plan says."""
    start: datetime | None = None
    """When the lease starts; None means now."""
    wait_for_capacity: bool = False
    """Reserve the earliest window when nothing is free now."""
    network: str | None = None
    server_name: str | None = None
    floating_ip: bool = True
    ai: bool = True


class RunRequest(Wishes, Described):
    """The user's request, as stored with the run."""

    key_name: str | None = None
    public_key: Path | None = None
    submitted_key: str | None = Field(default=None, max_length=16_384)
    """The public key of whoever submitted the run to a fleet: the private half is not on the machine that works."""
    on_failure: Literal["keep", "teardown"] = "keep"
    """Whether resources are kept or removed when the run fails, also after it was resumed."""
    setup: bool = False
    """Whether the repository is set up on the server once that is up, also after the run was resumed."""
    repair: bool = True
    """Whether an AI may repair failed steps of the set-up."""
    output_folder: Path
    """Where `{server_name}_info.json` is written."""

    @property
    def wishes(self) -> Wishes:
        """What of it shapes the plan."""
        return Wishes(**{name: getattr(self, name) for name in Wishes.model_fields})

    @property
    def subject(self) -> str:
        """The repository in one spelling: runs with the same one can be found in the journal."""
        try:
            return parse_source(self.repository).identity
        except RepositoryRefused:
            return self.repository

    @property
    def labels(self) -> dict[str, str | None]:
        """What lists of runs show of the request, and select by."""
        return {"repository": self.repository, "cloud": self.cloud}
