"""The screen of `share`: whose keys the server of a run admits, and how their owners log in."""

from __future__ import annotations

from datetime import datetime

from envagent.cli.documents.share_models import SharedDocument
from envagent.cli.render import times
from envagent.cli.render.terminal import Terminal


def show_shared(terminal: Terminal, shared: SharedDocument) -> None:
    """Print them."""
    if not shared.keys:
        terminal.line(f"Nobody else can log in to the server of run {shared.run_id}.")
        return
    terminal.line((f"These keys are admitted to the server of run {shared.run_id}, apart from your own:", "bold"))
    rows = [
        (one.who, times.both(datetime.fromisoformat(one.since)), f"{one.fingerprint}{_state(one.state)}")
        for one in shared.keys
    ]
    terminal.table(rows, head=("whose", "since", "key"))
    terminal.line("  they log in with  ", (shared.login, "bold"))
    if shared.until is not None:
        terminal.line(f"  until             {times.both(datetime.fromisoformat(shared.until))}, when the lease ends")


def _state(state: str) -> str:
    return "" if state == "admitted" else " (not confirmed: repeat the command)"
