"""Real git repositories, small and the same on every machine; tests/security/build.py writes those git would refuse."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.kit.servers import answers, free_port

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
"""Variables that keep the developer's own configuration out."""

PLAIN = {"requirements.txt": "numpy\n"}
"""The files of a project that needs nothing special."""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git in a folder and return what it prints."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=True, env={**os.environ, **ENVIRONMENT})
    return done.stdout.decode().strip()


def make_repository(folder: Path, files: Mapping[str, str | bytes] | None = None, *options: str) -> Path:
    """Make a work tree with one commit of these files.

    Args:
        folder: Where; it may exist and hold files, which are committed too.
        files: Contents by path; none gives an empty commit.
        options: Passed to `git init`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main", *options)
    for path, content in (files or {}).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    commit(folder, "first")
    return folder


def commit(folder: Path, message: str = "more") -> None:
    """Commit everything in the work tree, ignored files and no change at all included."""
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


def git_version() -> tuple[int, int]:
    """Return the installed git's version: major and minor."""
    printed = subprocess.run(["git", "version"], capture_output=True, check=True, text=True).stdout
    major, minor, *_ = printed.split()[2].split(".")
    return int(major), int(minor)


@contextmanager
def git_daemon(base: Path, **settings: str) -> Iterator[int]:
    """Serve the repositories below a folder, by their paths from it; yields the port.

    Args:
        base: The folder.
        settings: Git configuration that holds for all of them; _ in a name stands for the dot.
    """
    configured = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        configured[f"GIT_CONFIG_KEY_{number}"] = name.replace("_", ".")
        configured[f"GIT_CONFIG_VALUE_{number}"] = value
    port = free_port()
    options = ["--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", f"--base-path={base}", str(base)]
    daemon = subprocess.Popen(
        ["git", "daemon", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ENVIRONMENT, **configured},
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 10
        while not answers(port):
            assert time.monotonic() < deadline, "git daemon did not start"
            time.sleep(0.02)
        yield port
    finally:
        os.killpg(daemon.pid, 9)
        daemon.wait()
