"""The sandbox's files below the home folder, and its lock files."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envagent.sandbox.sandbox_errors import SetupError

SECRET_HEADER = "X-Sandbox-Secret"  # noqa: S105 - a name
"""Carries the secret in `server.json` to the control endpoints."""


class Paths:
    """The sandbox's files below a home folder.

    Attributes:
        home: the home folder.
        folder: the folder of all files, 0700.
        state: the state of the simulated cloud.
        clouds: the clouds.yaml for OpenStack clients.
        server: the server's URL, process id and secret.
        server_lock: held by the server while it runs.
        start_lock: held while a server is started or reset.
        output: the errors of a background server.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "sandbox"
        self.state = self.folder / "state.db"
        self.clouds = self.folder / "clouds.yaml"
        self.server = self.folder / "server.json"
        self.server_lock = self.folder / "server.lock"
        self.start_lock = self.folder / "start.lock"
        self.output = self.folder / "server.log"

    def create(self) -> None:
        """Create the folder. Raises SetupError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise SetupError(f"the folder {self.folder} cannot be created: {error.strerror}") from None


# Not `filelock`: it cannot look whether a lock is held without taking it, and so may take it from a server that starts.


@contextmanager
def locked(path: Path, seconds: float = math.inf) -> Iterator[None]:
    """Hold a lock file; the kernel releases it however the process ends.

    Args:
        path: the file, created where it is missing.
        seconds: how long to wait for it.

    Raises:
        BlockingIOError: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock file; several processes may look at once."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically; only its owner can read it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
