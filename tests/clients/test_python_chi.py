"""Chameleon's own library, unmodified, against the sandbox.

python-chi brings half of Jupyter with it, so it is no requirement of the tests. To run this one:

    python -m venv /tmp/chi && /tmp/chi/bin/pip install python-chi python-blazarclient
    ENVAGENT_CHI_PYTHON=/tmp/chi/bin/python python -m pytest tests/clients
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envagent.sandbox import ensure_running
from envagent.sandbox.process import stop
from tests.kit.by_hand import public_key

SCENARIO = Path(__file__).with_name("python_chi.py")


@pytest.fixture
def interpreter() -> str:
    """An interpreter that has python-chi, or skip."""
    found = os.environ.get("ENVAGENT_CHI_PYTHON", sys.executable)
    if subprocess.run([found, "-c", "import chi.server"], capture_output=True, check=False).returncode:
        pytest.skip(f"{found} has no python-chi; ENVAGENT_CHI_PYTHON names an interpreter that has")
    return found


def test_a_notebooks_way_from_image_to_address_and_back(interpreter: str, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(public_key() + "\n")
    endpoint = ensure_running(tmp_path / "home", speed=300.0, idle_seconds=600.0)
    try:
        settings = {"OS_CLIENT_CONFIG_FILE": str(endpoint.clouds_file), "OS_CLOUD": "sandbox"}
        done = subprocess.run(
            [interpreter, str(SCENARIO), str(tmp_path / "key.pub")],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        stop(tmp_path / "home")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["images"] > seen["supported"] > 0
    assert (seen["image"], seen["lease"], seen["server"]) == ("CC-Ubuntu22.04", "ACTIVE", "ACTIVE")
    assert seen["address"] and seen["address"] == seen["on_server"]
    assert seen["servers"] == ["chi-server"]
    assert seen["metadata"] == {"experiment": "1"}
    assert (seen["addresses_left"], seen["leases_left"]) == (0, [])
