"""The files of a simulated node: a small tree in memory, never a file of the machine that the sandbox runs on."""

from __future__ import annotations

import posixpath

HOME = "/home/cc"
MAX_FILES = 500
MAX_BYTES = 1 << 20
NOT_THERE = "No such file or directory"


class Refused(Exception):
    """A file cannot be read or written; the message is the kernel's."""


class Files:
    """Folders and text files by absolute path; only the home folder and /tmp can be written to."""

    def __init__(self, system: dict[str, str], home: str = HOME) -> None:
        self.home = home
        self._system = system
        """Files that the system has, which nobody can change."""
        self._folders = {"/", "/tmp", "/home", home}  # noqa: S108 - of the simulated node
        self._folders |= {folder for path in system for folder in _above(path)}
        self._texts: dict[str, str] = {}

    def absolute(self, path: str, folder: str) -> str:
        """Return the absolute form of a path, seen from a folder."""
        if path == "~" or path.startswith("~/"):
            path = self.home + path[1:]
        return posixpath.normpath("/" + posixpath.join(folder, path).lstrip("/"))

    def is_folder(self, path: str) -> bool:
        """Return whether a folder is there."""
        return path in self._folders

    def exists(self, path: str) -> bool:
        """Return whether anything is there."""
        return path in self._folders or path in self._texts or path in self._system

    def read(self, path: str) -> str:
        """Return a file's text."""
        if self.is_folder(path):
            raise Refused("Is a directory")
        if path not in self._texts and path not in self._system:
            raise Refused(NOT_THERE)
        return self._texts[path] if path in self._texts else self._system[path]

    def write(self, path: str, text: str, *, append: bool = False) -> None:
        """Create, replace or extend a file."""
        if self.is_folder(path):
            raise Refused("Is a directory")
        self._check_place(path)
        whole = self._texts.get(path, "") + text if append else text
        if sum(map(len, self._texts.values())) - len(self._texts.get(path, "")) + len(whole) > MAX_BYTES:
            raise Refused("No space left on device")
        self._texts[path] = whole

    def make_folder(self, path: str) -> None:
        """Create a folder."""
        if self.exists(path):
            raise Refused("File exists")
        self._check_place(path)
        self._folders.add(path)

    def remove(self, path: str, *, recursive: bool) -> None:
        """Remove a file, or a folder with what is in it."""
        if not self.exists(path):
            raise Refused(NOT_THERE)
        if self.is_folder(path) and not recursive:
            raise Refused("Is a directory")
        self._check_place(path)
        inside = path + "/"
        self._texts = {one: text for one, text in self._texts.items() if one != path and not one.startswith(inside)}
        self._folders = {one for one in self._folders if one != path and not one.startswith(inside)}

    def list(self, path: str) -> list[str]:
        """Return the names in a folder, or the path of a file itself."""
        if not self.exists(path):
            raise Refused(NOT_THERE)
        if not self.is_folder(path):
            return [path]
        known = {*self._folders, *self._texts, *self._system} - {"/"}
        return sorted(posixpath.basename(one) for one in known if posixpath.dirname(one) == path)

    def _check_place(self, path: str) -> None:
        if not path.startswith((self.home + "/", "/tmp/")):  # noqa: S108
            raise Refused("Permission denied")
        if not self.is_folder(posixpath.dirname(path)):
            raise Refused(NOT_THERE)
        if not self.exists(path) and len(self._texts) + len(self._folders) >= MAX_FILES:
            raise Refused("No space left on device")


def _above(path: str) -> list[str]:
    folders = []
    while (path := posixpath.dirname(path)) != "/":
        folders.append(path)
    return folders
