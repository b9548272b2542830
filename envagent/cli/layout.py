"""Columns and named texts for a terminal or a pipe: where a line breaks, and how a state word is coloured.

Ids and commands are never cut, they are copied; prose is broken between words, and only for who watches.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from envagent.cli.terminal import Terminal
from envagent.cli.text import printable

LEAST_ROOM = 12
"""Columns; into less than that nobody reads prose."""

STATE_STYLES = {
    "succeeded": "green",
    "present": "green",
    "failed": "red",
    "unknown": "red",
    "interrupted": "yellow",
    "waiting": "yellow",
    "removing": "yellow",
    "running": "cyan",
    "pending": "dim",
    "torn_down": "dim",
    "absent": "dim",
    "ended": "dim",
}


def show_table(terminal: Terminal, rows: Iterable[Iterable[str]], *, head: Iterable[str] = (), indent: int = 2) -> None:
    """Print cells in columns; prose in the last one goes on below itself.

    A line may be longer than the terminal all the same: ids must never be cut, they are copied.
    """
    from rich.cells import cell_len

    filled = [[printable(cell) for cell in row] for row in rows]
    headings = [list(head)] if head else []
    columns = zip_longest(*headings, *filled, fillvalue="")
    widths = [max(cell_len(cell) for cell in column) for column in columns]
    before_last = indent + sum(width + 2 for width in widths[:-1])

    def padded(row: list[str]) -> Iterable[str]:
        end = max((number for number, cell in enumerate(row) if cell), default=-1)
        for number, cell in enumerate(row[: end + 1]):
            yield cell if number == end else cell + " " * (widths[number] - cell_len(cell) + 2)

    for row in headings:
        terminal.line(" " * indent, *((cell, "dim") for cell in padded(row)))
    for row in filled:
        styles = [STATE_STYLES.get(cell, "") for cell in row]
        first, *more = _wrapped(terminal, row[-1], before_last)
        terminal.line(" " * indent, *zip(padded([*row[:-1], first]), styles, strict=False))
        for line in more:
            terminal.line(" " * before_last, line)


def show_field(terminal: Terminal, name: str, prose: str) -> None:
    """Print a named text; it goes on below itself."""
    label = f"  {name:<13}"
    first, *more = _wrapped(terminal, printable(prose), len(label))
    terminal.line(label, first)
    for line in more:
        terminal.line(" " * len(label), line)


def _wrapped(terminal: Terminal, prose: str, begin: int) -> list[str]:
    """Break prose that begins in a column into what fits beside it: between words, and only for who watches."""
    import textwrap

    room = None if terminal.width is None else terminal.width - begin
    if room is None or room < LEAST_ROOM:
        return [prose]
    return textwrap.wrap(prose, room, break_long_words=False, break_on_hyphens=False) or [""]
