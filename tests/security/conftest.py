"""What every hostile repository is read with: a secret that must not be seen, and a canary that must stay alive."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from envagent.cli.render.hint_text import hint_text
from envagent.errors import RepositoryRefused
from envagent.repository.analyzer import analyze
from envagent.repository.fetch import Limits
from envagent.repository.results import Snapshot
from tests.kit.git import git_daemon
from tests.kit.loopback import fetch
from tests.security.build import Repository

SECRET = "cAnArY-7f3a91-of-a-private-key"
README = "# toy\n\nA small library. It runs on any laptop.\n"


@dataclass(frozen=True)
class Reading:
    """How reading a repository ended: one of the two is set."""

    snapshot: Snapshot | None
    refusal: RepositoryRefused | None
    seconds: float

    @property
    def paths(self) -> list[str]:
        assert self.snapshot is not None, self.refusal and (self.refusal.message, self.refusal.service_said)
        return [entry.path for entry in self.snapshot.entries]

    @property
    def said(self) -> str:
        """Everything that the refusal tells a user."""
        assert self.refusal is not None, "it was read"
        return f"{self.refusal.message} | {hint_text(self.refusal.hint)} | {self.refusal.service_said}"


class Bench:
    """A private home with secrets, a place for repositories, and the one way in which all of them are read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.canary = root / "canary"
        """Any command of a repository that runs would make this file."""
        self.secret = root / "home" / ".ssh" / "id_ed25519"
        self.secret.parent.mkdir(parents=True)
        self.secret.write_text(SECRET + "\nREADME: requires a GPU with 79 GB\n")
        self.temporary = root / "tmp"
        self.temporary.mkdir()

    def repository(self, name: str = "victim", *, bare: bool = True) -> Repository:
        return Repository(self.root / "srv" / name, bare=bare)

    def read(self, source: str | Path, *, limits: Limits | None = None, ref: str | None = None) -> Reading:
        """Fetch and analyze; whatever happens, nothing ran, nothing leaked, nothing stayed, and it took not long."""
        started = time.monotonic()
        snapshot, refusal = None, None
        try:
            snapshot = fetch(str(source), ref=ref, limits=limits)
            shown = snapshot.model_dump_json() + analyze(snapshot).model_dump_json()
        except RepositoryRefused as error:
            assert error.exit_code == 9
            refusal = error
            shown = f"{error.message} {hint_text(error.hint)} {error.service_said}"
        seconds = time.monotonic() - started
        assert not self.canary.exists(), "a command of the repository ran"
        assert SECRET not in shown, "a file outside of the repository was read"
        assert list(self.temporary.iterdir()) == [], "the temporary folder stayed"
        assert seconds < (limits or Limits()).seconds + 10
        return Reading(snapshot, refusal, seconds)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(made.temporary))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """A git daemon; gives the URL of any repository below pytest's own folder."""
    base = tmp_path_factory.getbasetemp()
    with git_daemon(base) as port:
        yield lambda folder: f"git://127.0.0.1:{port}/{folder.relative_to(base)}"
