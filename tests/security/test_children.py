"""What is left when the process that reads a repository is killed or stopped: no git, no growth, later no folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from envagent.repository.fetch import Limits
from tests.kit.waiting import until
from tests.security.build import Repository
from tests.security.conftest import README, Bench
from tests.security.test_servers import endless_pack, hosting, says

READ = """
import sys
from envagent.repository.fetch import Limits
from tests.kit.loopback import fetch
limits = Limits(seconds=float(sys.argv[2]), transfer_bytes=int(sys.argv[3]))
fetch(sys.argv[1], limits=limits)
"""
SILENT = says(b"", wait=90)
GUARDED = 16 << 20
"""What a file may take beyond the limit when nobody watches it."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


@contextmanager
def reading(bench: Bench, source: str, *, seconds: float, most: int = 1 << 40) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that reads a repository; killed in the end."""
    command = [sys.executable, "-c", READ, source, str(seconds), str(most)]
    environment = {**os.environ, "TMPDIR": str(bench.temporary)}
    child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def gits(bench: Bench) -> list[str]:
    """Every living process that works in a folder of this test, by its command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"GIT_DIR={bench.temporary}/".encode() in environment and command:
            found.append(command)
    return found


def packed(bench: Bench) -> int:
    return sum(path.stat().st_size for path in bench.temporary.rglob("*pack_*"))


def harmless(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.commit_files({"README.md": README})
    return repository


def test_git_and_its_children_die_with_a_killed_parent(bench: Bench) -> None:
    with (
        hosting(endless_pack, harmless(bench)) as port,
        reading(bench, f"git://127.0.0.1:{port}/x", seconds=300) as parent,
    ):
        until(lambda: packed(bench) > 1 << 20, seconds=30)
        assert any("index-pack" in command for command in gits(bench))
        parent.kill()
        parent.wait()
        until(lambda: not gits(bench), seconds=10)
        left = packed(bench)
        time.sleep(0.3)
        assert packed(bench) == left, "it goes on writing"


def test_the_next_reading_removes_what_a_killed_one_left(bench: Bench) -> None:
    repository = harmless(bench)
    with (
        hosting(endless_pack, repository) as port,
        reading(bench, f"git://127.0.0.1:{port}/x", seconds=300) as parent,
    ):
        until(lambda: packed(bench) > 1 << 20, seconds=30)
        parent.kill()
        parent.wait()
        until(lambda: not gits(bench), seconds=10)
    assert list(bench.temporary.iterdir())
    assert bench.read(repository.folder).paths == ["README.md"]
    until(lambda: not gits(bench), seconds=10)
    assert not list(bench.temporary.iterdir())


def test_of_a_stopped_parent_git_ends_by_itself(bench: Bench) -> None:
    """A laptop that sleeps, a debugger, SIGSTOP: nobody looks at the clock."""
    with (
        hosting(SILENT, harmless(bench)) as port,
        reading(bench, f"git://127.0.0.1:{port}/x", seconds=3) as parent,
    ):
        until(lambda: bool(gits(bench)), seconds=30)
        parent.send_signal(signal.SIGSTOP)
        until(lambda: not gits(bench), seconds=20)


def test_of_a_stopped_parent_git_does_not_fill_the_disk(bench: Bench) -> None:
    most = 4 << 20
    with (
        hosting(endless_pack, harmless(bench)) as port,
        reading(bench, f"git://127.0.0.1:{port}/x", seconds=60, most=most) as parent,
    ):
        until(lambda: packed(bench) > 0, seconds=30)
        parent.send_signal(signal.SIGSTOP)
        until(lambda: not any("index-pack" in command for command in gits(bench)), seconds=40)
        assert packed(bench) <= most + GUARDED


def test_the_limits_hold_from_the_first_instruction(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    program = bench.root / "bin" / "git"
    program.parent.mkdir()
    limits_file = bench.root / "limits"
    program.write_text(f"#!/bin/sh\ncat /proc/self/limits >{limits_file}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    bench.read(harmless(bench).folder, limits=Limits(seconds=30, transfer_bytes=1 << 20))
    rows = {row[:26].strip(): row[26:47].strip() for row in limits_file.read_text().splitlines()}
    assert 0 < int(rows["Max cpu time"]) <= 40
    assert 1 << 20 < int(rows["Max file size"]) <= (1 << 20) + GUARDED
    assert 0 < int(rows["Max data size"]) <= 1 << 30


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def old(folder: Path, *, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(folder, (then, then))


def test_only_what_is_ours_and_ownerless_is_removed(bench: Bench) -> None:
    """Another reading goes on, a folder is being made, a link of our name leads elsewhere, another program's is old."""
    treasure = bench.root / "treasure"
    treasure.mkdir()
    (treasure / "owner").write_text("")
    temporary = bench.temporary
    (temporary / "envagent-repository-link").symlink_to(treasure)
    for name in ("envagent-repository-new", "envagent-repository-old", "envagent-repository-dead", "another-program"):
        (temporary / name).mkdir()
    (temporary / "envagent-repository-dead" / "owner").write_text("")
    for name in ("envagent-repository-old", "another-program"):
        old(temporary / name, hours=48)
    before = names(temporary)
    repository = harmless(bench)
    with (
        hosting(SILENT, repository) as port,
        reading(bench, f"git://127.0.0.1:{port}/x", seconds=300) as other,
    ):
        until(lambda: bool(gits(bench)), seconds=30)
        with reading(bench, str(repository.folder), seconds=30) as one:
            assert one.wait() == 0
        assert before - names(temporary) == {"envagent-repository-old", "envagent-repository-dead"}
        assert len(names(temporary) - before) == 1
        assert (treasure / "owner").exists()
        assert other.poll() is None and gits(bench)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_another_users_folder_is_left_alone(bench: Bench) -> None:
    foreign = bench.temporary / "envagent-repository-foreign"
    foreign.mkdir()
    (foreign / "owner").write_text("")
    os.chown(foreign, 12345, 12345)
    old(foreign, hours=48)
    with reading(bench, str(harmless(bench).folder), seconds=30) as one:
        assert one.wait() == 0
    assert foreign.exists()
