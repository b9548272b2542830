"""Borrow the objects of a repository on this machine without trusting it.

Owns: finding the git directory behind a path and linking its objects and references into a private one, so that git
never reads the repository's configuration, hooks, index or alternates. Two configuration values are taken over, each
from a fixed list: the object format and the reference storage.
Must not: read a file of the work tree, follow a link that leads elsewhere, or write into the repository.
"""

from __future__ import annotations

import re
from pathlib import Path

from envagent.errors import RepositoryRefused
from envagent.hints import Hint, Option, Shell
from envagent.repository.git import Git

_LOOSE = re.compile(r"[0-9a-f]{2}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_EXTENSIONS = re.compile(
    r"^[ \t]*\[extensions\](?P<body>.*?)(?=^[ \t]*\[|\Z)", re.IGNORECASE | re.DOTALL | re.MULTILINE
)
_EXTENSION = re.compile(r"^\s*(objectformat|refstorage)\s*=\s*\"?(\w+)\"?\s*(?:[#;].*)?$", re.IGNORECASE | re.MULTILINE)
_KNOWN = {("objectformat", "sha256"), ("refstorage", "reftable")}
_POINTER_BYTES = 4096
_CONFIGURATION_BYTES = 1 << 20
_PACKED_REFS_BYTES = 64 << 20


def borrow(path: Path, git: Git, ref: str | None) -> None:
    """Let `git` see the objects and references of the repository at `path`.

    Alternates are not followed: they may lead to unrelated repositories. A linked work tree is followed to its
    repository only if that repository lists it.

    Raises:
        RepositoryRefused: no such path, not a repository, one that borrows or links its objects from elsewhere, or
            one whose HEAD is needed and cannot be read.
    """
    own, common = _git_folders(path)
    private, objects = git.folder, common / "objects"
    git.extensions = _extensions(common / "config")
    if "refstorage" in git.extensions and ref and _COMMIT.fullmatch(ref):
        # No reference is needed, so a git that cannot read their storage will do.
        git.extensions = {name: value for name, value in git.extensions.items() if name != "refstorage"}
    git.prepare()
    if _text(objects / "info" / "alternates"):
        raise RepositoryRefused(
            f"{path} borrows its objects from another repository",
            hint=Hint(
                "make it whole:",
                Shell("git", "-C", str(path), "repack", "-ad"),
                "&&",
                Shell("rm", str(objects / "info" / "alternates")),
            ),
        )
    for part in [objects / "pack", *(p for p in _children(objects) if _LOOSE.fullmatch(p.name))]:
        for item in (part, *_children(part)):
            _refuse_links(item, path)
        if part.is_dir():
            link = private / "objects" / part.name
            if link.is_dir():
                link.rmdir()
            link.symlink_to(part.resolve(), target_is_directory=True)
    head = _text(own / "HEAD")
    if not head and ref is None:
        raise RepositoryRefused(
            f"The HEAD of {path} is damaged", hint=Hint("name a branch, tag or commit with", Option("ref"))
        )
    (private / "HEAD").write_text(head or "ref: refs/heads/none\n")
    if "refstorage" in git.extensions:
        _borrow_reftable(path, own, common, private, ref)
        return
    if packed := _content(common / "packed-refs", _PACKED_REFS_BYTES):
        (private / "packed-refs").write_bytes(packed)
    _refuse_links(common / "refs", path)
    if (common / "refs").is_dir():
        (private / "refs").rmdir()
        (private / "refs").symlink_to((common / "refs").resolve(), target_is_directory=True)


def _borrow_reftable(path: Path, own: Path, common: Path, private: Path, ref: str | None) -> None:
    if own != common and ref is None:
        raise RepositoryRefused(
            f"{path} is a linked work tree of a repository that stores its branches as reftable",
            hint=Hint("name its branch with", Option("ref")),
        )
    tables = common / "reftable"
    for item in (tables, *_children(tables)):
        _refuse_links(item, path)
    (private / "reftable").symlink_to(tables.resolve(), target_is_directory=True)


def _extensions(configuration: Path) -> dict[str, str]:
    """Read how the repository's format differs from git's oldest."""
    text = _text(configuration, most=_CONFIGURATION_BYTES)
    found = (pair for section in _EXTENSIONS.finditer(text) for pair in _EXTENSION.findall(section["body"]))
    return dict(pair for pair in ((name.lower(), value.lower()) for name, value in found) if pair in _KNOWN)


def has_work_tree(path: Path) -> bool:
    """Return whether uncommitted changes, which reading the commit ignores, are possible."""
    return (path / ".git").exists()


def _git_folders(path: Path) -> tuple[Path, Path]:
    """Return the git directory of this work tree, and the one that holds the objects."""
    try:
        path = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise RepositoryRefused(f"There is no repository at {path}") from error
    if not path.is_dir():
        raise RepositoryRefused(f"{path} is a file, not a repository", hint=Hint("pass the folder of a git repository"))
    dot = path / ".git"
    if _is_git(path):
        return path, path
    if dot.is_file() and not dot.is_symlink():
        return _linked_work_tree(path, dot)
    if dot.is_symlink():
        raise RepositoryRefused(
            f"{dot} is a symbolic link", hint=Hint("pass the folder that it leads to, if you trust it")
        )
    if _is_git(dot):
        return dot, dot
    if dot.is_dir():
        raise RepositoryRefused(f"The git repository in {path} is broken: no HEAD, objects or refs in {dot}")
    for parent in path.parents:
        if _is_git(parent / ".git"):
            raise RepositoryRefused(
                f"{path} is a folder inside the repository {parent}",
                hint=Hint("pass the top folder:", Shell(str(parent))),
            )
    raise RepositoryRefused(
        f"{path} is not a git repository",
        hint=Hint("make it one:", Shell("cd", str(path)), "&& git init && git add -A && git commit -m first"),
    )


def _linked_work_tree(path: Path, dot: Path) -> tuple[Path, Path]:
    target = _text(dot).removeprefix("gitdir:").strip()
    own = (path / target).resolve() if target else path
    back = _text(own / "gitdir").strip()
    common = (own / (_text(own / "commondir").strip() or ".")).resolve()
    known = own.parent == common / "worktrees" and back and Path(back).resolve() == dot
    if not known or not _is_git(common):
        raise RepositoryRefused(
            f"{dot} leads to another repository, which does not list this work tree",
            hint=Hint("pass the URL or the path of that repository itself"),
        )
    return own, common


def _is_git(folder: Path) -> bool:
    return all((folder / part).exists() and not (folder / part).is_symlink() for part in ("HEAD", "objects", "refs"))


def _refuse_links(item: Path, path: Path) -> None:
    if item.is_symlink():
        raise RepositoryRefused(
            f"{path} keeps its objects behind a symbolic link: {item}", hint=Hint("pass a plain clone of it")
        )


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path, *, most: int = _POINTER_BYTES) -> str:
    """Read a small file of git; empty when it is absent, a link, or not text."""
    try:
        return _content(path, most).decode()
    except UnicodeDecodeError:
        return ""


def _content(path: Path, most: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return b""
