"""pip's requirements files, with options and environment markers.

Owns: their line syntax. Must not: read comments as evidence, since pip ignores them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from envagent.repository.facts import Facts, Scope, Spot, quote
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, add_index, add_pip
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.targets import FRAMEWORKS, shared

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION_TAIL = re.compile(r"\s--(hash|install-option|global-option|config-settings)\b.*$")
_INDEX = re.compile(r"(?:--extra-index-url|--index-url|--find-links|-i|-f)[ =]\s*(\S+)")
_CONSTRAINTS = re.compile(r"(^|/)[^/]*constraint[^/]*$", re.IGNORECASE)
_MAX_LINE = 1000


def read(path: str, text: str, facts: Facts) -> None:
    """Read packages, and wheel indexes for one kind of processor."""
    scope = scope_of(path)
    # Constraints install nothing; `references` reads them, when it is known what they apply to.
    if scope is not None and not _CONSTRAINTS.search(path):
        read_lines(logical_lines(text), scope, path, facts)


def read_lines(lines: Iterable[tuple[int | None, str]], scope: Scope, path: str, facts: Facts) -> None:
    """Read numbered lines of a requirements file, or of a list that takes the same lines."""
    kept = list(lines)[: 5 * MOST_OF_A_FILE]
    # An index provides the frameworks' builds, unless another one provides others.
    target = shared(
        [
            add_index(facts, found[1], scope, Spot(path, number, quote(line)))
            for number, line in kept
            if line.startswith("-") and (found := _INDEX.match(line))
        ]
    )
    for number, line in kept:
        if line.startswith("-") and not line.startswith(("-e", "--editable")):
            continue
        line = _OPTION_TAIL.sub("", line).strip()
        name = re.match(r"[A-Za-z0-9]+", line)
        own = target if name and name[0].lower() in FRAMEWORKS else ""
        add_pip(facts, line, scope, path, number, local=own)


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines of a requirements file with their numbers, continuations joined and comments removed."""
    lines: list[tuple[int, str]] = []
    pending: tuple[int, str] | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        start, line = (pending[0], pending[1] + raw) if pending else (number, raw)
        if line.rstrip().endswith("\\") and not line.lstrip().startswith("#"):
            pending = start, line.rstrip()[:-1][: 2 * _MAX_LINE] + " "
            continue
        pending = None
        if line := _COMMENT.sub("", line).strip():
            lines.append((start, line[:_MAX_LINE]))
    return lines
