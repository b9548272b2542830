"""Resolve the symbolic links of a commit within its tree.

Owns: following a link from entry to entry of the same tree, and which links are worth it. Must not: touch the disk; a
link that leaves the tree, loops or does not end at a regular file resolves to nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from envagent.repository.choose import choose
from envagent.repository.decoding import clean_line
from envagent.repository.results import Entry

_MAX_HOPS = 40
_MAX_LINKS = 500
MAX_TARGET = 4096


def worth_reading(links: Iterable[str]) -> list[str]:
    """Return the links to read: none unless one has a relevant name, else those and others that may be on their way."""
    known = list(links)
    relevant = _relevant(known)
    others = sorted(set(known).difference(relevant), key=lambda path: (path.count("/"), path)) if relevant else []
    return [*relevant, *others][:_MAX_LINKS]


def follow(contents: Mapping[str, bytes], files: Collection[str]) -> dict[str, str]:
    """Return the file of the tree behind each link with a relevant name; `contents` are the links' targets."""
    targets = {path: clean_line(raw.decode("utf-8", errors="replace")) for path, raw in contents.items()}
    found = ((path, _end(path, targets, files)) for path in _relevant(targets))
    return {path: end for path, end in found if end is not None}


def better_names(leads: Mapping[str, str], chosen: Collection[str]) -> dict[str, str]:
    """Return the relevant links to read in place of the files that they lead to, so that no file is read twice.

    Of several names for one file the shallowest wins, being the one its authors put forward; the file's own name wins
    a tie if it is relevant itself, and so `chosen` already.
    """
    names: dict[str, str] = {}
    taken = set[str]()
    for path, end in sorted(leads.items(), key=lambda pair: (pair[0].count("/"), pair[0])):
        if end not in taken and (end not in chosen or path.count("/") < end.count("/")):
            taken.add(end)
            names[path] = end
    return names


def _relevant(paths: Iterable[str]) -> list[str]:
    """Return those that would be read if they were files, most relevant first."""
    return [entry.path for entry in choose([Entry(path=path, size=None) for path in paths])]


def _end(path: str, targets: Mapping[str, str], files: Collection[str]) -> str | None:
    ahead, at, hops = path.split("/")[::-1], list[str](), 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not at:
                return None
            at.pop()
        elif part not in ("", "."):
            at.append(part)
            if (target := targets.get("/".join(at))) is not None:
                hops += 1
                if hops > _MAX_HOPS or target.startswith("/"):
                    return None
                at.pop()
                ahead.extend(target.split("/")[::-1])
    end = "/".join(at)
    return end if end in files else None
