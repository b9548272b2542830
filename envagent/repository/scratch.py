"""The temporary folder in which one repository is read.

Owns: making it, showing that it is in use, and removing what a killed process left behind. Must not: know what is in
it. A lock says whether the owner lives, because the kernel frees it however a process ends, and because a process id
means nothing to another container or machine that shares the temporary folder.
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
"""Seconds after which a folder without a lock belongs to nobody: its owner died while making it."""


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a private folder that is gone afterwards; first remove those that nobody owns any more."""
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        draft = folder / f"{_LOCK}.new"
        with draft.open("wb") as lock:
            # Under its name it is never seen unlocked.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.rename(folder / _LOCK)
            yield folder
    finally:
        _remove(folder)


def _sweep(parent: Path) -> None:
    """Remove our own folders whose owner is gone; links and other people's are left alone."""
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
    """Remove a folder and its lock last, so that whoever comes after a kill in the middle can tell."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _LOCK:
                Path(entry.path).unlink()
    shutil.rmtree(folder, ignore_errors=True)
