"""Whom a run is shown to and who answers its questions: a person at the command line, or a Python program."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from envagent.cli import interaction
from envagent.cli.commands.options import REQUESTS
from envagent.cli.interaction import Stop, StopSignals
from envagent.cli.render.progress import ProgressLines
from envagent.cli.render.terminal import Terminal, err, out, print_document
from envagent.errors import UsageError
from envagent.hints import Command, Hint

if TYPE_CHECKING:
    from envagent.cli.documents.run_models import PlanPart
    from envagent.engine.runtime import Listener
    from envagent.engine.tables import EventRecord
    from envagent.steps.services import Dearer

_PRINTING = threading.Lock()
"""Held while an event is printed: they come from several threads."""


class Audience:
    """A person at the command line.

    Args:
        yes: whether everything is agreed to, and nothing is asked.
        stream: whether each event is printed on stdout as a JSON document.

    Attributes:
        terminal: where progress and notes are shown.
    """

    silence = "and this is not a terminal"
    """Why nobody answers."""

    def __init__(self, *, yes: bool = False, stream: bool = False) -> None:
        self.terminal: Terminal = err()
        self.yes = yes
        self.stream = stream

    @property
    def answers(self) -> bool:
        """Whether somebody answers questions."""
        return not self.yes and interaction.can_ask()

    @property
    def approves(self) -> bool:
        """Whether somebody approves a plan before anything is reserved."""
        return self.answers

    def dearer(self, *, simulated: bool) -> Dearer:
        """Return what happens to a node type that costs more than the plan's first choice, if that is refused."""
        return "take" if simulated else "ask" if self.answers else "refuse"

    def agrees_unasked(self, *, simulated: bool) -> bool:
        """Return whether a plan is agreed to without a question: a simulation charges nothing."""
        return simulated

    def progress(self) -> ProgressLines:
        """Choose how events are shown: drawn on a terminal that is large enough, else (and with -v) as lines."""
        mixed = self.stream and out().interactive  # what is drawn would be torn apart
        if self.terminal.interactive and not mixed and not logging.getLogger(REQUESTS).isEnabledFor(logging.INFO):
            from envagent.cli.render.live import ROWS_NEEDED, LiveProgress

            if self.terminal.console.height >= ROWS_NEEDED:
                return LiveProgress(self.terminal)
        return ProgressLines(self.terminal)

    def listener(self, output: ProgressLines, watch: Listener | None = None) -> Listener:
        """Return what receives the events of a run.

        Args:
            output: shows them.
            watch: whoever else wants them, last.
        """
        listeners: list[Listener] = [output]
        if self.stream:
            listeners.append(_print_event)
        if watch is not None:
            listeners.append(watch)

        def listen(event: EventRecord) -> None:
            for one in listeners:
                one(event)

        return listen

    def stoppable(
        self, announce: Callable[[], None] = lambda: None, restore: Callable[[], None] = lambda: None
    ) -> AbstractContextManager[Stop]:
        """Turn signals into a stop request while a block is running.

        Args:
            announce: called once a stop is requested.
            restore: called before the process ends at a second signal.
        """
        return StopSignals(announce, restore)

    def agreed(self, question: str, stop: threading.Event, plan: PlanPart | None = None) -> bool:
        """Ask a question.

        Args:
            question: what is asked.
            stop: set by a stop request, which means no.
            plan: the plan that is to be approved, if the question is about one.
        """
        return interaction.agreed(self.terminal, question, stop)

    def removal_agreed(self, question: str, stop: threading.Event, *, again: Command) -> bool:
        """Ask before a removal; report a no.

        Args:
            question: what is to be removed.
            stop: set by a stop request.
            again: the command that asks.

        Raises:
            UsageError: nobody can answer.
        """
        if self.yes:
            return True
        if not self.answers:
            yes = replace(again, options=(*again.options, ("yes", True)))
            raise UsageError(f"teardown asks before it removes anything, {self.silence}", hint=Hint(yes))
        if self.agreed(question, stop):
            return True
        self.terminal.line("Nothing was removed.")
        return False


def _print_event(event: EventRecord) -> None:
    from envagent.cli.documents.log_models import event_entry

    with _PRINTING:
        print_document(event_entry(event), in_line=True)
