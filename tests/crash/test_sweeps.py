"""The bounded part of the sweeps, as tests: one process runs them, because a process with threads must not fork."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.bounded import PARTS

ROOT = Path(__file__).parents[2]
SEED = 1


@pytest.fixture(scope="module")
def reports() -> dict[str, str]:
    """Run all parts; what each printed, by name."""
    command = [sys.executable, "-m", "tests.crash.bounded", "--seed", str(SEED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    found: dict[str, str] = {}
    for block in done.stdout.split("== ")[1:]:
        name, _, text = block.partition(" ==\n")
        found[name] = text
    missing = PARTS.keys() - found.keys()
    assert not missing, f"no report of {missing}:\n{done.stdout}\n{done.stderr}"
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PARTS)
def test_bounded_sweep(reports: dict[str, str], name: str) -> None:
    assert "exit code 0" in reports[name], reports[name]
