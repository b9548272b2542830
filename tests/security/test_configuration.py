# ruff: noqa: E501 - tables read best one trap a line
"""Folders of this machine whose git directory wants commands to run or other folders to be read.

Each trap that names a command is first sprung with plain git, which proves that the canary would have shown it.
"""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.security.build import FILE, Repository, pack
from tests.security.conftest import README, SECRET, Bench


def git(folder: Path, *arguments: str) -> None:
    """Plain git as a user would run it there; how it ends is of no interest."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PAGER", "GIT_PAGER", "GIT_EDITOR")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "TERM": "xterm"}
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    master, terminal = pty.openpty()
    try:
        subprocess.run(
            ["git", "-C", str(folder), *identity, *arguments],
            env=environment,
            input=b"protocol=https\nhost=example.org\n\n",
            stdout=terminal,
            stderr=subprocess.DEVNULL,
            timeout=20,
        )
    finally:
        os.close(terminal)
        os.close(master)


@dataclass(frozen=True)
class Command:
    """Configuration that runs a command, and the everyday git command that springs it."""

    configuration: str
    spring: tuple[str, ...]
    attributes: str = ""


def hook(name: str) -> Callable[[Repository, Path], None]:
    def build(repository: Repository, canary: Path) -> None:
        path = repository.git / "hooks" / name
        path.write_text(f"#!/bin/sh\ntouch {canary}\n")
        path.chmod(0o755)

    return build


COMMANDS = {
    "fsmonitor": Command("[core]\nfsmonitor=\"touch CANARY;false\"", ("status",)),
    "pager": Command("[core]\npager=\"touch CANARY;cat\"\n[pager]\nls-tree=true\n", ("-p", "log")),
    "ssh command": Command("[core]\nsshCommand=\"touch CANARY;false\"\n[remote \"origin\"]\nurl=ssh://x@localhost/y", ("fetch", "origin")),
    "ext remote": Command("[protocol]\nallow=always\n[remote \"origin\"]\nurl=\"ext::sh -c touch% CANARY\"", ("fetch", "origin")),
    "url rewriting": Command("[protocol]\nallow=always\n[url \"ext::sh -c touch% CANARY \"]\ninsteadOf=https://", ("fetch", "https://github.com/a/b")),
    "credential helper": Command("[credential]\nhelper=\"!touch CANARY;:\"", ("credential", "fill")),
    "alias": Command("[alias]\nx=\"!touch CANARY\"", ("x",)),
    "smudge filter": Command("[filter \"evil\"]\nsmudge=\"touch CANARY;cat\"\nrequired=true", ("read-tree", "--reset", "-u", "main"), "* filter=evil\n"),
    "process filter": Command("[filter \"evil\"]\nprocess=\"touch CANARY;cat\"", ("read-tree", "--reset", "-u", "main"), "* filter=evil\n"),
    "LFS filter of its own": Command("[filter \"lfs\"]\nsmudge=\"touch CANARY;cat\"\nclean=\"touch CANARY;cat\"", ("read-tree", "--reset", "-u", "main"), "* filter=lfs\n"),
    "textconv": Command("[diff \"evil\"]\ntextconv=\"touch CANARY;cat\"", ("show", "--textconv", "main:README.md"), "* diff=evil\n"),
    "external diff": Command("[diff]\nexternal=\"touch CANARY;:\"", ("diff", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "main")),
    "hooks path": Command("[core]\nhooksPath=HOOKS", ("checkout", "-f", "-B", "other", "main")),
    "include": Command("[include]\npath=INCLUDED", ("status",)),
    "conditional include": Command("[includeIf \"gitdir:/**\"]\npath=INCLUDED", ("status",)),
    "worktree configuration": Command("[extensions]\nworktreeConfig=true", ("status",)),
    "editor": Command("[core]\neditor=\"touch CANARY;:\"", ("tag", "-a", "x", "main")),
    "signature program": Command("[gpg]\nprogram=PROGRAM", ("log", "--show-signature", "main")),
    "trailer command": Command("[trailer \"x\"]\ncmd=\"touch CANARY;:\"", ("interpret-trailers", "--trailer", "x=1", "README.md")),
}  # fmt: skip


@pytest.mark.parametrize("bare", [False, True], ids=["folder", "bare"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_configuration_runs_nothing(bench: Bench, command: Command, bare: bool) -> None:
    repository = bench.repository(bare=bare)
    files: dict[str, bytes | str] = {"README.md": README}
    if command.attributes:
        files[".gitattributes"] = command.attributes
    repository.commit_files(files)
    if "--show-signature" in command.spring:
        sign(repository)
    if not bare:
        for name, text in files.items():
            (repository.folder / name).write_text(str(text))
    programs = bench.root / "programs"
    programs.mkdir()
    for name in ("PROGRAM", "post-checkout"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {bench.canary}\n")
        (programs / name).chmod(0o755)
    included = programs / "INCLUDED"
    included.write_text(f'[core]\nfsmonitor="touch {bench.canary};false"\n')
    if "worktreeConfig" in command.configuration:
        (repository.git / "config.worktree").write_text(included.read_text())
    text = command.configuration.replace("CANARY", str(bench.canary)).replace("HOOKS", str(programs))
    repository.configure(text.replace("INCLUDED", str(included)).replace("PROGRAM", str(programs / "PROGRAM")) + "\n")

    reading = bench.read(repository.folder)
    assert reading.snapshot is not None, reading.said
    assert reading.snapshot.files["README.md"] == README

    if not bare:
        git(repository.folder, *command.spring)
        assert bench.canary.exists(), "the trap is none: plain git does not spring it either"


def sign(repository: Repository) -> None:
    """Give the branch a commit that bears a signature."""
    tree = repository.tree([(FILE, "README.md", repository.blob(README))])
    who = "A <a@example.org> 1700000000 +0000"
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n eA==\n -----END PGP SIGNATURE-----"
    raw = f"tree {tree}\nauthor {who}\ncommitter {who}\n{signature}\n\nsigned\n"
    repository.point("refs/heads/main", repository.put("commit", raw.encode()))


HOOKS = {
    "post-checkout": ("checkout", "-f", "-B", "other", "main"),
    "reference-transaction": ("update-ref", "refs/heads/y", "main"),
    "post-index-change": ("checkout", "-f", "-B", "other", "main"),
    "pre-commit": ("commit", "--allow-empty", "-m", "x"),
    "commit-msg": ("commit", "--allow-empty", "-m", "x"),
    "post-commit": ("commit", "--allow-empty", "-m", "x"),
}


@pytest.mark.parametrize("name", HOOKS)
def test_hook_does_not_run(bench: Bench, name: str) -> None:
    repository = bench.repository(bare=False)
    repository.commit_files({"README.md": README})
    hook(name)(repository, bench.canary)
    reading = bench.read(repository.folder)
    assert reading.snapshot is not None, reading.said
    git(repository.folder, *HOOKS[name])
    assert bench.canary.exists(), "the trap is none"


def test_server_hooks_of_a_borrowed_folder_do_not_run(bench: Bench) -> None:
    """uploadpack.packObjectsHook would run if a folder were cloned instead of read."""
    repository = bench.repository()
    repository.commit_files({"README.md": README})
    repository.configure(f'[uploadpack]\npackObjectsHook="touch {bench.canary};false"\n')
    assert bench.read(repository.folder).snapshot is not None


@pytest.mark.parametrize("entry", ["", ".", "bin"])
def test_programs_of_the_current_folder_do_not_run(bench: Bench, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    repository = bench.repository(bare=False)
    repository.commit_files({"README.md": README})
    (repository.folder / "bin").mkdir()
    for name in ("git", "sleep", "sh", "bin/git", "bin/sleep", "bin/sh"):
        (repository.folder / name).write_text(f"#!/bin/sh\ntouch {bench.canary}\n")
        (repository.folder / name).chmod(0o755)
    monkeypatch.chdir(repository.folder)
    monkeypatch.setenv("PATH", f"{entry}:/usr/bin:/bin")
    assert bench.read(repository.folder).paths == ["README.md"]


# Other people's objects: what lies outside of the named folder must not come in.


def other(bench: Bench) -> tuple[Repository, str]:
    """A private repository elsewhere on the machine, and its commit, whose README is the secret."""
    private = bench.repository("private", bare=False)
    return private, private.commit_files({"README.md": f"# {SECRET}\n"})


def alternates(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "objects" / "info").mkdir()
    (victim.git / "objects" / "info" / "alternates").write_text(f"{private.git / 'objects'}\n")
    victim.point("refs/heads/main", commit)


def alternates_behind_a_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "objects" / "info").mkdir()
    (bench.root / "alternates").write_text(f"{private.git / 'objects'}\n")
    (victim.git / "objects" / "info" / "alternates").symlink_to(bench.root / "alternates")
    victim.point("refs/heads/main", commit)


def alternates_over_http(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "objects" / "info").mkdir()
    (victim.git / "objects" / "info" / "http-alternates").write_text(f"file://{private.git / 'objects'}\n")
    victim.point("refs/heads/main", commit)


def objects_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    move(victim.git / "objects", private.git / "objects")
    victim.point("refs/heads/main", commit)


def objects_part_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    for part in (private.git / "objects").iterdir():
        if len(part.name) == 2:
            (victim.git / "objects" / part.name).mkdir(exist_ok=True)
            move(victim.git / "objects" / part.name, part)
    victim.point("refs/heads/main", commit)


def loose_object_links(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    for oid in private.objects:
        victim.path_of(oid).parent.mkdir(exist_ok=True)
        victim.path_of(oid).symlink_to(private.path_of(oid))
    victim.point("refs/heads/main", commit)


def pack_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    packs = private.git / "objects" / "pack"
    (packs / "pack-1.pack").write_bytes(pack(private.objects.values()))
    git(private.folder, "index-pack", str(packs / "pack-1.pack"))
    for file in packs.iterdir():
        (victim.git / "objects" / "pack" / file.name).symlink_to(file)
    victim.point("refs/heads/main", commit)


def pack_folder_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    pack_link(bench, victim, private, commit)
    move(victim.git / "objects" / "pack", private.git / "objects" / "pack")


def git_folder_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    move(victim.git, private.git)


def git_file(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    move(victim.git, None)
    victim.git.write_text(f"gitdir: {private.git}\n")


def git_file_with_a_forged_return(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    """A linked work tree whose own half names it in return, but whose common half is somebody else's."""
    move(victim.git, None)
    victim.git.write_text("gitdir: own\n")
    own = victim.folder / "own"
    own.mkdir()
    (own / "gitdir").write_text(f"{victim.git}\n")
    (own / "commondir").write_text(f"{private.git}\n")
    (own / "HEAD").write_text("ref: refs/heads/main\n")


def common_folder(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "commondir").write_text(f"{private.git}\n")
    victim.point("refs/heads/main", commit)


def head_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "HEAD").unlink()
    (victim.git / "HEAD").symlink_to(bench.secret)


def refs_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    move(victim.git / "refs", private.git / "refs")


def reference_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "refs" / "heads" / "main").unlink()
    (victim.git / "refs" / "heads" / "main").symlink_to(bench.secret)


def head_climbs(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "HEAD").write_text("ref: refs/../../../private/.git/refs/heads/main\n")


def head_names_the_secret(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "HEAD").write_text(f"ref: {bench.secret}\n")


def packed_refs_link(bench: Bench, victim: Repository, private: Repository, commit: str) -> None:
    (victim.git / "refs" / "heads" / "main").unlink()
    (victim.git / "packed-refs").symlink_to(bench.secret)


def move(path: Path, target: Path | None) -> None:
    """Put a link, or nothing, where a folder was."""
    path.rename(path.with_name(path.name + "-away"))
    if target is not None:
        path.symlink_to(target)


OUTSIDE = [
    alternates,
    alternates_behind_a_link,
    alternates_over_http,
    objects_link,
    objects_part_link,
    loose_object_links,
    pack_link,
    pack_folder_link,
    git_folder_link,
    git_file,
    git_file_with_a_forged_return,
    common_folder,
    head_link,
    refs_link,
    reference_link,
    head_climbs,
    head_names_the_secret,
    packed_refs_link,
]


@pytest.mark.parametrize("build", OUTSIDE, ids=lambda build: build.__name__)
def test_nothing_outside_is_read(bench: Bench, build: Callable[[Bench, Repository, Repository, str], None]) -> None:
    private, commit = other(bench)
    victim = bench.repository(bare=False)
    victim.commit_files({"README.md": README})
    build(bench, victim, private, commit)
    reading = bench.read(victim.folder)
    assert reading.snapshot is None or reading.snapshot.files == {"README.md": README}


def test_linked_work_tree_that_git_made_is_read(bench: Bench) -> None:
    """The counterpart of the forged one: its repository does name it in return."""
    repository = bench.repository(bare=False)
    repository.commit_files({"README.md": README})
    linked = bench.root / "srv" / "linked"
    git(repository.folder, "worktree", "add", "--detach", str(linked), "main")
    reading = bench.read(linked)
    assert reading.snapshot is not None, reading.said
    assert reading.snapshot.files == {"README.md": README}


def test_replaced_objects_and_grafts_do_not_count(bench: Bench) -> None:
    """`git log` would show the replacement; the commit's own content is what was asked for."""
    repository = bench.repository()
    commit = repository.commit_files({"README.md": README})
    evil = repository.commit_files({"README.md": "requires a GPU with 80 GB of memory"})
    repository.point("refs/heads/main", commit)
    repository.point(f"refs/replace/{commit}", evil)
    (repository.git / "info").mkdir()
    (repository.git / "info" / "grafts").write_text(f"{commit} {evil}\n")
    reading = bench.read(repository.folder)
    assert reading.snapshot is not None and reading.snapshot.commit == commit
    assert reading.snapshot.files == {"README.md": README}


def test_uncommitted_files_and_the_index_are_not_read(bench: Bench) -> None:
    repository = bench.repository(bare=False)
    repository.commit_files({"README.md": README})
    (repository.folder / "requirements.txt").symlink_to(bench.secret)
    (repository.folder / "README.md").write_text(SECRET)
    (repository.git / "index").write_bytes(b"DIRC garbage")
    reading = bench.read(repository.folder)
    assert reading.snapshot is not None and reading.paths == ["README.md"]
    assert "uncommitted" in reading.snapshot.notes[0]


def test_child_sees_no_credentials(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever git starts, it starts it without the caller's secrets."""
    seen = bench.root / "environment"
    program = bench.root / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv >> {seen}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for name in ("OS_PASSWORD", "OPENAI_API_KEY", "GIT_SSH", "GIT_CONFIG_COUNT", "GIT_EXTERNAL_DIFF", "LD_PRELOAD_X", "SSH_AUTH_SOCK"):  # fmt: skip
        monkeypatch.setenv(name, SECRET)
    repository = bench.repository()
    repository.commit_files({"README.md": README})
    assert bench.read(repository.folder).refusal is not None
    seen_text = seen.read_text()
    assert "GIT_CONFIG_GLOBAL=/dev/null" in seen_text
    assert SECRET not in seen_text and str(bench.secret.parents[1]) not in seen_text.replace(str(bench.temporary), "")
