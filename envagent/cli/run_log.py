"""The log of a run's exchanges with the cloud: lines of JSON in the run's folder, for `envagent logs`.

It is a help and no record: nothing waits for the disk, and what cannot be written is dropped. The journal alone says
what happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envagent.engine.clock import to_text
from envagent.engine.context import ENTERED

if TYPE_CHECKING:
    from envagent.cloud.http_session import HttpExchange

NAME, FORMER = "log.jsonl", "log.1.jsonl"

MOST_BYTES = 2 << 20
"""When a file has reached this size it becomes the former one, and the one before it is dropped."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class RunLog:
    """Appends exchanges to the log of a run; called from several threads. It never raises.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._torn = False
        """Whether the last line was cut off, by a full disk."""

    def __call__(self, exchange: HttpExchange) -> None:
        """Append one exchange, as one write."""
        from envagent.advice.untrusted import redact

        line = {
            "at": to_text(datetime.now(UTC)),
            "stage": ENTERED.get(),
            "method": exchange.method,
            "path": redact(exchange.path),
            "outcome": redact(exchange.outcome),
            "request_id": exchange.request_id,
            "ms": round(exchange.milliseconds),
        }
        with self._lock, contextlib.suppress(OSError):
            self._append(json.dumps(line).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._folder / NAME, _FLAGS, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            self._torn = os.write(descriptor, b"\n" + line if self._torn else line) < len(line)
        except OSError:
            self._torn = True
            raise
        finally:
            os.close(descriptor)
        if size + len(line) >= MOST_BYTES:
            (self._folder / NAME).replace(self._folder / FORMER)


class RunLogReader:
    """Reads the log of a run, and then what is added to it.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[bytes, int] = {}
        """The first line of each file to the bytes of it that have been read: an inode may be used again."""

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield what has been added since the last call, oldest first; a damaged line is left out."""
        for name in (FORMER, NAME):
            with contextlib.suppress(OSError), (self._folder / name).open("rb") as file:
                first = file.readline()
                start = self._read.get(first, 0)
                file.seek(start)
                complete = file.read().rpartition(b"\n")[0]
                if complete:
                    self._read[first] = start + len(complete) + 1
                yield from filter(None, map(_parsed, complete.splitlines()))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
        datetime.fromisoformat(entry["at"])
    except (ValueError, LookupError, TypeError):
        return None
    return entry if isinstance(entry, dict) else None
