"""The set-up of a run's repository on its server: started, continued and shown.

It is a run of its own on the same engine. Whoever works on it holds its lock; the jobs on the server go on without.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from envagent.cli.audience import Audience
from envagent.cli.clouds import CloudAccess
from envagent.cli.documents.run_document import StoredRun
from envagent.cli.documents.setup_document import setup_document, stored_setup
from envagent.cli.documents.setup_models import SetupDocument
from envagent.cli.home import Home, request_of
from envagent.cli.logins import ServerLogin, check_client, login_of
from envagent.cli.wiring import make_repairer, make_setup_runner
from envagent.engine.execution import Outcome
from envagent.engine.journal import Journal
from envagent.engine.loaded_run import stored_summaries
from envagent.engine.loop import run_until_idle
from envagent.engine.tables import RunRecord
from envagent.environment.setup_plan import SetupPlan
from envagent.errors import EnvagentError, RepositoryRefused, RunLocked, RunStateError
from envagent.hints import THIS_RUN, Command, Hint, Option, command, teardown
from envagent.repository.source import Local, parse_source
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.node_jobs import Node
from envagent.steps.setup_pipeline import SetupRequest, SetupServices, setup_id
from envagent.steps.verify import Verified


@dataclass(frozen=True)
class SetupEnded:
    """What the work on a set-up came to."""

    document: SetupDocument
    exit_code: int = 0


class SetupSession:
    """Work on the set-up of one run. The caller has opened the journal."""

    def __init__(
        self, home: Home, journal: Journal, access: CloudAccess, audience: Audience, *, repair: bool = True
    ) -> None:
        self._repair = repair
        self._home = home
        self._journal = journal
        self._access = access
        self._audience = audience

    def go(self, row: RunRecord) -> SetupEnded:
        """Start the set-up or continue it, until it ends.

        Raises:
            RunStateError: the run has no server that can be set up from here.
            RunLocked: another process is working on it.
        """
        run = StoredRun.load(self._journal, row, working=False)
        login = login_of(self._home, run)
        try:
            check_client(run, login)
            plan = self._plan(run, login)
            request = request_of(row)
            self._repair = self._repair and request.ai and request.repair
            with self._home.working_on(setup_id(row.run_id)):
                return self._work(row.run_id, plan, login)
        except RunLocked as error:
            error.hint = Hint("watch it:", Command("logs", (THIS_RUN,), (("follow", True), ("setup", True))))
            error.run_id = row.run_id
            raise
        except EnvagentError as error:
            error.run_id = row.run_id
            raise

    def _plan(self, run: StoredRun, login: ServerLogin) -> SetupPlan:
        """Return the plan, if it can work on this server."""
        analyzed, verified = run.output(AnalyzedRepository), run.output(Verified)
        plan = None if analyzed is None else analyzed.setup
        if plan is None:
            raise RunStateError(
                f"run {login.run_id} was planned by an earlier version, without a set-up",
                hint=Hint("start another:", command("run", "URL", setup=True)),
            )
        if not self._access.simulated:
            check_clonable(plan.url)
            seen = None if verified is None else verified.seen
            if any(one.name == "gpu" for one in plan.steps) and seen is not None and not seen.gpus:
                raise RunStateError(
                    "the plan cannot work on this image: nvidia-smi shows no GPU, which the repository needs",
                    hint=Hint(teardown(), ", then run it with", Option("image"), "and an image with CUDA"),
                )
        return plan

    def _work(self, run_id: str, plan: SetupPlan, login: ServerLogin) -> SetupEnded:
        output, terminal = self._audience.progress(), self._audience.terminal
        folder = self._home.run(run_id) / "setup"
        with ExitStack() as stack:
            stop = stack.enter_context(
                self._audience.stoppable(
                    lambda: output.say("Stopping here; what was started on the server goes on."), output.restore
                )
            )
            listener = self._audience.listener(output)
            runner = make_setup_runner(self._journal, self._access.settings, listener, stop.event)
            stack.callback(runner.close)
            repairer = make_repairer(self._access.settings, stop.event) if self._repair else None
            services = SetupServices(Node(login.target, run_id), folder, repairer)
            known = stored_setup(self._journal, run_id)
            simulated = " (simulated: nothing is carried out)" if self._access.simulated else ""
            terminal.line((f"set-up of run {run_id}", "bold"), f": {plan.url} on {login.server_name}{simulated}")
            if known is None:
                execution = runner.begin(SetupRequest(run_id=run_id, plan=plan), services, run_id=setup_id(run_id))
            else:
                execution = runner.resume(known, services)
            events = self._journal.events(execution.run.run_id)
            output.watch(execution.run.stages.values(), {}, stored_summaries(events))
            with output:
                outcome = run_until_idle(runner, [execution])[0].checked().outcome
            output.finish()
            document = setup_document(self._journal, execution.run.row, working=False, simulated=self._access.simulated)
            match outcome:
                case Outcome.SUCCEEDED:
                    return SetupEnded(document)
                case Outcome.FAILED if document.error is not None:
                    return SetupEnded(document, document.error.exit_code)
            return SetupEnded(document, stop.exit_code)


def check_clonable(repository: str, otherwise: str = "the server cannot clone a folder of this machine") -> None:
    """Check that a server, or somebody else, can clone a repository.

    Args:
        repository: its URL, or a path.
        otherwise: the message if it is a folder of this machine.

    Raises:
        RunStateError: it is a folder of this machine.
    """
    try:
        is_local = isinstance(parse_source(repository), Local)
    except RepositoryRefused:
        is_local = True
    if is_local:
        raise RunStateError(
            otherwise,
            hint=Hint("push it to a public repository, and run that"),
        )
