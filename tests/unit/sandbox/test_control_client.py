"""The client of the sandbox's control endpoints, and servers that are not the sandbox."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from envagent.sandbox import SandboxError, control
from envagent.sandbox.files import Paths
from tests.kit.servers import Serve, serving

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def known_at(home: Path, port: int) -> None:
    paths = Paths(home)
    paths.folder.mkdir(parents=True)
    paths.server.write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "id": "x", "secret": "canary-secret"}))


def drip(first: bytes, slowly: bytes, last: bytes) -> Serve:
    def serve(client: socket.socket) -> None:
        client.sendall(first)
        for _ in range(60):
            client.sendall(slowly)
            time.sleep(0.1)
        client.sendall(last)

    return serve


OTHERS: dict[str, Serve] = {
    "body that trickles": drip(HEAD + b"Content-Length: 62\r\n\r\n", b" ", b"{}"),
    "head that trickles": drip(HEAD + b"X: ", b"x", b"\r\nContent-Length: 2\r\n\r\n{}"),
    "interim answers": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"Content-Length: 2\r\n\r\n{}"),
    "body too large": lambda client: client.sendall(HEAD + b"Content-Length: 73400322\r\n\r\n{}" + b" " * 73400320),
    "JSON too deep": lambda client: client.sendall(HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000),
    "no length": lambda client: client.sendall(HEAD + b"Connection: close\r\n\r\n{}"),
    "body cut short": lambda client: client.sendall(HEAD + b"Content-Length: 20\r\n\r\n{}"),
    "no HTTP": lambda client: client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "nothing": lambda client: None,
}


@pytest.mark.parametrize("serve", OTHERS.values(), ids=OTHERS)
def test_who_is_not_the_sandbox_is_given_up(serve: Serve, tmp_path: Path) -> None:
    with serving(serve, heard=[]) as port:
        known_at(tmp_path, port)
        started = time.monotonic()
        with pytest.raises(SandboxError) as caught:
            control(tmp_path, "health", timeout=0.5)
        assert time.monotonic() - started < 5
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("body", [None, {"speed": 1}])
def test_the_secret_does_not_follow_a_redirect(status: int, body: object, tmp_path: Path) -> None:
    def good(client: socket.socket) -> None:
        client.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

    asked: list[bytes] = []
    with serving(good, heard=asked) as elsewhere:

        def move(client: socket.socket) -> None:
            target = b"http://127.0.0.1:%d/_sandbox/health" % elsewhere
            client.sendall(b"HTTP/1.1 %d Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, target))

        with serving(move, heard=[]) as port:
            known_at(tmp_path, port)
            with pytest.raises(SandboxError, match=str(status)):
                control(tmp_path, "health", body)
        assert asked == []
