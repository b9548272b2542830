"""Runs that one thread advances together: they share their syncs, and none waits for another's slow stage.

Whatever has finished by the time of a commit is recorded in it; only then does what depends on it start. A stage's
intents do not wait for that: its ledger writes them at once, before their request goes out.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from envagent.engine.execution import SLACK, Entry, Execution, Outcome, Progress
from envagent.engine.tables import RunState
from envagent.errors import EnvagentError, JournalError

if TYPE_CHECKING:
    from envagent.engine.runner import Runner

Services = TypeVar("Services")

THREADS = 12
"""How many stages of a process work at a time."""

TOGETHER = 0.005
"""Seconds within which looks are due together, and for which a commit waits for stages that are about to finish."""


Result: TypeAlias = "Entry | Progress | BaseException | None"
"""An entered stage, or what a look at the finished steps came to."""


@dataclass(slots=True, eq=False)
class Member(Generic[Services]):
    """A run of a group.

    Attributes:
        failed: it begins nothing more.
        error: why this process gives it up.
        ended: what it came to.
    """

    execution: Execution[Services]
    under_way: set[str] = field(default_factory=set)
    confirming: bool = False
    wake: float | None = None
    failed: bool = False
    error: EnvagentError | None = None
    ended: Progress | None = None


@dataclass(slots=True)
class Slot:
    """The runs whose looks are due together, when the last of them is."""

    until: float
    members: list[tuple[float, Member[Any]]] = field(default_factory=list)


class Group(Generic[Services]):
    """Advances runs together, once.

    Args:
        runner: whose runs these are.
        executions: the runs.
        keeps_clock: go on until each has ended or is blocked; otherwise until all that remain must wait.
    """

    def __init__(self, runner: Runner[Services], executions: Sequence[Execution[Services]], *, keeps_clock: bool):
        self._runner = runner
        self._clock = runner.clock
        self._stop = runner.stop
        self._keeps_clock = keeps_clock
        self._members = [Member(execution) for execution in executions]
        self._finished: SimpleQueue[tuple[Member[Any], Result]] = SimpleQueue()
        self._working = 0
        """How many stages (and looks at finished steps) are under way."""
        self._slots: dict[int, Slot] = {}
        self._order: list[int] = []
        """The slots' numbers, as a heap."""

    def run(self) -> list[Progress]:
        """Advance the runs; return what each came to, in the order given.

        Raises:
            JournalError: a result cannot be recorded; no further stage is entered.
        """
        ready: Iterable[Member[Any]] = self._members
        while True:
            interrupted = [member for member in ready if member.ended is None and self._go_on(member)]
            if interrupted:
                self._interrupt(interrupted)
            if not self._working and not (self._keeps_clock and self._order):
                break
            ready = [*self._record(self._wait()), *self._woken()]
        if self._stop.is_set():
            self._interrupt([member for member in self._members if member.ended is None])
        return [member.ended or self._runner.progress(member.execution) for member in self._members]

    def _go_on(self, member: Member[Any]) -> bool:
        """Enter what is due of a run, and note when to look again; return whether it has stopped on request."""
        runner, execution, stopping = self._runner, member.execution, self._stop.is_set()
        if member.confirming:
            return False
        over = member.failed or execution.run.row.state == RunState.SUCCEEDED
        if execution.unconfirmed and not member.failed and not stopping:
            member.confirming = True
            self._work(lambda: self._confirm(member), alone=True)
            return False
        if not over and not stopping:
            due = [key for key in runner.due(execution) if key not in member.under_way]
            alone = len(due) == 1 and not member.under_way
            for key in due:
                member.under_way.add(key)
                entry = runner.entry(execution, key)
                self._work(lambda entry=entry: self._finished.put((member, runner.enter(entry))), alone=alone)  # type: ignore[misc]
            pause = runner.patience(execution, member.under_way)
            if pause is not None:
                self._sleep(member, self._clock.steady() + pause)
                return False
        if member.under_way:
            return False
        if stopping and not over:
            return True
        member.ended = self._ended(member)
        return False

    def _ended(self, member: Member[Any]) -> Progress:
        if member.error is not None:
            return Progress(Outcome.STOPPED, error=member.error)
        return self._runner.progress(member.execution)

    def _work(self, work: Callable[[], None], *, alone: bool) -> None:
        self._working += 1
        if alone and len(self._members) == 1:  # no thread needed
            work()
        else:
            self._runner.pool.submit(work)

    def _confirm(self, member: Member[Any]) -> None:
        try:
            answer: Progress | BaseException | None = self._runner.confirm(member.execution)
        except BaseException as error:  # handled by the recording thread
            answer = error
        self._finished.put((member, answer))

    def _sleep(self, member: Member[Any], until: float) -> None:
        member.wake = until
        number = int(until / TOGETHER)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = Slot(until)
            heapq.heappush(self._order, number)
        slot.until = max(slot.until, until)
        slot.members.append((until, member))

    def _wait(self) -> list[tuple[Member[Any], Result]]:
        """Wait until stages finish or runs are due; return what has finished."""
        pause = max(0.0, self._slots[self._order[0]].until - self._clock.steady()) if self._order else None
        if not self._working:
            self._clock.sleep(pause or 0.0, self._stop)
            return []
        found: list[tuple[Member[Any], Result]] = []
        end = None
        while len(found) < self._working:
            try:
                if not found:
                    found.append(self._finished.get(timeout=pause))
                    end = time.monotonic() + TOGETHER
                elif self._working - len(found) > THREADS and end is not None:  # others are about to finish
                    found.append(self._finished.get(timeout=max(0.0, end - time.monotonic())))
                else:
                    found.append(self._finished.get_nowait())
            except Empty:
                break
        return found

    def _woken(self) -> list[Member[Any]]:
        """Return the runs that are due; all that wait, once the user asked to stop."""
        now = self._clock.steady() + SLACK
        stopping = self._stop.is_set()
        woken = []
        while self._order and (stopping or self._slots[self._order[0]].until <= now):
            slot = self._slots.pop(heapq.heappop(self._order))
            woken += [member for due, member in slot.members if member.wake == due]
        for member in woken:
            member.wake, member.confirming = None, False
        return woken

    def _record(self, found: Sequence[tuple[Member[Any], Result]]) -> list[Member[Any]]:
        """Store what has finished in one transaction; return its runs.

        A run that somebody else has taken is left out and given up: it does not hinder the others.
        """
        entries = []
        for member, result in found:
            self._working -= 1
            if isinstance(result, Entry):
                member.under_way.remove(result.key)
                if member.error is None:
                    entries.append(result)
                    member.failed = self._runner.record(member.execution, result) is not None or member.failed
            else:
                self._confirmed(member, result)
        members = list(dict.fromkeys(member for member, _ in found))
        ending = [] if self._keeps_clock else [member.execution for member in members if self._is_ending(member)]
        lost = self._runner.commit(entries, ending)
        if lost:
            self._give_up(members, lost)
        return members

    def _is_ending(self, member: Member[Any]) -> bool:
        """Return whether nothing more of a run is entered in this advance, with what is about to be recorded."""
        execution = member.execution
        if member.error is not None or member.ended is not None or member.under_way or member.confirming:
            return False
        if member.failed or execution.run.row.state == RunState.SUCCEEDED:
            return True
        return not execution.unconfirmed and not self._runner.due(execution)

    def _confirmed(self, member: Member[Any], answer: Progress | BaseException | None) -> None:
        """Go on with a run whose finished steps were looked at, look again later, or end it."""
        member.confirming = False
        if isinstance(answer, EnvagentError) and not isinstance(answer, JournalError):
            member.ended = Progress(Outcome.STOPPED, error=answer)
        elif isinstance(answer, BaseException):
            raise answer
        elif answer is not None and answer.look_again is not None and self._keeps_clock:
            pause = (answer.look_again - self._clock.now()).total_seconds()
            self._sleep(member, self._clock.steady() + pause)
            member.confirming = True  # until then
        elif answer is not None and answer.outcome is not Outcome.STOPPED:  # that is recorded with the others
            member.ended = answer

    def _interrupt(self, members: Sequence[Member[Any]]) -> None:
        lost = self._runner.interrupt([member.execution for member in members])
        self._give_up(members, lost)
        for member in members:
            member.ended = self._ended(member)

    def _give_up(self, members: Iterable[Member[Any]], lost: dict[str, EnvagentError]) -> None:
        for member in members:
            member.error = lost.get(member.execution.run.run_id, member.error)
            member.failed = member.failed or member.error is not None
