"""The script of a plan: readable bash, which is what is carried out on the node.

A step is a function. Commands reach it as words that are quoted, a command of the repository as one of them: text of
the repository is never part of the script's own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from envagent.environment.setup_plan import VERBATIM, Command, Reason, SetupPlan, SetupStep

MOST_REASONS = 6
LONGEST_QUOTE = 100
_INCLUDED = re.compile(r"^#include (\S+)\n", re.MULTILINE)


def setup_script(plan: SetupPlan) -> str:
    """Return the script; without arguments it carries out all steps, with numbers those steps."""
    commit = f" at {plan.commit}" if plan.commit else ""
    parts = [
        "#!/usr/bin/env bash",
        *_comment(f"Sets up {plan.url}{commit} on a node with Ubuntu or Debian."),
        "# This is the whole plan: each step with its reasons. `verbatim` runs a command of the repository as it",
        "# stands there; everything else was composed by envagent.",
        *(line for note in plan.notes for line in _comment(f"Note: {note}")),
        _assigned("URL", plan.url),
        _assigned("COMMIT", plan.commit or ""),
        _assigned("NAME", plan.name),
        _assigned("FOLDER", plan.folder),
        "",
        *(f"\n{text}" for text in map("\n".join, map(_step, range(1, len(plan.steps) + 1), plan.steps))),
        "",
        "# ---- the functions that the steps use",
        prelude(),
        f'for step in "${{@:-$(seq {len(plan.steps)})}}"; do for number in $step; do',
        '    "step_$number"',
        '    if declare -F "done_$number" >/dev/null; then',
        '        "done_$number" || { says "step $number ended without what it is for"; exit 1; }',
        "    fi",
        "done; done",
    ]
    return "\n".join(parts) + "\n"


@cache
def prelude() -> str:
    """Return the functions that the steps use, with the programs and the table that some of them hold."""
    return _INCLUDED.sub(lambda line: _text(line[1]), _text("prelude.sh"))


def _text(name: str) -> str:
    return files("envagent.environment").joinpath(name).read_text("utf-8")


def _step(number: int, step: SetupStep) -> Iterator[str]:
    yield from _comment(f"{number}. {step.phase}: {step.title} (at most {step.minutes} min)")
    for reason in step.reasons[:MOST_REASONS]:
        yield from _comment(f"   {reason_text(reason)}")
    if more := len(step.reasons) - MOST_REASONS:
        yield from _comment(f"   and {more} more places") if more > 0 else ()
    yield f"step_{number}() {{"
    yield from (f"    {command_text(command)}" for command in step.commands)
    yield "}"
    if step.done is not None:
        yield f"done_{number}() {{ {command_text(step.done)}; }}"


def command_text(command: Command) -> str:
    """Return a command as the script has it."""
    if command[0] == VERBATIM:  # always in quotes, so that one sees where it begins and ends
        return f"{VERBATIM} {_quoted(command[1])}"
    return shlex.join(command)


def reason_text(reason: Reason) -> str:
    """Return a reason on one line: the place and what stands there."""
    if not reason.path:
        return reason.quote or "as is usual"
    quote = " ".join(reason.quote.split())
    shown = quote if len(quote) <= LONGEST_QUOTE else f"{quote[: LONGEST_QUOTE - 3]}..."
    return f"{reason.place}  {shown}" if shown else reason.place


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _assigned(name: str, value: str) -> str:
    return f"{name}={shlex.quote(value)}"


def _comment(text: str) -> Iterator[str]:
    """Yield a comment of one line; what a terminal or a shell could take for more is replaced."""
    yield "# " + "".join(sign if sign.isprintable() else "?" for sign in text)
