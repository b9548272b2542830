"""Stopping: the first signal ends after the current exchange, the second at once; both leave a run that goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Sandbox

SLOW = 10
"""A server takes about a minute at this speed: long enough to be stopped in."""


def started(cli: Cli, repository: Path, *more: str) -> tuple[subprocess.Popen[str], str, list[str]]:
    """Start a run and wait until its server is being built; give the process, the run's id and what it said."""
    running = cli.start("run", str(repository), "--cloud", "sandbox", "--json", *more)
    said: list[str] = []
    assert running.stderr is not None
    for line in running.stderr:
        said.append(line)
        if "waiting for server ACTIVE" in line:
            run_id = next(line.split()[1].rstrip(":") for line in said if line.startswith("run "))
            return running, run_id, said
    raise AssertionError("".join(said))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_stops_and_the_run_goes_on_later(
    cli: Cli, repository: Path, sandbox: Sandbox, sent: signal.Signals, code: int
) -> None:
    sandbox.speed(SLOW)
    running, run_id, _ = started(cli, repository)
    asked = time.monotonic()
    running.send_signal(sent)
    out, err = running.communicate(timeout=30)
    assert time.monotonic() - asked < 10
    assert running.returncode == code
    assert "stopping after the current call; nothing is deleted" in err
    assert "exists now, charged 2 SU/h" in err
    assert f"envagent resume {run_id}" in err
    assert f"envagent teardown {run_id}" in err
    document = json.loads(out)
    assert document["state"] == "interrupted"
    assert document["steps"][6]["state"] == "interrupted"
    assert document["server"]["status"].startswith("BUILD")
    assert cli("status", run_id, "--json").document["state"] == "interrupted"
    sandbox.speed(1000)
    assert cli("resume", run_id, "--json").document["state"] == "succeeded"
    assert sandbox.writes(run_id).count(("POST", "server")) == 1
    assert sandbox.writes(run_id).count(("POST", "lease")) == 1
    assert cli("teardown", run_id).code == 0


def test_the_second_signal_ends_at_once(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(SLOW)
    sandbox.faults({"action": "delay", "service": "nova", "method": "GET", "path": "/servers/", "seconds": 200})
    running, run_id, _ = started(cli, repository)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=2)  # the current call takes its time
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=5) == 130
    running.communicate()
    sandbox.faults()
    sandbox.speed(1000)
    assert cli("resume", run_id).code == 0
    assert sandbox.writes(run_id).count(("POST", "server")) == 1
    assert cli("teardown", run_id).code == 0


def test_a_wrapper_that_forwards_what_the_group_gets_is_one_stroke(
    cli: Cli, repository: Path, sandbox: Sandbox
) -> None:
    sandbox.speed(SLOW)
    running, run_id, _ = started(cli, repository)
    running.send_signal(signal.SIGINT)
    time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=30)
    assert running.returncode == 130
    assert json.loads(out)["state"] == "interrupted"
    assert cli("teardown", run_id).code == 0


def test_nobody_reading_does_not_end_a_run(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(SLOW)
    running, run_id, _ = started(cli, repository)
    assert running.stderr is not None
    assert running.stdout is not None
    running.stderr.close()
    running.stdout.close()
    sandbox.speed(1000)
    assert running.wait(timeout=60) == 0
    assert cli("status", run_id, "--json").document["state"] == "succeeded"
    assert cli("teardown", run_id).code == 0


def test_a_stopped_teardown_goes_on(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    run_id = cli.run(repository)["run_id"]
    sandbox.faults({"action": "ignore_delete", "service": "nova"})
    running = cli.start("teardown", run_id, "--json")
    assert running.stderr is not None
    for line in running.stderr:
        if "removing server" in line:
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert json.loads(out)["state"] == "interrupted"
    assert f"envagent teardown {run_id}" in err
    sandbox.faults()
    assert cli("teardown", run_id).code == 0


def test_a_killed_run_is_interrupted_and_goes_on(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(SLOW)
    running, run_id, _ = started(cli, repository)
    assert cli("status", run_id, "--json").document["state"] == "running"
    running.kill()
    running.communicate()
    document = cli("status", run_id, "--json").document
    assert document["state"] == "interrupted"
    assert document["next"] == [f"envagent resume {run_id}", f"envagent teardown {run_id}"]
    sandbox.speed(1000)
    assert cli("resume", "last", "--json").document["run_id"] == run_id
    assert cli("teardown", run_id).code == 0
