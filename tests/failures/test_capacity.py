"""Hardware that is really free: the next window when none is now, and several sites as candidates together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.failures.conftest import Shell
from tests.kit.git import make_repository

Check = Callable[[], None]


def occupy(shell: Shell, **body: object) -> None:
    shell.endpoint.control("allocations", body)


def test_when_all_is_taken_the_next_window_is_named(shell: Shell, nothing_left: Check) -> None:
    occupy(shell, site="uc", node_type="gpu_rtx_6000", hours=5)
    done = shell.run("--node-type", "gpu_rtx_6000")
    assert done.code == 5
    expected = datetime.now(UTC) + timedelta(hours=5)
    named = [f"{expected + timedelta(minutes=shift):%Y-%m-%d %H:%M}" for shift in range(8, 22)]
    assert any(moment in done.document["error"]["message"] for moment in named), done.document["error"]
    assert "--wait-for-capacity" in done.document["error"]["hint"]
    assert shell.live()["lease"] == 0
    nothing_left()


def test_the_next_window_is_reserved_and_waited_for(shell: Shell, nothing_left: Check) -> None:
    occupy(shell, site="uc", node_type="fpga", hours=3)
    run = shell.start("--node-type", "fpga", "--wait-for-capacity")
    deadline = time.monotonic() + 60
    while shell.live()["lease"] == 0:
        assert run.running, "the run ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.send(signal.SIGTERM)
    ended = run.wait(30)
    assert ended.code == 143
    document = ended.document
    end = datetime.fromisoformat(document["lease"]["end_date"])
    hours = document["plan"]["hours"]
    start = end - timedelta(hours=hours)
    assert timedelta(0) <= start - datetime.now(UTC) - timedelta(hours=2.9) < timedelta(minutes=35)
    assert document["state"] == "interrupted"
    nothing_left()


LATE_NEWS = {
    "action": "fail",
    "service": "blazar",
    "path": "allocations",
    "nth": 1,
    "status": 200,
    "body": {"allocations": []},
}
"""The plan sees all hosts free, as they were before others reserved while it was made."""


def test_when_others_are_faster_the_next_window_is_named(shell: Shell, nothing_left: Check) -> None:
    occupy(shell, site="uc", node_type="gpu_rtx_6000", hours=5)
    shell.faults(LATE_NEWS)
    done = shell.run("--node-type", "gpu_rtx_6000")
    assert done.code == 5
    assert "refused: cannot reserve lease" in done.err
    assert "free again: gpu_rtx_6000 at" in done.document["error"]["message"]
    assert "--wait-for-capacity" in done.document["error"]["hint"]
    assert shell.live()["lease"] == 0
    nothing_left()


def test_when_others_are_faster_the_next_window_is_reserved(shell: Shell, nothing_left: Check) -> None:
    occupy(shell, site="uc", node_type="fpga", hours=3)
    shell.faults(LATE_NEWS)
    run = shell.start("--node-type", "fpga", "--wait-for-capacity")
    deadline = time.monotonic() + 60
    while shell.live()["lease"] == 0:
        assert run.running, "the run ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.send(signal.SIGTERM)
    ended = run.wait(30)
    assert ended.code == 143
    document = ended.document
    assert document["plan"]["start"] is None
    start = datetime.fromisoformat(document["lease"]["end_date"]) - timedelta(hours=document["plan"]["hours"])
    assert timedelta(0) <= start - datetime.now(UTC) - timedelta(hours=2.9) < timedelta(minutes=35)
    assert document["lease"]["status"] == "PENDING"
    nothing_left()


@pytest.mark.parametrize(
    ("files", "said", "node_type", "image"),
    [
        ({"requirements.txt": "cupy-rocm-5-0\n", "Dockerfile": "FROM rocm/pytorch\n"}, "AMD", "gpu_mi100", "ROCm"),
        ({"README.md": "# Enclaves\n\n## Requirements\n\nA CPU with Intel SGX is required.\n"}, "SGX", "icelake", ""),
    ],
)
def test_a_need_that_one_site_lacks_is_met_at_another(
    files: dict[str, str], said: str, node_type: str, image: str, shell: Shell, tmp_path: Path, nothing_left: Check
) -> None:
    shell.repository = make_repository(tmp_path / "elsewhere", files)
    here = shell.run()
    assert here.code == 6
    assert said in here.document["error"]["message"]
    assert here.document["lease"] is None
    done = shell.run("--site", "any")
    assert done.code == 0, done.err
    assert node_type in done.document["node_type"]
    assert image in done.document["image"]["name"]
    nothing_left()


def test_what_no_site_has_is_refused_before_reserving(shell: Shell, tmp_path: Path, nothing_left: Check) -> None:
    needs = "# Drone\n\n## Requirements\n\nAn NVIDIA Jetson board is required.\n"
    shell.repository = make_repository(tmp_path / "drone", {"README.md": needs})
    for where in ((), ("--site", "any")):
        refused = shell.run(*where)
        assert refused.code == 6
        assert "needs Jetson boards, which no Chameleon site has" in refused.document["error"]["message"]
        assert "--node-type" in refused.document["error"]["hint"]
        assert shell.live() == {"lease": 0, "server": 0, "floating_ip": 0, "keypair": 0}
    done = shell.run("--node-type", "compute_skylake")
    assert done.code == 0, done.err
    assert any("without Jetson boards" in warning for warning in done.document["warnings"])
    nothing_left()


def test_a_start_that_passed_while_the_run_was_stopped_is_now(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "fail", "service": "blazar", "method": "POST", "status": 403})
    start = datetime.now(UTC) + timedelta(seconds=10)
    asked = shell.run("--start", f"{start:%Y-%m-%dT%H:%M:%SZ}", "--node-type", "fpga")
    assert asked.code == 4, asked.err
    time.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()) + 1)
    shell.faults()
    done = shell("resume", "last")
    assert done.code == 0, done.err
    assert "has passed: the lease starts now" in done.err
    nothing_left()
