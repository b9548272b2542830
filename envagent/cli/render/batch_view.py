"""The screens of a file of repositories: a table of its lines that keeps itself current, and what it came to."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from envagent.cli.documents.batch_document import BatchDocument, BatchLinePart
from envagent.cli.documents.json_models import ErrorPart
from envagent.cli.documents.run_models import PlanPart, RunDocument
from envagent.cli.render import times
from envagent.cli.render.hint_text import command_text
from envagent.cli.render.live import ROWS_NEEDED, LiveTable, spinner, started
from envagent.cli.render.progress import Parts, ProgressLines, StepProgress
from envagent.cli.render.terminal import Terminal, styled
from envagent.engine.tables import EventKind, EventRecord, StageState
from envagent.hints import Command

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = (
    EventKind.WARNING,
    EventKind.STAGE_RETRYING,
    EventKind.RESOURCE_OWNED,
    EventKind.RESOURCE_ADOPTED,
    EventKind.RESOURCE_FOREIGN,
    EventKind.RESOURCE_GONE,
)
"""What is printed of a line's run where nothing is drawn."""

QUEUED, WORKING, ASKING, DONE, FAILED, STOPPED = "queued", "working", "asking", "done", "failed", "stopped"


class LineView(ProgressLines):
    """What is shown of one line; it is the progress of the line's run."""

    def __init__(self, batch: BatchView, name: str, *, finished: bool) -> None:
        super().__init__(batch.terminal)
        self.name = name
        self.state = DONE if finished else QUEUED
        self.quiet = Terminal(io.StringIO())
        """Takes the screens of a single run, which a line of a file does not show."""
        self.loud: Terminal = _Prefixed(self)
        self._batch = batch
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._note = "finished earlier" if finished else ""

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print a line; where the table is drawn, show it there if there are no steps to show."""
        if not self._batch.drawing:
            self.terminal.line((f"{self.name}  ", "bold"), *parts)
        elif not self.progress.steps:
            self._note = "".join(one if isinstance(one, str) else one[0] for one in parts)

    def begin(self) -> None:
        """Start to work on the line."""
        if self.state != DONE:
            self.state, self._since = WORKING, times.now()

    def note(self, text: str) -> None:
        """Show a text until the next step."""
        self._note = text

    def planned(self, plan: PlanPart) -> None:
        """Show that the line has a plan."""
        self.state = ASKING
        first = plan.candidates[0]
        self._note = f"planned: {first.node_type} at {first.site} for {plan.hours} h, at most {plan.ceiling:g} SU"
        self.say(self._note)

    def end(self, run: RunDocument | None, error: ErrorPart | None, exit_code: int) -> None:
        """Show what the line came to."""
        self._until = times.now()
        if self.state == DONE and error is None:
            return
        if run is None and error is None and exit_code < 128:
            self.state, self._note = QUEUED, "not started"
            return
        if exit_code == 0 and run is not None and run.state == "torn_down":
            self.state, self._note = DONE, "torn down"
            return
        self.state = DONE if exit_code == 0 else STOPPED if exit_code > 128 else FAILED
        shown = error or (None if run is None else run.error)
        if shown is not None:
            self._note = f"{'stopped' if exit_code > 128 else 'failed'}: {shown.message}"
        elif run is not None and run.state == "succeeded":
            self._note = f"up: {command_text(Command('ssh', (run.run_id,)))}"
        else:
            self._note = "stopped"
        style = "green" if exit_code == 0 else "yellow" if exit_code > 128 else "red"
        self.say((self._note, style))

    def row(self, now: datetime) -> tuple[str, str, str]:
        """Return the time that the line has taken, the step that it is at, and what happens there."""
        took = "" if self._since is None else times.duration(((self._until or now) - self._since).total_seconds())
        with self._lock:
            current = next((one for one in self.progress.steps.values() if _under_way(one)), None)
        if self.state != WORKING or current is None:
            return took, "", self._note
        wait = next(reversed(current.waiting.values()), None)
        about = self._note or current.note if wait is None else f"waiting for {wait.what}: {wait.status_words}"
        return took, current.name, about

    def _show(self, event: EventRecord) -> None:
        if self.state == ASKING and event.kind == EventKind.RUN_APPROVED:
            self.state, self._note = WORKING, ""
        super()._show(event)

    def _described(self, event: EventRecord, step: StepProgress | None, before: object) -> Parts | None:
        return super()._described(event, step, None) if event.kind in SHOWN else None


class BatchView:
    """All lines; a context manager around the work, which draws them on a terminal that is large enough."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.lines: list[LineView] = []
        self._live: LiveTable | None = None
        self._lock = threading.Lock()

    @property
    def drawing(self) -> bool:
        """Whether the table is drawn now."""
        return self._live is not None

    def add(self, name: str, *, finished: bool) -> LineView:
        """Add a line."""
        self.lines.append(LineView(self, name, finished=finished))
        return self.lines[-1]

    def __enter__(self) -> BatchView:
        if self.terminal.interactive and self.terminal.console.height >= ROWS_NEEDED:
            self._live = started(self.terminal, self._draw)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def restore(self) -> None:
        """Leave the terminal usable, because the process is about to exit."""
        if self._live is not None:
            self.terminal.show_cursor()

    def say_stopping(self) -> None:
        """Say that all lines stop."""
        self.terminal.line(
            ("Stopping all; nothing is deleted. ", "yellow"),
            "Press Ctrl-C again to quit immediately.",
        )

    def show_plans(self, plans: Sequence[tuple[str, PlanPart, bool]]) -> None:
        """Print what would be reserved for each line, and the sum.

        Args:
            plans: of each line its name, its plan, and whether it is within the ceiling.
        """
        rows = []
        for name, plan, within in plans:
            first = plan.candidates[0]
            why = "" if within else "beyond --max-su-total"
            rows.append((name, first.node_type, first.site, f"{plan.hours} h", f"{plan.ceiling:g}", why))
        accepted = [plan.ceiling for _, plan, within in plans if within]
        if len(accepted) > 1:
            rows.append(("in all", "", "", "", f"{sum(accepted):g}", ""))
        self.terminal.table(rows, head=("repository", "node type", "site", "lease", "at most SU", ""), indent=0)

    def show_removal(self, document: BatchDocument) -> None:
        """Print the runs that would be torn down."""
        rows = [(one.run_id or "", one.state, one.node_type or "", one.repository) for one in document.lines]
        self.terminal.table(rows, head=("run", "state", "node type", "repository"), indent=0)

    def _draw(self) -> Table:
        from rich.table import Table

        now = times.now()
        table = Table.grid(padding=(0, 1), expand=False)
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column()
        room = self.terminal.console.height - 2
        shown = self.lines if len(self.lines) <= room else [one for one in self.lines if one.state == WORKING][:room]
        for one in shown:
            took, step, about = one.row(now)
            sign, style = self._sign(one.state, now)
            table.add_row(
                styled((sign, style)), styled(one.name), styled((took, "dim")), styled(step), styled((about, style))
            )
        states = [one.state for one in self.lines]
        counted = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
        table.add_row("", styled((f"{len(states)} in all", "dim")), "", "", styled((", ".join(counted), "dim")))
        return table

    def _sign(self, state: str, now: datetime) -> tuple[str, str]:
        match state:
            case "done":
                return self.terminal.sign("✓", "+"), "green"
            case "failed":
                return self.terminal.sign("✗", "x"), "red"
            case "working":
                return spinner(self.terminal, now), ""
            case "stopped":
                return self.terminal.sign("…", "-"), "yellow"
            case _:
                return self.terminal.sign("·", "."), "dim"


class _Prefixed(Terminal):
    """Prints the lines of one run below one another with those of others; its tables are left out."""

    def __init__(self, view: LineView) -> None:
        super().__init__(io.StringIO())
        self._view = view

    def line(self, *parts: str | tuple[str, str], inset: int = 2) -> None:
        """Print one line."""
        if parts:
            self._view.say(*parts)


def show_batch(terminal: Terminal, document: BatchDocument, file: str) -> None:
    """Print what each line came to, what all cost, and what to do next."""
    rows = [
        (
            "" if one.line is None else str(one.line),
            one.state,
            one.node_type or "",
            f"{one.su_ceiling:g}" if one.su_ceiling else "",
            _repository(one),
            _result(one),
        )
        for one in document.lines
    ]
    terminal.table(rows, head=("line", "state", "node type", "SU", "repository", ""), indent=0)
    _show_sum(terminal, document, file)


def show_removed(terminal: Terminal, document: BatchDocument, file: str) -> None:
    """Print what a teardown has come to."""
    left = [one for one in document.lines if one.state != "torn_down"]
    gone = len(document.lines) - len(left)
    terminal.line((f"{gone} of {len(document.lines)} runs are torn down", "bold"), f": {document.su_so_far:g} SU used")
    if left:
        rows = [(one.run_id or "", one.state, short_name(one.repository), _message(one)) for one in left]
        terminal.table(rows)
        again = command_text(Command("teardown", (), (("file", file),)))
        terminal.table([(again, "remove what is left")])


def _show_sum(terminal: Terminal, document: BatchDocument, file: str) -> None:
    states = [one.state for one in document.lines]
    up = states.count("succeeded")
    most = "" if document.max_su_total is None else f" of {document.max_su_total:g}"
    terminal.line(
        (f"{up} of {len(states)} are up", "bold"),
        f": at most {document.su_ceiling:g}{most} SU, {document.su_so_far:g} SU so far",
    )
    commands = []
    if {"interrupted", "failed"} & {*states}:
        again = command_text(Command("resume", (), (("file", file),)))
        commands.append((again, "continue the runs that are unfinished"))
    if {"not_started", "refused"} & {*states}:
        again = command_text(Command("run", (), (("file", file),)))
        commands.append((again, "also start those without one; give the same options again"))
    if any(one.run_id is not None for one in document.lines):
        commands.append((command_text(Command("teardown", (), (("file", file),))), "remove everything"))
    if commands:
        terminal.line(("Next:", "bold"))
        terminal.table(commands)


def _repository(one: BatchLinePart) -> str:
    name = short_name(one.repository)
    return name if one.ref is None else f"{name} ({one.ref})"


def _message(one: BatchLinePart) -> str:
    return "" if one.error is None else one.error.message


def _result(one: BatchLinePart) -> str:
    if one.error is not None:
        return _message(one) if one.run_id is None else f"{_message(one)} (run {one.run_id})"
    if one.ssh is not None:
        return command_text(Command("ssh", (one.run_id or "",)))
    return f"its lease has ended (run {one.run_id})" if one.state == "succeeded" and _is_over(one) else one.run_id or ""


def _is_over(one: BatchLinePart) -> bool:
    end = times.parsed(one.lease_end)
    return end is not None and end <= times.now()


def short_name(repository: str) -> str:
    """Shorten a repository to the last two parts of its URL, or the last one of its path."""
    parts = repository.rstrip("/").removesuffix(".git").split("/")
    return "/".join(parts[-2:]) if "://" in repository else parts[-1]


def _under_way(step: StepProgress) -> bool:
    return step.state in (StageState.RUNNING, StageState.WAITING, "started", StageState.FAILED)
