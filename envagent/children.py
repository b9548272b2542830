"""The environment of child processes: composed, never inherited whole.

Each child names the variables that it needs on top of those of every program; it gets no others: no credentials, and
nothing that makes a program load code or run another one (LD_PRELOAD, GIT_*, SSH_ASKPASS).
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

BASICS = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT")
MOST_OUTPUT = 1 << 20


def environment(*further: str, **own: str) -> dict[str, str]:
    """Compose a child's environment.

    Args:
        further: names of the user's variables that this child needs on top of BASICS.
        own: variables to set; they take precedence.
    """
    return {name: os.environ[name] for name in (*BASICS, *further) if name in os.environ} | own


def run(
    command: Sequence[str], seconds: float, *variables: str, given: Path | None = None
) -> subprocess.CompletedProcess[bytes] | None:
    """Run a program, whatever its exit code; None if it took longer than `seconds`.

    Of what it writes, the first `MOST_OUTPUT` bytes are kept.

    Args:
        command: the program and its arguments.
        seconds: when to kill it.
        variables: names of the user's variables that it needs on top of BASICS.
        given: the file that it reads as its input; none by default.
    """
    own = environment(*variables)
    piped = subprocess.PIPE
    with (
        Path(given or os.devnull).open("rb") as source,
        subprocess.Popen(command, stdin=source, stdout=piped, stderr=piped, env=own) as process,
    ):
        try:
            out, err = _read((process.stdout, process.stderr), time.monotonic() + seconds)
            code = process.wait(seconds)
        except (TimeoutError, subprocess.TimeoutExpired):
            process.kill()
            return None
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, code, out, err)


def _read(streams: Sequence[IO[bytes] | None], deadline: float) -> list[bytes]:
    """Read streams to their ends, and keep the beginning of each.

    Raises:
        TimeoutError: one has not ended by the deadline.
    """
    kept: dict[Any, bytes] = {stream: b"" for stream in streams if stream is not None}
    with selectors.DefaultSelector() as waiting:
        for stream in kept:
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                stream = key.fileobj
                if data:
                    kept[stream] += data[: MOST_OUTPUT - len(kept[stream])]
                else:
                    waiting.unregister(stream)
    return list(kept.values())


def become(command: Sequence[str], *variables: str) -> NoReturn:
    """Replace this process by a program, whose signals, terminal and exit code are then the user's own.

    Args:
        command: the program and its arguments.
        variables: names of the user's variables that it needs on top of BASICS.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the interpreter ignores it, and the program would inherit that
    os.execvpe(command[0], list(command), environment(*variables))  # noqa: S606
