"""A Python program as the audience of a run: its arguments answer, and an interrupt stops."""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import TypeAlias

from envagent.cli.audience import Audience
from envagent.cli.documents.run_models import PlanPart
from envagent.cli.render.notebook_view import NotebookProgress, in_notebook
from envagent.cli.render.progress import ProgressLines
from envagent.cli.render.terminal import Terminal

Approval: TypeAlias = bool | Callable[[PlanPart], bool]
"""True, False, or a function that gets the plan and returns whether it is approved."""


class Program(Audience):
    """A Python program: its arguments answer, and an interrupt stops.

    Attributes:
        stopped: whether an interrupt ended the work.
    """

    silence = "and neither approve nor max_su allows it"

    def __init__(self, approve: Approval, max_su: float | None, *, progress: bool) -> None:
        super().__init__(yes=approve is True or (max_su is not None and not callable(approve)))
        self._approve = approve
        self._drawn = progress and in_notebook()
        if not progress:
            self.terminal = Terminal(_Nowhere())
        elif self._drawn:
            self.terminal = Terminal(sys.stdout)
        self.stopped = False

    @property
    def answers(self) -> bool:
        """Whether a function approves plans."""
        return callable(self._approve)

    def progress(self) -> ProgressLines:
        """Choose how events are shown."""
        return NotebookProgress(self.terminal) if self._drawn else super().progress()

    @contextmanager
    def stoppable(
        self, announce: Callable[[], None] = lambda: None, restore: Callable[[], None] = lambda: None
    ) -> Iterator[_Interrupt]:
        """Turn an interrupt into a stop request while a block is running."""
        with _Interrupt(announce).listening() as interrupt:
            try:
                yield interrupt
            finally:
                self.stopped |= interrupt.signal is not None

    def agreed(self, question: str, stop: threading.Event, plan: PlanPart | None = None) -> bool:
        """Ask the function about a plan; there is no answer to anything else."""
        return plan is not None and callable(self._approve) and bool(self._approve(plan))


class _Interrupt:
    """A stop request by SIGINT, in the main thread; a second one raises KeyboardInterrupt at once."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self.event = threading.Event()
        self.signal: signal.Signals | None = None
        self._announce = announce
        self._arrived: SimpleQueue[bool] = SimpleQueue()  # a signal handler may put, and must not take a lock

    @property
    def exit_code(self) -> int:
        """128 + the signal's number."""
        return 128 + signal.SIGINT

    @contextmanager
    def listening(self) -> Iterator[_Interrupt]:
        """Receive interrupts while a block is running."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        thread = threading.Thread(target=self._watch, name="interrupt", daemon=True)
        thread.start()
        before = signal.signal(signal.SIGINT, self._handle)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)
            self._arrived.put(False)
            thread.join(timeout=1)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.SIGINT
        self._arrived.put(True)

    def _watch(self) -> None:
        if self._arrived.get():
            self.event.set()
            self._announce()


class _Nowhere(io.StringIO):
    """A stream that drops what is written."""

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)
