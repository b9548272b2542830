# ruff: noqa: E501 - tables read best one answer a line
"""The real way in, https, end to end: a forge behind a proxy on this machine, with a certificate that git trusts.

Addresses with ports are refused, so the proxy is what brings `https://forge.example` here; it also notes every host
that git wants to reach, which shows whether a redirect was followed.
"""

from __future__ import annotations

import datetime
import os
import ssl
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from envagent.repository.fetch import Limits
from tests.kit.git import git, make_repository
from tests.kit.servers import HttpServer, QuietHandler
from tests.security.build import FILE, SUBMODULE
from tests.security.conftest import README, SECRET, Bench

HOST = "forge.example"
Answer = Callable[["Forge"], None]


class Forge(QuietHandler):
    """Speaks CONNECT as a proxy, then TLS and HTTP as whichever host was asked for."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_CONNECT(self) -> None:
        self.server.wanted.append(self.path.partition(":")[0])
        self.send_response(200)
        self.end_headers()
        try:
            inner = self.server.tls.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):
            self.close_connection = True
            return
        self.connection = inner
        self.rfile, self.wfile = inner.makefile("rb"), inner.makefile("wb", buffering=0)  # type: ignore[assignment]

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_GET(self) -> None:
        self.server.wanted.append(self.path)
        self.server.answer(self)

    do_POST = do_GET

    def say(self, status: int, body: bytes = b"", /, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(HttpServer):
    """One answer for all requests; `wanted` lists hosts and paths in order."""

    answer: Answer
    tls: ssl.SSLContext

    def __init__(self) -> None:
        super().__init__(Forge)
        self.wanted: list[str] = []


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "forge.pem", folder / "forge.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def forge(bench: Bench, trusted: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    server.tls = trusted[1]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GIT_SSL_CAINFO", str(trusted[0]))
    monkeypatch.setattr("envagent.repository.fetch.RETRY_AFTER_SECONDS", 0.05)
    yield server
    server.close()


def repository_of(folder: Path) -> Answer:
    """Git's own HTTP server for one repository, at any address."""

    def answer(request: Forge) -> None:
        path, _, query = request.path.partition("?")
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + path.partition(".git/")[2],
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.command,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(one.split(": ", 1) for one in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        request.say(status, content, **{name.replace("-", "_"): value for name, value in fields.items()})

    return answer


def redirect(target: str, status: int = 302) -> Answer:
    return lambda request: request.say(status, Location=target)


def stall(request: Forge) -> None:
    time.sleep(4)


def drip(request: Forge) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
    request.end_headers()
    for _ in range(40):
        request.wfile.write(b"0")
        time.sleep(0.1)


def flood(request: Forge) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
    request.end_headers()
    while True:
        request.wfile.write(b"fff0" + b"x" * 65516)


def long_headers(request: Forge) -> None:
    request.say(200, b"", **{f"X-{n}": "y" * 5000 for n in range(200)})


def gzip_bomb(request: Forge) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join([packer.compress(bytes(1 << 20)) for _ in range(200)] + [packer.flush()])
    request.say(200, body, Content_Encoding="gzip", Content_Type="application/x-git-upload-pack-advertisement")


SMART = {"Content_Type": "application/x-git-upload-pack-advertisement"}
SHORT = Limits(seconds=0.8)
ANSWERS: dict[str, tuple[Answer, str]] = {
    "redirects to a file": (redirect("file:///etc/passwd"), "has moved"),
    "redirects to a repository in a folder": (redirect("file://FOLDER/info/refs?service=git-upload-pack"), "has moved"),
    "redirects to ext": (redirect("ext::sh -c touch% CANARY"), "has moved"),
    "redirects to http": (redirect("http://forge.example/o/r.git/info/refs?service=git-upload-pack"), "has moved"),
    "redirects to another host": (redirect("https://evil.example/o/r.git/info/refs?service=git-upload-pack"), "has moved"),
    "redirects to the metadata service": (redirect("http://169.254.169.254/latest/meta-data/"), "has moved"),
    "redirects to this machine": (redirect("https://127.0.0.1:8774/v2.1/servers"), "has moved"),
    "redirects for good": (redirect("https://evil.example/x", 301), "has moved"),
    "redirects with the method kept": (redirect("https://evil.example/x", 308), "has moved"),
    "redirects to itself": (redirect("/o/r.git/info/refs?service=git-upload-pack"), "has moved"),
    "asks for a password": (lambda r: r.say(401, WWW_Authenticate='Basic realm="Chameleon password"'), "no public repository"),
    "asks for a ticket": (lambda r: r.say(401, WWW_Authenticate="Negotiate"), "no public repository"),
    "forbids": (lambda r: r.say(403), "no public repository"),
    "knows nothing": (lambda r: r.say(404), "no public repository"),
    "is gone": (lambda r: r.say(410), ""),
    "is broken": (lambda r: r.say(500, b"\x1b[2Jpanic"), "two attempts"),
    "is busy": (lambda r: r.say(503, Retry_After="100000"), "two attempts"),
    "limits": (lambda r: r.say(429, Retry_After="100000"), "two attempts"),
    "sends a web page": (lambda r: r.say(200, b"<html>Sign in</html>", Content_Type="text/html"), ""),
    "sends an empty page": (lambda r: r.say(200), ""),
    "sends a greeting that is none": (lambda r: r.say(200, b"001e# service=git-upload-pack\n0000" + b"\xff" * 999, **SMART), ""),
    "is a dumb server that climbs": (lambda r: r.say(200, b"1" * 40 + b"\trefs/heads/../../../x\n", Content_Type="text/plain"), ""),
    "is a dumb server that sends garbage": (lambda r: r.say(200, os.urandom(3000), Content_Type="text/plain"), ""),
    "sends a megabyte of headers": (long_headers, ""),
    "sends a gzip bomb": (gzip_bomb, ""),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=ANSWERS.keys())
def test_hostile_forge(bench: Bench, forge: Server, answer: Answer, words: str) -> None:
    private = bench.repository("private")
    private.commit_files({"README.md": SECRET})
    forge.answer = answer
    reading = bench.read(f"https://{HOST}/o/r.git", limits=Limits(seconds=15))
    assert words in reading.said
    assert all(c.isprintable() or c == "\n" for c in reading.said)
    assert {one for one in forge.wanted if not one.startswith("/")} == {HOST}, "it went elsewhere"
    assert "Authorization" not in reading.said


@pytest.mark.parametrize("answer", [stall, drip, flood])
def test_slow_or_endless_forge(bench: Bench, forge: Server, answer: Answer) -> None:
    forge.answer = answer
    assert bench.read(f"https://{HOST}/o/r.git", limits=SHORT).refusal is not None


def test_certificate_of_another_is_refused(bench: Bench, forge: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = bench.repository()
    repository.commit_files({"README.md": README})
    forge.answer = repository_of(repository.folder)
    assert bench.read("https://other.example/o/r.git").refusal is not None
    monkeypatch.delenv("GIT_SSL_CAINFO")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    assert bench.read(f"https://{HOST}/o/r.git").refusal is not None


def test_honest_forge_is_read_without_its_submodules(bench: Bench, forge: Server) -> None:
    """What the refusals above are measured against; a submodule costs no request of its own."""
    repository = bench.repository()
    modules = f'[submodule "x"]\n\tpath = x\n\turl = https://{HOST}/evil/submodule.git\n'
    repository.commit_files(
        {"README.md": README, ".gitmodules": modules, "main.py": "import os\n"},
        (SUBMODULE, "x", "1" * 40),
        (FILE, "big.bin", repository.blob(os.urandom(300_000))),
    )
    forge.answer = repository_of(repository.folder)
    reading = bench.read(f"https://{HOST}/o/r.git")
    assert set(reading.paths) == {".gitmodules", "README.md", "big.bin", "main.py"}
    assert reading.snapshot is not None and reading.snapshot.files["README.md"] == README
    assert not any("evil" in one for one in forge.wanted)


def test_forge_of_sha256_is_read(bench: Bench, forge: Server) -> None:
    """The client speaks SHA-1 until the server says what it is; then everything is asked for anew."""
    folder = bench.root / "modern"
    work = bench.root / "work"
    make_repository(work, {"README.md": README}, "--object-format=sha256")
    git(work, "clone", "-q", "--bare", str(work), str(folder))
    git(folder, "config", "uploadpack.allowFilter", "true")
    forge.answer = repository_of(folder)
    reading = bench.read(f"https://{HOST}/o/r.git")
    assert reading.snapshot is not None, reading.said
    assert reading.snapshot.files == {"README.md": README}
