"""The plan of a set-up as data: its steps in order, each with its commands, its reasons and how one sees its end."""

from __future__ import annotations

import hashlib
import shlex
from typing import Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, field_validator

Phase = Literal["system", "toolchain", "environment", "dependencies", "build", "proof"]
PHASES: tuple[Phase, ...] = get_args(Phase)

Belief = Literal["machine file", "manifest", "readme", "convention"]
"""How much a source is believed: written for machines, a manifest or lock file, a readme, or only what is usual."""
BELIEFS: tuple[Belief, ...] = get_args(Belief)

VERBATIM = "verbatim"
"""The function of the script that runs a command of the repository, as it stands there, in a shell of its own."""


def is_sound(text: str) -> bool:
    """Return whether a terminal shows a text as it is: without control characters, and nothing that reorders it."""
    return all(sign.isprintable() or sign in "\n\t" for sign in text)


class Value(BaseModel):
    """An immutable value, strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Value):
    """Why a step is there: a place in the repository (untrusted text), or with no path what is usual."""

    belief: Belief
    path: str = ""
    line: int | None = None
    quote: str = ""

    @property
    def place(self) -> str:
        """The file and the line, such as `.github/workflows/ci.yml:31`.

        >>> Reason(belief="manifest", path="Cargo.toml", line=1).place
        'Cargo.toml:1'
        """
        return self.path if self.line is None else f"{self.path}:{self.line}"


Command: TypeAlias = tuple[str, ...]
"""A program or a function of the script, with its arguments: quoted as they are, never pasted into a shell's text."""


class SetupStep(Value):
    """One step: a checkpoint of the set-up, carried out as one job on the node."""

    name: str
    """A few words with dashes, unique in the plan, such as `python-packages`."""
    phase: Phase
    title: str
    commands: tuple[Command, ...]
    done: Command | None = None
    """Succeeds once the step is done; None where its commands say so themselves."""
    reasons: tuple[Reason, ...] = ()
    minutes: int = 30
    """After how long it is stopped."""
    proves: str = ""
    """What its success shows (in the phase `proof`)."""
    decides: bool = True
    """Whether the set-up fails with it; a weaker or a stronger proof than the chosen one only reports."""

    @field_validator("commands", "done")
    @classmethod
    def _shown_as_they_are(cls, given: Any) -> Any:
        """Refuse what would look different on a terminal."""
        if not is_sound(str(given)):
            raise ValueError("a command has characters that cannot be shown")
        return given

    @property
    def from_repository(self) -> bool:
        """Whether it runs commands of the repository as they stand there."""
        return any(command[0] == VERBATIM for command in self.commands)

    @property
    def digest(self) -> str:
        """A checksum of what is carried out."""
        text = "\n".join(shlex.join(one) for one in (*self.commands, self.done or ()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class SetupPlan(Value):
    """Everything that is done on a node so that one commit of a repository runs there."""

    url: str
    commit: str | None
    name: str
    """The folder in the user's home on the node that the repository is cloned to."""
    folder: str = ""
    """The folder within the repository that is set up; empty for its top."""
    ecosystem: str = ""
    """What is set up, such as `Python`; empty where no file says how."""
    steps: tuple[SetupStep, ...]
    notes: tuple[str, ...] = ()
    """What is not set up, and why."""

    def of_phase(self, phase: Phase) -> tuple[tuple[int, SetupStep], ...]:
        """Return the steps of a phase with their numbers, counted from 1 over the whole plan."""
        return tuple((number, step) for number, step in enumerate(self.steps, 1) if step.phase == phase)
