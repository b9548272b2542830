"""An AI server in a forked process: it answers every question with a given text, or echoes the key."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.kit.chat import ChatServer, failed, said


@contextmanager
def chat_server(text: str, *, refuses: bool = False) -> Iterator[str]:
    """Serve; yield the base URL.

    Args:
        text: put into every string of every answer.
        refuses: answer 401 and echo the caller's key, as some servers do.
    """
    reading, writing = os.pipe()
    pid = os.fork()  # threads of ours would be in the way of the children that the sweeps fork
    if pid == 0:
        try:
            server = ChatServer(lambda request: said(_fill(_schema(request), text)))
            if refuses:
                server.script = lambda _: failed(401, f"Incorrect key: {server.headers[-1]['authorization']} {text}")
            os.write(writing, server.url.encode())
            os.close(writing)
            signal.pause()
        finally:
            os._exit(0)
    os.close(writing)
    try:
        yield os.read(reading, 1000).decode()
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _schema(request: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    return schema


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
