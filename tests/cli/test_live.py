"""The live table: what it shows, and that drawing and telling never wait for each other."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from envagent.cli.render.live import LiveProgress
from envagent.cli.render.progress import ProgressLines
from envagent.cli.render.terminal import Terminal
from envagent.engine.tables import EventKind, EventRecord, StageRecord
from tests.kit.terminals import read_to_end

STAGES = [
    StageRecord(run_id="r", step=step, stage=stage, position=position)
    for position, (step, stage) in enumerate([("first", "a"), ("first", "b"), ("second", "c")])
]

RESIZED = """
import sys
from envagent.cli.render import live
from tests.cli.test_live import *

live.SETTLED_SECONDS = 1.2  # tmux is later still on a busy machine

for number in range(20):
    print("before", number)
terminal = Terminal(sys.stdout)
output = LiveProgress(terminal)
output.watch(STAGES, {}, {})
shown = None
with output:
    output(waiting("first.a", "something " * 20, "BUILD"))
    output(waiting("second.c", "it", "X"))  # a short line: the spaces after it are not drawn
    while True:
        if shown != (shown := terminal.console.width):
            time.sleep(1.5)
            output(event(EventKind.WARNING, "first.a", f"{shown} wide"))
        time.sleep(0.01)
"""
"""Draws until it is ended, and tells of each width some time after the window has it."""


def event(kind: str, stage: str, message: str = "", **detail: object) -> EventRecord:
    at = datetime.now(UTC).isoformat()
    return EventRecord(run_id="r", at=at, kind=kind, stage=stage, message=message, detail=json.dumps(detail))


def waiting(stage: str, what: str, status: str) -> EventRecord:
    now = datetime.now(UTC)
    deadline = (now + timedelta(minutes=30)).isoformat()
    return event(EventKind.STAGE_WAITING, stage, what, status=status, since=now.isoformat(), deadline=deadline)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Terminal, list[bytes]]]:
    """A terminal and what arrives on it."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "30")
    leader, follower = pty.openpty()
    seen: list[bytes] = []
    reader = threading.Thread(target=read_to_end, args=(leader, seen.append), daemon=True)
    reader.start()
    with os.fdopen(follower, "w") as stream:
        yield Terminal(stream), seen
    reader.join(timeout=5)
    os.close(leader)


def arrived(seen: list[bytes]) -> str:
    """Give what has been shown, once the cursor is back: then all of it has."""
    deadline = time.monotonic() + 10
    while b"\x1b[?25h" not in b"".join(seen):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return b"".join(seen).decode()


def test_drawing_and_telling_never_wait_for_each_other(screen: tuple[Terminal, list[bytes]]) -> None:
    terminal, seen = screen
    output = LiveProgress(terminal)
    output.watch(STAGES, {}, {})
    with output:
        live = output._live
        assert live is not None

        def tell() -> None:
            for number in range(150):
                output(event(EventKind.WARNING, "first.a", f"number {number}"))

        def draw() -> None:
            for _ in range(150):
                live.refresh()

        threads = [threading.Thread(target=work, daemon=True) for work in (tell, draw, tell, draw)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(timeout=30)
        assert not any(one.is_alive() for one in threads)
    assert arrived(seen).count("number 149") == 2


def test_it_shows_the_wait_its_deadline_and_the_usual_time(screen: tuple[Terminal, list[bytes]]) -> None:
    terminal, seen = screen
    output = LiveProgress(terminal)
    output.watch(STAGES, {"first": 700.0}, {})
    with output:
        output(event(EventKind.STAGE_STARTED, "first.a"))
        output(event(EventKind.STAGE_SUCCEEDED, "first.a"))
        output(event(EventKind.STAGE_STARTED, "first.b"))
        output(waiting("first.b", "the server to boot", "BUILD\x1b[31m"))
        assert output._live is not None
        output._live.refresh()
        output(event(EventKind.STAGE_SUCCEEDED, "first.b", summary="what came of it \x1b[2J"))
        output._live.refresh()
    shown = arrived(seen)
    assert "the server to boot: BUILD\\x1b[31m, usually 11 min 40 s, timeout in 30 min 00 s" in shown
    assert "what came of it \\x1b[2J" in shown
    assert "\x1b[31mBUILD" not in shown
    assert "\x1b[2J" not in shown


def test_a_step_that_removed_something_again_takes_longer_than_usual(screen: tuple[Terminal, list[bytes]]) -> None:
    terminal, seen = screen
    output = LiveProgress(terminal)
    output.watch(STAGES, {"first": 700.0}, {})
    with output:
        output(event(EventKind.STAGE_STARTED, "first.a"))
        output(event(EventKind.RESOURCE_REMOVING, "first.a", "removing server s"))
        output(waiting("first.a", "the node to be cleaned", ""))
        assert output._live is not None
        output._live.refresh()
    shown = arrived(seen)
    assert "waiting for the node to be cleaned" in shown
    assert "usually" not in shown


def test_a_failed_step_shows_its_failure_whatever_is_told_of_it_afterwards(
    screen: tuple[Terminal, list[bytes]],
) -> None:
    terminal, seen = screen
    output = LiveProgress(terminal)
    output.watch(STAGES, {}, {})
    with output:
        output(event(EventKind.STAGE_STARTED, "first.a"))
        output(waiting("first.b", "the lease to start", "PENDING"))
        output(event(EventKind.STAGE_FAILED, "first.a", "no node is free"))
        output(event(EventKind.REPORT, "first.b", "another stage is still at it"))
    output.finish()
    terminal.show_cursor()
    deadline = time.monotonic() + 10
    while b"".join(seen).count(b"\x1b[?25h") < 2:  # the view has gone, and its end is printed
        assert time.monotonic() < deadline
        time.sleep(0.01)
    table = arrived(seen).rpartition("\x1b[2K")[2]
    assert "no node is free" in table
    assert "still at it" not in table
    assert "PENDING" not in table


def test_a_line_that_cannot_be_made_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    output = ProgressLines(Terminal(sys.stdout))
    output.watch(STAGES, {}, {})
    broken = event(EventKind.STAGE_WAITING, "first.a", "for what")
    broken.detail = "no JSON"
    output(broken)
    assert capsys.readouterr().out == "stage_waiting for what\n"


def test_a_wait_is_told_when_it_begins_and_when_its_status_changes(capsys: pytest.CaptureFixture[str]) -> None:
    output = ProgressLines(Terminal(sys.stdout))
    output.watch(STAGES, {}, {})
    for status in ("BUILD", "BUILD", "BUILD/spawning", "BUILD/spawning"):
        output(waiting("second.c", "the server to boot", status))
    lines = [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert [line.partition(", timeout")[0] for line in lines] == [
        " 2/2 second: waiting for the server to boot: BUILD",
        " 2/2 second: the server to boot: BUILD (spawning)",
    ]


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux is installed")
def test_one_table_remains_when_the_window_changes_its_width(tmp_path: Path) -> None:
    def tmux(*arguments: str) -> str:
        command = ("tmux", "-f", os.devnull, "-S", str(tmp_path / "tmux"), *arguments)
        return subprocess.run(command, check=True, capture_output=True, timeout=10, encoding="utf-8").stdout

    widths = (120, 80, 45, 90, 60)
    tmux("new-session", "-d", "-x", "120", "-y", "15", sys.executable, "-c", RESIZED)
    try:
        for width in widths:
            tmux("resize-window", "-x", str(width))
            deadline = time.monotonic() + 10
            while f"{width} wide" not in (screen := tmux("capture-pane", "-p", "-S", "-")):
                assert time.monotonic() < deadline, screen
                time.sleep(0.05)
        lines = [line for line in screen.splitlines() if line]
    finally:
        tmux("kill-server")
    first, second = lines[-2:]
    assert "first" in first
    assert len(first) == 60
    assert "second" in second and second.endswith(" s")
    assert lines[:20] == [f"before {number}" for number in range(20)]
    assert [line.rpartition(": ")[2] for line in lines[20:-2]] == [f"{width} wide" for width in widths]
