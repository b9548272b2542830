"""The time: wall-clock UTC for what is stored, a steady clock for waits within one process."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine needs of a clock; a simulation has its own."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    def steady(self) -> float:
        """Return seconds of a clock that nobody sets."""

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """Return after `seconds`, or as soon as `wake` is set."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """Return seconds of a clock that nobody sets."""
        return time.monotonic()

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """Return after `seconds`, or as soon as `wake` is set."""
        wake.wait(max(0.0, seconds))


def to_text(moment: datetime) -> str:
    """Write a time as the journal stores it: ISO 8601, UTC, microseconds, so that it sorts as text.

    >>> to_text(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    '2026-11-23T12:00:00.000000+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Read a time as the journal stores it."""
    return datetime.fromisoformat(text)
