"""Whose file it is: distinguish what the user wrote from what came with a repository.

It decides whether a file that was found, not named, may be used, and whether other users can write to something. Git's
index is read here, and git is never run: a foreign `.git` may hold configuration that runs commands. If in doubt, the
file counts as somebody else's.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

LARGEST_FILE = 1 << 20
LARGEST_INDEX = 256 << 20

_OTHER_SYSTEMS = (".hg", ".svn", ".bzr", ".jj", "_darcs")
"""Working copies whose list of files is not read here: any file in them may have come with them."""


class NotOurs(Exception):
    """The file may be somebody else's; the text says why, and completes "ignoring FILE: "."""


def own_file(path: Path, repository: str | None = None) -> bytes | None:
    """Read a file in the current folder, unless somebody else may have written it.

    Args:
        path: the file, absolute, in a folder without symbolic links.
        repository: the repository under analysis; only a local path matters.

    Returns:
        The content; None if there is no such file.

    Raises:
        NotOurs: it may be somebody else's.
        OSError: it cannot be read.
    """
    try:
        if path.name not in os.listdir(path.parent):  # noqa: PTH208 - some file systems open .ENV as .env, too
            return None
        content = _content(path)
    except FileNotFoundError:
        return None
    if repository is not None and path.is_relative_to(Path(repository).resolve()):
        raise NotOurs("it lies inside the repository under analysis")
    for folder in path.parents:
        for name in _OTHER_SYSTEMS:
            if os.path.lexists(folder / name):
                raise NotOurs(f"{folder} is a working copy with {name}, which may have brought it")
        if os.path.lexists(folder / ".git"):
            try:
                tracked = _tracked(folder, path.relative_to(folder).as_posix())
            except (OSError, ValueError, struct.error):
                raise NotOurs(f"the git index of {folder} is unreadable, so git may track it") from None
            if tracked:
                raise NotOurs("git tracks it, so it came with a repository")
    return content


def others_can_write(status: os.stat_result) -> bool:
    """Return whether users other than this one (and root) may write; a group with only this user does not count."""
    mode = status.st_mode
    return bool(mode & stat.S_IWOTH) or (bool(mode & stat.S_IWGRP) and not _is_private_group(status.st_gid))


def _is_private_group(gid: int) -> bool:
    """Return whether a group is the user's own, as many systems create one with a umask that lets it write."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _content(path: Path) -> bytes:
    if path.is_symlink():
        raise NotOurs("it is a symbolic link")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotOurs("it is not a regular file")
        if status.st_uid not in (os.geteuid(), 0):
            raise NotOurs("it belongs to another user")
        if others_can_write(status):
            raise NotOurs("other users can write to it")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise NotOurs("it is larger than 1 MB")
    return content


def _tracked(top: Path, name: str) -> bool:
    """Return whether the index of the work tree at `top` lists the file; raises ValueError where it cannot tell."""
    dot = top / ".git"
    folder = dot
    if not dot.is_dir():
        pointer = _small(dot, 4096).decode()
        if not pointer.startswith("gitdir:"):
            raise ValueError("not git's")
        folder = top / pointer.removeprefix("gitdir:").strip()
        if not folder.is_dir():
            raise ValueError("leads nowhere")
    try:
        index = _small(folder / "index", LARGEST_INDEX)
    except FileNotFoundError:
        return False
    wanted = name.casefold()
    for digest in (20, 32):  # SHA-1 and SHA-256
        try:
            listed = [os.fsdecode(entry).casefold() for entry in _entries(index, digest)]
        except (ValueError, struct.error, IndexError):
            continue
        # A sparse index lists a folder instead of what is in it.
        return any(one == wanted or (one.endswith("/") and wanted.startswith(one)) for one in listed)
    raise ValueError("not an index that is known here")


def _small(path: Path, limit: int) -> bytes:
    """Read a regular file up to a limit, whatever else may be in its place."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError("too large")
    return content


def _entries(index: bytes, digest: int) -> Iterator[bytes]:
    """Yield the paths in an index, as gitformat-index(5) describes versions 2 to 4.

    Raises:
        ValueError: it is none, its ids are not `digest` bytes long, or a part of it lies in another file.
    """
    signature, version, count = struct.unpack_from(">4sII", index)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("not an index")
    at, path = 12, b""
    for _ in range(count):
        start = at
        at += 40 + digest
        (flags,) = struct.unpack_from(">H", index, at)
        at += 4 if flags & 0x4000 else 2
        kept = 0
        if version == 4:
            stripped, at = _number(index, at)
            kept = len(path) - stripped
            if kept < 0:
                raise ValueError("nothing to strip")
        end = index.index(b"\0", at)
        path = path[:kept] + index[at:end]
        if flags & 0xFFF != min(len(path), 0xFFF):
            raise ValueError("another kind of ids")
        at = end + 1 if version == 4 else start + ((end - start) // 8 + 1) * 8
        yield path
    while at < len(index) - digest:
        name, size = struct.unpack_from(">4sI", index, at)
        if name == b"link":
            raise ValueError("a split index")
        at += 8 + size
    if at != len(index) - digest:
        raise ValueError("another kind of ids")


def _number(index: bytes, at: int) -> tuple[int, int]:
    """Read git's variable-width integer; return it and what follows it."""
    value = index[at] & 0x7F
    while index[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (index[at] & 0x7F)
    return value, at + 1
