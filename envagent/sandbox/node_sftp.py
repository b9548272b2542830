"""SFTP on a simulated node, for `sftp`, `scp` and sshfs: the node's files in memory, and no others.

asyncssh's server works on the files of this machine where a method is not replaced here. Each of these methods asks
`map_path` for the path, which always refuses, so that a method which a later version adds cannot reach a file either.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncssh

from envagent.sandbox.node_files import Entry, Files, Refused

MAX_OPEN = 100
"""Open files of one session."""
USER_ID = 1000


@dataclass(frozen=True)
class _Handle:
    """An open file."""

    path: str
    append: bool
    """Whether all is written at its end."""


class NodeSftp(asyncssh.SFTPServer):
    """One session with the files of a node; it starts in the home folder."""

    def __init__(self, channel: asyncssh.SSHServerChannel[Any], files: Files, user: str) -> None:
        super().__init__(channel)
        self._files = files
        self._user = user
        self._opened = 0

    def map_path(self, path: bytes) -> bytes:
        """Refuse to name a file of this machine."""
        raise Refused(errno.EACCES)

    def format_user(self, uid: int | None) -> str:
        """Return the name of the node's user, the owner of every file."""
        return self._user

    def format_group(self, gid: int | None) -> str:
        """Return the name of the user's group, which is that of the user."""
        return self._user

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Open a file, and create or empty it if this is asked for."""
        if self._opened >= MAX_OPEN:
            raise Refused(errno.EMFILE)
        place = self._place(path)
        if not pflags & asyncssh.FXF_CREAT:
            self._files.content(place)
        elif pflags & asyncssh.FXF_EXCL and self._files.exists(place):
            raise Refused(errno.EEXIST)
        else:
            new = not self._files.exists(place)
            self._files.create(place)
            if new and attrs.permissions is not None:
                self._files.describe(place, mode=attrs.permissions)
        if pflags & asyncssh.FXF_TRUNC:
            self._files.truncate(place, 0)
        self._opened += 1
        return _Handle(place, bool(pflags & asyncssh.FXF_APPEND))

    def close(self, file_obj: object) -> None:
        """Close a file."""
        self._opened -= 1

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Read from a file all that is asked for: sftp of OpenSSH 9.2 cuts files where it gets less."""
        return bytes(self._files.content(_path(file_obj))[offset : offset + size])

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Write into a file."""
        path = _path(file_obj)
        at_end = isinstance(file_obj, _Handle) and file_obj.append
        self._files.write_at(path, self._files.entry(path).size if at_end else offset, data)
        return len(data)

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Describe a file or folder."""
        return _described(self._files.entry(self._place(path)))

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Describe a file or folder; there are no links."""
        return self.stat(path)

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        """Describe an open file."""
        return _described(self._files.entry(_path(file_obj)))

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Set size, permissions and time; the owner stays."""
        self._describe(self._place(path), attrs)

    def lsetstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Set size, permissions and time; there are no links."""
        self.setstat(path, attrs)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        """Set size, permissions and time of an open file."""
        self._describe(_path(file_obj), attrs)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """Return what is in a folder."""
        place = self._place(path)
        if not self._files.is_folder(place):
            self._files.entry(place)
            raise Refused(errno.ENOTDIR)
        for name in [".", "..", *self._files.names(place)]:
            attrs = _described(self._files.entry(self._files.absolute(name, place)))
            yield asyncssh.SFTPName(name.encode(errors="surrogateescape"), attrs=attrs)

    def remove(self, path: bytes) -> None:
        """Remove a file."""
        self._files.remove(self._place(path), recursive=False)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Create a folder."""
        place = self._place(path)
        self._files.make_folder(place)
        if attrs.permissions is not None:
            self._files.describe(place, mode=attrs.permissions)

    def rmdir(self, path: bytes) -> None:
        """Remove an empty folder."""
        self._files.remove_folder(self._place(path))

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Move a file or folder to where nothing is."""
        self._files.rename(self._place(oldpath), self._place(newpath), replace=False)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Move a file or folder; a file that is there is replaced."""
        self._files.rename(self._place(oldpath), self._place(newpath), replace=True)

    def realpath(self, path: bytes) -> bytes:
        """Return the absolute form of a path."""
        return self._place(path).encode(errors="surrogateescape")

    def readlink(self, path: bytes) -> bytes:
        """Refuse: nothing is a link."""
        self._files.entry(self._place(path))
        raise Refused(errno.EINVAL)

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        """Refuse: there are no links."""
        raise Refused(errno.EPERM)

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        """Refuse: there are no links."""
        raise Refused(errno.EPERM)

    def fsync(self, file_obj: object) -> None:
        """Do nothing: what is written is in memory at once."""

    def exit(self) -> None:
        """End the session with success, as clients expect; asyncssh sends no exit code for it."""
        self.channel.exit(0)

    def _place(self, path: bytes) -> str:
        return self._files.absolute(path.decode(errors="surrogateescape"), self._files.home)

    def _describe(self, path: str, attrs: asyncssh.SFTPAttrs) -> None:
        if attrs.size is not None:
            self._files.truncate(path, attrs.size)
        if attrs.permissions is not None or attrs.mtime is not None:
            self._files.describe(path, mode=attrs.permissions, modified=attrs.mtime)


def _path(file_obj: object) -> str:
    if not isinstance(file_obj, _Handle):
        raise Refused(errno.EBADF)
    return file_obj.path


def _described(entry: Entry) -> asyncssh.SFTPAttrs:
    kind = stat.S_IFDIR if entry.content is None else stat.S_IFREG
    when = int(entry.modified)
    return asyncssh.SFTPAttrs(
        type=asyncssh.FILEXFER_TYPE_DIRECTORY if entry.content is None else asyncssh.FILEXFER_TYPE_REGULAR,
        size=entry.size,
        uid=USER_ID,
        gid=USER_ID,
        permissions=kind | entry.mode,
        atime=when,
        mtime=when,
        nlink=1,
    )
