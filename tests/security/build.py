"""Git repositories that no git would make: objects, trees and packs written byte by byte.

Nothing here runs git, so a repository that git itself refuses to make costs a millisecond and comes out as meant.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

FILE, PROGRAM, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "40000", "160000"
Entry = tuple[str, bytes | str, str]
_KINDS = {"commit": 1, "tree": 2, "blob": 3}


class Repository:
    """A git directory that is written by hand.

    Attributes:
        folder: what a user would name.
        git: its git directory: the folder itself when bare, else its `.git`.
        objects: every object that was put, by id: kind and content.
    """

    def __init__(self, folder: Path, *, bare: bool = True) -> None:
        self.folder = folder
        self.git = folder if bare else folder / ".git"
        self.objects: dict[str, tuple[str, bytes]] = {}
        for part in ("objects/pack", "refs/heads", "refs/tags", "hooks"):
            (self.git / part).mkdir(parents=True)
        (self.git / "HEAD").write_text("ref: refs/heads/main\n")
        self.configure(f"[core]\nrepositoryformatversion=0\nbare={str(bare).lower()}\n[uploadpack]\nallowFilter=true\n")

    def configure(self, text: str) -> None:
        with (self.git / "config").open("a") as config:
            config.write(text)

    def put(self, kind: str, content: bytes) -> str:
        """Store a loose object, whatever its content."""
        raw = f"{kind} {len(content)}\0".encode() + content
        oid = hashlib.sha1(raw).hexdigest()
        path = self.path_of(oid)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(raw, 1))
        self.objects[oid] = kind, content
        return oid

    def path_of(self, oid: str) -> Path:
        """Where the loose object lies."""
        return self.git / "objects" / oid[:2] / oid[2:]

    def blob(self, content: bytes | str) -> str:
        return self.put("blob", content.encode() if isinstance(content, str) else content)

    def tree(self, entries: Iterable[Entry], *, ordered: bool = True) -> str:
        """Store a tree of (mode, name, id), in git's order unless told otherwise."""
        rows = [(mode, name.encode() if isinstance(name, str) else name, oid) for mode, name, oid in entries]
        if ordered:
            rows.sort(key=lambda row: row[1] + (b"/" if row[0] == FOLDER else b""))
        return self.put("tree", b"".join(m.encode() + b" " + n + b"\0" + bytes.fromhex(o) for m, n, o in rows))

    def commit(self, tree: str, *, ref: str = "refs/heads/main", message: str = "first", parent: str = "") -> str:
        """Store a commit of that tree and let a reference name it."""
        who = "A <a@example.org> 1700000000 +0000"
        lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {who}", f"committer {who}", ""]
        oid = self.put("commit", "\n".join([*lines, message, ""]).encode())
        self.point(ref, oid)
        return oid

    def point(self, ref: str, oid: str) -> None:
        path = self.git / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(oid + "\n")

    def commit_files(self, files: dict[str, bytes | str], *extra: Entry) -> str:
        """Commit a flat folder of files, and what else its tree shall hold."""
        return self.commit(self.tree([*((FILE, name, self.blob(text)) for name, text in files.items()), *extra]))


def pack(objects: Iterable[tuple[str, bytes]], *, claimed: int | None = None) -> bytes:
    """A pack of whole objects; `claimed` lies about their number."""
    rows = list(objects)
    body = b"PACK" + struct.pack(">II", 2, len(rows) if claimed is None else claimed)
    body += b"".join(packed(_KINDS[kind], content) for kind, content in rows)
    return body + hashlib.sha1(body).digest()


def packed(kind: int, content: bytes, *, size: int | None = None, prefix: bytes = b"") -> bytes:
    """One entry of a pack; `size` lies about its length, `prefix` stands before the data, as in deltas."""
    left = len(content) if size is None else size
    head = [kind << 4 | left & 15]
    left >>= 4
    while left:
        head[-1] |= 128
        head.append(left & 127)
        left >>= 7
    return bytes(head) + prefix + zlib.compress(content, 1)


def nested(repository: Repository, inside: Entry, *, wide: int, deep: int) -> str:
    """A tree that holds itself `wide` times on each of `deep` levels: wide ** deep entries in deep objects."""
    oid = repository.tree([inside])
    for _ in range(deep):
        oid = repository.tree([(FOLDER, f"d{n:03}", oid) for n in range(wide)])
    return oid
