"""One process per run: a lock that the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from envagent.errors import RunLocked, RunStateError


class RunLock:
    """Exclusive right to work on a run, held as an flock on `<folder>/lock`.

    The file's text says who holds it; the text is a courtesy, the kernel's lock is the truth.

    Raises:
        RunLocked: on entering, when another process holds it.
        RunStateError: on entering, when the file cannot be made or opened.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self._path = folder / "lock"
        self._run_id = run_id
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RunStateError(
                f"the lock {self._path} cannot be taken: {error.strerror}",
                hint="free space and check the permissions of ENVAGENT_HOME",
            ) from None
        if not _acquire(descriptor):
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise RunLocked(f"run {self._run_id} is being worked on by {holder}")
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
        with contextlib.suppress(OSError):  # a full disk
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_locked(folder: Path) -> bool:
    """Tell whether some process holds the run's lock now."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(descriptor: int) -> bool:
    # is_locked() holds the lock for an instant to test it: a few tries tell such a glance from a real holder.
    for pause in (0.02, 0.05, 0.1, None):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if pause is not None:
                time.sleep(pause)
        else:
            return True
    return False


def _read_holder(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {int(owner['pid'])} on {owner['host']!s:.80} since {owner['since']!s:.40}"
    except (ValueError, KeyError, TypeError):
        return "another process"
