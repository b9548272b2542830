"""Stopping: the first signal ends after the current exchange, the second at once; both leave a run that goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.child import Piped
from tests.cli.conftest import SPEED, Cli, Sandbox

SLOW = 10
"""A server takes about a minute at this speed: long enough to be stopped in."""


def started(cli: Cli, repository: Path) -> tuple[Piped, str]:
    """Start a run and wait until its server is being built; give the process and the run's id."""
    running = cli.start("run", str(repository), "--cloud", "sandbox", "--json")
    said = running.until("waiting for the server to boot")
    return running, next(line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("run "))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_stops_and_the_run_goes_on_later(
    cli: Cli, repository: Path, sandbox: Sandbox, sent: signal.Signals, code: int
) -> None:
    sandbox.speed(SLOW)
    running, run_id = started(cli, repository)
    asked = time.monotonic()
    running.send(sent)
    assert running.wait() == code
    assert time.monotonic() - asked < 10
    err = running.err
    assert "Stopping after the current request; nothing is deleted" in err
    assert "Still running, 2 SU/h" in err
    assert f"envagent resume {run_id}" in err
    assert f"envagent teardown {run_id}" in err
    document = json.loads(running.out)
    assert document["state"] == "interrupted"
    assert document["steps"][6]["state"] == "interrupted"
    assert document["server"]["status"].startswith("BUILD")
    assert cli("status", run_id, "--json").document["state"] == "interrupted"
    sandbox.speed(SPEED)
    assert cli("resume", run_id, "--json").document["state"] == "succeeded"
    assert sandbox.writes(run_id).count(("POST", "server")) == 1
    assert sandbox.writes(run_id).count(("POST", "lease")) == 1
    assert cli("teardown", run_id).code == 0


def test_the_second_signal_ends_at_once(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(10 * SLOW)
    sandbox.faults({"action": "delay", "service": "nova", "method": "GET", "path": "/servers/", "seconds": 300})
    running, run_id = started(cli, repository)
    sandbox.await_fault()
    running.send(signal.SIGINT)
    time.sleep(1)
    assert running.poll() is None  # the current call takes its time
    running.send(signal.SIGINT)
    assert running.wait(30) == 130
    sandbox.faults()
    sandbox.speed(SPEED)
    assert cli("resume", run_id).code == 0
    assert sandbox.writes(run_id).count(("POST", "server")) == 1
    assert cli("teardown", run_id).code == 0


def test_a_wrapper_that_forwards_what_the_group_gets_is_one_stroke(
    cli: Cli, repository: Path, sandbox: Sandbox
) -> None:
    sandbox.speed(SLOW)
    running, run_id = started(cli, repository)
    running.send(signal.SIGINT)
    time.sleep(0.01)
    running.send(signal.SIGTERM)
    assert running.wait() == 130
    assert json.loads(running.out)["state"] == "interrupted"
    assert cli("teardown", run_id).code == 0


def test_nobody_reading_does_not_end_a_run(cli: Cli, repository: Path) -> None:
    command = [sys.executable, "-m", "envagent", "run", str(repository), "--cloud", "sandbox"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert running.stdout is not None
    run_id = running.stderr.readline().split()[1].rstrip(":")
    running.stderr.close()
    running.stdout.close()
    assert running.wait(timeout=60) == 0
    assert cli("status", run_id, "--json").document["state"] == "succeeded"
    assert cli("teardown", run_id).code == 0


def test_a_stopped_teardown_goes_on(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    run_id = cli.run(repository)["run_id"]
    sandbox.faults({"action": "ignore_delete", "service": "nova"})
    running = cli.start("teardown", run_id, "--json")
    running.until("removing server")
    running.send(signal.SIGINT)
    assert running.wait() == 130
    assert json.loads(running.out)["state"] == "interrupted"
    assert f"envagent teardown {run_id}" in running.err
    sandbox.faults()
    assert cli("teardown", run_id).code == 0


def test_a_killed_run_is_interrupted_and_goes_on(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(SLOW)
    running, run_id = started(cli, repository)
    assert cli("status", run_id, "--json").document["state"] == "running"
    running.send(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    document = cli("status", run_id, "--json").document
    assert document["state"] == "interrupted"
    assert document["next"] == [f"envagent {verb} {run_id}" for verb in ("resume", "teardown", "status")]
    sandbox.speed(SPEED)
    assert cli("resume", "last", "--json").document["run_id"] == run_id
    assert cli("teardown", run_id).code == 0


def test_a_reader_that_does_not_read_cannot_hold_a_run_for_ever(cli: Cli, repository: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    command = [sys.executable, "-m", "envagent", "run", str(repository), "--cloud", "sandbox"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    deadline = time.monotonic() + 30
    while not any(one["state"] == "running" for one in cli("status", "--json").document["runs"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=30) == 130
    os.close(reading)
    assert cli("resume", "last").code == 0
    assert cli("teardown", "last").code == 0
