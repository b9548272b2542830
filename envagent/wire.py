"""Limits on HTTP exchanges: how long one may take in all, and how large its response may be.

A socket's timeout restarts with every byte, so a trickling response outlives it. Here a deadline holds whatever
arrives, and every byte of status lines, headers and body counts. A client takes part by giving its connections
`LimitedResponse` as `response_class`. Importing this module imports the standard library only.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

BODY_BYTES = 64 << 20
"""The largest body, before and after decompression: the hosts of a large site are a few megabytes."""

EXCHANGE_FACTOR = 3
"""An exchange may take this many times the limit on silence."""

LONGEST_CALL = 600.0
"""Seconds that no call exceeds, whatever the settings: after them, nobody waits for its response any more."""

HEAD_BYTES = 1 << 20
"""The largest head, including the interim responses (100 Continue) before it."""


class Overrun(OSError):
    """An exchange exceeded one of its limits."""


class Exchange:
    """The time and size left to one exchange, or to several under one limit.

    Attributes:
        overrun: the limit that was exceeded, as a message for the user; None while none was.
        permit: called just before a request's bytes go out; it raises to keep them back.
    """

    def __init__(self, seconds: float, outer: Exchange | None = None) -> None:
        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        if outer is not None and outer._deadline < self._deadline:
            self._seconds, self._deadline = outer._seconds, outer._deadline
        self._room, self._words = 0, ""
        self.overrun: str | None = None
        self.permit: Callable[[], None] | None = None

    @property
    def seconds_left(self) -> float:
        """The time until the deadline, 0 after it."""
        return max(0.0, self._deadline - time.monotonic())

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            Overrun: none are left.
        """
        left = self.seconds_left
        if not left:
            self.fail(f"the response was not complete within {self._seconds:g} s")
        return left

    def make_room(self, size: int, what: str) -> None:
        """Accept at most `size` bytes from now on."""
        self._room, self._words = size, f"{what} is larger than {size >> 20} MiB"

    def take(self, count: int) -> None:
        """Count received bytes.

        Raises:
            Overrun: there is no room for them.
        """
        self._room -= count
        if self._room < 0:
            self.fail(self._words)

    def fail(self, words: str) -> NoReturn:
        """Give up the exchange, for a reason in words."""
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
    """A response of which every byte is read within the limits in force when it starts."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._exchange = current()
        if self._exchange is not None:
            self._exchange.make_room(HEAD_BYTES, "the head of the response")
            self.fp = io.BufferedReader(_Metered(self.fp.detach(), sock, self._exchange))

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        if self._exchange is not None:
            self._exchange.make_room(BODY_BYTES, "the response")


class _Metered(io.RawIOBase):
    """The bytes of a socket; no read gets more time than its exchange has left."""

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
            self._exchange.left()  # raises the deadline's own error, if that is what passed
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
