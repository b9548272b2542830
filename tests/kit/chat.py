"""A loopback server that speaks just enough of the chat completions API, and misbehaves on request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.kit.servers import HttpServer, QuietHandler


@dataclass
class Reply:
    """One scripted answer: status, headers, body; `delay` before the head, `drip` seconds between bytes.

    `endless`: the head never ends, or, if the body is not empty, the body comes again and again.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    drop: bool = False
    endless: bool = False


def said(content: Any, *, finish: str = "stop", refusal: str | None = None, **usage: Any) -> Reply:
    """A completion whose message is `content` (text as it is, anything else as JSON)."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    body = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150, **usage}
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    answer = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": body}
    return Reply(body=json.dumps(answer).encode())


def failed(status: int, message: str, **headers: str) -> Reply:
    """An error in the usual envelope."""
    body = {"error": {"message": message, "type": "error", "code": None}}
    return Reply(status, json.dumps(body).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


class ChatServer:
    """Answers requests in order with scripted replies, or with what a function of the request says."""

    def __init__(self, script: Iterable[Reply] | Callable[[dict[str, Any]], Reply]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.sent = 0
        self.script = script if callable(script) else partial(_next, iter(script))
        chat = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/chat/completions"
                chat.requests.append(body)
                chat.headers.append({name.lower(): value for name, value in self.headers.items()})
                self._send(chat.script(body))

            def _send(self, reply: Reply) -> None:
                time.sleep(reply.delay)
                if reply.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(reply.status)
                if reply.endless:
                    self._go_on(reply)
                    return
                if "Content-Type" not in reply.headers:
                    self.send_header("Content-Type", "application/json")
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for byte in reply.body if reply.drip else ():
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(reply.drip)
                    if not reply.drip:
                        self.wfile.write(reply.body)
                except OSError:
                    self.close_connection = True

            def _go_on(self, reply: Reply) -> None:
                self.close_connection = True
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.body:
                    self.end_headers()
                else:
                    self.flush_headers()
                try:
                    while True:
                        self.wfile.write(reply.body or b"X-More: 1\r\n")
                        self.wfile.flush()
                        chat.sent += len(reply.body)
                        time.sleep(reply.drip)
                except OSError:
                    pass

        self._server = HttpServer(Handler)
        self.url = f"{self._server.url}/v1"
        self.close = self._server.close

    @property
    def schemas(self) -> list[str | None]:
        """Which answer each request asked for, by the name of its schema."""
        return [schema_of(request) for request in self.requests]


def _next(replies: Iterator[Reply], request: dict[str, Any]) -> Reply:
    return next(replies)


def schema_of(request: dict[str, Any]) -> str | None:
    """The name of the schema that a request asks for, if it asks by json_schema."""
    wanted = request.get("response_format", {})
    return wanted["json_schema"]["name"] if wanted.get("type") == "json_schema" else None
