"""A toy world for the engine's tests: a clock that tests move, and an outside where things are made and lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from envagent.engine.context import Context
from envagent.engine.execution import Outcome
from envagent.engine.journal import Journal
from envagent.engine.kinds import Found, ObjectRequest
from envagent.engine.loop import run_until_idle
from envagent.engine.pipeline import Pipeline
from envagent.engine.runner import Runner
from envagent.engine.runtime import Runtime
from envagent.engine.step import NotYet, Output, RetryPolicy, Step, stage
from envagent.errors import OutcomeUnknown


class Killed(BaseException):
    """The process is gone: nothing after this line happens."""


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self.set_back_by = timedelta()

    def set_back(self, by: timedelta) -> None:
        """Somebody sets the wall clock; the steady one goes on."""
        self.at -= by
        self.set_back_by += by

    def steady(self) -> float:
        return (self.at + self.set_back_by).timestamp()

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        self.at += timedelta(seconds=max(seconds, 0.0))


class ThingRequest(ObjectRequest):
    words: int = 0


class Outside:
    """Objects of one kind in the outside world, and what goes wrong with the next calls."""

    name = "thing"
    request: ClassVar[type[ThingRequest]] = ThingRequest

    def __init__(self) -> None:
        self.objects: dict[str, Found] = {}
        self.creates = 0
        self.deletes = 0
        self.looks = 0
        self.next_create: list[Callable[[Callable[[], Found]], Found]] = []
        self.deaf = False
        """Deletes are answered and not done."""

    def make(self, run_id: str, number: int) -> Found:
        self.creates += 1

        def commit() -> Found:
            found = Found(
                f"id-{self.creates}-{len(self.objects)}", f"thing-{run_id}-{number}", run_id, number, {"su": 1}
            )
            self.objects[found.id] = found
            return found

        return self.next_create.pop(0)(commit) if self.next_create else commit()

    def find(self, run_id: str | None) -> list[Found]:
        self.looks += 1
        return [one for one in self.objects.values() if run_id in (None, one.run_id)]

    def delete(self, cloud_id: str) -> None:
        self.deletes += 1
        if not self.deaf:
            self.objects.pop(cloud_id, None)

    def exists(self, cloud_id: str) -> bool:
        return cloud_id in self.objects


def lost_answer(commit: Callable[[], Found]) -> Found:
    commit()
    raise OutcomeUnknown("the answer was lost")


def lost_request(commit: Callable[[], Found]) -> Found:
    raise OutcomeUnknown("the request was lost")


def killed_before(commit: Callable[[], Found]) -> Found:
    raise Killed


def killed_after(commit: Callable[[], Found]) -> Found:
    commit()
    raise Killed


class Request(BaseModel):
    text: str = "hello"


class Thought(Output):
    words: int


class Thing(Output):
    id: str

    def summary(self) -> str:
        return f"thing {self.id}"


class Report(Output):
    text: str


class Services:
    def __init__(self) -> None:
        self.outside = Outside()
        self.entered: list[str] = []
        self.think: Callable[[Context[Any]], Thought | NotYet] | None = None


LIMIT = timedelta(seconds=120)
"""The client's time limit."""


class Late:
    """A request whose answer is waited for and given up, and which comes true later."""

    def __init__(
        self, services: Services, clock: TestClock, *, late: timedelta, killed: bool = False, limit: timedelta = LIMIT
    ) -> None:
        self.clock = clock
        self.late = late
        self.limit = limit
        self.killed = killed
        self.due: Callable[[], Found] | None = None
        self.outside = services.outside
        self.find = services.outside.find
        services.outside.find = self.find_late  # type: ignore[method-assign]

    def __call__(self, commit: Callable[[], Found]) -> Found:
        self.clock.at += self.limit
        self.gave_up, self.due = self.clock.steady(), commit
        raise Killed if self.killed else OutcomeUnknown("no answer within the time limit")

    def find_late(self, run_id: str | None) -> list[Found]:
        if self.due is not None and self.clock.steady() - self.gave_up >= self.late.total_seconds():
            self.due()
            self.due = None
        return self.find(run_id)


class Think(Step):
    @stage
    def think(self, context: Context[Services], request: Request) -> Thought | NotYet:
        context.services.entered.append("think")
        if context.services.think is not None:
            return context.services.think(context)
        return Thought(words=len(request.text.split()))


class MakeThing(Step):
    @stage
    def make(self, context: Context[Services], thought: Thought) -> Thing | NotYet:
        context.services.entered.append("make")
        outside = context.services.outside
        name = f"thing-{context.run_id}"
        found = context.ledger.create(
            outside, 1, name, ThingRequest(words=thought.words), lambda: outside.make(context.run_id, 1)
        )
        return found if isinstance(found, NotYet) else Thing(id=found.id)


class Tell(Step):
    @stage
    def tell(self, context: Context[Services], thing: Thing, thought: Thought) -> Report:
        context.services.entered.append("tell")
        return Report(text=f"{thing.id} {thought.words}")


TOY = Pipeline("toy", Request, [Think(), MakeThing(), Tell()])
SETTLE = timedelta(seconds=60)


class Process:
    """One process working on a journal: a kill leaves only what is on disk and outside."""

    def __init__(self, place: Path | str, services: Services, clock: TestClock, pipeline: Pipeline = TOY) -> None:
        self.journal = Journal.open(place)
        self.stop = threading.Event()
        self.events: list[str] = []
        self.services = services
        self.runtime = Runtime(
            self.journal,
            clock,
            settle=SETTLE,
            listener=lambda line: self.events.append(line.kind),
            stop=self.stop,
        )
        self.runner: Runner[Services] = Runner(
            pipeline,
            self.runtime,
            retry=RetryPolicy(tries=3, first=1, longest=4),
        )

    def close(self) -> None:
        self.runner.close()
        self.journal.close()


Start = Callable[..., Process]


def run(one: Process, services: Services) -> Outcome:
    return run_until_idle(one.runner, [one.runner.begin(Request(), services)])[0].checked().outcome


def resume(one: Process, services: Services) -> Outcome:
    return run_until_idle(one.runner, [one.runner.resume(one.journal.run("last"), services)])[0].checked().outcome
