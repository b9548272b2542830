"""The runner: starts runs, resumes them and advances them.

An advance enters the stages that are ready, records what they return and says when to look again. Ready stages of a
run work in parallel; every output is on disk before a stage that depends on it starts. Whoever keeps the clock
(`loop.py`, or a queue of workers) calls `advance`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

from pydantic import BaseModel

from envagent.engine.clock import to_text
from envagent.engine.context import APPROVED_AMOUNT, ENTERED, Context
from envagent.engine.execution import (
    SLACK,
    Entry,
    Execution,
    Known,
    Leave,
    NewRun,
    Outcome,
    Progress,
    Schedule,
)
from envagent.engine.group import THREADS, Group
from envagent.engine.intents import Ledger, dump_error
from envagent.engine.journal import Transaction
from envagent.engine.loaded_run import Run, check_kept, finished
from envagent.engine.pipeline import Pipeline
from envagent.engine.runtime import Runtime
from envagent.engine.step import Described, GoBack, NotYet, Output, Question, Redo, RetryPolicy, Stopped
from envagent.engine.tables import (
    EventKind,
    EventRecord,
    Record,
    RunRecord,
    RunState,
    StageRecord,
    StageState,
    new_run_id,
)
from envagent.errors import EnvagentError, ProvisioningError

Services = TypeVar("Services")

STARTED_STATES = (StageState.RUNNING.value, StageState.WAITING.value)
"""The states of stages that may be entered: their inputs exist and they have not ended."""


class Runner(Generic[Services]):
    """Runs a pipeline; processes share nothing but the journal.

    Args:
        retry: how stages are entered again after an error that may pass, unless their step has its own policy.
        pool: runs stages in parallel; threads of its own by default.
        leave: writes what an advance leaves behind, if anything is; an advance that enters no stage leaves nothing.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        runtime: Runtime,
        *,
        retry: RetryPolicy | None = None,
        pool: Executor | None = None,
        leave: Leave | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.runtime = runtime
        self.journal = runtime.journal
        self.clock = runtime.clock
        self.stop = runtime.stop
        self._retry = retry or RetryPolicy()
        self._leave_behind = leave
        self.pool = pool or ThreadPoolExecutor(THREADS, thread_name_prefix="stage")

    def begin(
        self,
        request: BaseModel,
        services: Services,
        *,
        run_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        known: Known | None = None,
        owner: str | None = None,
        name: str | None = None,
    ) -> Execution[Services]:
        """Store a new run and return it, ready to advance.

        Args:
            request: what the run is for.
            services: what its steps work with.
            run_id: its id; a new one by default.
            labels: what lists show of the run, beyond what its request says.
            known: what is settled already; its stages are not entered.
            owner: who submits it to a fleet.
            name: what the user calls it.
        """
        return self.begin_all([NewRun(request, services, run_id, labels, known, owner, name)])[0]

    def begin_all(self, runs: Iterable[NewRun[Services]]) -> list[Execution[Services]]:
        """Store new runs in one transaction and return them, ready to advance."""
        records: list[Record] = []
        lines: list[EventRecord] = []
        begun: list[tuple[Execution[Services], list[StageRecord]]] = []
        for new in runs:
            execution, told = self._new(new)
            run = execution.run
            started = self._start_ready(execution)
            line = EventRecord(run_id=run.run_id, at=run.row.created_at, kind=EventKind.RUN_STARTED)
            records += [run.row, *run.stages.values(), *told, line]
            lines.append(line)
            begun.append((execution, started))
        self.runtime.store(*records)
        self.runtime.announce(*lines)
        for execution, started in begun:
            self.runtime.announce(*self._started_lines(execution.run, started))
        return [execution for execution, _ in begun]

    def _new(self, new: NewRun[Services]) -> tuple[Execution[Services], list[Record]]:
        """Return a new run, and what is to be stored of what is settled already."""
        request = new.request
        now = to_text(self.clock.now())
        row = RunRecord(
            run_id=new.run_id or new_run_id(),
            pipeline=self.pipeline.name,
            state=RunState.RUNNING.value,
            created_at=now,
            updated_at=now,
            request=request.model_dump_json(),
            labels=json.dumps({**(request.labels if isinstance(request, Described) else {}), **(new.labels or {})}),
            subject=request.subject if isinstance(request, Described) else None,
            owner=new.owner,
            name=new.name,
        )
        stages = {
            key: StageRecord(run_id=row.run_id, step=stage.step, stage=stage.name, position=position)
            for position, (key, stage) in enumerate(self.pipeline.stages.items())
        }
        execution = Execution(Run(self.pipeline, row, request, stages), new.services)
        return execution, [] if new.known is None else self._settle(execution.run, new.known)

    def _settle(self, run: Run, known: Known) -> list[Record]:
        """Finish the stages whose outputs are known; return what else is to be stored of them."""
        told: list[Record] = []
        for output in known.outputs:
            key = self.pipeline.producer(type(output)).key
            finished(run.stages[key], output, run.row.created_at)
            run.outputs[key] = output
            if summary := output.summary():
                done = self._line(run, EventKind.STAGE_SUCCEEDED, key)
                done.detail = json.dumps({"summary": summary})
                told.append(done)
        now = {"id": None, "run_id": run.run_id, "at": run.row.created_at}
        told += [one.model_copy(update=now) for one in known.decisions]
        told += [self._line(run, EventKind.WARNING, message=one) for one in known.warnings]
        return told

    def resume(self, row: RunRecord, services: Services, *, request: BaseModel | None = None) -> Execution[Services]:
        """Load an unfinished run; a failed stage gets a new attempt. The caller holds the run's lock.

        Args:
            row: the run.
            services: what its steps work with.
            request: replaces the stored one.

        Raises:
            RunMismatch: the stored run does not match this pipeline.
            RunStateError: its teardown has started.
        """
        check_kept(row)  # a removal is not to be fenced off
        self.journal.take(row)
        check_kept(row)
        if request is not None:
            row.request = request.model_dump_json()
        execution = self._loaded(row, services)
        run = execution.run
        if row.state == RunState.SUCCEEDED:  # it stays so unless a look at what it created finds otherwise
            return execution
        row.state, row.error, row.archived_at = RunState.RUNNING.value, None, None
        for stored in run.stages.values():
            if stored.state == StageState.FAILED:  # a new attempt starts a new wait
                stored.wait = stored.wait_since = stored.deadline = stored.status = stored.error = None
            if stored.state in (StageState.RUNNING, StageState.WAITING, StageState.FAILED):
                stored.state = StageState.PENDING.value
        line = EventRecord(run_id=row.run_id, at=to_text(self.clock.now()), kind=EventKind.RUN_RESUMED)
        started = self._start_ready(execution)
        self.runtime.store(self._touched(row), *run.stages.values(), events=[line])
        self.runtime.announce(*self._started_lines(run, started))
        return execution

    def pick_up(self, row: RunRecord, services: Services) -> Execution[Services]:
        """Load a run that another process has left in order, waiting for a time that has come; nothing is compared.

        Raises:
            RunMismatch: the stored run does not match this pipeline.
            RunStateError: its teardown has started.
        """
        check_kept(row)
        self.journal.take(row)
        check_kept(row)
        return Execution(Run.load(self.journal, self.pipeline, row), services)

    def refresh(self, row: RunRecord, services: Services) -> Execution[Services]:
        """Look at what a run created and correct its record, without entering a stage or writing to the cloud.

        A run that has lost something becomes failed and says what. The caller holds the run's lock.

        Raises:
            RunMismatch: the stored run does not match this pipeline.
            EnvagentError: the cloud cannot be asked.
        """
        self.journal.take(row)
        execution = self._loaded(row, services)
        execution.acting = False
        while not self.stop.is_set():
            progress = self.confirm(execution)
            if progress is not None and progress.outcome is Outcome.STOPPED:
                self.interrupt([execution])
            if progress is None or progress.look_again is None:
                break
            self.clock.sleep((progress.look_again - self.clock.now()).total_seconds(), self.stop)
        return execution

    def _loaded(self, row: RunRecord, services: Services) -> Execution[Services]:
        run = Run.load(self.journal, self.pipeline, row)
        steps = self.pipeline.steps.values()
        finished = [step for step in steps if self.pipeline.last_stage(step.name).key in run.outputs]
        return Execution(run, services, unconfirmed=finished)

    def approve(self, execution: Execution[Services], question: Question | None = None) -> None:
        """Record the user's approval; blocked stages continue.

        Args:
            execution: the run.
            question: what the user approved; None for an approval in advance, which covers only what the stages ask
                for without a question.
        """
        row = execution.run.row
        row.approved_at = to_text(self.clock.now())
        line = EventRecord(run_id=row.run_id, at=row.approved_at, kind=EventKind.RUN_APPROVED)
        if question is not None:
            row.labels = json.dumps({**json.loads(row.labels), APPROVED_AMOUNT: question.amount})
            line.message = question.text
        self.runtime.store(self._touched(row), events=[line])
        for schedule in execution.schedules.values():
            schedule.blocked_on = None

    def advance(self, execution: Execution[Services]) -> Progress:
        """Enter stages that are ready, and those that become ready, until all that remain must wait.

        Raises:
            JournalError: a result cannot be recorded; no further stage is entered.
            RunTakenOver: somebody else has taken the run.
            EnvagentError: a run that has succeeded could not be checked; it stays as it was.
        """
        return self.advance_all([execution])[0].checked()

    def advance_all(self, executions: Sequence[Execution[Services]]) -> list[Progress]:
        """Advance several runs, which share their commits; the error of one that was given up is in its progress.

        Raises:
            JournalError: a result cannot be recorded; no further stage is entered.
        """
        return Group(self, executions, keeps_clock=False).run()

    def close(self) -> None:
        """End the threads, waiting for stages that are still working."""
        self.pool.shutdown(wait=True)

    # --- one advance

    def confirm(self, execution: Execution[Services]) -> Progress | None:
        """Ask the finished steps of a resumed run whether their outputs are still true; None once all are."""
        run = execution.run
        if not execution.unconfirmed:
            return None
        while execution.unconfirmed:
            step = execution.unconfirmed[0]
            last = self.pipeline.last_stage(step.name).key
            entry = self.entry(execution, last)
            schedule = execution.schedules.setdefault(last, Schedule())
            try:
                answer = step.confirm(entry.context, run.outputs[last])
            except Stopped:
                self._store(entry)
                return Progress(Outcome.STOPPED)
            except EnvagentError as error:
                schedule.failures += 1
                policy = step.retry or self._retry
                if error.retryable and schedule.failures <= policy.tries:
                    pause = policy.pause(schedule.failures, error.retry_after)
                    return Progress(Outcome.WAITING, self.clock.now() + timedelta(seconds=pause))
                if run.row.state == RunState.SUCCEEDED and not isinstance(error, ProvisioningError):
                    raise  # the check failed, not the run
                if isinstance(error, ProvisioningError):  # the cloud answered, so it has been looked at
                    self._looked_at(run)
                self._fail(execution, error, entry)
                self._store(entry)
                return Progress(Outcome.FAILED)
            schedule.failures = 0
            if isinstance(answer, NotYet):
                self._store(entry)
                return Progress(Outcome.WAITING, answer.look_again)
            execution.unconfirmed.pop(0)
            if isinstance(answer, Redo):
                self._redo(execution, entry, f"{step.name}.{answer.stage}", answer.why)
            elif answer is not None:
                self._correct(execution, entry, answer)
            self._store(entry)
        self._looked_at(run)
        lines = []
        if len(run.outputs) == len(self.pipeline.stages) and run.row.state != RunState.SUCCEEDED:
            run.row.state, run.row.error = RunState.SUCCEEDED.value, None
            lines.append(self._line(run, EventKind.RUN_SUCCEEDED))
        self.runtime.store(self._touched(run.row), events=lines)
        return None

    def _looked_at(self, run: Run) -> None:
        run.row.labels = json.dumps({**json.loads(run.row.labels), "looked_at": to_text(self.clock.now())})

    def _correct(self, execution: Execution[Services], entry: Entry, output: Output) -> None:
        """Store a finished step's corrected output, and redo derived steps, which have recorded the old one."""
        run, key = execution.run, entry.key
        row = run.stages[key]
        row.output = output.model_dump_json()
        if (summary := output.summary()) != run.outputs[key].summary():
            entry.context.ledger.note(EventKind.STAGE_SUCCEEDED, "", {"summary": summary})
        run.outputs[key] = output
        entry.context.ledger.pending.append(row)
        for reader in self.pipeline.downstream[key]:
            if execution.acting and reader in run.outputs and self.pipeline.steps[run.stages[reader].step].derived:
                self._redo(execution, entry, reader)

    def _redo(self, execution: Execution[Services], entry: Entry, key: str, why: str = "") -> None:
        """Have a finished stage entered again, with all that depend on it."""
        if why:
            entry.context.warn(why if execution.acting else f"{why} when the run is resumed")
        if not execution.acting:
            return
        run = execution.run
        again, found = [key], [key]
        while found:
            found = [one for each in found for one in self.pipeline.downstream[each] if one not in again]
            again += found
        for one in again:
            row = run.stages[one]
            run.outputs.pop(one, None)
            execution.schedules.pop(one, None)
            row.state, row.started_at, row.finished_at = StageState.PENDING.value, None, None
            row.wait = row.wait_since = row.deadline = row.status = row.error = None
            row.model = row.model_version = row.output = None
        steps = {run.stages[one].step for one in again}
        execution.unconfirmed = [step for step in execution.unconfirmed if step.name not in steps]
        run.row.state, run.row.error = RunState.RUNNING.value, None
        started = self._start_ready(execution, again)
        self._leave(entry, records=[self._touched(run.row), *(run.stages[one] for one in again)])
        entry.told += self._started_lines(run, started)

    def due(self, execution: Execution[Services]) -> list[str]:
        """List the stages of a run that are to be entered now."""
        now = self.clock.steady() + SLACK
        due = []
        for key in self.pipeline.order:
            if execution.run.stages[key].state not in STARTED_STATES:
                continue
            schedule = execution.schedules.get(key)
            if schedule is None or (schedule.blocked_on is None and (schedule.due is None or schedule.due <= now)):
                due.append(key)
        return due

    def patience(self, execution: Execution[Services], under_way: Collection[str]) -> float | None:
        """Return the seconds until the next waiting stage is due; None if none waits."""
        waiting = [
            schedule.due
            for key, schedule in execution.schedules.items()
            if schedule.due is not None and key not in under_way and key not in execution.run.outputs
        ]
        return max(0.0, min(waiting) - self.clock.steady()) if waiting else None

    def entry(self, execution: Execution[Services], key: str) -> Entry:
        """Prepare an entry of a stage."""
        run = execution.run
        ledger = Ledger(
            self.runtime,
            run.inventory,
            key,
            attempt=run.stages[key].attempts,
            patience=self.runtime.removal_timeout,
        )
        context = Context(execution.services, run, key, ledger, acting=execution.acting)
        return Entry(key, context, run.inputs(self.pipeline.stages[key]))

    def enter(self, entry: Entry) -> Entry:
        """Enter a stage; what it returns or raises is its entry's result."""
        stage = self.pipeline.stages[entry.key]
        ENTERED.set(entry.key)
        try:
            entry.result = stage.enter(entry.context, **entry.inputs)
        except BaseException as error:  # handled by the recording thread
            entry.result = error
        finally:
            ENTERED.set(None)
        return entry

    def record(self, execution: Execution[Services], entry: Entry) -> EnvagentError | None:
        """Take in the result of an entry, for one commit with what it makes ready; return the failure, if any."""
        run, key, result = execution.run, entry.key, entry.result
        schedule = execution.schedules.setdefault(key, Schedule())
        match result:
            case GoBack():
                run.stages[key].attempts -= 1  # it continues this attempt when it is entered again
                self._redo(execution, entry, self.pipeline.producer(result.made).key, result.why)
            case Output():
                self._finish(execution, entry, result)
            case NotYet():
                schedule.failures = 0
                schedule.blocked_on = result if result.look_again is None else None
                schedule.waiting = result if result.watched is not None else None
                if result.look_again is not None:
                    pause = (result.look_again - self.clock.now()).total_seconds()
                    schedule.due = self.clock.steady() + pause
                self._note_wait(run, entry, result)
            case Stopped():
                pass
            case EnvagentError():
                policy = self.pipeline.steps[run.stages[key].step].retry or self._retry
                schedule.failures += 1
                if not result.retryable or schedule.failures > policy.tries:
                    self._fail(execution, result, entry)
                    return result
                pause = policy.pause(schedule.failures, result.retry_after)
                schedule.due, schedule.waiting = self.clock.steady() + pause, None
                message = f"{result.message}; retrying in {pause:.0f} s (try {schedule.failures + 1})"
                self._leave(entry, self._line(run, EventKind.STAGE_RETRYING, key, message))
            case BaseException():
                raise result
            case _:
                raise TypeError(f"{key} returned {type(result).__name__}, neither its output nor NotYet")
        return None

    def _finish(self, execution: Execution[Services], entry: Entry, output: Output) -> None:
        run, key = execution.run, entry.key
        stage = self.pipeline.stages[key]
        if type(output) is not stage.makes:
            raise TypeError(f"{key} returned {type(output).__name__}, its signature says {stage.makes.__name__}")
        now = to_text(self.clock.now())
        row = run.stages[key]
        finished(row, output, now)
        run.outputs[key] = output
        execution.schedules.pop(key, None)
        changed: list[Record] = [row]
        done: list[EventRecord] = []
        summary = output.summary()
        if summary or self.runtime.listener is not None:  # a record costs more than the rest of this method
            done = [self._line(run, EventKind.STAGE_SUCCEEDED, key)]
        if summary:
            done[0].detail = json.dumps({"summary": summary})
            changed += done
        lines = []
        if len(run.outputs) == len(self.pipeline.stages):
            run.row.state = RunState.SUCCEEDED.value
            changed.append(self._touched(run.row))
            lines.append(self._line(run, EventKind.RUN_SUCCEEDED))
        started = self._start_ready(execution, self.pipeline.downstream[key])
        self._leave(entry, *lines, records=[*changed, *started])
        entry.told += [*done, *self._started_lines(run, started)]

    def _start_ready(self, execution: Execution[Services], keys: Iterable[str] | None = None) -> list[StageRecord]:
        """Mark pending stages whose inputs exist as running; stored in the transaction that made them ready."""
        run = execution.run
        started = []
        for key in self.pipeline.order if keys is None else keys:
            row = run.stages[key]
            if row.state == StageState.PENDING and run.is_ready(key):
                row.state = StageState.RUNNING.value
                row.attempts += 1
                row.started_at = row.started_at or to_text(self.clock.now())
                started.append(row)
        return started

    def _note_wait(self, run: Run, entry: Entry, waiting: NotYet) -> None:
        """Record a wait that is new or has a new status; a look without news costs no write."""
        row = run.stages[entry.key]
        new = row.wait != waiting.wait
        if not new and row.state == StageState.WAITING and row.status == waiting.status:
            return
        now = to_text(self.clock.now())
        row.state, row.wait, row.status = StageState.WAITING.value, waiting.wait, waiting.status
        row.wait_since = now if new else row.wait_since
        row.deadline = None if waiting.deadline is None else to_text(waiting.deadline)
        detail = {"status": waiting.status, "since": row.wait_since, "deadline": row.deadline}
        line = self._line(run, EventKind.STAGE_WAITING, entry.key, waiting.wait)
        line.detail = json.dumps(detail)
        self._leave(entry, line, records=[row])

    def _fail(self, execution: Execution[Services], error: EnvagentError, entry: Entry) -> None:
        run = execution.run
        stored = json.dumps({**dump_error(error), "stage": entry.key})
        row = run.stages[entry.key]
        if row.state != StageState.SUCCEEDED:
            row.state, row.error, row.finished_at = StageState.FAILED.value, stored, to_text(self.clock.now())
        run.row.state, run.row.error = RunState.FAILED.value, stored
        line = self._line(run, EventKind.STAGE_FAILED, entry.key, error.message)
        self._leave(entry, line, records=[self._touched(run.row), row])

    def _leave(self, entry: Entry, *lines: EventRecord, records: Sequence[Record] = ()) -> None:
        """Add records and events to what the stage left pending, for the next commit."""
        entry.context.ledger.pending += [*records, *lines]
        entry.told += lines

    def commit(self, entries: Sequence[Entry], ending: Iterable[Execution[Services]] = ()) -> dict[str, EnvagentError]:
        """Store what entries left pending in one transaction, then announce it.

        Args:
            entries: what was entered.
            ending: the runs of which nothing more is entered in this advance.

        Returns:
            By run: the error of each that somebody else has taken.
        """
        parts: dict[str, list[Record]] = {}
        for entry in entries:
            if entry.context.ledger.pending:
                parts.setdefault(entry.context.run_id, []).extend(entry.context.ledger.pending)
        lost = self._store_together(parts, ending)
        for entry in entries:
            entry.context.ledger.pending.clear()
            if entry.context.run_id not in lost:
                self.runtime.announce(*entry.told)
                entry.told.clear()
        return lost

    def _store(self, entry: Entry) -> None:
        for error in self.commit([entry]).values():
            raise error

    def interrupt(self, executions: Iterable[Execution[Services]]) -> dict[str, EnvagentError]:
        """Record in one transaction that the user has stopped runs that have not ended.

        Returns:
            By run: the error of each that somebody else has taken.
        """
        parts: dict[str, list[Record]] = {}
        lines = []
        stopped = [one for one in executions if one.run.row.state not in (RunState.SUCCEEDED, RunState.FAILED)]
        for run in (one.run for one in stopped):
            run.row.state = RunState.INTERRUPTED.value
            line = self._line(run, EventKind.RUN_INTERRUPTED)
            parts[run.run_id] = [self._touched(run.row), line]
            lines.append(line)
        lost = self._store_together(parts, stopped)
        self.runtime.announce(*(line for line in lines if line.run_id not in lost))
        return lost

    def _store_together(
        self, parts: Mapping[str, Sequence[Record]], ending: Iterable[Execution[Services]]
    ) -> dict[str, EnvagentError]:
        leave = self._leave_behind
        last = {} if leave is None else {one.run.run_id: partial(self._leave_last, leave, one) for one in ending}
        return self.runtime.store_together(parts, last) if parts or last else {}

    def _leave_last(self, leave: Leave, execution: Execution[Services], transaction: Transaction) -> None:
        leave(transaction, execution, self.progress(execution))

    def progress(self, execution: Execution[Services]) -> Progress:
        """Return what an advance of a run came to."""
        run = execution.run
        if run.row.state == RunState.SUCCEEDED:
            return Progress(Outcome.STOPPED if execution.unconfirmed else Outcome.SUCCEEDED)
        if run.row.state == RunState.FAILED:
            return Progress(Outcome.FAILED)
        if run.row.state == RunState.INTERRUPTED:
            return Progress(Outcome.STOPPED)
        pause = self.patience(execution, ())
        if pause is None:
            blocked = [one.blocked_on for one in execution.schedules.values() if one.blocked_on is not None]
            return Progress(Outcome.BLOCKED, question=blocked[0].question if blocked else None)
        watched, latest = execution.watched(self.clock.now(), self.clock.steady())
        return Progress(Outcome.WAITING, self.clock.now() + timedelta(seconds=pause), watched=watched, latest=latest)

    def _touched(self, row: RunRecord) -> RunRecord:
        row.updated_at = to_text(self.clock.now())
        return row

    def _line(self, run: Run, kind: EventKind, stage: str | None = None, message: str = "") -> EventRecord:
        return EventRecord(run_id=run.run_id, at=to_text(self.clock.now()), kind=kind, stage=stage, message=message)

    def _started_lines(self, run: Run, stages: Iterable[StageRecord]) -> list[EventRecord]:
        """Announce what the steps table records: a second copy in the event log would cost a page per commit."""
        if self.runtime.listener is None:
            return []
        return [self._line(run, EventKind.STAGE_STARTED, f"{one.step}.{one.stage}") for one in stages]
