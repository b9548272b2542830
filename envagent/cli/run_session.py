"""One run from where it is to its last line: what `run` and `resume` share.

It asks for the approval of the plan, shows the progress, and ends with the result, the failure or what to do next.
It holds the run's lock all the while.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from envagent.cli import interaction
from envagent.cli.audience import Audience
from envagent.cli.clouds import CloudAccess
from envagent.cli.documents.durations import typical_seconds
from envagent.cli.documents.json_models import ErrorPart
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.run_list import Labels, state_of
from envagent.cli.documents.run_models import RunDocument
from envagent.cli.documents.setup_models import SetupDocument
from envagent.cli.home import Home
from envagent.cli.interaction import Stop
from envagent.cli.render import screens
from envagent.cli.render.hint_text import hint_text
from envagent.cli.render.plan_screen import show_plan, show_plan_briefly
from envagent.cli.render.progress import ProgressLines
from envagent.cli.render.setup_screen import show_setup
from envagent.cli.render.terminal import err, out, print_document
from envagent.cli.ssh_config import host_of
from envagent.cli.wiring import make_runner, make_services, opened_teardown
from envagent.engine.execution import Execution, Outcome
from envagent.engine.journal import Journal
from envagent.engine.loaded_run import stored_summaries
from envagent.engine.loop import run_until_idle
from envagent.engine.run_query import RunQuery
from envagent.engine.runner import Runner
from envagent.engine.runtime import Listener
from envagent.engine.step import Question, Stopped
from envagent.engine.tables import RunRecord, RunState
from envagent.errors import EnvagentError, UsageError
from envagent.hints import Hint, resume, teardown

if TYPE_CHECKING:
    from envagent.steps.request import RunRequest
    from envagent.steps.services import Services

UNFINISHED = {"interrupted": "was interrupted", "failed": "has failed"}
"""The states of runs that can be resumed, in words."""

MOST_MENTIONED = 10
"""How many of the newest unfinished runs are looked at; others may be worked on."""

Start: TypeAlias = "Callable[[Runner[Services], Services], Execution[Services]]"


@dataclass(frozen=True)
class Ended:
    """What a command on a run came to.

    Attributes:
        document: the run.
        exit_code: the command's.
        error: what failed; None after a success, a stop and a declined question.
        closing: whether the last screen is still to be shown.
        host: the name by which plain ssh finds the server, if the user has included the entries for ssh.
    """

    document: RunDocument
    exit_code: int = 0
    error: EnvagentError | None = None
    closing: bool = True
    host: str | None = None


class RunSession:
    """Work on one run. The caller has opened the journal and holds the run's lock."""

    def __init__(
        self,
        home: Home,
        journal: Journal,
        access: CloudAccess,
        audience: Audience,
        *,
        watch: Listener | None = None,
    ) -> None:
        self._home = home
        self._journal = journal
        self._access = access
        self._audience = audience
        self._watch = watch
        self._terminal = audience.terminal
        self._asks = False
        self._plan_shown = False
        self._unanswered: UsageError | None = None

    def go(self, run_id: str, request: RunRequest, start: Start) -> Ended:
        """Execute the run to its end.

        Args:
            run_id: the run's id.
            request: the run's request.
            start: starts or resumes the run.
        """
        self._asks = self._audience.approves
        output = self._audience.progress()
        with ExitStack() as stack:
            stop = stack.enter_context(self._audience.stoppable(lambda: _announce_stop(output), output.restore))
            dearer = self._audience.dearer(simulated=self._access.simulated)
            services = make_services(
                self._home, self._journal, self._access, run_id, request, stop.event, dearer=dearer
            )
            stack.callback(services.close)
            listener = self._audience.listener(output, self._watch)
            runner = make_runner(self._journal, self._access.settings, listener, stop.event)
            stack.callback(runner.close)
            execution = start(runner, services)
            called = "" if execution.run.row.name is None else f" ({execution.run.row.name})"
            where = f"{request.repository} on {self._access.name or 'OS_*'}"
            self._terminal.line((f"run {run_id}", "bold"), f"{called}: {where}")
            if not execution.run.outputs:
                self._mention_unfinished(execution)
            typical = typical_seconds(self._journal, self._access.name)
            summaries = stored_summaries(self._journal.events(run_id))
            output.watch(execution.run.stages.values(), typical, summaries)
            try:
                outcome = self._execute(runner, execution, output, stop)
            except EnvagentError as error:
                if execution.run.row.state == RunState.SUCCEEDED:
                    raise  # it could not be checked, and is unchanged
                # The journal failed: only what is in memory is known.
                runner.close()  # another thread's call may still create something
                interrupted = {"state": "interrupted", "error": ErrorPart.of(error, run_id)}
                document = run_document(StoredRun.in_memory(execution.run)).model_copy(update=interrupted)
                return Ended(document, error.exit_code, error)
            except Exception:  # a bug: main reports it; what exists must be shown all the same
                runner.close()
                document = run_document(StoredRun.in_memory(execution.run))
                screens.show_existing(self._terminal, document)
                screens.show_next(self._terminal, document)
                raise
            return self._end(outcome, execution, output, stop, request.on_failure)

    def _execute(
        self, runner: Runner[Services], execution: Execution[Services], output: ProgressLines, stop: Stop
    ) -> Outcome:
        """Advance the run until it ends, and ask its questions. BLOCKED: a no, or nobody can be asked."""
        row = execution.run.row
        agreed = self._audience.yes or Labels.of(row).yes or (self._access.simulated and not self._asks)
        while True:
            with output:
                progress = run_until_idle(runner, [execution])[0].checked()
            if progress.outcome is not Outcome.BLOCKED:
                output.finish()
                return progress.outcome
            self._show_plan(execution, briefly=agreed and not self._terminal.interactive)
            if agreed and row.approved_at is None:
                runner.approve(execution)
            elif not self._agreed(progress.question, stop, execution):
                stop.event.set()  # recorded as an interruption: nothing was reserved, and it can be resumed
                runner.advance(execution)
                if not self._asks:
                    self._unanswered = self._no_answer(progress.question)
                return Outcome.BLOCKED
            else:
                runner.approve(execution, progress.question)

    def _show_plan(self, execution: Execution[Services], *, briefly: bool) -> None:
        """Show the plan, once."""
        document = self._document(execution)
        if document.plan is None or self._plan_shown:
            return
        self._plan_shown = True
        if briefly:
            show_plan_briefly(self._terminal, document.plan)
        else:
            show_plan(self._terminal, document.plan, document.decisions)

    def _agreed(self, question: Question | None, stop: Stop, execution: Execution[Services]) -> bool:
        """Ask a run's question; in the sandbox, which charges nothing, the answer is yes."""
        if self._audience.agrees_unasked(simulated=self._access.simulated):
            return True
        if question is None or not self._asks:
            return False
        plan = self._document(execution).plan
        if plan is not None:
            plan = plan.model_copy(update={"ceiling": question.amount})
        return self._audience.agreed(question.text, stop.event, plan)

    def _end(
        self,
        outcome: Outcome,
        execution: Execution[Services],
        output: ProgressLines,
        stop: Stop,
        on_failure: Literal["keep", "teardown"],
    ) -> Ended:
        """Return how the run ended."""
        if outcome is Outcome.FAILED and on_failure == "teardown":
            self._tear_down(execution, output, stop)
        document = self._document(execution)
        if (unanswered := self._unanswered) is not None:
            document = document.model_copy(update={"error": ErrorPart.of(unanswered, document.run_id)})
            return Ended(document, unanswered.exit_code, unanswered)
        declined = outcome is Outcome.BLOCKED and stop.signal is None
        if outcome in (Outcome.STOPPED, Outcome.BLOCKED):
            self._terminal.line("Nothing was reserved." if declined else "Stopped. Nothing was deleted.")
        match outcome:
            case Outcome.SUCCEEDED:
                return Ended(document, host=host_of(self._home, document))
            case Outcome.FAILED:
                return Ended(document, _error(document).exit_code, stored_error(execution.run.row))
            case Outcome.STOPPED | Outcome.BLOCKED:
                return Ended(document, interaction.DECLINED if declined else stop.exit_code)
        raise AssertionError(f"run {document.run_id} ended with {outcome}")

    def _tear_down(self, execution: Execution[Services], output: ProgressLines, stop: Stop) -> None:
        """Remove what the failed run created; problems are reported, and the failure stays the result."""
        row = execution.run.row
        try:
            listener = self._audience.listener(output, self._watch)
            with opened_teardown(self._home, self._journal, self._access, row, listener, stop.event) as removal:
                removal.run(row)
        except Stopped:
            self._terminal.line(hint_text(Hint("The teardown was stopped. To continue:", teardown()), row.run_id))
        except EnvagentError as error:
            screens.show_error(self._terminal, ErrorPart.of(error, row.run_id, removing=True))

    def _no_answer(self, question: Question | None) -> UsageError:
        """Return the error for a question that nobody can answer."""
        if self._audience.yes and question is not None:  # --yes does not cover it
            return UsageError(
                f"the AI's plan costs much more than the built-in rules alone would: {question.amount:g} SU",
                hint=Hint(resume(yes=True, max_su=question.amount), ", or answer on a terminal"),
            )
        return UsageError(
            f"run asks before it reserves anything, {self._audience.silence}", hint=Hint(resume(yes=True))
        )

    def _document(self, execution: Execution[Services]) -> RunDocument:
        return run_document(StoredRun.load(self._journal, execution.run.row, working=False))

    def _mention_unfinished(self, execution: Execution[Services]) -> None:
        """Point to the newest run of the same repository and cloud that can be resumed instead."""
        mine = execution.run.row
        same = RunQuery(
            labels={name: json.loads(mine.labels).get(name) for name in ("repository", "cloud")},
            subject=mine.subject,
            removing=False,
            states=(RunState.RUNNING, RunState.INTERRUPTED, RunState.FAILED),
        )
        for row in self._journal.runs(same, limit=MOST_MENTIONED):
            state = state_of(row, working=self._home.is_worked_on(row.run_id))
            if state in UNFINISHED:
                note = Hint(
                    f"note: run {row.run_id} of this repository {UNFINISHED[state]}; to resume it instead:", resume()
                )
                self._terminal.line(hint_text(note, row.run_id))
                return


def close(ended: Ended, *, as_json: bool, in_line: bool = False) -> int:
    """Print the last lines, the result on stdout and everything else on stderr; return the exit code.

    Args:
        ended: what the command came to.
        as_json: whether the result is a document.
        in_line: whether it is one of the lines of `--json-stream`.
    """
    document, terminal, as_json = ended.document, err(), as_json or in_line
    if as_json:
        print_document(document, in_line=in_line)
    if not ended.closing:
        return ended.exit_code
    if document.state == "succeeded":
        if not as_json:
            screens.show_result(out(), document, ended.host)
        if document.setup is not None:
            show_setup_end(document.setup, as_json=as_json)
        return ended.exit_code
    if document.error is not None:
        screens.show_error(terminal, document.error, hint=document.teardown_started_at is None)
    screens.show_existing(terminal, document)
    screens.show_next(terminal, document)
    return ended.exit_code


def show_setup_end(setup: SetupDocument, *, as_json: bool) -> None:
    """Print how a set-up ended, on stdout unless its document is there, and its error."""
    if not as_json:
        show_setup(out(), setup)
    if setup.error is not None:
        screens.show_error(err(), setup.error)


def stored_error(row: RunRecord) -> EnvagentError:
    """Return the error with which a run failed."""
    if row.error is None:
        raise AssertionError(f"run {row.run_id} failed without an error")
    stored = json.loads(row.error)
    known = {one.__name__: one for one in _all_errors(EnvagentError)}
    error = known.get(stored["error"], EnvagentError)(
        stored["message"],
        hint=Hint.load(stored.get("hint")),
        service_said=stored.get("service_said"),
        request_id=stored.get("request_id"),
    )
    error.run_id = row.run_id
    return error


def _all_errors(root: type[EnvagentError]) -> Iterator[type[EnvagentError]]:
    yield root
    for one in root.__subclasses__():
        yield from _all_errors(one)


def _announce_stop(output: ProgressLines) -> None:
    output.say(
        ("Stopping after the current request; nothing is deleted, and the run can be resumed. ", "yellow"),
        "Press Ctrl-C again to quit immediately.",
    )


def _error(document: RunDocument) -> ErrorPart:
    if document.error is None:
        raise AssertionError(f"run {document.run_id} failed without an error")
    return document.error
