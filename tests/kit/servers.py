"""Servers on the loopback that do what no honest server does, or only what a test needs of one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Serve = Callable[[socket.socket], object]


@contextmanager
def serving(serve: Serve, heard: list[bytes] | None = None) -> Iterator[int]:
    """Serve every connection in a thread of its own; yields the port.

    Args:
        serve: Called with each connection, which is closed when it returns. A client that goes away ends it.
        heard: If given, the request is read before `serve` is called, and kept here.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def one(client: socket.socket) -> None:
        with client:
            client.settimeout(20)
            try:
                if heard is not None:
                    heard.append(client.recv(65536))
                serve(client)
                client.shutdown(socket.SHUT_WR)
            except (OSError, ValueError):
                pass

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(client,), daemon=True).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        listener.close()


def reset(client: socket.socket) -> None:
    """Cut a connection with a TCP reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def relay(client: socket.socket, port: int, passed: Callable[[str, int], object] = lambda way, size: None) -> None:
    """Pass a connection on to another port of this machine until both sides are done.

    Args:
        client: The connection.
        port: Where it leads.
        passed: Called with "up" or "down" and a number of bytes, before they go on.
    """

    def pump(source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                passed(way, len(piece))
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    with socket.create_connection(("127.0.0.1", port)) as server:
        up = threading.Thread(target=pump, args=(client, server, "up"), daemon=True)
        up.start()
        pump(server, client, "down")
        up.join()


class QuietHandler(BaseHTTPRequestHandler):
    """Writes no log of its requests."""

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


class HttpServer(ThreadingHTTPServer):
    """An HTTP server in threads of its own, from its making until `close`."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no event."""

    def close(self) -> None:
        """Stop serving."""
        self.shutdown()
        self._thread.join()
        self.server_close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
