"""How requests are sent: once, with a time limit, with a new token after a 401, and never chattily."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from envagent.cli.render.hint_text import hint_text
from envagent.cloud.adapter import connect
from envagent.cloud.login import Logins
from envagent.cloud.port import Cloud, HostReservation, ServerRequest
from envagent.errors import (
    AuthenticationError,
    BadRequest,
    CloudError,
    CloudUnreachable,
    EnvagentError,
    OutcomeUnknown,
)

from .stub import Reply, StubCloud, close, cut, half_an_answer

Connect = Callable[..., Cloud]

SERVER = ServerRequest(
    name="s", image_id="i", flavor_id="f", network_id="n", key_name="k", reservation_id="r", metadata={"a": "b"}
)
TOMORROW = datetime.now(UTC) + timedelta(days=1)

WRITES: dict[str, tuple[str, str, Callable[[Cloud], object]]] = {
    "create_lease": (
        "POST",
        "/reservation/v1/leases$",
        lambda cloud: cloud.create_lease("l", None, TOMORROW, HostReservation(node_type="t")),
    ),
    "delete_lease": ("DELETE", "/reservation/v1/leases/x$", lambda cloud: cloud.delete_lease("x")),
    "create_server": ("POST", "/compute/v2.1/servers$", lambda cloud: cloud.create_server(SERVER)),
    "delete_server": ("DELETE", "/compute/v2.1/servers/x$", lambda cloud: cloud.delete_server("x")),
    "import_keypair": ("POST", "/compute/v2.1/os-keypairs$", lambda cloud: cloud.import_keypair("k", "ssh-ed25519 A")),
    "delete_keypair": ("DELETE", "/compute/v2.1/os-keypairs/k$", lambda cloud: cloud.delete_keypair("k")),
    "create_floating_ip": (
        "POST",
        "/network/v2.0/floatingips$",
        lambda cloud: cloud.create_floating_ip("n", "mark"),
    ),
    "attach_floating_ip": (
        "PUT",
        "/network/v2.0/floatingips/f$",
        lambda cloud: cloud.attach_floating_ip("f", "p"),
    ),
    "delete_floating_ip": (
        "DELETE",
        "/network/v2.0/floatingips/f$",
        lambda cloud: cloud.delete_floating_ip("f"),
    ),
}
READS: dict[str, tuple[str, Callable[[Cloud], object]]] = {
    "images": ("/image/v2/images", lambda cloud: cloud.images()),
    "servers": ("/compute/v2.1/servers/detail", lambda cloud: cloud.servers()),
    "networks": ("/network/v2.0/networks", lambda cloud: cloud.networks()),
    "leases": ("/reservation/v1/leases", lambda cloud: cloud.leases()),
    "hosts": ("/reservation/v1/os-hosts$", lambda cloud: cloud.hosts()),
}
STUBBORN = {
    "connect_retries": 5,
    "status_code_retries": 5,
    "compute_status_code_retries": 5,
    "image_status_code_retries": 5,
    "reservation_connect_retries": 5,
    "retriable_status_codes": [409, 500, 502, 503],
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("failure", ["reset", "half", "timeout", "502", "503", "html", "empty"])
def test_a_write_without_a_usable_answer_is_sent_once_and_stays_open(
    write: str, failure: str, stub: StubCloud, connected: Connect
) -> None:
    method, path, call = WRITES[write]
    replies = {
        "reset": Reply(act=cut),
        "half": Reply(act=half_an_answer),
        "timeout": Reply(act=lambda handler: time.sleep(0.6)),
        "502": Reply(502, b"<html><body><h1>Bad Gateway</h1></body></html>", {"Content-Type": "text/html"}),
        "503": Reply(503, {"message": "Service Unavailable"}),
        "html": Reply(200, b"<html>welcome</html>", {"Content-Type": "text/html"}),
        "empty": Reply(200, b""),
    }
    stub.on(method, path, replies[failure])
    cloud = connected(timeout=5.0, write_timeout=0.3, **STUBBORN)
    if method == "DELETE" and failure in ("html", "empty"):
        call(cloud)
    else:
        with pytest.raises(OutcomeUnknown):
            call(cloud)
    assert stub.count(method, path) == 1


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("failure", ["reset", "timeout", "500", "503"])
def test_a_read_that_fails_is_retryable_and_left_to_the_caller(
    read: str, failure: str, stub: StubCloud, connected: Connect
) -> None:
    path, call = READS[read]
    replies = {
        "reset": Reply(act=cut),
        "timeout": Reply(act=lambda handler: time.sleep(0.6)),
        "500": Reply(500, {"error_message": "x"}),
        "503": Reply(503, b"gone fishing", {"Retry-After": "7"}),
    }
    stub.on("GET", path, replies[failure])
    with pytest.raises(CloudUnreachable) as caught:
        call(connected(timeout=0.3, write_timeout=5.0, **STUBBORN))
    assert caught.value.retryable
    assert caught.value.retry_after == (7.0 if failure == "503" else None)
    assert stub.count("GET", path) == 1


@pytest.mark.parametrize("call", [WRITES["create_lease"][2], READS["servers"][1]])
def test_a_connection_that_never_was_means_that_nothing_was_sent(
    call: Callable[[Cloud], object], stub: StubCloud, connected: Connect
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    cloud = connected(reservation_endpoint_override=f"{gone}/v1", compute_endpoint_override=f"{gone}/v2.1")
    with pytest.raises(CloudUnreachable, match="connection refused"):
        call(cloud)


def test_a_host_name_that_nobody_knows(connected: Connect) -> None:
    cloud = connected(reservation_endpoint_override="http://blazar.invalid/v1")
    with pytest.raises(CloudUnreachable, match=r"blazar\.invalid.*unknown host name"):
        cloud.delete_lease("x")


def test_a_certificate_that_nobody_signed(tmp_path: Path, connected: Connect) -> None:
    """The request is never sent, so nothing is open."""
    listener = ssl_listener(tmp_path)
    cloud = connected(reservation_endpoint_override=f"https://127.0.0.1:{listener.getsockname()[1]}/v1")
    with pytest.raises(CloudUnreachable, match="TLS"):
        cloud.delete_lease("x")
    listener.close()


def ssl_listener(folder: Path) -> socket.socket:
    """A TLS server with a certificate of its own making, on a thread that ends with the socket."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    no_password = serialization.NoEncryption()
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)

    def refuse() -> None:
        with contextlib.suppress(OSError):
            listener.accept()

    threading.Thread(target=refuse, daemon=True).start()
    return listener


def test_a_proxy_that_is_not_there(stub: StubCloud, connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = connected(reservation_endpoint_override="http://blazar.example:1234/v1")
    cloud.identity()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(CloudUnreachable):
            cloud.delete_lease("x")


@pytest.mark.parametrize("failure", ["reset", "closed", "half", "timeout"])
def test_a_write_that_went_through_a_proxy_stays_open(
    failure: str, stub: StubCloud, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = {"reset": cut, "closed": close, "half": half_an_answer, "timeout": lambda handler: time.sleep(0.6)}
    stub.on("POST", r"blazar\.example:1234/v1/leases$", Reply(act=acts[failure]))
    cloud = connected(write_timeout=0.3, reservation_endpoint_override="http://blazar.example:1234/v1")
    cloud.identity()
    monkeypatch.setenv("http_proxy", stub.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(OutcomeUnknown):
        WRITES["create_lease"][2](cloud)
    assert stub.count("POST", "/v1/leases$") == 1


def test_a_proxy_that_refuses_the_way_has_sent_nothing(
    stub: StubCloud, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = connected(reservation_endpoint_override="https://blazar.example:1234/v1")
    cloud.identity()
    monkeypatch.setenv("https_proxy", stub.url)  # the stub knows no CONNECT: 501
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(CloudUnreachable):
        WRITES["create_lease"][2](cloud)


def test_a_failing_login_before_a_write_leaves_nothing_open(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", Reply(act=cut))
    with pytest.raises(CloudUnreachable):
        connected().create_server(SERVER)
    assert stub.count("POST", "/servers") == 0


def test_a_write_is_not_redirected(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/compute/v2.1/servers$", Reply(307, {}, {"Location": f"{stub.url}/elsewhere"}))
    with pytest.raises(BadRequest):
        connected().create_server(SERVER)
    assert stub.count("POST", "/elsewhere") == 0


def test_a_token_that_a_service_refuses_is_renewed_once(stub: StubCloud, connected: Connect) -> None:
    refusal = Reply(401, {"error": {"code": 401, "message": "The request you have made requires authentication."}})
    stub.on("POST", "/compute/v2.1/servers$", refusal, Reply(202, {"server": {"id": "1"}}))
    assert connected().create_server(SERVER).id == "1"
    sent = [seen.headers["x-auth-token"] for seen in stub.seen if seen.path.endswith("/servers")]
    assert sent == ["token-1", "token-2"]


def test_threads_that_are_refused_together_share_a_new_token(stub: StubCloud, connected: Connect) -> None:
    """With keystoneauth's own renewal the second of them gives up while the first logs in."""
    both_sent = threading.Barrier(6, timeout=5)

    def refuse_the_first(handler: BaseHTTPRequestHandler) -> None:
        first = handler.headers["X-Auth-Token"] == "token-1"
        if first:
            both_sent.wait()
        content = b'{"error": {"code": 401, "message": "expired"}}' if first else b'{"servers": []}'
        handler.send_response(401 if first else 200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def log_in_slowly(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        reply = stub.login()
        content = json.dumps(reply.body).encode()
        handler.send_response(201)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    stub.on("GET", "/servers/detail", Reply(act=refuse_the_first))
    cloud = connected()
    cloud.identity()
    stub.on("POST", "/v3/auth/tokens$", Reply(act=log_in_slowly))
    with ThreadPoolExecutor(6) as pool:
        assert [one.result() for one in [pool.submit(cloud.servers) for _ in range(6)]] == [[]] * 6
    assert stub.tokens == 2


def test_a_fresh_token_that_is_refused_too_ends_it(stub: StubCloud, connected: Connect) -> None:
    refusal = Reply(401, {"error": {"code": 401, "message": "The request you have made requires authentication."}})
    stub.on("GET", "/compute/v2.1/servers/detail", refusal)
    with pytest.raises(AuthenticationError):
        connected().servers()
    assert stub.count("GET", "/servers/detail") == 2


def test_a_token_near_its_end_is_renewed_in_silence(stub: StubCloud, connected: Connect) -> None:
    stub.token_seconds = 60
    stub.on("GET", "/servers/detail", Reply(200, {"servers": []}))
    cloud = connected()
    cloud.servers()
    cloud.servers()
    assert stub.tokens >= 2


def test_each_call_costs_one_exchange_and_the_login_one(stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/servers/detail", Reply(200, {"servers": []}))
    stub.on("GET", "/images", Reply(200, {"images": []}))
    stub.on("GET", "/networks", Reply(200, {"networks": []}))
    stub.on("GET", "/leases", Reply(200, {"leases": []}))
    cloud = connected()
    assert cloud.identity().profile == "baremetal"
    for call in (cloud.servers, cloud.images, cloud.networks, cloud.leases):
        call()
    assert [f"{seen.method} {seen.path.split('?')[0]}" for seen in stub.seen] == [
        "POST /v3/auth/tokens",
        "GET /compute/v2.1/servers/detail",
        "GET /image/v2/images",
        "GET /network/v2.0/networks",
        "GET /reservation/v1/leases",
    ]


def test_many_threads_share_one_login(stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/servers/detail", Reply(200, {"servers": []}))
    stub.on("GET", "/leases", Reply(200, {"leases": []}))
    cloud = connected()
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda i: cloud.servers() if i % 2 else cloud.leases(), range(64)))
    assert done == [[]] * 64
    assert stub.tokens == 1
    assert len(stub.seen) == 65


def test_connections_share_a_login_until_the_credentials_change(stub: StubCloud, tmp_path: Path) -> None:
    stub.on("GET", "/servers/detail", Reply(200, {"servers": []}))
    path, logins = stub.clouds_yaml(tmp_path), Logins()

    def look(number: int) -> None:
        cloud = connect("stub", clouds_yaml=path, logins=logins)
        cloud.servers()
        cloud.close()

    look(0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(16)))
    assert stub.tokens == 1
    entry = stub.entry()
    entry["auth"]["password"] = "canary-changed"
    stub.clouds_yaml(tmp_path, stub=entry)
    look(0)
    sent = [seen.body for seen in stub.seen if seen.path.endswith("/tokens")]
    assert ["canary-changed" in one for one in sent] == [False, True]


def test_pages_are_followed_to_the_end(stub: StubCloud, connected: Connect) -> None:
    def picture(number: int) -> dict[str, object]:
        return {"id": str(number), "name": "n", "status": "active", "visibility": "public"}

    stub.on("GET", "/image/v2/images", Reply(200, {"images": [picture(1)], "next": "/v2/images?limit=1000&marker=1"}))
    stub.on("GET", "marker=1$", Reply(200, {"images": [picture(2)]}))
    assert [image.id for image in connected().images()] == ["1", "2"]
    assert stub.count("GET", "limit=1000") == 2


def test_a_list_that_never_ends_is_given_up(stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/image/v2/images", Reply(200, {"images": [], "next": "/v2/images?marker=1"}))
    with pytest.raises(CloudError):
        connected().images()
    assert len(stub.seen) < 10


def test_an_answer_that_drips_is_given_up(stub: StubCloud, connected: Connect) -> None:
    def silence(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.flush()
        time.sleep(0.6)

    stub.on("GET", "/servers/detail", Reply(act=silence))
    with pytest.raises(CloudUnreachable):
        connected(timeout=0.3).servers()


def test_no_secret_shows_in_logs_errors_or_models(
    stub: StubCloud, connected: Connect, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    cloud = connected()
    stub.on("POST", "/leases", Reply(500, {"error_message": "x\x00y"}))
    stub.on("GET", "/servers/detail", Reply(act=cut))
    shown = [repr(cloud), repr(cloud.identity())]
    for call in (WRITES["create_lease"][2], READS["servers"][1]):
        with pytest.raises(EnvagentError) as caught:
            call(cloud)
        error = caught.value
        shown += [
            repr(error),
            hint_text(error.hint),
            str(error.service_said),
            repr(error.__dict__),
            repr(error.__cause__),
        ]
    captured = capfd.readouterr()
    everything = "".join([*shown, caplog.text, captured.out, captured.err])
    assert "canary-password" not in everything
    assert "token-1" not in everything
    assert "\x00" not in everything
    assert not [record for record in caplog.records if record.name.startswith(("keystoneauth", "openstack", "urllib3"))]


def test_close_can_be_called_from_another_thread(stub: StubCloud, tmp_path: Path) -> None:
    cloud = connect("stub", clouds_yaml=stub.clouds_yaml(tmp_path))
    cloud.identity()
    thread = threading.Thread(target=cloud.close)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
