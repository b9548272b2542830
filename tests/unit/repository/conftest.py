"""Real git repositories, made small and fast."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git in a folder, without the developer's own configuration."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=True, env={**os.environ, **ENVIRONMENT})
    return done.stdout.decode().strip()


def new_git() -> bool:
    """Whether the installed git stores references as reftable on demand, as git 3 does by default."""
    told = subprocess.run(["git", "version"], capture_output=True, check=True, text=True).stdout.split()[2]
    return tuple(int(part) for part in told.split(".")[:2]) >= (2, 45)


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A work tree with one commit of the given files."""

    def build(files: dict[str, str | bytes] | None = None, name: str = "repository", *options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main", *options)
        for path, content in (files if files is not None else {"README.md": "# it\n"}).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "first", "--allow-empty")
        return folder

    return build


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """A git daemon on the loopback; gives the URL of a repository below the test's folder."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ["--export-all", f"--base-path={tmp_path}", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"]
    daemon = subprocess.Popen(
        ["git", "daemon", *options],
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ENVIRONMENT},
        start_new_session=True,
    )
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.02)

    def url(folder: Path) -> str:
        return f"git://127.0.0.1:{port}/{folder.relative_to(tmp_path)}"

    yield url
    os.killpg(daemon.pid, 9)
    daemon.wait()
