"""Commands in forked children: what needs signals or a terminal, without importing everything anew."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.kit.forked import fork, redirect

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
PATIENCE = 60.0


class Child:
    """A command in a process of its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Give the exit code (of a signal: minus its number), None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end."""
        self._await(lambda: self.poll() is not None, seconds)
        assert self._status is not None
        return self._status

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def _await(self, reached: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.02)

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self.poll() is None:
            self.send(signal.SIGKILL)
            self.wait()

    def told(self) -> str:
        """Give what it has said, for a failing test's message."""
        raise NotImplementedError


class Piped(Child):
    """A command whose stdout and stderr are files."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"

        def prepare() -> None:
            redirect(self._out, self._err)
            _let_go()

        super().__init__(fork(arguments, prepare))

    @property
    def out(self) -> str:
        """What is on stdout so far."""
        return self._out.read_text() if self._out.exists() else ""

    @property
    def err(self) -> str:
        """What is on stderr so far."""
        return self._err.read_text() if self._err.exists() else ""

    def until(self, text: str) -> str:
        """Wait until stderr says something; give all it says."""
        self._await(lambda: text in self.err or self.poll() is not None, PATIENCE)
        assert text in self.err, self.told()
        return self.err

    def told(self) -> str:
        """Give what it has said."""
        return self.err


class OnTerminal(Child):
    """A command with a terminal of its own."""

    def __init__(self, arguments: Sequence[str], columns: int) -> None:
        self._leader, follower = pty.openpty()

        def prepare() -> None:
            os.login_tty(follower)
            os.environ.update(COLUMNS=str(columns), LINES="40")
            _let_go()

        super().__init__(fork(arguments, prepare))
        os.close(follower)
        self.shown = ""

    @property
    def plain(self) -> str:
        """What was shown, without colours and movements."""
        return ESCAPES.sub("", self.shown).replace("\r", "")

    def until(self, text: str) -> str:
        """Read until something has been shown; give all that was."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.plain:
            assert time.monotonic() < deadline, self.plain
            assert self._read(), self.plain
        return self.plain

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._leader, text.encode())

    def end(self) -> int:
        """Read until it ends; give its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.plain
        return self.wait()

    def close(self) -> None:
        """Take the terminal away."""
        os.close(self._leader)

    def told(self) -> str:
        """Give what was shown."""
        return self.plain

    def _read(self) -> bool:
        if not select.select([self._leader], [], [], 0.2)[0]:
            return self.poll() is None
        try:
            got = os.read(self._leader, 65536)
        except OSError:  # Linux: nobody has the other end any more
            return False
        self.shown += got.decode(errors="replace")
        return bool(got)


def _let_go() -> None:
    """Let go of the test's files and pipes, but keep their numbers: objects of the test close those when they go."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != nothing:
            with contextlib.suppress(OSError):
                os.fstat(number)
                os.dup2(nothing, number, inheritable=False)
