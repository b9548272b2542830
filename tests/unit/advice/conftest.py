from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from envagent.advice.ai import Ai
from tests.kit.chat import ChatServer, Reply

KEY = "sk-canary-9f3b1c77d2e84a60"
Script = Iterable[Reply] | Callable[[dict[str, Any]], Reply]


@pytest.fixture
def chat() -> Iterator[Callable[[Script], ChatServer]]:
    """Start chat servers that end with the test."""
    servers: list[ChatServer] = []

    def start(script: Script) -> ChatServer:
        servers.append(ChatServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def waits() -> list[float]:
    """How long the adapter would have slept."""
    return []


@pytest.fixture
def connect(waits: list[float]) -> Iterator[Callable[..., Ai]]:
    """Connect the real client to a server."""
    made: list[Ai] = []

    def make(server: ChatServer | str, **settings: Any) -> Ai:
        url = server if isinstance(server, str) else server.url
        key = SecretStr(settings.pop("key", KEY))
        arguments: dict[str, Any] = {"timeout": 5.0, "sleep": waits.append, **settings}
        made.append(Ai(base_url=url, api_key=key, model="test-model", **arguments))
        return made[-1]

    yield make
    for ai in made:
        ai.close()
