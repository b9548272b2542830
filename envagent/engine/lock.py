"""One process per run: a lock that the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.errors import RunLocked, RunStateError
from envagent.hints import Hint

if TYPE_CHECKING:
    from filelock import FileLock

PROBE_SECONDS = 0.2
"""How long to try: `is_locked` holds the lock for an instant to test it."""


def file_lock(path: Path) -> FileLock:
    """Return a lock on a file of the user's own; its file stays, since removing it would let two processes in."""
    from filelock import FileLock  # only the commands that lock pay for the import

    # A soft lock, which filelock falls back to where there is no flock, would outlive its holder.
    return FileLock(path, mode=0o600, poll_interval=0.02, fallback_to_soft=False)


@contextlib.contextmanager
def run_lock(folder: Path, run_id: str) -> Iterator[None]:
    """Hold the exclusive right to work on a run, as an flock on `<folder>/lock`.

    The file's text says who holds it, for people; only the kernel's lock counts.

    Raises:
        RunLocked: another process holds it.
        RunStateError: the file cannot be created or opened.
    """
    path = folder / "lock"
    lock = file_lock(path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(timeout=PROBE_SECONDS)
    except TimeoutError:
        raise RunLocked(f"run {run_id} is in use by {_read_holder(path)}") from None
    except OSError as error:
        raise RunStateError(
            f"cannot lock {path}: {error.strerror}",
            hint=Hint("free disk space and check the permissions of ENVAGENT_HOME"),
        ) from None
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
    with contextlib.suppress(OSError):  # a full disk
        path.write_text(json.dumps(owner), "utf-8")
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the run's lock now."""
    path = folder / "lock"
    if not path.exists():
        return False
    try:
        with file_lock(path).acquire(blocking=False):
            return False
    except TimeoutError:
        return True
    except OSError:
        return False


def _read_holder(path: Path) -> str:
    try:
        owner = json.loads(path.read_text("utf-8"))
        return f"process {int(owner['pid'])} on {owner['host']!s:.80} since {owner['since']!s:.40}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
