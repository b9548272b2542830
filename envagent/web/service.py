"""Serves the page over HTTP until the process is asked to stop."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import uvicorn

from envagent.errors import ConfigurationError
from envagent.web.pages import Fleet, application

GRACE_SECONDS = 5
MOST_CONNECTIONS = 200


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {reason}") from None
    return listener


def serve(
    fleet: Fleet,
    listener: socket.socket,
    *,
    hosts: Iterable[str] = (),
    proxied: bool = False,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; exchanges that are in progress are finished.

    Args:
        fleet: what is shown.
        listener: a bound socket.
        hosts: the names under which it may be asked for, apart from those of this machine.
        proxied: whether a proxy on this machine says who the clients are.
        ready: called once connections are accepted.
    """
    config = uvicorn.Config(
        application(fleet, hosts=hosts, log=_write),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxied,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # The server sends itself the signal again once it has stopped; this handler is what it meets.
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        listener.listen(128)
        ready()
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(record: dict[str, Any]) -> None:
    """Write the record of an exchange as a line on stdout."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()
