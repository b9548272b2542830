"""A file of repositories, from where its runs are to the last line: `run --file`, `resume --file`, `teardown --file`.

Each line has a thread that works on its run as `run` and `resume` do, some of them at once. A run knows the file and
the line in its labels, so the same command continues what was interrupted. What is asked about prices is collected:
once all lines have a plan, there is one question with the sum. A line that fails does not stop the others.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from envagent.cli import interaction
from envagent.cli.actions import RunOptions, resume_run, start_run, tear_down_run
from envagent.cli.audience import Audience
from envagent.cli.batch_file import BatchLine, batch_name, read_lines
from envagent.cli.clouds import is_sandbox
from envagent.cli.documents.batch_document import BatchDocument, as_csv, batch_document, committed, line_part
from envagent.cli.documents.json_models import ErrorPart
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.run_list import Labels, StoredRequest
from envagent.cli.documents.run_models import RunDocument
from envagent.cli.home import Home, read_settings
from envagent.cli.interaction import Stop
from envagent.cli.render.batch_view import BatchView, LineView, short_name, show_batch
from envagent.cli.render.progress import ProgressLines
from envagent.cli.render.terminal import Terminal, out, print_document
from envagent.config import load
from envagent.engine.journal import Journal
from envagent.engine.lock import file_lock
from envagent.engine.removal import in_doubt
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import RunRecord, RunState
from envagent.errors import EnvagentError, QuotaExceeded, RunLocked, RunNotFound, UsageError
from envagent.hints import Command, Hint, Option

if TYPE_CHECKING:
    import signal

    from envagent.cli.documents.run_models import PlanPart
    from envagent.cli.run_session import Ended
    from envagent.steps.services import Dearer

Result: TypeAlias = tuple[BatchDocument, int]
"""What a batch came to, and the exit code."""

PARALLEL_LINES = 4
"""How many lines are worked on at once, unless the user says otherwise."""


@dataclass(frozen=True)
class BatchOptions:
    """What a user wants of a batch.

    Attributes:
        parallel: how many lines are worked on at once.
        max_su_total: the most that all leases of the file may cost.
        yes: whether nothing is asked.
        stream: whether the events of all lines are printed as JSON.
        csv: the file for the result, if one is wanted.
        config: the user's `--config`.
    """

    file: Path
    parallel: int = PARALLEL_LINES
    max_su_total: float | None = None
    yes: bool = False
    stream: bool = False
    csv: Path | None = None
    config: Sequence[Path] | None = None


class LineStop:
    """The stop request of one line: it stops alone if its plan is declined, and with all others at a signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.all_lines: Stop | None = None
        """That of the batch, once its work starts."""

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that arrived, if any."""
        return None if self.all_lines is None else self.all_lines.signal

    @property
    def exit_code(self) -> int:
        """128 + the signal's number."""
        return interaction.DECLINED if self.all_lines is None else self.all_lines.exit_code


@dataclass
class Job:
    """One line while it is worked on."""

    number: int | None
    repository: str
    ref: str | None
    view: LineView
    line: BatchLine | None = None
    row: RunRecord | None = None
    run_id: str | None = None
    asked: PlanPart | None = None
    """The plan that waits for approval."""
    answer: bool | None = None
    simulated: bool = False
    document: RunDocument | None = None
    error: ErrorPart | None = None
    exit_code: int = 0
    ended: bool = False
    stop: LineStop = field(default_factory=LineStop)


class LineAudience(Audience):
    """Shows the run of a line in the batch's view, and passes the question about its plan to the batch."""

    silence = "and this is a file of repositories"

    def __init__(self, job: Job, ask: Callable[[Job, PlanPart], bool], *, stream: bool) -> None:
        super().__init__(stream=stream)
        self.terminal: Terminal = job.view.quiet
        self._job = job
        self._ask = ask

    answers = False
    """Nobody answers other questions, such as one about a run of the same repository."""
    approves = True

    def dearer(self, *, simulated: bool) -> Dearer:
        """Refuse what costs more than the plan: its price is a part of the sum that is agreed to."""
        return "refuse"

    def agrees_unasked(self, *, simulated: bool) -> bool:
        """Ask always: a simulated price counts for the ceiling as well."""
        self._job.simulated = simulated
        return False

    def progress(self) -> ProgressLines:
        """Show the run's events as those of the line."""
        return self._job.view

    @contextmanager
    def stoppable(
        self, announce: Callable[[], None] = lambda: None, restore: Callable[[], None] = lambda: None
    ) -> Iterator[Stop]:
        """Stop with the batch: the signals are its own."""
        yield self._job.stop

    def agreed(self, question: str, stop: threading.Event, plan: PlanPart | None = None) -> bool:
        """Pass a plan to the batch and wait for the answer; agree to nothing else."""
        return plan is not None and self._ask(self._job, plan)

    def removal_agreed(self, question: str, stop: threading.Event, *, again: Command) -> bool:
        """Agree: the batch has asked."""
        return True


class BatchSession:
    """Work on the runs of one file."""

    def __init__(self, home: Home, options: BatchOptions, audience: Audience | None = None) -> None:
        self._home = home
        self._options = options
        self._name = batch_name(options.file)
        self._audience = audience or Audience(yes=options.yes)
        self._terminal = self._audience.terminal
        self._slots = threading.Semaphore(options.parallel)
        self._turn = threading.Condition()
        self._jobs: list[Job] = []
        self._known: list[RunRecord] = []
        self._bug: Exception | None = None
        self._view = BatchView(self._terminal)

    # --- what the commands do

    def run(self, common: RunOptions) -> Result:
        """Start a run for each line that has none, continue what is unfinished, skip what has succeeded."""
        lines = self._read()
        with self._home.opened_journal() as journal, self._alone():
            self._find(journal, lines)
            return self._execute(journal, lambda job: self._advance(job, common))

    def resume(self, max_su: float | None) -> Result:
        """Continue the unfinished runs of the file; start none."""
        lines = self._read()
        with self._home.opened_journal(to_read=True) as journal, self._alone():
            self._find(journal, lines)
            if all(job.row is None for job in self._jobs):
                raise RunNotFound(f"no run of {self._options.file} can be resumed", hint=Hint(self._again("run")))
            return self._execute(journal, lambda job: self._advance(job, None, max_su))

    def tear_down(self, *, delete_key: bool, dry_run: bool) -> Result:
        """Remove what the runs of the file created, also of lines that are no longer there."""
        with self._home.opened_journal(to_read=True) as journal, self._alone():
            rows = [
                row
                for row in reversed(self._runs(journal))
                if row.state != RunState.MOVED and (row.state != RunState.TORN_DOWN or in_doubt(journal, row.run_id))
            ]
            for row in rows:
                request = StoredRequest.of(row)
                self._add(None, request.repository, request.ref, row, finished=False)
            if not rows:
                self._terminal.line(f"No run of {self._options.file} has anything to remove.")
                return self._document(journal), 0
            self._view.show_removal(self._document(journal))
            if dry_run:
                self._terminal.line("Dry run: nothing was removed.")
                return self._document(journal), 0
            with self._stoppable() as stop:
                if not all(is_sandbox(StoredRequest.of(row).cloud) for row in rows):
                    question = f"Remove everything that these {len(rows)} runs created?"
                    again = self._again("teardown")
                    if not self._audience.removal_agreed(question, stop.event, again=again):
                        return self._document(journal), stop.exit_code if stop.signal else interaction.DECLINED
                self._work(lambda job: self._remove(job, delete_key=delete_key), stop)
            return self._document(journal), self._exit_code(stop)

    # --- a line

    def _advance(self, job: Job, common: RunOptions | None, max_su: float | None = None) -> Ended | None:
        """Work on the run of a line until it ends; None where nothing is to be done."""
        audience = LineAudience(job, lambda asked, plan: self._ask(asked, plan), stream=self._options.stream)
        if job.row is not None:
            if job.row.state == RunState.SUCCEEDED:
                return None
            return resume_run(job.row.run_id, audience, max_su=max_su, config=self._options.config)
        if job.line is None or common is None:
            job.exit_code = RunNotFound.exit_code
            return None
        labels = {"batch": self._name, "batch_line": job.line.key}
        return start_run(job.line.options(common), audience, labels=labels)

    def _remove(self, job: Job, *, delete_key: bool) -> Ended | None:
        if job.row is None:
            return None
        audience = LineAudience(job, lambda asked, plan: False, stream=self._options.stream)
        audience.terminal = job.view.loud
        return tear_down_run(job.row.run_id, audience, delete_key=delete_key, config=self._options.config)

    def _ask(self, job: Job, plan: PlanPart) -> bool:
        """Wait, without holding up other lines, until the batch has decided on a plan."""
        again = job.answer is not None  # a node type of the plan was refused, and the next one costs more
        if again or job.stop.event.is_set():
            return False
        job.view.planned(plan)
        if self._options.max_su_total is None and (job.simulated or self._options.yes):
            job.answer = True
            return True
        with self._turn:
            job.asked = plan
            self._turn.notify_all()
        self._slots.release()
        with self._turn:
            self._turn.wait_for(lambda: job.answer is not None or job.stop.event.is_set())
        self._slots.acquire()
        job.view.note("")
        return bool(job.answer) and not job.stop.event.is_set()

    # --- all lines

    def _execute(self, journal: Journal, act: Callable[[Job], Ended | None]) -> Result:
        spent = self._spent(journal)
        with self._stoppable() as stop:
            self._work(act, stop, lambda: self._decide(spent, stop))
        return self._document(journal), self._exit_code(stop)

    def _work(self, act: Callable[[Job], Ended | None], stop: Stop, decide: Callable[[], None] = lambda: None) -> None:
        """Have every line worked on in a thread of its own; once all have ended or ask, decide."""
        for job in self._jobs:
            job.stop.all_lines = stop
            if stop.event.is_set():
                job.stop.event.set()
        threads = [threading.Thread(target=self._attend, args=(job, act), daemon=True) for job in self._jobs]
        with self._view:
            for thread in threads:
                thread.start()
            with self._turn:
                self._turn.wait_for(lambda: all(job.ended or job.asked is not None for job in self._jobs))
        try:
            decide()
        finally:
            with self._turn:
                for job in self._jobs:
                    job.answer = bool(job.answer)
                self._turn.notify_all()
            with self._view:
                for thread in threads:
                    thread.join()
        if self._bug is not None:
            raise self._bug

    def _attend(self, job: Job, act: Callable[[Job], Ended | None]) -> None:
        """Work on one line, and note what it came to."""
        with self._slots:
            try:
                if job.stop.event.is_set():
                    job.exit_code = job.stop.exit_code
                else:
                    job.view.begin()
                    ended = act(job)
                    if ended is not None:
                        job.document, job.exit_code = ended.document, job.exit_code or ended.exit_code
                        if job.error is None and ended.error is not None:
                            job.error = ended.document.error
            except EnvagentError as error:
                job.error, job.exit_code = ErrorPart.of(error, again=self._again_text()), error.exit_code
                job.run_id = job.run_id or error.run_id
            except Exception as error:  # a bug: the others end as they can, then it is reported
                self._bug, job.exit_code = error, 1
            finally:
                job.view.end(job.document, job.error, job.exit_code)
                with self._turn:
                    job.ended = True
                    self._turn.notify_all()

    def _decide(self, spent: float, stop: Stop) -> None:
        """Answer the lines that wait for approval: within the ceiling in the file's order, and after one question."""
        asking = [job for job in self._jobs if job.asked is not None and not job.ended and job.answer is None]
        if stop.event.is_set() or not asking:
            return
        accepted = []
        total, left = self._options.max_su_total, (self._options.max_su_total or 0.0) - spent
        for job in asking:
            amount = 0.0 if job.asked is None else job.asked.ceiling
            if total is not None and amount > left:
                refusal = QuotaExceeded(
                    f"{job.view.name} may cost {amount:g} SU, and {max(left, 0.0):g} of {total:g} SU are left",
                    hint=Hint("allow more with", Option("max_su_total")),
                )
                job.error, job.exit_code, job.answer = ErrorPart.of(refusal), refusal.exit_code, False
            else:
                left -= amount
                accepted.append(job)
        self._view.show_plans(
            [(job.view.name, job.asked, job.answer is None) for job in asking if job.asked is not None]
        )
        priced = [job for job in accepted if not job.simulated]
        agreed = self._options.yes or not priced or self._agreed(priced, stop)
        if not agreed:
            self._terminal.line("Nothing was reserved.")
        for job in accepted:
            job.answer = agreed
            if not agreed:
                job.exit_code = stop.exit_code if stop.signal is not None else interaction.DECLINED

    def _agreed(self, priced: list[Job], stop: Stop) -> bool:
        most = sum(job.asked.ceiling for job in priced if job.asked is not None)
        servers = "1 server" if len(priced) == 1 else f"{len(priced)} servers"
        if not self._audience.answers:
            raise UsageError(
                f"{servers}, at most {most:g} SU in all: run asks before it reserves them, {self._audience.silence}",
                hint=Hint(replace(self._again("run"), options=(("file", str(self._options.file)), ("yes", True)))),
            )
        return self._audience.agreed(f"Reserve {servers}, at most {most:g} SU in all?", stop.event)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from working on the file: two would start two runs for a line.

        Raises:
            RunLocked: one is.
        """
        digest = hashlib.sha256(os.fsencode(self._name)).hexdigest()[:16]
        folder = self._home.path / "batches"
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = file_lock(folder / f"{digest}.lock")
        try:
            lock.acquire(blocking=False)
        except TimeoutError:
            raise RunLocked(f"another process is working on {self._options.file}") from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _stoppable(self) -> Iterator[Stop]:
        """Turn signals into a stop of all lines."""
        with self._audience.stoppable(self._stop_all, self._view.restore) as stop:
            yield stop

    def _stop_all(self) -> None:
        self._view.say_stopping()
        for job in self._jobs:
            job.stop.event.set()
        with self._turn:
            self._turn.notify_all()

    def _exit_code(self, stop: Stop) -> int:
        """Return the signal's code, else that of the first line that has not succeeded."""
        if stop.signal is not None:
            return stop.exit_code
        return next((job.exit_code for job in self._jobs if job.exit_code), 0)

    # --- the file and its runs

    def _read(self) -> list[BatchLine]:
        """Read the file, and see that the result can be written, before anything starts."""
        lines = read_lines(self._options.file)
        if self._options.csv is not None:
            _write(self._options.csv, "")
        return lines

    def _runs(self, journal: Journal) -> list[RunRecord]:
        """List the runs of the file, newest first."""
        return journal.runs(RunQuery(labels={"batch": self._name}, archived=True))

    def _find(self, journal: Journal, lines: list[BatchLine]) -> None:
        """Find the run of each line, the newest that is not torn down."""
        known: dict[str, RunRecord] = {}
        self._known = self._runs(journal)
        for row in self._known:
            if row.teardown_at is None:
                known.setdefault(Labels.of(row).batch_line or "", row)
        for line in lines:
            found = known.pop(line.key, None)
            finished = found is not None and found.state == RunState.SUCCEEDED
            job = self._add(line.number, line.repository, line.given.get("ref"), found, finished=finished)
            job.line = line
        if known:
            names = ", ".join(row.run_id for row in known.values())
            self._terminal.line(f"note: left alone, because their lines are no longer in the file: {names}")

    def _add(
        self, number: int | None, repository: str, ref: str | None, row: RunRecord | None, *, finished: bool
    ) -> Job:
        view = self._view.add(short_name(repository), finished=finished)
        job = Job(number, repository, ref, view, row=row, run_id=None if row is None else row.run_id)
        self._jobs.append(job)
        return job

    def _spent(self, journal: Journal) -> float:
        """Return the most that the leases of the file may cost as far as they are approved, old ones included."""
        if self._options.max_su_total is None:
            return 0.0
        return sum(committed(self._run_document(journal, row)) for row in self._known)

    def _document(self, journal: Journal) -> BatchDocument:
        """Return what the lines have come to."""
        parts = []
        for job in self._jobs:
            document = job.document
            if document is None and job.run_id is not None:
                with suppress(RunNotFound):  # it failed before its run was stored
                    document = self._run_document(journal, journal.run(job.run_id))
            parts.append(
                line_part(job.number, job.repository, job.ref, document, exit_code=job.exit_code, error=job.error)
            )
        return batch_document(self._name, parts, self._options.max_su_total)

    def _run_document(self, journal: Journal, row: RunRecord) -> RunDocument:
        working = self._home.is_worked_on(row.run_id)
        return run_document(StoredRun.load(journal, row, working=working))

    def _again(self, name: str) -> Command:
        return Command(name, (), (("file", str(self._options.file)),))

    def _again_text(self) -> str:
        from envagent.cli.render.hint_text import command_text

        return command_text(self._again("run"))


def run_batch(options: BatchOptions, common: RunOptions, audience: Audience | None = None) -> Result:
    """Start, continue or skip a run for each line of a file.

    Args:
        options: which file, and how.
        common: what the runs of all lines want.
        audience: who sees it; a person at the command line by default.

    Raises:
        UsageError: the file or an option cannot be used.
    """
    if common.repo is not None:
        raise UsageError("name either a repository or a file of them", hint=Hint("leave out", Option("file")))
    if common.plan is not None:
        raise UsageError("a plan is for one repository", hint=Hint("leave out", Option("plan")))
    if common.name is not None:
        raise UsageError("several runs cannot have one name", hint=Hint("leave out", Option("name")))
    if common.server_name is not None:
        raise UsageError("several servers cannot have one name", hint=Hint("leave out", Option("server_name")))
    flags = {} if common.cloud is None else {"cloud": common.cloud}
    settings = read_settings(options.config, **flags)
    return BatchSession(Home.of(settings), options, audience).run(common)


def resume_batch(options: BatchOptions, *, max_su: float | None) -> Result:
    """Continue the unfinished runs of a file, each with another `--max-su` if one is given."""
    return BatchSession(Home.of(load(files=options.config or ())), options).resume(max_su)


def tear_down_batch(options: BatchOptions, *, delete_key: bool, dry_run: bool) -> Result:
    """Remove what the runs of a file created."""
    session = BatchSession(Home.of(load(files=options.config or ())), options)
    return session.tear_down(delete_key=delete_key, dry_run=dry_run)


def close_batch(
    result: Result,
    options: BatchOptions,
    *,
    as_json: bool,
    show: Callable[[Terminal, BatchDocument, str], None] | None = show_batch,
) -> int:
    """Print and write what a batch came to; return the exit code.

    Args:
        result: what it came to.
        options: which file.
        as_json: whether to print the document.
        show: prints the screen; None for none.

    Raises:
        UsageError: the CSV file cannot be written.
    """
    document, code = result
    if as_json or options.stream:
        print_document(document, in_line=options.stream)
    elif show is not None:
        show(out(), document, str(options.file))
    if options.csv is not None:
        _write(options.csv, as_csv(document))
    return code


def _write(path: Path, text: str) -> None:
    """Write a file, or say that it cannot be written."""
    try:
        path.expanduser().write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint=Hint("name another", Option("csv"))) from None
