"""A toy pipeline of ten steps for the benches: four of them make something outside, as the real ones do."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, create_model

from envagent.engine.context import Context
from envagent.engine.kinds import Found, ObjectRequest
from envagent.engine.pipeline import Pipeline
from envagent.engine.step import NotYet, Output, Step, stage


class Request(BaseModel):
    url: str = "https://example.org/a/b"


class Outside:
    """A kind of resource that is made at once and never lost."""

    request = ObjectRequest

    def __init__(self, name: str) -> None:
        self.name = name

    def find(self, run_id: str | None) -> list[Found]:
        return []

    def delete(self, cloud_id: str) -> None:
        pass

    def exists(self, cloud_id: str) -> bool:
        return False


class Row(Output):
    text: str
    number: int


OUTPUTS = [create_model(f"Output{n}", __base__=Row) for n in range(10)]
CREATING = {3, 5, 6, 7}


def make_step(number: int) -> Step:
    output = OUTPUTS[number]
    kind = Outside(f"kind{number}") if number in CREATING else None

    def work(self: Step, context: Context[None], before: BaseModel) -> Output | NotYet:
        if kind is not None:
            made = context.ledger.create(
                kind,
                1,
                f"name-{context.run_id}",
                ObjectRequest(),
                lambda: Found(f"id-{context.run_id}", f"name-{context.run_id}", context.run_id, 1, {"su": 1}),
            )
            if isinstance(made, NotYet):
                return made
        return output(text="x" * 200, number=number)

    work.__annotations__ = {
        "context": Context[None],
        "before": OUTPUTS[number - 1] if number else Request,
        "return": output,
    }
    return type(f"Step{number}", (Step,), {"work": stage(work)})()  # type: ignore[no-any-return]


def chain() -> Pipeline:
    return Pipeline("chain", Request, [make_step(number) for number in range(10)])


class Before(Output):
    at: float


class Waited(Output):
    at: float


class After(Output):
    at: float


class Begin(Step):
    @stage
    def run(self, context: Context[None], request: Request) -> Before:
        return Before(at=context.now().timestamp())


class Linger(Step):
    seconds: ClassVar[float] = 2.0
    poll: ClassVar[float] = 0.25

    @stage
    def run(self, context: Context[None], before: Before) -> Waited | NotYet:
        now = context.now()
        if now.timestamp() >= before.at + self.seconds:
            return Waited(at=now.timestamp())
        return NotYet("the outside", now + timedelta(seconds=self.poll), status="BUILD")


class End(Step):
    @stage
    def run(self, context: Context[None], waited: Waited) -> After:
        return After(at=context.now().timestamp())


def waiting() -> Pipeline:
    return Pipeline("waiting", Request, [Begin(), Linger(), End()])
