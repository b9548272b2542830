"""Real git repositories, made small and fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.git import git_daemon, make_repository

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A work tree with one commit of the given files."""

    def build(files: dict[str, str | bytes] | None = None, name: str = "repository", *options: str) -> Path:
        return make_repository(tmp_path / name, files if files is not None else {"README.md": "# it\n"}, *options)

    return build


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """A git daemon on the loopback; gives the URL of a repository below the test's folder."""
    with git_daemon(tmp_path) as port:
        yield lambda folder: f"git://127.0.0.1:{port}/{folder.relative_to(tmp_path)}"
