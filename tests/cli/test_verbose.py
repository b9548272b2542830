"""--verbose shows each request and the libraries' warnings, and nothing that is secret or acts on a terminal."""

from __future__ import annotations

import logging
import re
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.kit.servers import serving

REQUEST = re.compile(r"^\d\d:\d\d:\d\d  (GET|POST|DELETE) (/\S+) (\d{3}) (req-[0-9a-f-]{36}) (\d+) ms$", re.M)
PASSWORD = "canary-password"


@pytest.fixture
def hostile_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a cloud's login; what it says is appended by the test."""
    clouds = tmp_path / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    return str(clouds)


@pytest.mark.parametrize("before", [True, False])
def test_requests_are_shown_on_request(cli: Cli, before: bool) -> None:
    words = ["teardown", "--orphans", "--cloud", "sandbox", "--dry-run", "--json"]
    shown = cli("-v", *words) if before else cli(*words, "--verbose")
    assert shown.code == 0
    assert {(method, status) for method, _, status, *_ in REQUEST.findall(shown.err)} >= {
        ("POST", "201"),
        ("GET", "200"),
    }
    assert any(path.endswith("/v3/auth/tokens") for _, path, *_ in REQUEST.findall(shown.err))
    assert shown.document["schema_version"] == 1
    clouds = (cli.home / "sandbox" / "clouds.yaml").read_text()
    secrets = re.findall(r"(?:password|secret): (\S+)", clouds)
    assert secrets and not [one for one in secrets if one in shown.err]
    quiet = cli(*words)
    assert not REQUEST.search(quiet.err)


def test_a_hostile_server_acts_on_no_terminal_and_sees_no_secret_shown(cli: Cli, hostile_cloud: str) -> None:
    heard: list[bytes] = []

    def answer(client: socket.socket) -> None:
        while PASSWORD.encode() not in b"".join(heard) and (part := client.recv(65536)):
            heard.append(part)
        client.sendall(
            b"HTTP/1.1 500 no\r\nx-openstack-request-id: req-\x1b[2J\x9b31m" + b"x" * 5000 + b"\r\n"
            b"content-length: 0\r\nconnection: close\r\n\r\n"
        )

    with serving(answer) as port:
        auth = f"{{auth_url: 'http://127.0.0.1:{port}/v3', username: u, password: {PASSWORD}, "
        auth += "user_domain_id: d, project_id: x}"
        Path(hostile_cloud).write_text(f"clouds:\n  away:\n    auth: {auth}\n")
        ended = cli("teardown", "--orphans", "--cloud", "away", "-v")
    assert ended.code == 7
    assert PASSWORD.encode() in b"".join(heard)
    lines = [line for line in ended.err.splitlines() if " 500 req-" in line]
    assert lines
    assert max(map(len, lines)) < 300
    assert "\x1b" not in ended.err and "\x9b" not in ended.err
    assert PASSWORD not in ended.err


def test_warnings_of_libraries_are_shown_on_request(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from envagent import config

    load = config.load

    def warn(**options: object) -> object:
        logging.getLogger("somelib.transport").warning("odd \x1b[2J %s", "sk-" + "a1b2c3d4" * 5)
        logging.getLogger("somelib.transport").info("not worth a line")
        return load(**options)  # type: ignore[arg-type]

    monkeypatch.setattr(config, "load", warn)
    assert cli("status").err == ""
    [line] = cli("status", "-v").err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  warning of somelib\.transport: odd \\x1b\[2J .*", line)
    assert "a1b2c3d4" not in line
