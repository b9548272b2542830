"""An AI server in a forked process: it answers every question with a given text, or echoes the key."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@contextmanager
def chat_server(text: str, *, refuses: bool = False) -> Iterator[str]:
    """Serve; yield the base URL.

    Args:
        text: put into every string of every answer.
        refuses: answer 401 and echo the caller's key, as some servers do.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    pid = os.fork()
    if pid == 0:
        try:
            _serve(listener, text, refuses)
        finally:
            os._exit(0)
    listener.close()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _serve(listener: socket.socket, text: str, refuses: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if refuses:
                said = f"Incorrect API key provided: {self.headers['Authorization']} {text}"
                self._answer(401, {"error": {"message": said, "type": "invalid_request_error"}})
                return
            schema = asked.get("response_format", {}).get("json_schema", {}).get("schema", {})
            content = json.dumps(_fill(schema, text))
            message = {"role": "assistant", "content": content}
            self._answer(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever(poll_interval=0.05)


def _fill(schema: dict[str, Any], text: str) -> Any:
    """Make an object of a schema, every string the given text."""
    if "properties" in schema:
        return {name: _fill(part, text) for name, part in schema["properties"].items()}
    if "anyOf" in schema:
        return _fill(schema["anyOf"][0], text)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "string":
            return text
        case "integer" | "number":
            return 4
        case "boolean":
            return False
        case "array":
            return [_fill(schema["items"], text)]
    return None
