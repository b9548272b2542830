"""One process works on a run: the kernel frees its lock when it dies, and the others learn who it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envagent.engine.lock import is_locked, run_lock
from envagent.errors import RunLocked, RunStateError

HOLD = """
import sys, time
from pathlib import Path
from envagent.engine.lock import run_lock
with run_lock(Path(sys.argv[1]), "r"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_locked(folder)
        with pytest.raises(RunLocked, match=f"process {holder.pid} on "), run_lock(folder, "r"):
            pass
        holder.kill()
        holder.wait()
        assert not is_locked(folder)
        with run_lock(folder, "r"):
            assert str(os.getpid()) in (folder / "lock").read_text()


def test_a_look_creates_nothing_and_the_lock_is_private(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with run_lock(tmp_path, "r"):
        assert is_locked(tmp_path)
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    assert not is_locked(tmp_path)


def test_a_folder_that_cannot_hold_a_lock_is_an_error_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunStateError, match=r"cannot lock .*: "), run_lock(tmp_path / "file", "r"):
        pass
