"""Questions to a person: asked on the terminal, answered with y, and a stop request is an answer too."""

from __future__ import annotations

import select
import sys
import threading

from envagent.cli.terminal import Terminal, answerable
from envagent.errors import UsageError

DECLINED = 130
"""The exit code when the user says no: as if the command had been stopped by Ctrl-C."""

LOOK_SECONDS = 0.1


def can_ask() -> bool:
    """Tell whether somebody is there to answer: stdin and stderr are terminals."""
    return answerable(sys.stdin, sys.stderr)


def agreed(terminal: Terminal, question: str, stop: threading.Event) -> bool:
    """Ask; anything but yes, a closed input and a stop request mean no."""
    terminal.prompt(f"{question} [y/N] ")
    while not stop.is_set():
        readable, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
        if readable:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
    return False


def removal_agreed(terminal: Terminal, question: str, stop: threading.Event, *, command: str) -> bool:
    """Ask before a removal; a no is told.

    Args:
        terminal: where to ask.
        question: what is to be removed.
        stop: set by a stop request.
        command: the command that asks, as it can be pasted.

    Raises:
        UsageError: nobody is there to answer.
    """
    if not can_ask():
        raise UsageError(
            "teardown asks before it removes anything, and nobody is there to answer", hint=f"{command} --yes"
        )
    if agreed(terminal, question, stop):
        return True
    terminal.line("declined: nothing was removed")
    return False
