"""A run with an AI that does not help: whether it goes on, and that no server can hold it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.kit.chat import ChatServer, Reply, failed, said

Start = Callable[[Callable[[dict[str, Any]], Reply]], ChatServer]


@pytest.fixture
def ai(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start an AI server and configure it."""
    servers: list[ChatServer] = []

    def start(script: Callable[[dict[str, Any]], Reply]) -> ChatServer:
        servers.append(ChatServer(script))
        monkeypatch.setenv("ENVAGENT_AI__BASE_URL", servers[-1].url)
        monkeypatch.setenv("ENVAGENT_AI__API_KEY", "none")
        monkeypatch.setenv("ENVAGENT_AI__RETRIES", "0")
        return servers[-1]

    yield start
    for one in servers:
        one.close()


def test_analyze_ends_with_8_where_the_ai_is_required(
    cli: Cli, repository: Path, ai: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_AI__REQUIRED", "true")
    ended = cli("analyze", str(repository), "--json")
    assert ended.code == 8 and "none is configured" in ended.document["error"]["message"]
    assert cli("analyze", str(repository), "--json", "--no-ai").code == 0
    ai(lambda _: failed(401, "no"))
    ended = cli("analyze", str(repository), "--json")
    assert ended.code == 8 and "HTTP 401" in ended.document["error"]["message"]


def test_a_run_ends_with_8_where_a_required_ai_names_nothing_that_is_there(
    cli: Cli, repository: Path, ai: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        if request["response_format"]["json_schema"]["name"] == "CandidatesProposal":
            return said({"candidates": ["Windows 11"], "reasoning": "The best."})
        return Reply(body=b"{}")

    server = ai(answer)
    run_id = cli.run(repository)["run_id"]
    document = cli("explain", run_id, "--json").document
    assert any("Windows 11" in text for one in document["decisions"] for text in one["rejected"])
    assert {"path": "README.md", "line": 3, "quote": "Needs a GPU with 16 GB."}.items() <= document["evidence"][
        0
    ].items()
    told = cli("explain", run_id).out
    assert 'README.md:3 "Needs a GPU with 16 GB."' in told
    [refused] = [line for line in told.splitlines() if line.startswith("  refused ")]
    assert "Windows 11" in refused
    left_out = document["plan"]["excluded"]
    assert left_out and all(name in told and why in told for name, why in left_out.items())
    assert cli("teardown", run_id, "--yes").code == 0
    monkeypatch.setenv("ENVAGENT_AI__REQUIRED", "true")

    def sensible(request: dict[str, Any]) -> Reply:
        facts = request["messages"][1]["content"].split("\n", 1)[1].split("\n\nBEGIN DATA")[0]
        rules = json.loads(facts)["rules"]
        name = request["response_format"]["json_schema"]["name"]
        if name == "CandidatesProposal":
            return answer(request)
        fields = {"NodeTypeProposal": "node_type", "ImageProposal": "selected_image"}
        told = rules if name == "RequirementsProposal" else {fields.get(name, "duration_hours"): rules}
        return said({**told, "reasoning": "As the files say."})

    server.script = sensible
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert ended.code == 8
    assert "Windows 11" in ended.document["error"]["message"]
    assert not [one for one in ended.document["resources"] if one["kind"] == "server"]
    assert cli("teardown", ended.document["run_id"], "--yes").code == 0


@pytest.mark.parametrize("head", [True, False])
def test_a_trickling_ai_does_not_hold_a_run_that_is_stopped(
    cli: Cli, repository: Path, ai: Start, monkeypatch: pytest.MonkeyPatch, head: bool
) -> None:
    server = ai(lambda _: Reply(endless=True, body=b" " if head else b"", drip=0.5))
    monkeypatch.setenv("ENVAGENT_AI__TIMEOUT_SECONDS", "600")
    for command in (("run", str(repository), "--cloud", "sandbox", "--json"), ("analyze", str(repository))):
        server.requests.clear()
        running = cli.start(*command)
        deadline = time.monotonic() + 60
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.requests, running.err
        asked = time.monotonic()
        running.send(signal.SIGTERM)
        assert running.wait() == 143
        assert time.monotonic() - asked < 20
    document = cli("status", "last", "--json").document
    assert document["state"] == "interrupted" and document["requirements"] is None
    monkeypatch.delenv("ENVAGENT_AI__BASE_URL")
    monkeypatch.delenv("ENVAGENT_AI__API_KEY")
    assert cli("resume", "last").code == 0
    assert cli("teardown", "last", "--yes").code == 0
