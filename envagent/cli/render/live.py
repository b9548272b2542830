"""The live view: the steps as a table that keeps itself current, with what happened scrolling above it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from rich.console import ConsoleRenderable, RenderHook
from rich.control import Control
from rich.segment import ControlType, Segment, Segments
from rich.table import Table

from envagent.cli.render import times
from envagent.cli.render.progress import DrawnProgress
from envagent.cli.render.terminal import Terminal, styled
from envagent.engine.tables import StageState

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PER_SECOND = 8
ROWS_NEEDED = 14
"""Rows for the table and some events; a smaller terminal gets plain lines."""

STYLES = {
    StageState.SUCCEEDED: "green",
    StageState.FAILED: "red",
    StageState.RUNNING: "cyan",
    StageState.WAITING: "yellow",
}

SETTLED_SECONDS = 0.4
"""For how long a window must have kept its width; tmux reports a new one up to 0.25 s late."""

ERASE_LINE = (ControlType.ERASE_IN_LINE, 2)


class LiveTable(RenderHook):
    """A table that is drawn again and again below what is printed, until it is stopped; nothing of it stays then.

    Most terminals reflow long lines when they become narrower, so that the table fills more rows than were drawn.
    They are counted at the new width. The terminal may have it before this process knows; what is drawn until then is
    cut off instead of wrapped, so that the count still holds.
    """

    def __init__(self, terminal: Terminal, draw: Callable[[], Table]) -> None:
        self._console = terminal.console
        self._draw = draw
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._drawn: list[int] = []
        """How long each line is that was drawn; the cursor is on the line below them."""
        self._width = self._console.width
        self._settled = 0.0
        """When the width will have settled, in monotonic time."""

    def start(self) -> None:
        """Draw from now on."""
        self._console.show_cursor(False)
        self._console.push_render_hook(self)
        self.refresh()
        threading.Thread(target=self._keep_current, name="live", daemon=True).start()

    def stop(self) -> None:
        """Erase the table."""
        with self._lock:
            self._over.set()
            self._console.print(Control())
            self._console.pop_render_hook()
            self._console.show_cursor(True)

    def refresh(self) -> None:
        """Draw now, unless the window is being resized."""
        with self._lock:
            width, now = self._console.width, time.monotonic()
            if width != self._width:
                self._width, self._settled = width, now + SETTLED_SECONDS
            if now >= self._settled and not self._over.is_set():
                self._console.print(Control())

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Erase the table before something is printed, and draw it below that."""
        with self._lock:
            width = self._console.width if _reflows() else max(self._drawn, default=1)
            rows = sum(max(1, -(-length // width)) for length in self._drawn)
            # Line by line: tmux copies a screen that is erased as a whole into its history.
            above = Control(ControlType.CARRIAGE_RETURN, ERASE_LINE, *(rows * [(ControlType.CURSOR_UP, 1), ERASE_LINE]))
            self._drawn = []
            if self._over.is_set() or not self._console.is_interactive:
                return [above, *renderables]
            return [above, *renderables, Segments(self._lines())]

    def _lines(self) -> list[Segment]:
        """Render the table."""
        made = [_code("\x1b[?7l")]
        for line in self._console.render_lines(self._draw(), pad=False)[: self._console.height - 1]:
            bare = _without_end_spaces(line)
            made += [*bare, Segment.line()]
            self._drawn.append(Segment.get_line_length(bare))
        return [*made, _code("\x1b[?7h")]

    def _keep_current(self) -> None:
        while not self._over.wait(1 / PER_SECOND):
            self.refresh()


def _without_end_spaces(line: list[Segment]) -> list[Segment]:
    """Return a line without the spaces at its end: some terminals drop them when they reflow, and rows are counted."""
    while line and not line[-1].text.strip():
        line = line[:-1]
    if not line:
        return []
    text, style, control = line[-1]
    return [*line[:-1], Segment(text.rstrip(" "), style, control)]


def _code(text: str) -> Segment:
    """Return a control code that rich has no name for."""
    return Segment(text, None, [(ControlType.CARRIAGE_RETURN,)])


def _reflows() -> bool:
    """Return whether the terminal reflows long lines; xterm, GNU screen and the Linux console cut them off."""
    known = os.environ
    return "TMUX" in known or not (known.keys() & {"XTERM_VERSION", "STY"} or known.get("TERM") == "linux")


def started(terminal: Terminal, draw: Callable[[], Table]) -> LiveTable:
    """Start to draw a table."""
    live = LiveTable(terminal, draw)
    live.start()
    return live


def spinner(terminal: Terminal, now: datetime) -> str:
    """Return the sign of what is being worked on; it turns as time passes."""
    return terminal.sign(FRAMES[int(now.timestamp() * PER_SECOND) % len(FRAMES)], "*")


class LiveProgress(DrawnProgress):
    """Draws the steps; warnings and created resources are printed above them."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal)
        self._live: LiveTable | None = None

    def __enter__(self) -> LiveProgress:
        self._live = started(self.terminal, self._draw)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def finish(self) -> None:
        """Print how far the steps have come, once."""
        self.terminal.console.print(self._draw())

    def restore(self) -> None:
        """Show the cursor again."""
        self.terminal.show_cursor()

    def _draw(self) -> Table:
        with self._lock:
            now = times.now()
            table = Table.grid(padding=(0, 1), expand=False)
            table.add_column(width=1)
            table.add_column(no_wrap=True)
            table.add_column(justify="right", no_wrap=True)
            table.add_column()  # the only column that shrinks; its cells do not wrap
            for step in self.progress.steps.values():
                state = step.state
                took = self._took(step, now)
                style = STYLES.get(StageState(state), "") if state != "started" else "cyan"
                name = styled((step.name, "dim" if state == StageState.PENDING else ""))
                table.add_row(
                    styled((self._sign(state, now), style)), name, styled((took, "dim")), styled(self._about(step, now))
                )
            return table

    def _sign(self, state: str, now: datetime) -> str:
        match state:
            case StageState.SUCCEEDED:
                return self.terminal.sign("✓", "+")
            case StageState.FAILED:
                return self.terminal.sign("✗", "x")
            case StageState.PENDING:
                return self.terminal.sign("·", ".")
            case StageState.RUNNING | StageState.WAITING if self._live is not None:
                return spinner(self.terminal, now)
            case _:
                return self.terminal.sign("…", "-")
