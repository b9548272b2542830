"""A run's log as lines: when, which step, and what happened or was exchanged."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from envagent.cli.documents.log_models import EXCHANGE, LogEntry
from envagent.cli.render import times
from envagent.cli.render.terminal import Terminal

STYLES = {"warning": "yellow", "outcome_unknown": "yellow", "stage_failed": "red", "run_succeeded": "green"}

WIDEST_STEP = 18
"""Columns of the longest names of steps."""


LONGEST_PATH = 60
"""Columns of a long path with an id."""


class LogLines:
    """Prints entries; a new day gets a line of its own."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._day: date | None = None
        message = 12 + WIDEST_STEP
        self._inset = message if (terminal.width or 0) > message + LONGEST_PATH else 4

    def show(self, entries: Iterable[LogEntry]) -> None:
        """Print some entries."""
        for one in entries:
            at = datetime.fromisoformat(one.at)
            local = at.astimezone()
            if local.date() != self._day:
                self._day = local.date()
                self._terminal.line((f"{local:%a %d %b %Y, %Z}", "bold"))
            step = (one.stage or "").partition(".")[0]
            self._terminal.line(
                (f"{times.clock(at)}  ", "dim"), f"{step:{WIDEST_STEP}}  ", _text(one), inset=self._inset
            )


def _text(one: LogEntry) -> str | tuple[str, str]:
    if one.kind != EXCHANGE:
        return one.message, STYLES.get(one.kind, "")
    outcome = one.message if one.status is None else str(one.status)
    request = "" if one.request_id is None else f" {one.request_id}"
    text = f"{one.method} {one.path} {outcome}{request} {one.ms:.0f} ms"
    return text, "red" if one.status is None or one.status >= 400 else "dim"
