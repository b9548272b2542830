"""The environment of child processes: composed, never inherited whole.

Each child names the variables that it needs on top of those of every program; it gets no others: no credentials, and
nothing that makes a program load code or run another one (LD_PRELOAD, GIT_*, SSH_ASKPASS).
"""

from __future__ import annotations

import os

BASICS = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT")


def environment(*further: str, **own: str) -> dict[str, str]:
    """Compose a child's environment.

    Args:
        further: names of the user's variables that this child needs on top of BASICS.
        own: variables to set; they take precedence.
    """
    return {name: os.environ[name] for name in (*BASICS, *further) if name in os.environ} | own
