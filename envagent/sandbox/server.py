"""The server process: one socket, one thread, one state file, until it is stopped or idle.

It holds `sandbox/server.lock` while it runs, so that a state has one server; it writes `server.json` and
`clouds.yaml` once it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from envagent.sandbox.accounts import clouds
from envagent.sandbox.app import Exchanges, build
from envagent.sandbox.cloud import Sandbox
from envagent.sandbox.control_routes import Control
from envagent.sandbox.faults import BadSchedule
from envagent.sandbox.files import Paths, locked, write_private
from envagent.sandbox.sandbox_errors import SetupError
from envagent.sandbox.ssh_server import SshServers, can_listen
from envagent.sandbox.state import State

HOST = "127.0.0.1"
HOSTS = (HOST, "localhost")
LOCK_SECONDS = 1.0


@dataclass
class Activity:
    """Counts requests and logins in progress, to detect that the server is idle."""

    app: ASGIApp
    exchanges: Exchanges
    logins: SshServers
    running: int = 0
    last: float = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request."""
        self.running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= 1
            self.last = time.monotonic()

    def idle_since(self) -> float | None:
        """Return since when the server is idle, None while it is busy."""
        busy = self.running or self.exchanges.pending or self.logins.connections
        return None if busy else max(self.last, self.logins.last)


class Connections:
    """Tracks the open connections by client address, so that one can be broken."""

    def __init__(self) -> None:
        self._transports: dict[Any, asyncio.BaseTransport] = {}

    def protocol(self) -> type[H11Protocol]:
        """Return an HTTP protocol class for uvicorn that reports its connections here."""
        transports = self._transports

        class Reporting(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                transports[transport.get_extra_info("peername")] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.transport.get_extra_info("peername"), None)
                super().connection_lost(exc)

        return Reporting

    def drop(self, client: Any) -> None:
        """Break the connection of a client without a response."""
        transport = self._transports.get(tuple(client))
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _listen(port: int, *, exactly: bool) -> socket.socket:
    """Bind to the port; if it is taken, to any other one unless `exactly` this one is required.

    asyncio sets TCP_NODELAY only on sockets with an explicit protocol; without it each response takes 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        if exactly:
            listener.close()
            raise SetupError(f"the sandbox cannot listen on port {port}: {error.strerror}") from None
        if error.errno != errno.EADDRINUSE or port == 0:
            raise
        listener.bind((HOST, 0))
    return listener


async def _stop_when_idle(server: uvicorn.Server, activity: Activity, idle_seconds: float) -> None:
    while not server.should_exit:
        await asyncio.sleep(min(1.0, idle_seconds / 4))
        since = activity.idle_since()
        if since is not None and time.monotonic() - since > idle_seconds:
            server.should_exit = True


def run(
    paths: Paths,
    settings: dict[str, Any],
    faults: Any,
    port: int | None,
    idle_seconds: float | None,
    ready: Callable[[], None],
) -> None:
    """Serve until stopped; the arguments are those of `process.serve`, with the schedule in `faults`.

    Raises:
        SetupError: another server has this state, or the folder or an argument cannot be used.
    """
    paths.create()
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(paths.server_lock, seconds=LOCK_SECONDS))
        except BlockingIOError:
            message = f"a sandbox is already running in {paths.folder}; its URL is in server.json there"
            raise SetupError(message) from None
        paths.server.unlink(missing_ok=True)  # it appears again when this server listens
        try:
            state = held.enter_context(contextlib.closing(State(paths.state)))
        except sqlite3.Error as error:
            raise SetupError(f"the state {paths.state} cannot be used: {error}") from None
        sandbox = Sandbox(state)
        _prepare(sandbox, settings, faults)
        listener = _listen(int(state.setting("port", 0)) if port is None else port, exactly=port is not None)
        _serve(sandbox, paths, listener, idle_seconds, ready)


def _prepare(sandbox: Sandbox, settings: dict[str, Any], faults: Any) -> None:
    try:
        sandbox.change(settings)
        if faults is not None:
            sandbox.faults.load(faults)
    except BadSchedule as error:
        example = '{"faults": [{"action": "no_capacity"}]}'
        raise SetupError(f"the fault schedule cannot be used: {error}; an example: {example}") from None
    except ValueError as error:
        raise SetupError(f"the settings cannot be used: {error}") from None


def _serve(
    sandbox: Sandbox, paths: Paths, listener: socket.socket, idle_seconds: float | None, ready: Callable[[], None]
) -> None:
    port = listener.getsockname()[1]
    url = f"http://{HOST}:{port}"
    connections = Connections()
    exchanges = Exchanges(sandbox, connections.drop)

    def stop() -> None:
        server.should_exit = True

    logins = SshServers(sandbox, port)
    sandbox.on_change = logins.wake
    ssh_port = port if can_listen(port) else None
    control = Control(sandbox, stop, ssh_port).routes()
    activity = Activity(build(exchanges, control, HOSTS), exchanges, logins, last=time.monotonic())
    config = uvicorn.Config(
        activity,
        http=connections.protocol(),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=75,
    )
    server = uvicorn.Server(config)
    with sandbox.state.transaction():
        sandbox.state.set("port", port)
    write_private(paths.clouds, clouds(sandbox, url))
    listener.listen(128)
    write_private(
        paths.server, json.dumps({"url": url, "pid": os.getpid(), "id": sandbox.id, "secret": sandbox.secret})
    )
    ready()

    async def main() -> None:
        tasks = [asyncio.create_task(logins.run())] if ssh_port is not None else []
        if idle_seconds is not None:
            tasks.append(asyncio.create_task(_stop_when_idle(server, activity, idle_seconds)))
        await server.serve(sockets=[listener])
        for task in tasks:
            task.cancel()

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.stderr.write("sandbox stopped\n")
