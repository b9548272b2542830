"""What a person does while a command runs: stop it with a signal, and answer its questions.

Stopping has two stages: the first signal asks, the second ends at once.

SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal was closed) all stop the run after the current exchange with the
cloud; the run stays resumable. A separate thread reads the signals from a pipe: it reacts at once even while the main
thread waits for the network, and no signal handler touches a lock of the main thread.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol

from envagent.cli.render.terminal import Terminal, answerable
from envagent.errors import UsageError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SAME_SIGNAL_SECONDS = 0.25
"""A signal repeated within this time is the same one: wrappers forward what their whole group gets anyway."""

DECLINED = 130
"""The exit code when the user says no: as if the command had been stopped by Ctrl-C."""

POLL_SECONDS = 0.1


class Stop(Protocol):
    """A stop request: its event, and the signal that brought it."""

    event: threading.Event

    @property
    def signal(self) -> signal.Signals | None:
        """The first signal that arrived, if any."""

    @property
    def exit_code(self) -> int:
        """128 + the signal's number."""


class StopSignals:
    """Turns signals into a stop request while its block is running.

    Args:
        announce: called once, from another thread, when the first signal has arrived.
        restore: called before the process ends at the second signal, to leave the terminal usable.

    Attributes:
        event: set when a stop is requested.
        signal: the first signal that arrived, if any.
    """

    def __init__(self, announce: Callable[[], None], restore: Callable[[], None]) -> None:
        self.event = threading.Event()
        self.signal: signal.Signals | None = None
        self._announce = announce
        self._restore = restore
        self._before: dict[signal.Signals, Any] = {}
        self._first = 0.0

    @property
    def exit_code(self) -> int:
        """128 + the signal's number: 130, 143, 129."""
        return 128 + (self.signal or signal.SIGINT)

    def __enter__(self) -> StopSignals:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for one in SIGNALS:
            if signal.getsignal(one) is not signal.SIG_IGN:  # nohup and `&` in scripts rely on this
                self._before[one] = signal.signal(one, _arrives_through_the_pipe)
        self._thread = threading.Thread(target=self._watch, name="signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in self._before.items():
            # A stopped command is about to end: a signal forwarded late must not end it with another code.
            signal.signal(one, handler if self.signal is None else signal.SIG_IGN)
        signal.set_wakeup_fd(self._wakeup)
        self._writer.close()
        self._thread.join(timeout=1)
        self._reader.close()

    def _watch(self) -> None:
        while received := self._reader.recv(1):
            number = received[0]
            if number not in SIGNALS:
                continue
            if self.signal is None:
                self.signal = signal.Signals(number)
                self._first = time.monotonic()
                self.event.set()
                # In a separate thread: a terminal that takes no more text must not delay the second signal.
                threading.Thread(target=self._announce, name="announce", daemon=True).start()
            elif (
                number != signal.SIGHUP and time.monotonic() - self._first > SAME_SIGNAL_SECONDS
            ):  # a hang-up arrives several times
                end = threading.Timer(SAME_SIGNAL_SECONDS, os._exit, [128 + number])
                end.daemon = True
                end.start()
                self._restore()
                os._exit(128 + number)


def _arrives_through_the_pipe(number: int, frame: FrameType | None) -> None:
    """Do nothing: the interpreter has already written the number to the pipe."""


def can_ask() -> bool:
    """Return whether a person can answer: stdin and stderr are terminals."""
    return answerable(sys.stdin, sys.stderr)


def text_answer(terminal: Terminal, question: str) -> str:
    """Ask for a line of text; empty keeps a default.

    Raises:
        UsageError: the input has ended.
    """
    terminal.prompt(question)
    line = sys.stdin.readline()
    if not line:
        raise UsageError("the input has ended; nothing was written")
    return line.strip()


def agreed(terminal: Terminal, question: str, stop: threading.Event) -> bool:
    """Ask a question; anything but yes, a closed input and a stop request mean no."""
    terminal.prompt(f"{question} [y/N] ")
    while not stop.is_set():
        readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
        if readable:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
    return False
