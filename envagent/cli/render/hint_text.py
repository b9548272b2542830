"""Hints as a person reads and pastes them: the real run id, the options as they are spelled, everything quoted."""

from __future__ import annotations

import shlex

from envagent.hints import THIS_RUN, Command, Hint, Option, Part, Placeholder, Shell, Value

CLOSES = tuple(",;.:)")
"""What follows the part before it without a space."""


def hint_text(hint: Hint, run_id: str | None = None, *, again: str = "", removing: bool = False) -> str:
    """Return a hint as one line.

    Args:
        hint: what to do.
        run_id: the run that it is about; None where there is none (yet).
        again: what stands for a command on a run where there is none: the command that is being carried out.
        removing: whether the run is being torn down: then it is never resumed.
    """
    line = ""
    for part in hint.parts:
        shown = _shown(part, run_id, again, removing=removing)
        line += shown if not line or shown.startswith(CLOSES) or line.endswith("(") else f" {shown}"
    return line


def command_text(command: Command, run_id: str = "") -> str:
    """Return a command as it can be pasted."""
    return hint_text(Hint(command), run_id)


def _shown(part: Part, run_id: str | None, again: str, *, removing: bool) -> str:
    match part:
        case str():
            return part
        case Placeholder():
            return run_id or "RUN_ID"
        case Option():
            return shlex.join(_option(part.name, part.value or True))
        case Shell():
            return shlex.join(part.argv)
        case Command():
            if THIS_RUN in part.arguments and run_id is None:
                return again or "repeat the command"
            return _command(part, run_id or "", removing=removing)


def _command(command: Command, run_id: str, *, removing: bool) -> str:
    if removing and command.name == "resume":
        command = Command("teardown", command.arguments)
    words = ["envagent", command.name, *(run_id if one is THIS_RUN else str(one) for one in command.arguments)]
    for name, value in command.options:
        words += _option(name, value)
    return shlex.join(words)


def _option(name: str, value: Value) -> list[str]:
    flag = f"--{name.rstrip('_').replace('_', '-')}"  # from_: a word of Python's
    if value is True:
        return [flag]
    return [flag, f"{value:g}" if isinstance(value, float) else str(value)]
