"""The JSON documents of one run: the run, its plan, and the analysis that it starts with.

Commands that show no run do not import them: a start builds the models of every module that it imports.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from envagent.cli.documents.json_models import SCHEMA_VERSION, CostPart, Document, ErrorPart, RunStateName
from envagent.cli.documents.setup_models import SetupDocument

StepStateName = Literal["pending", "running", "waiting", "interrupted", "failed", "succeeded"]
ResourceStateName = Literal["present", "removing", "absent", "unknown"]


class RepositoryPart(Document):
    """The repository that was read."""

    url: str
    commit: str | None


class ImagePart(Document):
    """The server's image."""

    id: str
    name: str


class LeasePart(Document):
    """The lease; status is Blazar's word, DELETED once it is removed, null after its end."""

    id: str
    name: str
    reservation_id: str | None
    status: str | None
    end_date: str | None


class ServerPart(Document):
    """The server; status is Nova's word, DELETED once it is removed, null after its lease's end."""

    id: str
    name: str
    status: str | None


class GpuPart(Document):
    """A GPU that nvidia-smi shows."""

    name: str
    memory_gb: float | None


class NodePart(Document):
    """What the node showed of itself at the login; null where it did not say. The texts are untrusted."""

    summary: str
    architecture: str | None
    cores: int | None
    threads: int | None
    memory_gb: float | None
    disk_gb: float | None
    """The size of the root file system."""
    gpus: list[GpuPart] | None
    """Null without nvidia-smi."""
    driver: str | None
    """NVIDIA's."""
    python: str | None
    system: str | None
    differences: list[str]
    """In which respects it has less than was asked for, or than its type has."""


class DecisionPart(Document):
    """One choice: by whom, why, and the alternatives."""

    name: str
    source: str
    """user, ai or rules."""
    reason: str
    value: JsonValue = None
    rules_value: JsonValue = None
    alternatives: list[JsonValue] = Field(default=[])
    rejected: list[str] = Field(default=[])
    warnings: list[str] = Field(default=[])
    usage: JsonValue = None
    """What asking the AI took."""
    step: str
    at: str


class StagePart(Document):
    """A stage of a step: the unit of checkpoint."""

    name: str
    state: StepStateName
    attempts: int
    started_at: str | None
    finished_at: str | None
    wait: str | None
    """The last wait."""
    wait_since: str | None
    deadline: str | None
    status: str | None
    """The service's last status word in that wait."""


class StepPart(Document):
    """One step."""

    name: str
    state: StepStateName
    attempts: int
    started_at: str | None
    finished_at: str | None
    seconds: float | None
    """How long it worked in its last attempt, without pauses and without the time for a person's answer."""
    error: ErrorPart | None
    summary: str
    """The result, in a few words."""
    stages: list[StagePart]


class MomentPart(Document):
    """Something that happened in a run: a start, an interruption, an object made or gone, a failure."""

    at: str
    kind: str
    """An `EventKind` of envagent/engine/tables.py."""
    stage: str | None
    message: str


class ResourcePart(Document):
    """An object in the cloud: lease, server, floating_ip or keypair."""

    kind: str
    id: str | None
    """Null where a request was sent and its outcome is unknown."""
    name: str
    state: ResourceStateName
    ownership: Literal["owned", "adopted", "foreign"]
    """foreign: used but not created by the run; teardown leaves it alone."""
    created_at: str | None
    removed_at: str | None
    end_date: str | None = None
    """When a lease ends by itself."""
    ended_at: str | None = None
    """When the lease, and its server with it, ended without being removed by the run."""


class CandidatePart(Document):
    """A suitable node type, in the order in which they are requested."""

    node_type: str
    site: str
    why: str
    free_now: int | None
    total: int
    next_free: str | None
    su_per_hour: float
    service_units: float = 0.0
    """The charge for the whole lease."""
    taken_unasked: bool = True
    """Whether it may be reserved without asking again, if those before it are refused."""
    hardware: str = ""
    """What a node has, in words."""


class RulesPart(Document):
    """What the built-in rules alone would reserve."""

    node_type: str
    hours: int
    service_units: float


class CreationPart(Document):
    """An object that a run would create in the cloud."""

    kind: str
    name: str
    """Its name; RUN_ID in it stands for the id that the run will have. A floating IP's is the network it comes from."""


class PlanPart(Document):
    """What a user agrees to before anything is created."""

    hours: int
    hours_reason: str
    start: str | None
    """None means now."""
    service_units: float
    """The estimate for the whole lease on the first node type."""
    ceiling: float = 0.0
    """The most that the lease may cost on any node type that is reserved without asking again."""
    by_rules: RulesPart | None = None
    """Null if the rules would reserve the same."""
    candidates: list[CandidatePart]
    excluded: dict[str, str]
    """Node types that are not suitable, with the reason."""
    approved_at: str | None
    image: ImagePart | None = None
    """For the first node type."""
    creates: list[CreationPart] = Field(default=[])


class RunDocument(Document):
    """One run: `run`, `resume`, `status RUN_ID` and `teardown RUN_ID`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    name: str | None = None
    """What the user calls it (`run --name`); commands take it in place of the id."""
    state: RunStateName
    created_at: str
    updated_at: str
    looked_at: str
    """When the cloud was last known to be in this state."""
    cloud: str | None
    """The name in clouds.yaml; null means OS_*."""
    site: str | None
    project: str | None
    repository: RepositoryPart
    requirements: dict[str, JsonValue] | None
    image: ImagePart | None
    node_type: str | None
    lease: LeasePart | None
    server: ServerPart | None
    key_name: str | None
    private_key: str | None
    """The file that holds the private key, if envagent knows it."""
    network_id: str | None
    fixed_ip: str | None
    floating_ip: str | None
    ssh: str | None
    """The command that logs in; null without a server, and after its lease's end."""
    ssh_verified: bool | None
    """Whether a login succeeded; null before the step verify."""
    node: NodePart | None = None
    """Null without a login."""
    info_file: str | None
    plan: PlanPart | None
    cost: CostPart | None
    decisions: list[DecisionPart]
    steps: list[StepPart]
    timeline: list[MomentPart]
    """What happened apart from the steps, oldest first."""
    resources: list[ResourcePart]
    warnings: list[str]
    error: ErrorPart | None
    teardown_started_at: str | None
    next: list[str]
    """Commands that make sense now."""
    setup: SetupDocument | None = None
    """The set-up on the server: with `run --setup` and what resumes it, and in `status RUN_ID`."""
    would_remove: list[ResourcePart] | None = None
    """With `teardown --dry-run`: what exists now and would be removed."""

    @property
    def called(self) -> str:
        """The name of the run or, where it has none, its id."""
        return self.name or self.run_id

    def _repr_html_(self) -> str:
        """Show the run in a notebook."""
        from envagent.cli.render.notebook_view import run_markup

        return run_markup(self)


class PlanDocument(Document):
    """`plan REPO`, and the file that `run --plan` carries out."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["envagent plan"] = "envagent plan"
    envagent: str
    """The version that made it; no other one carries it out."""
    made_at: str
    cloud: str | None
    """The name in clouds.yaml; null means OS_*."""
    site: str
    project: str
    repository: RepositoryPart
    requirements: dict[str, JsonValue]
    plan: PlanPart
    decisions: list[DecisionPart]
    warnings: list[str]
    saved: dict[str, JsonValue]
    """What `run --plan` reads; its form changes from version to version."""
    digest: str
    """SHA-256 of `saved`: a plan that was changed is refused."""


class AnalysisDocument(Document):
    """`analyze REPO`: what a repository needs, with the evidence."""

    schema_version: Literal[1] = SCHEMA_VERSION
    repository: RepositoryPart
    requirements: dict[str, JsonValue]
    sizing: dict[str, JsonValue]
    evidence: list[dict[str, JsonValue]]
    assumptions: list[str]
    languages: dict[str, int]
    workload: str
    notes: list[str]
    """Files that were not read, and why."""
    decision: DecisionPart
