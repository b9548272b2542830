"""Who is logged in: sessions and forms of this process, and how often a login may be tried.

A session lives in memory; a restart ends it. A cookie holds a random name for it, of which only the hash is kept.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from envagent.web.web_tokens import TokenFile, Visitor, digest

SESSION_SECONDS = 12 * 3600
MOST_SESSIONS = 5000
"""When there are more, the oldest ends."""

WINDOW_SECONDS = 60.0
MOST_FAILURES = 5
"""Wrong tokens that one address may send within the window."""


@dataclass(frozen=True)
class _Session:
    token: str
    """The token's hash: the session ends with it."""
    until: float


class Sessions:
    """The sessions of people who have logged in.

    Args:
        tokens: the valid tokens.
        clock: the time in seconds; it only moves forward.
    """

    def __init__(self, tokens: TokenFile, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._key = secrets.token_bytes(32)

    def start(self, token: str) -> str | None:
        """Start a session with a token and return the value of its cookie; None if the token is not valid."""
        hashed = digest(token)
        if self._tokens.visitor(hashed) is None:
            return None
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            now = self._clock()
            self._sessions = {name: one for name, one in self._sessions.items() if one.until > now}
            while len(self._sessions) >= MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[digest(cookie)] = _Session(hashed, now + SESSION_SECONDS)
        return cookie

    def visitor(self, cookie: str) -> Visitor | None:
        """Return whose session a cookie names; None if there is none, or its token is no longer valid."""
        with self._lock:
            session = self._sessions.get(digest(cookie))
        if session is None or session.until <= self._clock():
            return None
        return self._tokens.visitor(session.token)

    def end(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(digest(cookie), None)

    def form_token(self, cookie: str) -> str:
        """Return what a form must contain that is sent with this cookie: no other site can know it."""
        return hmac.digest(self._key, cookie.encode("utf-8", "surrogatepass"), "sha256").hex()

    def is_from_form(self, cookie: str, token: str) -> bool:
        """Return whether a form with this token was made for this cookie."""
        expected = self.form_token(cookie).encode()
        return bool(cookie) and hmac.compare_digest(expected, token.encode("utf-8", "surrogatepass"))


class Throttle:
    """Counts wrong tokens by address.

    Args:
        clock: the time in seconds; it only moves forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def failed(self, address: str) -> None:
        """Count a wrong token."""
        with self._lock:
            now = self._clock()
            self._failures = {name: times for name, times in self._failures.items() if times[-1] > now - WINDOW_SECONDS}
            self._failures.setdefault(address, deque(maxlen=MOST_FAILURES)).append(now)

    def wait_seconds(self, address: str) -> float:
        """Return how long an address must wait before its next try; 0 if it need not."""
        with self._lock:
            times = self._failures.get(address)
            if times is None or len(times) < MOST_FAILURES:
                return 0.0
            return max(0.0, times[0] + WINDOW_SECONDS - self._clock())
