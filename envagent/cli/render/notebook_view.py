"""A run in a notebook: its progress as an HTML table that is replaced in place, and its document as a short one."""

from __future__ import annotations

import html
import importlib
import sys
import threading
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from envagent.cli.render import times
from envagent.cli.render.progress import DrawnProgress
from envagent.cli.render.terminal import Terminal, printable
from envagent.engine.tables import StageState

if TYPE_CHECKING:
    from envagent.cli.documents.run_models import RunDocument

PER_SECOND = 4
NOTES = 8
"""The newest lines below the table."""

SIGNS = {
    StageState.SUCCEEDED: ("✓", "green"),
    StageState.FAILED: ("✗", "red"),
    StageState.RUNNING: ("▶", "teal"),
    StageState.WAITING: ("…", "darkorange"),
    StageState.PENDING: ("·", "gray"),
    "started": ("▶", "teal"),
}


def in_notebook() -> bool:
    """Return whether this process is a notebook's kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def run_markup(run: RunDocument) -> str:
    """Return a run as a short HTML table; every text in it is escaped."""
    cost = run.cost
    rows = (
        ("run", f"{run.run_id} ({run.state})"),
        ("repository", run.repository.url),
        ("node type", " at ".join(filter(None, (run.node_type, run.site)))),
        ("login", run.ssh),
        ("lease until", None if cost is None else times.both(datetime.fromisoformat(cost.lease_end))),
        ("used", None if cost is None else f"{cost.su_so_far:g} SU, now {cost.su_per_hour_now:g} SU/h"),
        ("error", None if run.error is None else run.error.message),
        ("next", " or ".join(run.next)),
    )
    cells = "".join(
        f'<tr><td>{name}</td><td style="text-align:left">{html.escape(printable(text))}</td></tr>'
        for name, text in rows
        if text
    )
    return f"<table>{cells}</table>"


class NotebookProgress(DrawnProgress):
    """Draws the steps and the newest lines into the output of the current cell."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal)
        self._display: Any = importlib.import_module("IPython.display")
        self._notes: list[str] = []
        self._handle: Any = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> NotebookProgress:
        self._over.clear()
        if self._handle is None:
            self._handle = self._display.display(self._display.HTML(self.markup()), display_id=True)
        self._thread = threading.Thread(target=self._redraw, name="notebook", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._update()

    def _redraw(self) -> None:
        """Redraw while the run works; a display that fails ends the drawing, never the run."""
        shown = ""
        while not self._over.wait(1 / PER_SECOND):
            now = self.markup()
            if now != shown:
                self._update(now)
                shown = now

    def _update(self, markup: str | None = None) -> None:
        try:
            self._handle.update(self._display.HTML(self.markup() if markup is None else markup))
        except Exception:
            self._over.set()

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Show a line below the table."""
        text = "".join(part if isinstance(part, str) else part[0] for part in parts)
        with self._lock:
            self._notes = [*self._notes, printable(text)][-NOTES:]

    def markup(self) -> str:
        """Return the table and the lines as HTML; every text in it is escaped."""
        now = times.now()
        with self._lock:
            rows = [
                (*SIGNS[step.state], step.name, self._took(step, now), self._about(step, now))
                for step in self.progress.steps.values()
            ]
            notes = list(self._notes)
        cell = '<td style="text-align:{align};color:{colour}">{text}</td>'.format
        lines = [
            "<tr>"
            + cell(align="center", colour=colour, text=sign)
            + cell(align="left", colour="inherit", text=html.escape(printable(name)))
            + cell(align="right", colour="gray", text=html.escape(took))
            + cell(align="left", colour="inherit", text=html.escape(printable(about)))
            + "</tr>"
            for sign, colour, name, took, about in rows
        ]
        below = "".join(f"<div>{html.escape(one)}</div>" for one in notes)
        return f"<table>{''.join(lines)}</table>{below}"
