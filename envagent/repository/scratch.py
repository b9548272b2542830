"""The temporary folder in which one repository is read.

Owns: creating it, marking it as in use, and removing what a killed process left behind. Must not: know what is in
it. A lock shows whether the owner is alive, because the kernel frees it however a process ends, and because a process
id means nothing to another container or machine that shares the temporary folder. `filelock` does not fit: it creates
a missing lock file, and here a missing one means that the folder is still being created.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "envagent-repository-"
_LOCK = "owner"
_STALE_AFTER = 3600.0
"""Seconds after which a folder without a lock belongs to nobody: its owner died while creating it."""


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Provide a private folder that is removed afterwards; first remove abandoned ones."""
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        draft = folder / f"{_LOCK}.new"
        with draft.open("wb") as lock:
            # Renamed after locking, so that the lock is never seen unlocked under its final name.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.rename(folder / _LOCK)
            yield folder
    finally:
        _remove(folder)


def _sweep(parent: Path) -> None:
    """Remove this user's folders whose owner is gone; leave links and other users' folders alone."""
    try:
        found = [Path(entry.path) for entry in os.scandir(parent) if entry.name.startswith(_PREFIX)]
    except OSError:
        return
    for folder in found:
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            try:
                descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                if time.time() - status.st_mtime > _STALE_AFTER:
                    _remove(folder)
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last, so that a sweep after a kill in the middle still recognises it."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _LOCK:
                Path(entry.path).unlink()
    shutil.rmtree(folder, ignore_errors=True)
