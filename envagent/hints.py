"""What to do next, as data: words, commands of envagent, its options, and commands of other programs.

Whoever raises an error says what helps; only the command line knows how its commands are spelled and which run is
meant, and renders a hint (`envagent.cli`). A hint is stored in the journal as its parts.

    Hint("wait, then:", resume())                        wait, then: envagent resume 4f2c
    Hint("choose another", Option("node_type"))          choose another --node-type
    Hint("look for damage:", Shell("git", "-C", path, "fsck"))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

Value: TypeAlias = str | float | bool


class Placeholder(Enum):
    """What only the command line can fill in."""

    THIS_RUN = "this_run"
    """The id of the run that the error belongs to."""


THIS_RUN = Placeholder.THIS_RUN


@dataclass(frozen=True, slots=True)
class Command:
    """A command of envagent.

    Attributes:
        name: its name, such as `resume`.
        arguments: its positional arguments; THIS_RUN stands for the run's id.
        options: parameter names, such as `max_su`, with their values; True for a switch.
    """

    name: str
    arguments: tuple[str | Placeholder, ...] = ()
    options: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """An option of `envagent run` (or of another command), named by its parameter, such as `node_type`."""

    name: str
    value: str = ""


@dataclass(frozen=True, slots=True, init=False)
class Shell:
    """A command of another program, by its arguments; they are quoted when it is shown."""

    argv: tuple[str, ...]

    def __init__(self, *argv: str) -> None:
        object.__setattr__(self, "argv", argv)


Part: TypeAlias = str | Placeholder | Command | Option | Shell


@dataclass(frozen=True, slots=True, init=False)
class Hint:
    """The next thing to do: parts that are shown one after the other, with spaces between them."""

    parts: tuple[Part, ...]

    def __init__(self, *parts: Part | Hint) -> None:
        flat = [one for part in parts for one in (part.parts if isinstance(part, Hint) else (part,))]
        object.__setattr__(self, "parts", tuple(flat))

    @classmethod
    def parse(cls, text: str) -> Hint:
        """Read a hint that an earlier version stored as text, with RUN_ID in place of the run's id."""
        return cls(*_interleaved(text.split("RUN_ID")))

    @classmethod
    def load(cls, stored: str | Sequence[Any] | None) -> Hint | None:
        """Read what `dump` made, or the text of an earlier version."""
        if stored is None:
            return None
        return cls.parse(stored) if isinstance(stored, str) else cls(*map(_load, stored))

    def dump(self) -> list[Any]:
        """Return JSON values to store."""
        return [_dump(part) for part in self.parts]


def resume(**options: Value) -> Command:
    """Return the command that continues this run."""
    return Command("resume", (THIS_RUN,), tuple(options.items()))


def teardown(**options: Value) -> Command:
    """Return the command that removes what this run made."""
    return Command("teardown", (THIS_RUN,), tuple(options.items()))


def status(**options: Value) -> Command:
    """Return the command that shows this run."""
    return Command("status", (THIS_RUN,), tuple(options.items()))


def command(name: str, *arguments: str, **options: Value) -> Command:
    """Return a command that is not about this run."""
    return Command(name, arguments, tuple(options.items()))


def _interleaved(texts: Sequence[str]) -> Iterator[Part]:
    for number, text in enumerate(texts):
        if number:
            yield THIS_RUN
        if text.strip():
            yield text.strip()


def _dump(part: Part) -> Any:
    match part:
        case str():
            return part
        case Placeholder():
            return {"placeholder": part.value}
        case Command():
            arguments = [_dump(one) for one in part.arguments]
            return {"command": part.name, "arguments": arguments, "options": dict(part.options)}
        case Option():
            return {"option": part.name, "value": part.value}
        case Shell():
            return {"shell": list(part.argv)}


def _load(stored: Any) -> Part:
    match stored:
        case {"placeholder": str(value)}:
            return Placeholder(value)
        case {"command": str(name), "arguments": list(arguments), "options": dict(options)}:
            filled = tuple(one if isinstance(one, str) else Placeholder(one["placeholder"]) for one in arguments)
            return Command(name, filled, tuple(options.items()))
        case {"option": str(name), "value": str(value)}:
            return Option(name, value)
        case {"shell": list(argv)}:
            return Shell(*argv)
        case _:
            return str(stored)
