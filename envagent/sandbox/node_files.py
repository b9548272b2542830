"""The files of a simulated node: a small tree in memory, never a file of the machine that the sandbox runs on."""

from __future__ import annotations

import errno
import os
import posixpath
import time
from dataclasses import dataclass, field

HOME = "/home/cc"
MAX_FILES = 500
"""Files and folders, those of the system left out."""
MAX_BYTES = 4 << 20
"""Of all files together, those of the system left out."""
MAX_NAME = 255
MAX_PATH = 4096
FILE_MODE = 0o644
FOLDER_MODE = 0o755


class Refused(OSError):
    """A file cannot be read or written; the message is the kernel's."""

    def __init__(self, number: int) -> None:
        super().__init__(number, os.strerror(number))

    def __str__(self) -> str:
        """Return the message alone, as programs print it after a path."""
        return str(self.strerror)


@dataclass(slots=True)
class Entry:
    """A file or a folder, whose content is None."""

    content: bytearray | None
    mode: int
    modified: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        """The number of bytes."""
        return 0 if self.content is None else len(self.content)


class Files:
    """Folders and files by absolute path; only the home folder and /tmp can be written to.

    A file's text is its bytes as UTF-8; invalid UTF-8 is kept as surrogate escapes.
    """

    def __init__(self, system: dict[str, str], home: str = HOME) -> None:
        self.home = home
        folders = {"/", "/tmp", "/home", home}  # noqa: S108 - of the simulated node
        folders |= {folder for path in system for folder in _above(path)}
        self._entries = {path: Entry(None, FOLDER_MODE) for path in folders}
        for path, text in system.items():
            self._entries[path] = Entry(bytearray(text.encode()), FILE_MODE)
        self._given, self._given_bytes = len(self._entries), self._bytes()

    def absolute(self, path: str, folder: str) -> str:
        """Return the absolute form of a path, seen from a folder."""
        if path == "~" or path.startswith("~/"):
            path = self.home + path[1:]
        return posixpath.normpath("/" + posixpath.join(folder, path).lstrip("/"))

    def is_folder(self, path: str) -> bool:
        """Return whether a folder is there."""
        return path in self._entries and self._entries[path].content is None

    def exists(self, path: str) -> bool:
        """Return whether anything is there."""
        return path in self._entries

    def entry(self, path: str) -> Entry:
        """Return what is at a path."""
        if path not in self._entries:
            above = posixpath.dirname(path)
            raise Refused(errno.ENOTDIR if self.exists(above) and not self.is_folder(above) else errno.ENOENT)
        return self._entries[path]

    def content(self, path: str) -> bytearray:
        """Return a file's bytes, to be read only."""
        content = self.entry(path).content
        if content is None:
            raise Refused(errno.EISDIR)
        return content

    def read(self, path: str) -> str:
        """Return a file's text."""
        return self.content(path).decode(errors="surrogateescape")

    def write(self, path: str, text: str, *, append: bool = False) -> None:
        """Create, replace or extend a file."""
        there = self.create(path)
        start = there.size if append else 0
        content = text.encode(errors="surrogateescape")
        self._check_room(start + len(content) - there.size)
        self.truncate(path, start)
        self.write_at(path, start, content)

    def create(self, path: str) -> Entry:
        """Return the file at a path that can be written, a new one if there is none."""
        if self.is_folder(path):
            raise Refused(errno.EISDIR)
        self._check_place(path)
        return self._entries.setdefault(path, Entry(bytearray(), FILE_MODE))

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        """Write bytes at a place of a file; what is between its end and this place becomes zeros."""
        content = self._writable(path)
        end = offset + len(data)
        if end > len(content):
            self.truncate(path, end)
        content[offset:end] = data
        self._entries[path].modified = time.time()

    def truncate(self, path: str, size: int) -> None:
        """Cut a file or extend it with zeros."""
        content = self._writable(path)
        self._check_room(size - len(content))
        content[size:] = bytes(max(0, size - len(content)))
        self._entries[path].modified = time.time()

    def describe(self, path: str, *, mode: int | None = None, modified: float | None = None) -> None:
        """Set the permissions or the time of a file or folder; programs do not look at the permissions."""
        entry = self.entry(path)
        self._check_place(path)
        entry.mode = entry.mode if mode is None else mode & 0o777
        entry.modified = entry.modified if modified is None else modified

    def make_folder(self, path: str) -> None:
        """Create a folder."""
        if self.exists(path):
            raise Refused(errno.EEXIST)
        self._check_place(path)
        self._entries[path] = Entry(None, FOLDER_MODE)

    def remove(self, path: str, *, recursive: bool) -> None:
        """Remove a file, or a folder with what is in it."""
        self.entry(path)
        if self.is_folder(path) and not recursive:
            raise Refused(errno.EISDIR)
        self._check_place(path)
        for one in self._within(path):
            del self._entries[one]

    def remove_folder(self, path: str) -> None:
        """Remove a folder that is empty."""
        if self.entry(path).content is not None:
            raise Refused(errno.ENOTDIR)
        if self.names(path):
            raise Refused(errno.ENOTEMPTY)
        self.remove(path, recursive=True)

    def rename(self, old: str, new: str, *, replace: bool) -> None:
        """Move a file, or a folder with what is in it; only a file replaces another."""
        moved = self.entry(old)
        self._check_place(old)
        self._check_place(new)
        if old == new:
            return
        if f"{new}/".startswith(f"{old}/"):
            raise Refused(errno.EINVAL)
        if self.exists(new):
            if not replace or moved.content is None or self.is_folder(new):
                raise Refused(errno.EEXIST)
            del self._entries[new]
        names = {one: new + one[len(old) :] for one in self._within(old)}
        for name in names.values():
            _check_length(name)
        for one, name in names.items():
            self._entries[name] = self._entries.pop(one)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, or the path of a file itself."""
        if self.entry(path).content is not None:
            return [path]
        return sorted(posixpath.basename(one) for one in self._entries if one != "/" and posixpath.dirname(one) == path)

    def _within(self, path: str) -> list[str]:
        return [one for one in self._entries if f"{one}/".startswith(f"{path}/")]

    def _writable(self, path: str) -> bytearray:
        content = self.content(path)
        self._check_place(path)
        return content

    def _check_place(self, path: str) -> None:
        if not path.startswith((self.home + "/", "/tmp/")):  # noqa: S108
            raise Refused(errno.EACCES)
        above = posixpath.dirname(path)
        if not self.is_folder(above):
            raise Refused(errno.ENOTDIR if self.exists(above) else errno.ENOENT)
        _check_length(path)
        if not self.exists(path) and len(self._entries) - self._given >= MAX_FILES:
            raise Refused(errno.ENOSPC)

    def _check_room(self, growth: int) -> None:
        if growth > 0 and self._bytes() - self._given_bytes + growth > MAX_BYTES:
            raise Refused(errno.ENOSPC)

    def _bytes(self) -> int:
        return sum(entry.size for entry in self._entries.values())


def _check_length(path: str) -> None:
    name = posixpath.basename(path)
    if len(path.encode(errors="surrogateescape")) > MAX_PATH or len(name.encode(errors="surrogateescape")) > MAX_NAME:
        raise Refused(errno.ENAMETOOLONG)


def _above(path: str) -> list[str]:
    folders = []
    while (path := posixpath.dirname(path)) != "/":
        folders.append(path)
    return folders
