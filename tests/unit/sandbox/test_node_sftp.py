"""SFTP on a simulated node: never a file of this machine, and never more than the node has room for."""

from __future__ import annotations

import asyncio
import errno
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import asyncssh
import pytest

from envagent.sandbox.node_files import MAX_BYTES, MAX_FILES, MAX_NAME, Files
from envagent.sandbox.node_sftp import MAX_OPEN, NodeSftp

NEW = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC


def session(files: Files) -> NodeSftp:
    return NodeSftp(Mock(), files, "cc")


@pytest.fixture
def sftp() -> NodeSftp:
    return session(Files({"/etc/hostname": "n1\n"}))


METHODS = [
    name
    for name, method in inspect.getmembers(asyncssh.SFTPServer, inspect.isfunction)
    if "path" in "".join(inspect.signature(method).parameters) and name not in ("map_path", "reverse_map_path")
]


@pytest.mark.parametrize("name", METHODS)
def test_no_method_reaches_a_file_of_this_machine(sftp: NodeSftp, name: str, tmp_path: Path) -> None:
    """Each method that asyncssh calls with a path is called with those of a file and a folder that are here."""
    (tmp_path / "folder").mkdir()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    before = secret.stat()
    values = {"attrs": asyncssh.SFTPAttrs(size=0, permissions=0o777, mtime=1, atime=1), "pflags": NEW}
    for place in ("secret", "folder", "folder/../secret", "new"):
        path = f"{tmp_path}/{place}".encode()
        for other, first in ((b"/tmp/x", path), (path, b"/tmp/x")):
            given: dict[str, Any] = {"path": path, "oldpath": first, "newpath": other, **values}
            arguments = [given.get(one, 0) for one in inspect.signature(getattr(sftp, name)).parameters]
            try:
                result = getattr(sftp, name)(*arguments)
                if isinstance(result, AsyncIterator):
                    asyncio.run(anext(result))  # type: ignore[arg-type]
            except OSError as error:
                assert error.errno in (errno.ENOENT, errno.EACCES, errno.EPERM)
            else:
                assert name == "realpath"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "secret"]
    assert (secret.read_text(), secret.stat()) == ("secret", before)


def test_the_room_of_a_node_is_bounded(sftp: NodeSftp) -> None:
    attrs = asyncssh.SFTPAttrs()
    file = sftp.open(b"big", NEW, attrs)
    for act in (
        lambda: sftp.write(file, 2**62, b"x"),
        lambda: sftp.write(file, 0, bytes(MAX_BYTES + 1)),
        lambda: sftp.setstat(b"big", asyncssh.SFTPAttrs(size=2**62)),
    ):
        with pytest.raises(OSError, match="No space left"):
            act()
    assert sftp.write(file, 1, bytes(MAX_BYTES - 1)) == MAX_BYTES - 1
    sftp.write(sftp.open(b"other", NEW, attrs), 0, b"")
    with pytest.raises(OSError, match="No space left"):
        sftp.write(sftp.open(b"other", NEW, attrs), 0, b"x")
    sftp.remove(b"big")
    with pytest.raises(OSError, match="No such file"):
        sftp.write(file, 0, b"x")
    with pytest.raises(OSError, match="name too long"):
        sftp.mkdir(b"n" * (MAX_NAME + 1), attrs)
    with pytest.raises(OSError, match="No space left"):
        for number in range(MAX_FILES + 1):
            sftp.mkdir(b"%d" % number, attrs)
    with pytest.raises(OSError, match="Too many open files"):
        for _ in range(MAX_OPEN + 1):
            sftp.open(b"other", asyncssh.FXF_READ, attrs)


@pytest.mark.parametrize(
    ("old", "new", "number"),
    [
        (b"/etc/hostname", b"h", errno.EACCES),
        (b"a", b"/etc/hostname", errno.EACCES),
        (b"a", b"a/b", errno.EINVAL),
        (b"a", b"f", errno.EEXIST),
        (b"f", b"a", errno.EEXIST),
        (b"f", b"nowhere/f", errno.ENOENT),
        (b"/home/cc", b"/tmp/cc", errno.EACCES),
    ],
)
def test_what_cannot_be_renamed(sftp: NodeSftp, old: bytes, new: bytes, number: int) -> None:
    sftp.mkdir(b"a", asyncssh.SFTPAttrs())
    sftp.write(sftp.open(b"f", NEW, asyncssh.SFTPAttrs()), 0, b"kept")
    with pytest.raises(OSError) as refused:
        sftp.posix_rename(old, new)
    assert refused.value.errno == number
    assert sftp.read(sftp.open(b"f", asyncssh.FXF_READ, asyncssh.SFTPAttrs()), 0, 99) == b"kept"
