"""The command line as its user meets it: arguments and environment in; exit code, stdout and stderr out.

Most tests call `main()` in this process, on a real sandbox over HTTP; what needs signals or a terminal runs in a
forked one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envagent.cli.main import main
from envagent.sandbox import process
from tests.cli.child import Child, OnTerminal, Piped
from tests.kit import warm_sandbox
from tests.kit.commands import Ended
from tests.kit.git import git, make_repository

SPEED = 5000
ROOT = Path(__file__).parents[2]


class Cli:
    """Runs commands with one home folder."""

    def __init__(self, home: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
        self.home = home
        self.work = work
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        self.children: list[Child] = []

    def __call__(self, *arguments: str) -> Ended:
        """Run a command in this process."""
        self._capfd.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["envagent", *arguments])
        umask = os.umask(0o022)
        try:
            with pytest.raises(SystemExit) as left:
                main()
        finally:
            os.umask(umask)
        captured = self._capfd.readouterr()
        assert isinstance(left.value.code, int)
        return Ended(left.value.code, captured.out, captured.err)

    def start(self, *arguments: str) -> Piped:
        """Start a command in a process of its own."""
        self.children.append(child := Piped(arguments, self.work))
        return child

    def on_terminal(self, *arguments: str, columns: int = 120) -> OnTerminal:
        """Start a command in a process with a terminal of its own."""
        self.children.append(child := OnTerminal(arguments, columns))
        return child

    def run(self, repository: Path, *arguments: str) -> dict[str, Any]:
        """Have a run that succeeds; give its document."""
        ended = self("run", str(repository), "--cloud", "sandbox", "--json", *arguments)
        assert ended.code == 0, ended.err
        return ended.document


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder with a running sandbox, for all tests of a process."""
    home = tmp_path_factory.mktemp("home") / "envagent"
    warm_sandbox.start(home, speed=SPEED)
    yield home
    process.stop(home)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("OS_", "ENVAGENT_", "OPENAI_")) or name in (
            "NO_COLOR",
            "FORCE_COLOR",
            "COLUMNS",
            "XDG_CONFIG_HOME",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def cli(shared_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Iterator[Cli]:
    """The command line, in an empty working folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("ENVAGENT_HOME", str(shared_home))
    one = Cli(shared_home, work, monkeypatch, capfd)
    yield one
    for child in one.children:
        child.kill()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository that asks for a GPU; each test has its own, so that no other one's run is in its way."""
    files = {"requirements.txt": "torch==2.1\n", "README.md": "# toy\n\nNeeds a GPU with 16 GB.\n"}
    return make_repository(tmp_path / "repository" / "toy", files)


@pytest.fixture
def broken_repository(tmp_path: Path) -> Path:
    """A git repository whose commit is there and cannot be read: its run fails in the analysis."""
    folder = make_repository(tmp_path / "broken", {"README.md": "# it\n"})
    tree = git(folder, "rev-parse", "HEAD:")
    (folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    return folder


class Sandbox:
    """What a test does to the simulated cloud."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = process.ensure_running(home).url

    def faults(self, *faults: dict[str, Any]) -> None:
        """Put a fault schedule in force."""
        process.control(self.home, "faults", {"faults": list(faults)})

    def await_fault(self) -> None:
        """Wait until a request has met the fault that is in force."""
        deadline = time.monotonic() + 30
        while not any(one["seen"] for one in process.control(self.home, "faults")):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def speed(self, speed: float) -> None:
        """Change how fast the cloud works."""
        process.control(self.home, "settings", {"speed": speed})

    def writes(self, run_id: str) -> list[tuple[str, str]]:
        """List (method, kind) of the committed writes that made or removed something of a run."""
        log = process.read_log(self.home)
        ids = {line["id"] for line in log if run_id in str(line["name"])}
        return [(line["method"], line["kind"]) for line in log if line["id"] in ids]


@pytest.fixture
def sandbox(shared_home: Path) -> Iterator[Sandbox]:
    """The shared sandbox, healthy and fast again afterwards."""
    one = Sandbox(shared_home)
    yield one
    one.faults()
    one.speed(SPEED)


@pytest.fixture
def real_cloud(shared_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A cloud whose name does not say that it is a simulation."""
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text((shared_home / "sandbox" / "clouds.yaml").read_text().replace("  sandbox:\n", "  chi:\n"))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    for name in ("SETTLE_SECONDS", "LEASE__POLL_SECONDS", "SERVER__POLL_SECONDS", "SSH__POLL_SECONDS"):
        monkeypatch.setenv(f"ENVAGENT_{name}", "0.1")
    monkeypatch.setenv("ENVAGENT_SSH__PORT", str(process.control(shared_home, "health")["ssh_port"]))
    return "chi"
