"""What watches, and strikes, inside a forked command: at every HTTP exchange and every commit of the journal.

It is installed in the child only. Each boundary is written to the trace, which survives SIGKILL; a strike sends the
process a signal at one boundary. Before every write it looks into the journal by a connection of its own: the write
must be recorded there already.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.crash.databases import Database

Place = Literal["before", "committed", "checkpoint", "commit", "after-commit"]
"""Before an exchange is sent; after the service did it (or the client gave it up) and before the process knows; at the
commit that follows; before a commit of the journal; right after it."""

SECOND_STROKE = 0.15
"""Seconds between two signals, so that they are not taken for one."""

KIND_OF_POST = {"leases": "lease", "servers": "server", "floatingips": "floating_ip", "os-keypairs": "keypair"}
MOUNTS = {
    "identity": "keystone",
    "image": "glance",
    "compute": "nova",
    "network": "neutron",
    "reservation": "blazar",
}
_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|[0-9a-f]{32}|envagent-[a-z0-9]{10}")


@dataclass(frozen=True, order=True)
class Exchange:
    """The n-th exchange of its kind in a process."""

    method: str
    path: str
    """The path with ids replaced by `*`."""
    occurrence: int

    @property
    def writes(self) -> bool:
        """Whether it changes the project (a login does not)."""
        return self.method not in ("GET", "HEAD") and not self.path.endswith("/auth/tokens")

    @property
    def service(self) -> str:
        """The sandbox's name of the service."""
        return MOUNTS.get(self.path.split("/")[2], "?")

    @property
    def collection(self) -> str:
        """The last part of its path."""
        return self.path.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{self.method} {self.path} #{self.occurrence}"


SURE_COMMITS = 10
"""A run has more; each of its steps is stored."""


@dataclass(frozen=True)
class Strike:
    """A signal at a boundary: of an exchange, or of the n-th commit."""

    place: Place
    exchange: Exchange | None = None
    commit: int = 0
    signals: tuple[int, ...] = (signal.SIGKILL,)

    @property
    def certain(self) -> bool:
        """Whether every run comes by here: how often a wait is looked at, and what of it is stored, varies."""
        if self.exchange is None:
            return self.commit <= SURE_COMMITS
        return self.exchange.writes or self.exchange.occurrence == 1

    def __str__(self) -> str:
        at = f"commit {self.commit}" if self.exchange is None else str(self.exchange)
        names = "+".join(signal.Signals(one).name for one in self.signals)
        return f"{names} {self.place} {at}"


class Watch:
    """The hooks of one process.

    Args:
        trace: the file that boundaries are appended to.
        database: the journal, to look whether a write was recorded before it is sent.
    """

    def __init__(self, trace: Path, database: Database, strikes: tuple[Strike, ...]) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._database = database
        self._strikes = list(strikes)
        self._lock = threading.Lock()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._commits = 0
        self._here = threading.local()
        """The number of the commit that a thread is at."""
        self._armed: Strike | None = None

    def install(self) -> None:
        """Put the hooks into requests and the journal."""
        from requests.adapters import HTTPAdapter

        from envagent.engine import journal

        self._wrap_exchanges(HTTPAdapter)
        self._wrap_commits(journal)

    def write(self, **line: Any) -> None:
        """Append to the trace."""
        os.write(self._trace, json.dumps(line).encode() + b"\n")

    def _wrap_exchanges(self, adapter: Any) -> None:
        send = adapter.send

        def watched(session: Any, request: Any, *args: Any, **options: Any) -> Any:
            exchange = self._count(request)
            self._strike("before", exchange)
            if exchange.writes:
                self._check_recorded(exchange, urlsplit(request.url).path)
            self.write(
                event="send",
                method=exchange.method,
                path=exchange.path,
                occurrence=exchange.occurrence,
                at=time.time(),
            )
            try:
                response = send(session, request, *args, **options)
            except BaseException as error:
                self.write(event="silence", what=str(exchange), error=type(error).__name__, at=time.time())
                self._strike("committed", exchange)
                self._arm(exchange)
                raise
            self.write(event="answer", what=str(exchange), status=response.status_code, at=time.time())
            self._strike("committed", exchange)
            self._arm(exchange)
            return response

        adapter.send = watched

    def _wrap_commits(self, journal: Any) -> None:
        opened = journal.Journal.open.__func__
        leave: Callable[..., None] = journal.Transaction.__exit__

        def open_watched(cls: Any, place: Path | str) -> Any:
            found = opened(cls, place)
            found.before_commit = self._before_commit
            return found

        def left(
            transaction: Any,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            leave(transaction, kind, error, trace)
            if error is None:
                self._after_commit()

        cursor = journal.Journal.cursor

        @contextlib.contextmanager
        def watched(opened: Any) -> Any:
            shared = threading.current_thread().name.startswith("asyncio")  # a worker's look at what all runs wait for
            with cursor(opened) as found:
                yield found
                if not shared:
                    self._before_commit()
            if not shared:
                self._after_commit()

        journal.Journal.open = classmethod(open_watched)
        journal.Journal.cursor = watched
        journal.Transaction.__exit__ = left

    def _before_commit(self) -> None:
        with self._lock:
            self._commits += 1
            self._here.number = self._commits
            armed, self._armed = self._armed, None
        if armed is not None:
            self._send_signals(armed)
        self._strike("commit", commit=self._here.number)

    def _after_commit(self) -> None:
        self.write(event="commit", number=self._here.number)
        self._strike("after-commit", commit=self._here.number)

    def _count(self, request: Any) -> Exchange:
        path = _ID.sub("*", urlsplit(request.url).path)
        with self._lock:
            self._seen[request.method, path] += 1
            return Exchange(request.method, path, self._seen[request.method, path])

    def _strike(self, place: Place, exchange: Exchange | None = None, commit: int = 0) -> None:
        for strike in self._strikes:
            if (strike.place, strike.exchange, strike.commit) == (place, exchange, commit):
                self._send_signals(strike)

    def _arm(self, exchange: Exchange) -> None:
        for strike in self._strikes:
            if (strike.place, strike.exchange) == ("checkpoint", exchange):
                with self._lock:
                    self._armed = strike

    def _send_signals(self, strike: Strike) -> None:
        self.write(event="strike", what=str(strike), at=time.time())
        for number in strike.signals:
            os.kill(os.getpid(), number)
            if number == signal.SIGKILL:
                signal.pause()
            if len(strike.signals) > 1:
                time.sleep(SECOND_STROKE)

    def _check_recorded(self, exchange: Exchange, path: str) -> None:
        *_, collection, last = path.split("/")
        try:
            if exchange.method == "POST" and last in KIND_OF_POST:
                recorded = self._ask("SELECT 1 FROM intents WHERE kind = ? AND state = 'sent'", KIND_OF_POST[last])
            elif exchange.method == "DELETE":
                recorded = self._ask("SELECT 1 FROM resources WHERE cloud_id = ? AND state = 'removing'", last)
            elif exchange.method == "PUT" and collection == "floatingips":
                recorded = self._ask("SELECT 1 FROM resources WHERE cloud_id = ?", last)
            else:
                recorded = False
        except self._database.error:
            recorded = False
        if not recorded:
            self.write(event="unrecorded", what=f"{exchange.method} {path}")

    def _ask(self, question: str, parameter: str) -> bool:
        return bool(self._database.rows(question, parameter))
