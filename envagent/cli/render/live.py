"""The live view: the steps as a table that keeps itself current, with what happened scrolling above it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from rich.live import Live
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


def started(terminal: Terminal, draw: Callable[[], Table]) -> Live:
    """Draw a table again and again until it is stopped; nothing of it stays then."""
    live = Live(
        console=terminal.console,
        get_renderable=draw,
        refresh_per_second=PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    live.start(refresh=True)
    return live


def spinner(terminal: Terminal, now: datetime) -> str:
    """Return the sign of what is being worked on; it turns as time passes."""
    return terminal.sign(FRAMES[int(now.timestamp() * PER_SECOND) % len(FRAMES)], "*")


class LiveProgress(DrawnProgress):
    """Draws the steps; warnings and created resources are printed above them."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal)
        self._live: Live | None = None

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
