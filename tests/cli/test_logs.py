"""The log of a run: every exchange and event in order, private, bounded, harmless, and never in the way."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from envagent.cli import run_log
from envagent.cli.run_log import FORMER, NAME, RunLog, RunLogReader
from envagent.cloud.http_session import HttpExchange
from tests.cli.conftest import SPEED, Cli, Sandbox

SECRET = "sk-canary-0123456789abcdef0123"


def test_every_exchange_is_in_the_log(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    ran = cli("run", str(repository), "--cloud", "sandbox", "--json-stream")
    *events, result = (json.loads(line) for line in ran.out.splitlines())
    run_id = str(result["run_id"])
    shown = cli("status", run_id, "--json").document
    assert {**result, "cost": None} == {**shown, "cost": None}
    gone = cli("teardown", run_id, "--json-stream")
    *more, removed = (json.loads(line) for line in gone.out.splitlines())
    assert (ran.code, gone.code, result["state"], removed["state"]) == (0, 0, "succeeded", "torn_down")
    entries = cli("logs", run_id, "--json").document["entries"]
    assert all(one in [*events, *more] for one in entries if one["kind"] != "exchange")
    assert ("stage_started", "launch_server.launch") in [(one["kind"], one["stage"]) for one in events]
    assert [one["at"] for one in entries] == sorted(one["at"] for one in entries)
    exchanges = [one for one in entries if one["kind"] == "exchange"]
    writes = [one["method"] for one in exchanges if one["method"] != "GET" and "/auth/tokens" not in one["path"]]
    committed = [method for method, _ in sandbox.writes(run_id)]
    assert len(committed) >= 6 and len(writes) >= len(committed)
    made = next(one for one in exchanges if one["method"] == "POST" and one["path"].endswith("/servers"))
    assert made["stage"] == "launch_server.launch" and made["status"] == 202 and made["request_id"]
    kinds = {one["kind"] for one in entries}
    assert {"run_started", "resource_owned", "decision", "run_succeeded", "run_torn_down"} <= kinds

    text = cli("logs", run_id).out
    assert f"POST {made['path']} 202 {made['request_id']} " in text and "run torn down" in text
    only = cli("logs", run_id, "--step", "launch_server").out.splitlines()[1:]
    assert only and all(line.split()[1] == "launch_server" for line in only)
    assert cli("logs", run_id, "--step", "nothing").code == 2
    log = cli.home / "runs" / run_id / NAME
    assert log.stat().st_mode & 0o777 == 0o600
    assert "X-Auth-Token" not in log.read_text() and "?" not in log.read_text()


def test_it_is_followed_until_the_work_ends(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(60)
    running = cli.start("run", str(repository), "--cloud", "sandbox", "--json-stream")
    run_id = running.until("analyze_repository").split()[1].rstrip(":")
    assert '"run_started"' in running.out and "schema_version" not in running.out
    sandbox.speed(SPEED)
    followed = [json.loads(line) for line in cli("logs", run_id, "-f", "--json").out.splitlines()]
    assert running.wait() == 0, running.err
    assert followed == cli("logs", run_id, "--json").document["entries"]
    assert followed[-1]["kind"] == "run_succeeded"
    assert cli("teardown", run_id).code == 0


def an_exchange(number: int = 0, *, path: str = "/servers", outcome: str = "200") -> HttpExchange:
    return HttpExchange("GET", path, outcome, f"req-{number}", 1.5)


def test_no_secret_is_written(tmp_path: Path) -> None:
    RunLog(tmp_path)(an_exchange(path=f"/v1/{SECRET}/x", outcome=f"refused: password={SECRET}"))
    [entry] = RunLogReader(tmp_path).new()
    assert "canary" not in (tmp_path / NAME).read_text() and entry["path"].startswith("/v1/")


def test_it_is_bounded_and_read_through_a_change_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "MOST_BYTES", 1000)
    log, reader, found = RunLog(tmp_path), RunLogReader(tmp_path), []
    for number in range(50):
        log(an_exchange(number))
        if number % 3 == 0:
            found += [one["request_id"] for one in reader.new()]
    found += [one["request_id"] for one in reader.new()]
    assert found == [f"req-{number}" for number in range(50)]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2500
    assert {path.name for path in tmp_path.iterdir()} <= {NAME, FORMER}


def test_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RunLog(tmp_path)
    log(an_exchange(1))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    log(an_exchange(2))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log(an_exchange(3))
    monkeypatch.undo()
    log(an_exchange(4))
    assert [one["request_id"] for one in RunLogReader(tmp_path).new()] == ["req-1", "req-4"]
    shutil.rmtree(tmp_path)
    log(an_exchange(5))
    assert list(RunLogReader(tmp_path).new()) == []
