"""The second pipeline: it sets a repository up on the server of a run, in a run of its own on the same engine.

Its id is the id of the run and `setup`; its steps are the phases of the plan, and every step of the plan is a
checkpoint: a job with an intent before and its outcome after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from envagent.advice.repair import FailedStep, NoRepair, Repairer
from envagent.drafts import write_whole
from envagent.engine.context import Context
from envagent.engine.kinds import Found
from envagent.engine.pipeline import Pipeline
from envagent.engine.run_query import PART
from envagent.engine.step import Described, NotYet, Output, Step, stage
from envagent.environment.setup_plan import Phase, SetupPlan, SetupStep
from envagent.environment.setup_script import command_text, setup_script
from envagent.errors import SetupFailed
from envagent.steps.node_jobs import JobKind, JobRequest, Node, SeenJob
from envagent.steps.setup_repairs import (
    MOST_REPAIRS,
    RepairRequest,
    StoredRepair,
    repair_step,
    stored_repairs,
    with_repairs,
)

LONGEST_PAUSE = 5.0
"""Seconds between two looks at a running job."""
GRACE = 120.0
"""Seconds beyond a job's own limit before it is given up: the node ends it itself."""
TIMED_OUT = (124, 137)
"""The exit status of a job that took too long."""
SCRIPT = "setup.sh"
"""The script's name on the server."""
OUTCOME = "outcome"
"""Under which key the outcome is recorded with a job."""


def setup_id(run_id: str) -> str:
    """Return the id of the set-up on the server of a run."""
    return f"{run_id}{PART}setup"


class SetupRequest(Described):
    """What a set-up starts with: the plan, as it was shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    plan: SetupPlan

    @property
    def subject(self) -> str:
        """The run whose server is set up."""
        return self.run_id

    @property
    def labels(self) -> dict[str, str | None]:
        """What lists would show."""
        return {"repository": self.plan.url}


@dataclass(frozen=True)
class SetupServices:
    """What the steps of a set-up work with.

    Attributes:
        node: the server.
        folder: the run's folder on this machine, for the script and the logs.
        repairer: asks an AI how a failed step may be repaired; None without one.
    """

    node: Node
    folder: Path
    repairer: Repairer | None = None


SetupContext: TypeAlias = Context[SetupServices]


class Outcome(BaseModel):
    """How a step of the plan ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    name: str
    job: str
    """The folder of its last job on the node."""
    code: int | None
    """The exit status; None if the job vanished with its node's memory, by a reboot or a kill."""
    seconds: int

    @property
    def succeeded(self) -> bool:
        """Whether it did what it is for."""
        return self.code == 0


class PhaseOutput(Output):
    """How the steps of a phase ended."""

    phase: ClassVar[Phase]
    outcomes: tuple[Outcome, ...] = ()

    def summary(self) -> str:
        """Name the steps and how long they took."""
        if not self.outcomes:
            return "nothing to do"
        names = ", ".join(one.name if one.succeeded else f"{one.name} (failed)" for one in self.outcomes)
        return f"{names}: {sum(one.seconds for one in self.outcomes)} s"


PhaseT = TypeVar("PhaseT", bound=PhaseOutput)


class PreparedNode(Output):
    """The script is on the node."""

    folder: str

    def summary(self) -> str:
        """Return where it is."""
        return f"the script is in ~/{self.folder}"


class SystemReady(PhaseOutput):
    """The system's packages are there, and the repository."""

    phase = "system"


class ToolchainReady(PhaseOutput):
    """Compilers and runtimes are there."""

    phase = "toolchain"


class EnvironmentReady(PhaseOutput):
    """The environment exists."""

    phase = "environment"


class DependenciesReady(PhaseOutput):
    """What the repository depends on is installed."""

    phase = "dependencies"


class Built(PhaseOutput):
    """The repository is built."""

    phase = "build"


class Proved(PhaseOutput):
    """What was proved."""

    phase = "proof"


class PrepareNode(Step):
    """Put the script and its supervisor on the node.

    Reads: the plan.
    Creates: two files in a folder of the run on the node, the same ones at each entry.
    Owner mark: the folder's name is the run's id.
    Undo: the node ends with its lease.
    """

    @stage
    def send(self, context: SetupContext, request: SetupRequest) -> PreparedNode:
        """Send both files."""
        node, folder = context.services.node, context.services.folder
        folder.mkdir(parents=True, exist_ok=True)
        supervisor = files("envagent.environment").joinpath("supervise.sh").read_text("utf-8")
        for name, text in (("supervise.sh", supervisor), (SCRIPT, setup_script(request.plan))):
            write_whole(folder / name, text)
            node.send(folder / name, name)
        return PreparedNode(folder=node.folder)


class System(Step):
    """Install the system's packages and clone the repository. Jobs on the node; see `carry_out`."""

    @stage
    def run(self, context: SetupContext, request: SetupRequest, prepared: PreparedNode) -> SystemReady | NotYet:
        """Carry out the phase."""
        return carry_out(context, request.plan, SystemReady)


class Toolchain(Step):
    """Install compilers and runtimes. Jobs on the node; see `carry_out`."""

    @stage
    def run(self, context: SetupContext, request: SetupRequest, before: SystemReady) -> ToolchainReady | NotYet:
        """Carry out the phase."""
        return carry_out(context, request.plan, ToolchainReady)


class Environment(Step):
    """Make the environment. Jobs on the node; see `carry_out`."""

    @stage
    def run(self, context: SetupContext, request: SetupRequest, before: ToolchainReady) -> EnvironmentReady | NotYet:
        """Carry out the phase."""
        return carry_out(context, request.plan, EnvironmentReady)


class Dependencies(Step):
    """Install what the repository depends on. Jobs on the node; see `carry_out`."""

    @stage
    def run(self, context: SetupContext, request: SetupRequest, before: EnvironmentReady) -> DependenciesReady | NotYet:
        """Carry out the phase."""
        return carry_out(context, request.plan, DependenciesReady)


class Build(Step):
    """Build the repository. Jobs on the node; see `carry_out`."""

    @stage
    def run(self, context: SetupContext, request: SetupRequest, before: DependenciesReady) -> Built | NotYet:
        """Carry out the phase."""
        return carry_out(context, request.plan, Built)


class Proof(Step):
    """Prove that it runs. Jobs on the node; see `carry_out`."""

    @stage
    def run(self, context: SetupContext, request: SetupRequest, before: Built) -> Proved | NotYet:
        """Carry out the phase."""
        return carry_out(context, request.plan, Proved)


SETUP = Pipeline(
    "setup",
    SetupRequest,
    [PrepareNode(), System(), Toolchain(), Environment(), Dependencies(), Build(), Proof()],
)
"""The pipeline behind `envagent setup`."""


def carry_out(context: SetupContext, plan: SetupPlan, made: type[PhaseT]) -> PhaseT | NotYet:
    """Carry out the steps of a phase, one after the other; each has a job on the node.

    Raises:
        SetupFailed: a step has failed, and the set-up with it. Proofs are all tried first.
    """
    outcomes: list[Outcome] = []
    failed: list[tuple[SetupStep, Outcome]] = []
    for number, step in plan.of_phase(made.phase):
        outcome = _carried_out(context, plan, number, step)
        if isinstance(outcome, NotYet):
            return outcome
        outcomes.append(outcome)
        if not outcome.succeeded and step.decides:
            failed.append((step, outcome))
            if made.phase != "proof":
                break
    if failed:
        raise _failure(*failed[0])
    return made(outcomes=tuple(outcomes))


def _carried_out(context: SetupContext, plan: SetupPlan, number: int, step: SetupStep) -> Outcome | NotYet:
    """Return how a step ended: start its job, or look at the one that was started; after a repair, repeat it."""
    kind = JobKind(context.services.node, number, step)
    has_ended = False
    while True:
        current = context.ledger.current(kind)
        if current is not None and OUTCOME in current.detail:
            outcome = Outcome.model_validate(current.detail[OUTCOME])
            if outcome.succeeded or not step.decides:
                return outcome
            is_new = has_ended or current.attempt == context.attempt
            is_repaired = _repaired(context, plan, step, outcome, may_ask=is_new)
            if isinstance(is_repaired, NotYet):
                return is_repaired
            if is_new and not is_repaired:
                return outcome
            current = None  # it failed at an earlier attempt, or was repaired: a new job
        attempt = context.ledger.next_number(kind.name) if current is None else current.number
        followed = _followed(context, kind, attempt, JobRequest(digest=step.digest), partial(kind.start, attempt))
        if isinstance(followed, NotYet):
            return followed
        has_ended = True


def _followed(
    context: SetupContext, kind: JobKind, number: int, request: JobRequest, start: Callable[[], Found]
) -> Outcome | NotYet:
    """Start a job unless that was done, and return how it ended."""
    step = kind.step
    found = context.ledger.create(kind, number, step.name, request, start)
    if isinstance(found, NotYet):
        return found
    job = next((one for one in context.services.node.look() if one.name == found.id), None)
    again = f" (try {number})" if number > 1 else ""
    wait = context.wait(
        f"step {kind.number}: {step.title}{again}", every=LONGEST_PAUSE, timeout=step.minutes * 60 + GRACE
    )
    if job is not None and job.state in ("new", "running"):
        if wait.over:
            raise SetupFailed(f"step {kind.number} ({step.title}) does not end, although its time is over")
        return wait.not_yet(job.last_line)
    return _ended(context, kind, found.id, job)


def _repaired(
    context: SetupContext, plan: SetupPlan, step: SetupStep, outcome: Outcome, *, may_ask: bool
) -> bool | NotYet:
    """Carry out the repair for a job that failed, and return whether there was one; ask the AI for it at most once."""
    intents = [one for number in range(1, MOST_REPAIRS + 1) for one in context.ledger.intents(_place(plan, number))]
    repairs = stored_repairs(plan, intents)
    repair = next((one for one in repairs if one.request.after == outcome.job), None)
    if repair is None:
        request = _proposed(context, plan, step, outcome, repairs) if may_ask else None
        if request is None:
            return False
        repair = StoredRepair(len(repairs) + 1, request, plan)
        repairs.append(repair)
    kind = JobKind(context.services.node, repair.place, repair.step, RepairRequest)
    current = context.ledger.current(kind)
    if current is not None and OUTCOME in current.detail:
        return True

    def start() -> Found:
        """Send the script with this repair in it, and start that."""
        script = context.services.folder / SCRIPT
        write_whole(script, setup_script(with_repairs(plan, repairs[: repair.number])))
        context.services.node.send(script, SCRIPT)
        return kind.start(1)

    ended = _followed(context, kind, 1, repair.request, start)
    return ended if isinstance(ended, NotYet) else True


def _place(plan: SetupPlan, number: int) -> str:
    return f"step {len(plan.steps) + number}"


def _proposed(
    context: SetupContext, plan: SetupPlan, step: SetupStep, outcome: Outcome, repairs: Sequence[StoredRepair]
) -> RepairRequest | None:
    """Ask the AI for the repair of a job that failed, and show it; None where there is none."""
    repairer = context.services.repairer
    if repairer is None or len(repairs) >= MOST_REPAIRS:
        return None
    failed = FailedStep(
        title=step.title,
        phase=step.phase,
        commands=[command_text(one) for one in step.commands],
        outcome=failure_text(outcome),
        log=context.services.node.log(outcome.job),
        earlier=[one.request.command for one in repairs if one.request.step == outcome.step],
    )
    try:
        proposed = repairer.propose(failed)
    except NoRepair as reason:
        context.warn(f"step {outcome.step} is not repaired: {reason}")
        return None
    number = len(repairs) + 1
    context.warn(
        f"step {outcome.step} failed; the AI proposes, and the server now runs: {proposed.command} "
        f"(repair {number} of at most {MOST_REPAIRS})",
        usage=proposed.usage.model_dump(mode="json"),
    )
    asked = RepairRequest(
        digest="", step=outcome.step, after=outcome.job, command=proposed.command, reason=proposed.reason
    )
    return asked.model_copy(update={"digest": repair_step(plan, number, asked).digest})


def _ended(context: SetupContext, kind: JobKind, name: str, job: SeenJob | None) -> Outcome:
    """Record how a job ended, and keep what it wrote."""
    code = job.code if job is not None and job.state == "ended" else None
    seconds = 0 if job is None else max(0, job.seconds)
    outcome = Outcome(step=kind.number, name=kind.step.name, job=name, code=code, seconds=seconds)
    write_whole(context.services.folder / f"{name}.log", context.services.node.log(name) if job is not None else "")
    context.ledger.annotate(kind.name, name, {OUTCOME: outcome.model_dump(mode="json")})
    context.report(f"step {kind.number} {'done' if outcome.succeeded else failure_text(outcome)}: {kind.step.title}")
    return outcome


def failure_text(outcome: Outcome) -> str:
    """Say how a step failed.

    >>> failure_text(Outcome(step=1, name="a", job="01-a.1", code=2, seconds=3))
    'failed with exit status 2'
    """
    if outcome.code is None:
        return "was killed, or the server was restarted"
    if outcome.code in TIMED_OUT:
        return "took too long"
    return f"failed with exit status {outcome.code}"


def _failure(step: SetupStep, outcome: Outcome) -> SetupFailed:
    return SetupFailed(f"step {outcome.step} of the set-up {failure_text(outcome)}: {step.title}")


def outcomes_of(details: list[dict[str, object]]) -> dict[int, Outcome]:
    """Return the last outcome of each step, from what is recorded of jobs, oldest first."""
    found = [Outcome.model_validate(detail[OUTCOME]) for detail in details if OUTCOME in detail]
    return {one.step: one for one in found}
