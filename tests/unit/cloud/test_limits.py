"""Answers without end, in time or in size: each exchange and each call is over in seconds, and a write stays open."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any

import pytest
import urllib3.util.connection

from envagent.cloud import http_session
from envagent.cloud.port import Cloud, HostReservation
from envagent.config import Settings
from envagent.engine.step import RetryPolicy
from envagent.errors import CloudUnreachable, OutcomeUnknown
from envagent.wire import LONGEST_CALL
from tests.kit.servers import serving

from .stub import Reply, StubCloud

Connect = Callable[..., Cloud]
Act = Callable[[BaseHTTPRequestHandler], None]

SILENCE = 0.6
"""The limit on silence here; the trickles below come faster, even from a thread that waits for a processor."""
PAUSE = 0.1
TRICKLE = 6.0
"""Seconds after which a trickling server gives up: a client that waits for it gets a whole, good answer."""

BODY = b'{"leases": [], "lease": {}, "token": {}}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def sent(*pieces: bytes) -> Act:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            for piece in pieces:
                handler.wfile.write(piece)
        except OSError:
            pass

    return act


def trickled(before: bytes, slowly: Callable[[int], bytes], after: bytes = b"") -> Act:
    """Send a beginning, then a piece now and then, then the rest."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            handler.wfile.write(before)
            for number in range(int(TRICKLE / PAUSE)):
                handler.wfile.write(slowly(number))
                time.sleep(PAUSE)
            handler.wfile.write(after)
        except OSError:
            pass

    return act


LENGTH = int(TRICKLE / PAUSE)
SLOW: dict[str, Act] = {
    "body": trickled(HEAD + b"Content-Length: %d\r\n\r\n" % (LENGTH + len(BODY)), lambda _: b" ", BODY),
    "chunks": trickled(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        lambda _: b"1\r\n \r\n",
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    ),
    "headers": trickled(HEAD + b"X-Slow: ", lambda _: b"x", b"\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)),
    "status line": trickled(b"HTTP/1.1 200 ", lambda _: b"x", b"\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)),
    "interim answers": trickled(
        b"", lambda _: b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
    ),
}


@cache
def bomb(bits: int, size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    piece = packer.compress(b" " * (1 << 20))
    return piece + b"".join(packer.compress(b" " * (1 << 20)) for _ in range(size - 1)) + packer.flush()


def packed(encoding: bytes, pack: Callable[[], bytes]) -> Act:
    """Send what is packed once it is asked for: that takes a while."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        content = pack()
        head = b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(content))
        sent(HEAD, head, content)(handler)

    return act


MEGABYTE = b" " * (1 << 20)
LARGE: dict[str, tuple[Act, str]] = {
    "body": (sent(HEAD, b"Content-Length: %d\r\n\r\n" % (70 << 20), *[MEGABYTE] * 70), "larger than 64 MiB"),
    "body without a length": (sent(HEAD, b"Connection: close\r\n\r\n", *[MEGABYTE] * 70), "larger than 64 MiB"),
    "chunks": (
        sent(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", *[b"100000\r\n", MEGABYTE, b"\r\n"] * 70),
        "larger than 64 MiB",
    ),
    "gzip": (packed(b"gzip", lambda: bomb(31, 70)), "larger than 64 MiB"),
    "deflate": (packed(b"deflate", lambda: bomb(-15, 70)), "larger than 64 MiB"),
    "gzip in gzip": (packed(b"gzip, gzip", lambda: gzip.compress(bomb(31, 70))), "larger than 64 MiB"),
    "interim answers": (sent(*[b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000] * 20), "head of the response"),
}


def lease(cloud: Cloud) -> object:
    return cloud.create_lease("l", None, datetime.now(UTC) + timedelta(days=1), HostReservation(node_type="t"))


@pytest.mark.parametrize("act", SLOW.values(), ids=SLOW)
def test_an_answer_that_trickles_is_given_up(act: Act, stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/v1/leases", Reply(act=act))
    stub.on("POST", "/v1/leases", Reply(act=act))
    cloud = connected(timeout=SILENCE, write_timeout=SILENCE)
    with pytest.raises(CloudUnreachable, match=r"not complete within 1\.8 s") as caught:
        cloud.leases()
    assert caught.value.retryable
    with pytest.raises(OutcomeUnknown, match=r"not complete within 1\.8 s"):
        lease(cloud)
    assert stub.count("POST", "/v1/leases") == 1


@pytest.mark.parametrize("act", SLOW.values(), ids=SLOW)
def test_a_login_that_trickles_is_given_up_and_nothing_is_written(
    act: Act, stub: StubCloud, connected: Connect
) -> None:
    stub.on("POST", "/v3/auth/tokens", Reply(act=act))
    cloud = connected(timeout=SILENCE, write_timeout=SILENCE)
    with pytest.raises(CloudUnreachable, match="not complete within"):
        lease(cloud)
    assert stub.count("POST", "/v1/leases") == 0


@pytest.mark.parametrize(("act", "words"), LARGE.values(), ids=LARGE)
def test_an_answer_that_is_too_large_is_given_up(act: Act, words: str, stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/v1/leases", Reply(act=act))
    stub.on("POST", "/v1/leases", Reply(act=act))
    cloud = connected(timeout=20, write_timeout=20)
    with pytest.raises(CloudUnreachable, match=words):
        cloud.leases()
    with pytest.raises(OutcomeUnknown, match=words):
        lease(cloud)
    assert stub.count("POST", "/v1/leases") == 1


def test_a_large_answer_of_a_large_site_is_read(stub: StubCloud, connected: Connect) -> None:
    hosts = [{"id": number, "node_type": "t", "note": "x" * 4000} for number in range(5000)]
    stub.on("GET", "/v1/os-hosts$", Reply(200, {"hosts": hosts}))
    assert len(connected(timeout=20).hosts()) == 5000


@pytest.mark.parametrize("status", [101, 102, 103, 199])
def test_an_interim_answer_is_no_answer(status: int, stub: StubCloud, connected: Connect) -> None:
    act = sent(b"HTTP/1.1 %d Later\r\n\r\n" % status)
    stub.on("DELETE", "/v1/leases/x$", Reply(act=act))
    stub.on("GET", "/v1/leases$", Reply(act=act))
    cloud = connected()
    with pytest.raises(CloudUnreachable, match=str(status)):
        cloud.leases()
    with pytest.raises(OutcomeUnknown):
        cloud.delete_lease("x")


HEADS: dict[str, tuple[Act, str]] = {
    "headers without end": (sent(HEAD, *[b"X-%d: y\r\n" % n for n in range(5000)], b"\r\n"), "too long"),
    "a header without end": (sent(HEAD, b"X: ", *[b"y" * 65536] * 4, b"\r\n\r\n"), "too long"),
    "a status line without end": (sent(b"HTTP/1.1 200 ", *[b"y" * 65536] * 4), "too long"),
    "another protocol": (sent(b"SSH-2.0-OpenSSH_9.6\r\n"), "not HTTP"),
}


@pytest.mark.parametrize(("act", "words"), HEADS.values(), ids=HEADS)
def test_a_head_that_is_none(act: Act, words: str, stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/v1/leases", Reply(act=act))
    stub.on("POST", "/v1/leases", Reply(act=act))
    cloud = connected()
    with pytest.raises(CloudUnreachable, match=words):
        cloud.leases()
    with pytest.raises(OutcomeUnknown):
        lease(cloud)


@pytest.mark.parametrize(
    "asked",
    ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 99999 23:59:59 GMT", "-5", "nan", "1e300", "٣", "\x1b"],
)
def test_a_service_may_not_send_a_run_to_sleep_for_years(asked: str, stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/v1/leases", Reply(503, {}, {"Retry-After": asked.encode().decode("latin-1")}))
    with pytest.raises(CloudUnreachable) as caught:
        connected().leases()
    assert 0 < RetryPolicy().pause(1, caught.value.retry_after) <= 300


def test_a_damaged_compressed_answer_is_read_again_later(stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/v1/leases$", Reply(act=packed(b"gzip", lambda: b"\x1f\x8b\x08no")))
    with pytest.raises(CloudUnreachable, match="damaged"):
        connected().leases()


def test_a_list_of_endless_pages_ends_with_its_call(stub: StubCloud, connected: Connect) -> None:
    numbers = count()

    def page(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        body = b'{"images": [], "next": "/v2/images?marker=%d"}' % next(numbers)
        handler.wfile.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    stub.on("GET", "/v2/images", Reply(act=page))
    with pytest.raises(CloudUnreachable):
        connected(timeout=0.5).images()
    assert stub.count("GET", "/v2/images") < 20


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port, at every address of this machine, that never finishes a handshake: its queue is full."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        time.sleep(0.1)
        yield port
        for one in waiting:
            one.close()


def names(known: dict[str, Any]) -> Callable[..., object]:
    """A resolver that knows these names as well."""
    resolve = socket.getaddrinfo
    return lambda host, *rest, **more: known.get(host) or resolve(host, *rest, **more)


def test_a_name_with_many_dead_addresses_is_given_up(
    black_hole: int, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", black_hole)) for n in range(1, 30)]
    cloud = connected(
        timeout=0.4, write_timeout=0.4, reservation_endpoint_override=f"http://many.example:{black_hole}/v1"
    )
    cloud.identity()
    monkeypatch.setattr(socket, "getaddrinfo", names({"many.example": many}))
    started = time.monotonic()
    with pytest.raises(CloudUnreachable):  # nothing was sent, so nothing is open
        lease(cloud)
    assert time.monotonic() - started < 6


def test_a_name_with_one_dead_address_is_reached_at_the_next(
    stub: StubCloud, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = stub.server.server_port
    stub.on("GET", "/v1/leases", Reply(200, {"leases": []}))
    cloud = connected(reservation_endpoint_override=f"http://two.example:{port}/reservation/v1")
    cloud.identity()
    two = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (2, 1)]
    monkeypatch.setattr(socket, "getaddrinfo", names({"two.example": two}))
    assert cloud.leases() == []


@pytest.fixture
def dripping() -> Iterator[int]:
    """A port that takes every connection and answers a byte now and then."""

    def drip(client: socket.socket) -> None:
        for _ in range(int(TRICKLE / PAUSE)):
            client.sendall(b"\x16")
            time.sleep(PAUSE)

    with serving(drip) as port:
        yield port


@pytest.mark.parametrize("way", ["TLS handshake", "proxy"])
def test_a_way_that_trickles_is_given_up(
    way: str, dripping: int, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"127.0.0.1:{dripping}" if way == "TLS handshake" else "blazar.example:1"
    cloud = connected(timeout=SILENCE, write_timeout=SILENCE, reservation_endpoint_override=f"https://{place}/v1")
    cloud.identity()
    if way == "proxy":
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{dripping}")
    started = time.monotonic()
    with pytest.raises(CloudUnreachable):
        cloud.leases()
    assert time.monotonic() - started < TRICKLE - 1


def test_threads_do_not_wait_for_one_login_after_the_other(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", Reply(act=SLOW["body"]))
    cloud = connected(timeout=0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        ended = [one.exception() for one in [pool.submit(cloud.servers) for _ in range(12)]]
    assert {type(one) for one in ended} == {CloudUnreachable}
    assert time.monotonic() - started < 9  # one after the other: 18 s


def test_a_connection_that_comes_too_late_is_closed(
    stub: StubCloud, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[socket.socket] = []
    connect = urllib3.util.connection.create_connection

    def late(*arguments: Any, **more: Any) -> socket.socket:
        opened.append(connect(*arguments, **more))
        time.sleep(0.2)
        return opened[-1]

    monkeypatch.setattr(urllib3.util.connection, "create_connection", late)
    monkeypatch.setattr(http_session, "LONGEST_CALL", 0.1)
    with pytest.raises(CloudUnreachable):
        connected().servers()
    assert {one.fileno() for one in opened} == {-1}


def test_no_call_is_longer_than_the_engine_relies_on(
    stub: StubCloud, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = max(one.le for one in Settings.model_fields["write_timeout_seconds"].metadata if hasattr(one, "le"))
    assert longest <= LONGEST_CALL
    monkeypatch.setattr(http_session, "LONGEST_CALL", 1.0)
    stub.on("POST", "/v1/leases", Reply(act=SLOW["body"]))
    with pytest.raises(OutcomeUnknown, match="not complete within 1 s"):
        lease(connected(timeout=longest, write_timeout=longest))


def test_a_write_is_not_sent_when_its_login_has_used_up_the_time(
    stub: StubCloud, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_session, "LONGEST_CALL", 0.5)
    login = stub.login

    def slowly(**more: object) -> Reply:
        time.sleep(0.45)
        return login(**more)

    stub.login = slowly  # type: ignore[method-assign]
    stub.token_seconds = 60  # each request renews it
    with pytest.raises(CloudUnreachable):
        lease(connected())
    assert stub.count("POST", "/v1/leases") == 0
