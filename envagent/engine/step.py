"""Steps: groups of stages with typed signatures.

A stage is a method that takes upstream outputs, named by type in its signature, and returns one output, or `NotYet`
if it must wait. The stage is the unit of checkpoint: once its output is in the journal, its method is never entered
again. A stage must be safe to enter again after a crash at any line; it creates objects in the cloud only through
`context.ledger.create`.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

Method = TypeVar("Method", bound=Callable[..., Any])


class DefinitionError(TypeError):
    """A step or pipeline is declared incorrectly; a programming error, raised on import."""


class Stopped(Exception):
    """The user asked to stop, and what was about to be sent was not; not an error."""


class Described(BaseModel):
    """A request of a pipeline that says how its runs are found and listed."""

    @property
    def subject(self) -> str:
        """Return what the run is about, in one spelling."""
        raise NotImplementedError

    @property
    def labels(self) -> dict[str, str | None]:
        """Return what lists show of the run from its start."""
        raise NotImplementedError


class Output(BaseModel):
    """What stages pass on and the journal stores: immutable, strict about its fields, with a version.

    Increase `version` when a stored output of the old shape must not be read as the new one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: ClassVar[int] = 1

    def summary(self) -> str:
        """Return one short line that says what the stage came to, or "" for nothing worth a line.

        It is stored when the stage finishes (see `loaded_run.stored_summaries`), so that a screen needs no fields.
        """
        return ""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody has to approve, and the amount that the approval covers."""

    text: str
    amount: float


FIRST_LOOK = timedelta(seconds=0.5)

LOOKS_PER_WAIT = 0.05
"""A wait is checked again after this share of the time that it has taken so far, so that little is lost when it ends: a
lease starts some 13 seconds after its creation, and its server is created within the next."""

LONGEST_WITHOUT_A_LOOK = timedelta(minutes=5)
"""How long nobody looks before a wait's beginning."""


def pause_after(begins: datetime, now: datetime, every: timedelta) -> timedelta:
    """Return the time between two looks at what is waited for: short at first, at most `every`.

    Args:
        begins: when the wait began, or a later time before which nothing can happen.
        now: the time of the last look.
        every: the longest pause, apart from the time until `begins`.
    """
    pause = min(every, max((now - begins) * LOOKS_PER_WAIT, min(FIRST_LOOK, every)))
    return pause if begins <= now else max(pause, min(begins - now, LONGEST_WITHOUT_A_LOOK))


@dataclass(frozen=True, slots=True)
class Watched:
    """An object in the cloud on whose next change a wait depends, so that one listing can serve many runs.

    Attributes:
        kind: the kind of object.
        cloud_id: its id.
        shown: what it looks like now, in the words in which a listing would show it.
        begins: when the wait began, or a later time before which nothing can happen.
        every: the longest pause between two looks.
    """

    kind: str
    cloud_id: str
    shown: str
    begins: datetime
    every: timedelta


@dataclass(frozen=True, slots=True)
class NotYet:
    """What a stage returns when it must wait, instead of sleeping.

    Attributes:
        wait: what is waited for, such as "the lease to start"; a new name starts a new deadline.
        look_again: when to enter the stage again; None until somebody acts (approval).
        deadline: when the stage gives up, if ever; shown to the user, enforced by the stage.
        status: the last status seen, verbatim.
        question: what to ask if somebody has to act.
        watched: what to look at, where nothing else can end the wait before its deadline.
    """

    wait: str
    look_again: datetime | None
    deadline: datetime | None = None
    status: str = ""
    question: Question | None = None
    watched: Watched | None = None


@dataclass(frozen=True, slots=True)
class Redo:
    """What `Step.confirm` returns if a finished stage must be entered again, with all that depends on it.

    Attributes:
        stage: the stage's name within its step.
        why: what was found and what is done about it, for the user.
    """

    stage: str
    why: str


@dataclass(frozen=True, slots=True)
class GoBack:
    """What a stage returns if an output that it reads serves no longer: the stage that made it is entered again.

    So are all that depend on it, this one among them, which keeps the number of its attempt.

    Attributes:
        made: the output's model.
        why: what was found and what is done about it, for the user.
    """

    made: type[Output]
    why: str


def stage(method: Method) -> Method:
    """Mark a method of a Step as a stage."""
    method.__stage__ = True  # type: ignore[attr-defined]
    return method


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as the DAG sees it: its names, its inputs and its output."""

    step: str
    name: str
    reads: dict[str, type[BaseModel]]
    """Parameter name to the model that it takes."""
    makes: type[Output]
    enter: Callable[..., Output | NotYet | GoBack]

    @property
    def key(self) -> str:
        """The stage's full name, such as `reserve_hardware.reserve`."""
        return f"{self.step}.{self.name}"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a stage is entered again after an error that may pass.

    Attributes:
        tries: how often in a row before the run fails (it stays resumable).
        first: the first pause in seconds; it doubles.
        longest: the longest pause in seconds; a service's Retry-After is honored up to ten times this.
    """

    tries: int = 8
    first: float = 1.0
    longest: float = 30.0

    def pause(self, failed: int, asked: float | None) -> float:
        """Return the seconds to wait after the n-th failure in a row."""
        own = min(self.longest, self.first * 2.0 ** (failed - 1))
        return own if asked is None else min(max(own, asked), 10 * self.longest)


class Step:
    """A named group of stages, one of a pipeline's rows for the user.

    Subclasses mark their stages with @stage, in order. The step's name is the class name in snake case; its
    output is the last stage's. Its docstring says what it reads and creates, how that is tagged and how it is undone.
    """

    name: ClassVar[str]
    stages: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.stages = tuple(name for name, value in vars(cls).items() if hasattr(value, "__stage__"))
        if not cls.stages:
            raise DefinitionError(f"{cls.__name__} has no @stage")

    retry: ClassVar[RetryPolicy | None] = None
    """How the step's stages are retried, where the runner's policy does not suit them."""

    derived: ClassVar[bool] = False
    """Whether the step only records what others made: it is entered again when one of them is corrected."""

    def confirm(self, context: Any, output: Any) -> Output | Redo | NotYet | None:
        """Check, when a run is resumed after this step, whether its output is still true.

        Called for each finished step in the pipeline's order, before any stage is entered. It only reads.

        Returns:
            None if it is; the corrected output; what to do again; NotYet to be called again later.

        Raises:
            EnvagentError: what the run depends on has changed.
        """
        return None

    def describe(self) -> list[Stage]:
        """Read the stages' signatures.

        Raises:
            DefinitionError: a parameter or return value that is not a pydantic model.
        """
        return [self._describe(name) for name in self.stages]

    def _describe(self, name: str) -> Stage:
        method = getattr(self, name)
        where = f"{type(self).__name__}.{name}"
        hints = typing.get_type_hints(method)
        makes = _output_of(hints.pop("return", None), where)
        parameters = list(inspect.signature(method).parameters)
        if not parameters or parameters[0] != "context":
            raise DefinitionError(f"{where}: the first parameter must be `context`")
        reads = {}
        for parameter in parameters[1:]:
            model = hints.get(parameter)
            if not (isinstance(model, type) and issubclass(model, BaseModel)):
                raise DefinitionError(f"{where}: parameter `{parameter}` needs a pydantic model as its type")
            reads[parameter] = model
        return Stage(self.name, name, reads, makes, method)


def _output_of(annotation: Any, where: str) -> type[Output]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    others = (NotYet, GoBack)
    candidates = [one for one in (typing.get_args(annotation) if union else (annotation,)) if one not in others]
    match candidates:
        case [type() as model] if issubclass(model, Output):
            return model
    raise DefinitionError(f"{where}: must return one Output, NotYet or GoBack")
