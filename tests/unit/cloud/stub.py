"""A scripted cloud over real HTTP: a login with a catalog, and for the rest the replies that a test lays down."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import yaml

from tests.kit.servers import HttpServer, QuietHandler, reset

PROJECT = "a" * 32
USER = "b" * 32


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Reply:
    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    act: Callable[[BaseHTTPRequestHandler], None] | None = None
    """Instead of an answer."""


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Cut the connection with a TCP reset, after the whole request was read."""
    reset(handler.connection)
    handler.close_connection = True


def close(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word, after the whole request was read."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def half_an_answer(handler: BaseHTTPRequestHandler) -> None:
    """Promise more bytes than come."""
    handler.send_response(201)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"server": {"id": "')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


class StubCloud:
    """Services live under /compute/v2.1, /image, /network, /reservation/v1 and /v3 of one port."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.rules: list[tuple[str, re.Pattern[str], list[Reply]]] = []
        self.token_seconds = 3600
        self.tokens = 0
        stub = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = stub.reply_to(Seen(self.command, self.path, headers, body))
                if reply.act is not None:
                    reply.act(self)
                    return
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = answer

        self.server = HttpServer(Handler)
        self.url = self.server.url
        self.close = self.server.close

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Replies in turn, the last one for ever; later rules win."""
        self.rules.insert(0, (method, re.compile(path), list(replies)))

    def reply_to(self, request: Seen) -> Reply:
        with self.lock:
            self.seen.append(request)
            for method, path, replies in self.rules:
                if method == request.method and path.search(request.path):
                    return replies.pop(0) if len(replies) > 1 else replies[0]
            if (request.method, request.path) == ("POST", "/v3/auth/tokens"):
                return self.login()
        return Reply(404, {"itemNotFound": {"code": 404, "message": "no rule"}})

    def login(self, **more: object) -> Reply:
        self.tokens += 1
        expires = datetime.now(UTC) + timedelta(seconds=self.token_seconds)
        token: dict[str, Any] = {
            "methods": ["password"],
            "user": {"id": USER, "name": "u", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": PROJECT, "name": "p", "domain": {"id": "default", "name": "Default"}},
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "catalog": [
                self.service("compute", "/compute/v2.1"),
                self.service("image", "/image"),
                self.service("network", "/network"),
                self.service("reservation", "/reservation/v1"),
                self.service("identity", "/v3"),
            ],
            **more,
        }
        return Reply(201, {"token": token}, {"X-Subject-Token": f"token-{self.tokens}"})

    def service(self, kind: str, path: str) -> dict[str, Any]:
        endpoint = {
            "id": kind,
            "interface": "public",
            "region": "CHI@Stub",
            "region_id": "CHI@Stub",
            "url": self.url + path,
        }
        return {"id": kind, "type": kind, "name": kind, "endpoints": [endpoint]}

    def count(self, method: str, path: str) -> int:
        return sum(seen.method == method and re.search(path, seen.path) is not None for seen in self.seen)

    def entry(self, **more: object) -> dict[str, Any]:
        """A clouds.yaml entry for this cloud, by password."""
        auth = {
            "auth_url": f"{self.url}/v3",
            "username": "u",
            "password": "canary-password",
            "project_id": PROJECT,
            "user_domain_name": "Default",
        }
        return {"auth": auth, "region_name": "CHI@Stub", "interface": "public", **more}

    def clouds_yaml(self, folder: Path, **entries: object) -> Path:
        path = folder / "clouds.yaml"
        path.write_text(yaml.safe_dump({"clouds": entries or {"stub": self.entry()}}))
        return path
