"""The screen of `doctor`: a line for each check, as it is made, with the fix below."""

from __future__ import annotations

from collections import Counter

from envagent.cli.documents.check_models import CheckPart
from envagent.cli.render.terminal import Terminal

NAME_WIDTH = 11


def show_check(terminal: Terminal, check: CheckPart) -> None:
    """Print one check."""
    terminal.table([(f"{check.state:<4}", f"{check.name:<{NAME_WIDTH}}", check.text)], indent=0)
    if check.fix is not None:
        terminal.line(f"      {'':<{NAME_WIDTH}}  ", ("fix: ", "bold"), check.fix)


def show_verdict(terminal: Terminal, checks: list[CheckPart]) -> None:
    """Print the sum of all checks."""
    count = Counter(one.state for one in checks)
    terminal.line()
    if not count["fail"] and not count["warn"]:
        terminal.line(("Everything is in place.", "bold"))
        return
    terminal.line((f"{count['fail']} failed, {count['warn']} to look at, {count['ok']} in place.", "bold"))
