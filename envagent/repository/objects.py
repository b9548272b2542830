"""Read a commit's listing and files straight from the object store, without a checkout.

Owns: what counts as an entry, and how large a listing or a file may get. Must not: fetch anything; a missing object
is skipped and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envagent.repository.decoding import clean_line
from envagent.repository.git import Git, GitFailed

_OID = re.compile(rb"[0-9a-f]{40,64}")
# A few nested trees can expand to any number of names of any length.
_MAX_LISTING = 64 << 20
_MAX_PATH = 4096
_MAX_BRANCHES = 10_000
_MAX_LINKS = 10_000


@dataclass(frozen=True)
class Blob:
    """A regular file of the tree."""

    path: str
    oid: str


@dataclass
class Listing:
    """The regular files of a commit, and what was skipped."""

    blobs: list[Blob] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    """Path to object id of the target, for the first 10,000 symbolic links."""
    link_count: int = 0
    submodules: int = 0
    odd: int = 0
    """Number of paths that no file can have, such as those that climb out of the tree."""
    cut: bool = False


def resolve(git: Git, name: str) -> str:
    """Return the commit id of `name`.

    Raises:
        GitFailed: there is no such commit.
    """
    return git.output("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()


def branches(git: Git) -> list[str]:
    """List the local branches by name.

    Raises:
        GitFailed: they cannot be listed.
    """
    names = git.output("for-each-ref", f"--count={_MAX_BRANCHES}", "--format=%(refname:lstrip=2)", "refs/heads/")
    return names.decode("utf-8", errors="replace").split("\n")[:-1]


def list_tree(git: Git, commit: str, *, limit: int) -> Listing:
    """List the regular files of the commit up to `limit`, the top folder's first.

    Submodules are counted and dropped. Links are kept apart; nothing follows them on a disk.
    """
    listing = Listing()
    seen: set[str] = set()
    _read_tree(git, ["ls-tree", "-z", "--full-tree", commit], listing, seen, limit)
    top = Listing(blobs=listing.blobs[:], links=dict(listing.links))
    _read_tree(git, ["ls-tree", "-r", "-z", "--full-tree", commit], top, seen, limit)
    return top


def _read_tree(git: Git, command: list[str], into: Listing, seen: set[str], limit: int) -> None:
    rest = b""
    left = _MAX_LISTING

    def take(piece: bytes) -> bool:
        nonlocal rest, left
        left -= len(piece)
        *records, rest = (rest + piece).split(b"\0")
        for record in records:
            _record(record, into, seen)
            if len(into.blobs) >= limit:
                into.cut = True
                return False
        # A record that never ends is not a name.
        into.cut = left <= 0 or len(rest) > 1 << 20
        return not into.cut

    git.stream(command, take)


def _record(record: bytes, into: Listing, seen: set[str]) -> None:
    meta, _, raw = record.partition(b"\t")
    mode, kind, oid = meta.split(b" ")[:3]
    if kind == b"commit":
        into.submodules += 1
    elif mode == b"120000":
        into.link_count += 1
        if len(into.links) < _MAX_LINKS and (path := _path(raw)) is not None:
            into.links.setdefault(path, oid.decode())
    elif kind == b"blob":
        path = _path(raw)
        if path is None:
            into.odd += 1
        elif path not in seen:
            seen.add(path)
            into.blobs.append(Blob(path, oid.decode()))


def _path(raw: bytes) -> str | None:
    """Return a path for display, or None if it leads out of the tree or into .git."""
    path = clean_line(raw.decode("utf-8", errors="replace"))
    parts = path.split("/")
    odd = len(raw) > _MAX_PATH or not all(parts) or ".." in parts or ".git" in (p.lower() for p in parts)
    return None if odd else path


def sizes(git: Git, oids: Iterable[str]) -> dict[str, int]:
    """Return the size in bytes of each available object; missing ones are skipped."""
    found: dict[str, int] = {}
    answer = git.output("cat-file", "--batch-check=%(objectname) %(objectsize)", "--buffer", lines=oids)
    for line in answer.splitlines():
        oid, _, size = line.partition(b" ")
        if size.isdigit() and _OID.fullmatch(oid):
            found[oid.decode()] = int(size)
    return found


def read_blobs(git: Git, wanted: Mapping[str, int], *, most: int) -> dict[str, bytes]:
    """Read the content of each wanted object, listed by `sizes`, up to `most` bytes."""
    small = [oid for oid, size in wanted.items() if size <= most]
    contents = _split(git.output("cat-file", "--batch", "--buffer", lines=small)) if small else {}
    for oid in wanted.keys() - contents.keys():
        if (beginning := _beginning(git, oid, most)) is not None:
            contents[oid] = beginning
    return contents


def _split(answer: bytes) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    at = 0
    while (end := answer.find(b"\n", at)) >= 0:
        fields = answer[at:end].split(b" ")
        at = end + 1
        if len(fields) == 3 and fields[2].isdigit():
            size = int(fields[2])
            contents[fields[0].decode()] = answer[at : at + size]
            at += size + 1
    return contents


def _beginning(git: Git, oid: str, most: int) -> bytes | None:
    pieces: list[bytes] = []
    left = most

    def take(piece: bytes) -> bool:
        nonlocal left
        pieces.append(piece[:left])
        left -= len(piece)
        return left > 0

    try:
        git.stream(["cat-file", "blob", oid], take)
    except GitFailed:
        return None
    return b"".join(pieces)
