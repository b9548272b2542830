# ruff: noqa: E501 - tables read best one trap a line
"""Commits whose trees are traps: paths that climb, links to secrets, bombs, names that deceive.

Each is read twice: as a folder of this machine, and over the network from git daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from envagent.repository.fetch import Limits
from tests.security.build import FILE, FOLDER, LINK, PROGRAM, SUBMODULE, Repository, nested
from tests.security.conftest import README, Bench, Reading

MEANT = "13b4f2ac5d6e7f8091a2b3c4d5e6f708192a3b4c"
"""The id of a commit in a submodule; nobody has it."""


@dataclass(frozen=True)
class Trap:
    """What is built beside a harmless README.md, and what must come of it."""

    build: Callable[[Repository, Bench], object]
    paths: tuple[str, ...] | None = ("README.md",)
    """Exactly these are listed; None leaves it to `check`."""
    note: str = ""
    check: Callable[[Reading], bool] = lambda _: True
    limits: Limits | None = None
    refused: bool = False


def beside(*entries: tuple[str, bytes | str, bytes | str]) -> Callable[[Repository, Bench], object]:
    """README.md and entries of (mode, name, content)."""

    def build(repository: Repository, bench: Bench) -> None:
        extra = []
        for mode, name, content in entries:
            if isinstance(content, str):
                content = content.replace("SECRET", str(bench.secret))
            extra.append((mode, name, MEANT if mode == SUBMODULE else repository.blob(content)))
        repository.commit_files({"README.md": README}, *extra)

    return build


def under(folder: bytes | str, name: bytes | str, content: str = "x") -> Callable[[Repository, Bench], object]:
    """README.md and one file in a folder with a name of our choice."""

    def build(repository: Repository, bench: Bench) -> None:
        inner = repository.tree([(FILE, name, repository.blob(content))])
        repository.commit_files({"README.md": README}, (FOLDER, folder, inner))

    return build


def bomb(inside: str, *, wide: int, deep: int) -> Callable[[Repository, Bench], object]:
    """README.md and a tree that unfolds to wide ** deep entries of one kind."""

    def build(repository: Repository, bench: Bench) -> None:
        content = MEANT if inside == SUBMODULE else repository.blob("x")
        entry = (FOLDER, "e", repository.tree([])) if inside == FOLDER else (inside, "f.py", content)
        tree = nested(repository, entry, wide=wide, deep=deep)
        repository.commit_files({"README.md": README}, (FOLDER, "bomb", tree))

    return build


def long_names(repository: Repository, bench: Bench) -> None:
    """A gigabyte of paths out of two hundred kilobytes: a name of 90 KB at the bottom of a bomb."""
    tree = nested(repository, (FILE, "n" * 90_000, repository.blob("x")), wide=24, deep=3)
    repository.commit_files({"README.md": README}, (FOLDER, "names", tree))


def deep_chain(repository: Repository, bench: Bench) -> None:
    tree = repository.tree([(FILE, "README.md", repository.blob("requires a GPU"))])
    for _ in range(1200):
        tree = repository.tree([(FOLDER, "d", tree)])
    repository.commit_files({"README.md": README}, (FOLDER, "d", tree))


def many(repository: Repository, bench: Bench) -> None:
    blob = repository.blob("x")
    tree = repository.tree([(FILE, f"f{n:06}.py", blob) for n in range(100_000)])
    repository.commit_files({"README.md": README}, *((FOLDER, f"t{n}", tree) for n in range(10)))


def two_of_a_name(repository: Repository, bench: Bench) -> None:
    blobs = [repository.blob(README), repository.blob("requires a GPU with 80 GB of memory")]
    repository.commit(repository.tree([(FILE, "README.md", blob) for blob in blobs], ordered=False))


def file_and_link(repository: Repository, bench: Bench) -> None:
    """CVE-2021-21300 and 2024-32002: a link and a folder that differ in case alone, with a hook behind them."""
    hook = repository.tree([(PROGRAM, "post-checkout", repository.blob(f"#!/bin/sh\ntouch {bench.canary}\n"))])
    link = repository.blob(".git/hooks")
    repository.commit_files({"README.md": README}, (FOLDER, "A", hook), (LINK, "a", link))


def itself(repository: Repository, bench: Bench) -> None:
    """A link in the place of the folder that the next entries stand in."""
    link = repository.blob(str(bench.secret.parent))
    inner = repository.tree([(FILE, "README.md", repository.blob("x"))])
    repository.commit_files({"README.md": README}, (LINK, "docs", link), (FOLDER, "docs", inner))


MODULES = '[submodule "x"]\n\tpath = sub\n\turl = {}\n\tupdate = !touch CANARY\n'
LINKS = "symbolic link"
ODD = "lead out of the repository or into .git"
TRAPS = {
    "readme is a link to a password file": Trap(beside((LINK, "README", "/etc/passwd")), note=LINKS),
    "readme is a link to a private key": Trap(beside((LINK, "README.rst", "SECRET")), note=LINKS),
    "manifest is a link climbing out": Trap(beside((LINK, "setup.py", "../../../../home/.ssh/id_ed25519")), note=LINKS),
    "requirements is a link to the process's environment": Trap(beside((LINK, "requirements.txt", "/proc/self/environ")), note=LINKS),
    "folder is a link": Trap(beside((LINK, "requirements", "SECRET/..")), note=LINKS),
    "link to a device": Trap(beside((LINK, "Dockerfile", "/dev/zero")), note=LINKS),
    "link into the git directory": Trap(beside((LINK, "INSTALL", ".git/config")), note=LINKS),
    "link to a file of the tree": Trap(beside((LINK, "INSTALL.md", "notes"), (FILE, "notes", "x\n")), ("README.md", "notes"), "INSTALL.md is a symbolic link", lambda r: bool(r.snapshot and r.snapshot.files["INSTALL.md"] == "x\n")),
    "link through a folder that is a link out": Trap(beside((LINK, "INSTALL.md", "a/id_ed25519"), (LINK, "a", "SECRET/..")), note="2 symbolic links"),
    "link out and back in": Trap(beside((LINK, "INSTALL.md", "../victim/README.md")), note=LINKS),
    "link in a circle": Trap(beside((LINK, "INSTALL.md", "a"), (LINK, "a", "b"), (LINK, "b", "INSTALL.md")), note="3 symbolic links"),
    "link that grows": Trap(beside((LINK, "INSTALL.md", "INSTALL.md/" * 300 + "x")), note=LINKS),
    "chain of links without end": Trap(beside((LINK, "INSTALL.md", "l0"), *((LINK, f"l{n}", f"l{n + 1}") for n in range(900))), note="901 symbolic links"),
    "link of a megabyte": Trap(beside((LINK, "INSTALL.md", "./" * 500_000 + "README.md")), note=LINKS),
    "link with a zero byte": Trap(beside((LINK, "INSTALL.md", b"README.md\0/etc/passwd")), note=LINKS),
    "link into a submodule": Trap(beside((LINK, "INSTALL.md", "sub/README.md"), (SUBMODULE, "sub", "")), note="1 symbolic links, 1 submodules"),
    "link with controls": Trap(beside((LINK, "INSTALL.md", "\x1b]0;owned\x07")), note=LINKS),
    "link to itself": Trap(beside((LINK, "INSTALL.md", "INSTALL.md")), note=LINKS),
    "link and folder of one name": Trap(itself, ("README.md", "docs/README.md"), LINKS),
    "link and folder differing in case": Trap(file_and_link, ("README.md", "A/post-checkout"), LINKS),
    "file that climbs": Trap(under("..", "README.md"), note=ODD),
    "file that climbs from deep": Trap(under("a", "../../../README.md"), note=ODD),
    "slash in a name": Trap(beside((FILE, "a/../../README.md", "requires a GPU")), note=ODD),
    "absolute path": Trap(beside((FILE, "/etc/cron.d/x", "* * * * * touch CANARY")), note=ODD),
    "file in .git": Trap(under(".git", "config", "[core]\nfsmonitor=touch CANARY"), note=ODD),
    "file in .GIT": Trap(under(".GIT", "config"), note=ODD),
    "file in .git behind invisible letters": Trap(under(".g\u200cit", "config"), note=ODD),
    "hook in .git/hooks": Trap(beside((PROGRAM, ".git/hooks/post-checkout", "#!/bin/sh\ntouch CANARY")), note=ODD),
    "folder named dot": Trap(under(".", "README.md"), None),
    "empty name": Trap(beside((FILE, "", "x")), refused=True),
    "backslashes": Trap(under("..\\..\\x", "README.md"), None, check=lambda r: "README.md" in r.paths),
    "line end in a name": Trap(under("a\nREADME.md", "x"), ("README.md", "a README.md/x")),
    "escape in a name": Trap(under("\x1b]0;owned\x07", "x"), ("README.md", "]0;owned/x")),
    "direction mark in a name": Trap(under("\u202etxt", "x"), ("README.md", "txt/x")),
    "name is no UTF-8": Trap(beside((FILE, b"\xff\xfe-caf\xe9.py", "x")), ("README.md", "��-caf�.py")),
    "name like an option": Trap(beside((FILE, "--upload-pack=touch CANARY", "x"), (FILE, "-u", "x")), None, check=lambda r: len(r.paths) == 3),
    "name like a shell": Trap(beside((FILE, "$(touch CANARY).md", "x")), None, check=lambda r: len(r.paths) == 2),
    "names differing in case": Trap(beside((FILE, "readme.md", "requires a GPU with 80 GB"), (FILE, "Readme.MD", "x")), None, check=lambda r: len(r.paths) == 3),
    "two entries of one name": Trap(two_of_a_name, ("README.md",)),
    "submodule": Trap(beside((SUBMODULE, "sub", ""), (FILE, ".gitmodules", MODULES.format("https://example.org/a/b"))), None, "1 submodule", lambda r: "sub" not in r.paths),
    "submodule with an option as URL": Trap(beside((SUBMODULE, "sub", ""), (FILE, ".gitmodules", MODULES.format("-u./payload"))), None, "1 submodule"),
    "submodule with an ext URL": Trap(beside((SUBMODULE, "sub", ""), (FILE, ".gitmodules", MODULES.format("ext::touch CANARY"))), None, "1 submodule"),
    "submodule with a carriage return": Trap(beside((SUBMODULE, "sub\r", ""), (FILE, ".gitmodules", MODULES.replace("sub", '"sub\r"').format("../x"))), None, "1 submodule"),
    "submodule that climbs": Trap(beside((SUBMODULE, "../../x", ""), (FILE, ".gitmodules", MODULES.replace("sub", "../../x"))), None, "1 submodule"),
    "submodules are a link": Trap(beside((LINK, ".gitmodules", "SECRET"), (SUBMODULE, "sub", "")), note="1 submodule"),
    "attributes name a filter": Trap(beside((FILE, ".gitattributes", "* filter=evil diff=evil merge=evil working-tree-encoding=UTF-16 ident export-subst\n")), (".gitattributes", "README.md"), check=lambda r: bool(r.snapshot and r.snapshot.files["README.md"] == README)),
    "attributes ask for LFS": Trap(beside((FILE, ".gitattributes", "* filter=lfs diff=lfs\n"), (FILE, ".lfsconfig", "[lfs]\nurl=ext::touch CANARY\n")), None),
    "LFS pointer": Trap(beside((FILE, "INSTALL.md", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")), ("INSTALL.md", "README.md"), "INSTALL.md: binary"),
    "a million entries": Trap(many, None, "Only the first 20000", lambda r: len(r.paths) == 20_000 and "README.md" in r.paths, Limits(entries=20_000)),
    "ten billion files": Trap(bomb(FILE, wide=100, deep=5), None, "Only the first 20000", lambda r: len(r.paths) == 20_000 and "README.md" in r.paths, Limits(entries=20_000)),
    "ten billion links": Trap(bomb(LINK, wide=100, deep=5), note=LINKS, limits=Limits(seconds=20)),
    "ten billion submodules": Trap(bomb(SUBMODULE, wide=100, deep=5), note="submodules", limits=Limits(seconds=20)),
    "ten billion empty folders": Trap(bomb(FOLDER, wide=100, deep=5), refused=True, limits=Limits(seconds=1)),
    "a gigabyte of names": Trap(long_names, note="Only the first 1 files", limits=Limits(seconds=20)),
    "a thousand folders deep": Trap(deep_chain, None, check=lambda r: "README.md" in r.paths, limits=Limits(seconds=20)),
    "unknown mode": Trap(beside(("100777", "x", "x"), ("0", "y", "y"), ("7777777", "z", "z")), None),
}  # fmt: skip


@pytest.mark.parametrize("transport", ["folder", "network"])
@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_trap(bench: Bench, served: Callable[[Path], str], trap: Trap, transport: str) -> None:
    repository = bench.repository()
    trap.build(repository, bench)
    source: str | Path = repository.folder if transport == "folder" else served(repository.folder)
    reading = bench.read(source, limits=trap.limits)
    assert trap.refused == (reading.snapshot is None), reading
    if reading.snapshot is None:
        return
    if trap.paths is not None:
        assert set(reading.paths) == set(trap.paths)
    assert len(reading.paths) == len(set(reading.paths))
    assert trap.note in " ".join(reading.snapshot.notes)
    assert trap.check(reading)
    assert reading.snapshot.files["README.md"] == README
    for path in (*reading.paths, *reading.snapshot.files):
        assert path.isprintable() and not path.startswith("/") and ".." not in path.split("/")
