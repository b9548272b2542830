"""What holds for every exchange of the page: which names it answers to, the headers, and a line in the log."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Log = Callable[[dict[str, Any]], None]


class Guard:
    """Checks the Host header, sets the headers, turns a bug into a plain 500, and logs each exchange.

    A name that is not ours is refused: with DNS rebinding, a page of another site could otherwise be this one to a
    browser.

    Args:
        app: the application.
        hosts: the names under which it may be asked for, apart from those of this machine.
        log: receives a record of each exchange: never a query, a cookie or a path that does not exist.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], log: Log) -> None:
        self._app = app
        self._hosts = LOOPBACK | {one.lower() for one in hosts}
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one exchange."""
        if scope["type"] != "http":
            return
        began, status = time.monotonic(), 0
        scope.setdefault("state", {})

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        trouble: Exception | None = None
        try:
            if host_name(scope) in self._hosts:
                await self._app(scope, receive, sending)
            else:
                await PlainTextResponse("unknown host\n", 400)(scope, receive, sending)
        except Exception as error:
            trouble = error
            if not status:
                await PlainTextResponse("internal error\n", 500)(scope, receive, sending)
        finally:
            self._log(_record(scope, status, time.monotonic() - began, trouble))


def host_name(scope: Scope) -> str:
    """Return the name in the Host header, without its port."""
    host = Headers(scope=scope).get("host", "").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _record(scope: Scope, status: int, seconds: float, trouble: Exception | None) -> dict[str, Any]:
    client, visitor = scope.get("client"), scope["state"].get("visitor")
    record = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": scope["method"],
        "path": scope["path"] if "endpoint" in scope and status != 404 else None,  # others may be a mistyped token
        "status": int(status),
        "ms": round(seconds * 1000, 1),
        "client": client[0] if client else None,
        "owner": visitor.owner if visitor else None,
    }
    if trouble is not None:
        last = traceback.extract_tb(trouble.__traceback__)[-1]
        return {**record, "error": type(trouble).__name__, "where": f"{last.filename}:{last.lineno}"}
    error = scope["state"].get("error")
    return record if error is None else {**record, "error": error}
