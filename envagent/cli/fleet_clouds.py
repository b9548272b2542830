"""A worker's own connections to clouds, with which it looks at what many runs wait for."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from envagent.cli.clouds import CloudAccess, reach
from envagent.config import Settings
from envagent.errors import EnvagentError
from envagent.fleet.watches import Listing

if TYPE_CHECKING:
    from envagent.cloud.http_session import HttpExchange
    from envagent.cloud.port import Cloud


class ExchangeCount:
    """Counts exchanges, from several threads."""

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()

    def exchange(self, exchange: HttpExchange | None = None) -> None:
        """Count one."""
        with self._lock:
            self.number += 1


class SharedClouds:
    """What a worker shares: one login for each cloud, and one connection for listings.

    No request of a run goes over that connection, but its own ones use the same login.

    Args:
        settings: the worker's.
    """

    def __init__(self, settings: Settings) -> None:
        from envagent.cloud.login import Logins

        self._settings = settings
        self._logins = Logins()
        self._clouds: dict[str | None, tuple[Cloud, ExchangeCount]] = {}

    def reach(self, name: str | None) -> CloudAccess:
        """Return how to connect to a cloud with the shared login.

        Raises:
            ConfigurationError: the sandbox has no cloud of this name.
            CloudError: the sandbox cannot be started.
        """
        return replace(reach(name, self._settings), logins=self._logins)

    def look(self, name: str | None, kind: str) -> Listing:
        """List the objects of a kind at a cloud; the error, if any, is in the result."""
        from envagent.steps.watching import LISTINGS

        started, before = time.monotonic(), 0
        shown: dict[str, str] = {}
        counter, problem = ExchangeCount(), None
        try:
            cloud, counter = self._connected(name)
            before = counter.number
            shown = LISTINGS[kind](cloud)
        except EnvagentError as error:
            problem = error
            self._forget(name)
        return Listing(shown, time.monotonic() - started, counter.number - before, problem)

    def close(self) -> None:
        """Close all connections."""
        for name in list(self._clouds):
            self._forget(name)

    def _connected(self, name: str | None) -> tuple[Cloud, ExchangeCount]:
        if name not in self._clouds:
            counter = ExchangeCount()
            self._clouds[name] = (self.reach(name).connect(counter.exchange), counter)
        return self._clouds[name]

    def _forget(self, name: str | None) -> None:
        cloud, _ = self._clouds.pop(name, (None, None))
        if cloud is not None:
            cloud.close()
