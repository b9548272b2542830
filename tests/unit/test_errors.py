"""The tree of errors in the docstring of errors.py is that of its classes: documents point to it for exit codes."""

from __future__ import annotations

import re

from envagent import errors
from envagent.errors import EnvagentError


def drawn() -> dict[str, tuple[str, int]]:
    """Read each class's parent and exit code from the docstring."""
    found: dict[str, tuple[str, int]] = {}
    above: list[tuple[int, str]] = [(-1, "")]
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^([ │├└─]*)([A-Z]\w+) +(\d+)\b", line):
            depth = len(match[1])
            while above[-1][0] >= depth:
                above.pop()
            found[match[2]] = (above[-1][1], int(match[3]))
            above.append((depth, match[2]))
    return found


def defined(root: type[EnvagentError], parent: str = "") -> dict[str, tuple[str, int]]:
    """List the classes of the module likewise."""
    found = {root.__name__: (parent, root.exit_code)} if root.__module__ == errors.__name__ else {}
    for one in root.__subclasses__():
        found |= defined(one, root.__name__)
    return found


def test_the_tree_of_errors_is_drawn_completely() -> None:
    assert drawn() == defined(EnvagentError)


def test_no_code_is_taken_by_a_signal_or_a_shell() -> None:
    assert all(0 < code < 126 and code != 3 for _, code in drawn().values())
