"""The environment of child processes: composed, never inherited whole.

Each child names the variables that it needs on top of those of every program; it gets no others: no credentials, and
nothing that makes a program load code or run another one (LD_PRELOAD, GIT_*, SSH_ASKPASS).
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from typing import NoReturn

BASICS = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT")


def environment(*further: str, **own: str) -> dict[str, str]:
    """Compose a child's environment.

    Args:
        further: names of the user's variables that this child needs on top of BASICS.
        own: variables to set; they take precedence.
    """
    return {name: os.environ[name] for name in (*BASICS, *further) if name in os.environ} | own


def run(command: Sequence[str], seconds: float, *variables: str) -> subprocess.CompletedProcess[bytes] | None:
    """Run a program without input, whatever its exit code; None if it took longer than `seconds`.

    Args:
        command: the program and its arguments.
        seconds: when to kill it.
        variables: names of the user's variables that it needs on top of BASICS.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=environment(*variables),
        )
    except subprocess.TimeoutExpired:
        return None


def become(command: Sequence[str], *variables: str) -> NoReturn:
    """Replace this process by a program, whose signals, terminal and exit code are then the user's own.

    Args:
        command: the program and its arguments.
        variables: names of the user's variables that it needs on top of BASICS.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the interpreter ignores it, and the program would inherit that
    os.execvpe(command[0], list(command), environment(*variables))  # noqa: S606
