"""Limits on HTTP exchanges: how long one may take in all, and how much its answer may bring.

A socket's timeout starts anew with every byte, so an answer that trickles outlives it. Here a deadline holds whatever
arrives, and every byte of status lines, headers and body counts. This module knows no client: one takes part by
giving its connections `LimitedResponse` as `response_class`. Nothing outside the standard library is imported with it,
because the sandbox's client is light to import.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

ANSWER_BYTES = 64 << 20
"""The largest body, as it comes and after decompression: the hosts of a large site are a few megabytes."""

EXCHANGE_FACTOR = 3
"""How many times the limit on silence an exchange may take in all."""

HEAD_BYTES = 1 << 20
"""The largest head, including the interim answers (100 Continue) before it."""


class Overrun(OSError):
    """An exchange ran over one of its limits."""


class Exchange:
    """The time and the size that are left to one exchange, or to several under one limit.

    Attributes:
        overrun: the limit that was passed, in words for a user; None while none was.
    """

    def __init__(self, seconds: float, outer: Exchange | None = None) -> None:
        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        if outer is not None and outer._deadline < self._deadline:
            self._seconds, self._deadline = outer._seconds, outer._deadline
        self._room, self._words = 0, ""
        self.overrun: str | None = None

    @property
    def seconds_left(self) -> float:
        """The time until the deadline, 0 after it."""
        return max(0.0, self._deadline - time.monotonic())

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            Overrun: there are none.
        """
        left = self.seconds_left
        if not left:
            self.fail(f"the answer was not complete within {self._seconds:g} s")
        return left

    def make_room(self, size: int, what: str) -> None:
        """Let at most `size` bytes come from now on."""
        self._room, self._words = size, f"{what} is larger than {size >> 20} MiB"

    def take(self, count: int) -> None:
        """Count bytes that came.

        Raises:
            Overrun: there is no room for them.
        """
        self._room -= count
        if self._room < 0:
            self.fail(self._words)

    def fail(self, words: str) -> NoReturn:
        """Give the exchange up, for a reason in words."""
        self.overrun = words
        raise Overrun(words)


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def current() -> Exchange | None:
    """Return the innermost limit in force; None where there is none."""
    return _current.get()


@contextmanager
def limited(seconds: float) -> Iterator[Exchange]:
    """Limit the exchanges made inside the block; the deadline of an outer block still holds."""
    exchange = Exchange(seconds, current())
    token = _current.set(exchange)
    try:
        yield exchange
    finally:
        _current.reset(token)


class LimitedResponse(http.client.HTTPResponse):
    """A response whose every byte is read within the limits in force when it begins."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._exchange = current()
        if self._exchange is not None:
            self._exchange.make_room(HEAD_BYTES, "the head of the answer")
            self.fp = io.BufferedReader(_Metered(self.fp.detach(), sock, self._exchange))

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        if self._exchange is not None:
            self._exchange.make_room(ANSWER_BYTES, "the answer")


class _Metered(io.RawIOBase):
    """The bytes of a socket, each read given no more time than its exchange has left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self._raw, self._sock, self._exchange = raw, sock, exchange
        self._silence = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._exchange.left()
        self._sock.settimeout(left if self._silence is None else min(self._silence, left))
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            self._exchange.left()  # the deadline's own word, where it was the deadline
            raise
        self._exchange.take(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def seconds_to_wait(retry_after: str | None) -> float | None:
    """Read a Retry-After header, in seconds or as an HTTP date; None for a header that is absent or unreadable."""
    if not retry_after:
        return None
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return float(Retry().parse_retry_after(retry_after))
    except (InvalidHeader, ValueError, TypeError, IndexError, OverflowError):
        return None
