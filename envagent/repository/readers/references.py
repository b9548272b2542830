"""Files that other files name: requirements, constraints and environments of any name.

Owns: which file leads to which, within the tree and bounded. Must not: read what they lead to.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from envagent.repository.readers import conda, mlflow, pyproject, requirements, setup_files
from envagent.repository.readers.registry import Reader, kind_of
from envagent.repository.readers.scopes import scope_of

Reading = Literal["requirements", "constraints", "environment"]
_MOST_OF_A_FILE = 30
_MOST = 200
_MOST_UNREAD = 12
_WORD = r"[\"']?([\w.][\w./+-]{0,200})"
_OPTION = re.compile(
    rf"(?:^|[\s\"'])(?:-r(?:[ =]\s{{0,5}})?|--requirements?[ =]\s{{0,5}}"
    rf"|(?P<constraints>-c(?:[ =]\s{{0,5}})?|--constraint[ =]\s{{0,5}})){_WORD}",
    re.MULTILINE,
)
_PIP = re.compile(r"\b(?:pip3?(?:\.\d+)?|uv) (?:pip )?(?:install|sync)\b")
_CONDA = re.compile(rf"\b(?:conda|mamba|micromamba)\b[^\n]{{1,200}}?(?:\s-f|--file)[ =]\s{{0,5}}{_WORD}")
_QUOTED = re.compile(r"[\"']([\w.][\w./-]{0,200}\.(?:txt|in|lst|list|pip|req|reqs))[\"']")
_FILE_KEY = re.compile(r"^\s*(?:file|files|dependencies|[\w-]+)\s*=\s*[^\n]{0,40}\bfile")
_CFG_FILE = re.compile(r"^\s*[\w.-]+\s*=\s*file:\s*([^\n]{1,300})", re.MULTILINE)
_MLFLOW = re.compile(rf"^(?P<key>conda_env|python_env):\s{{0,5}}{_WORD}", re.MULTILINE)
_MANIFESTS: tuple[Reader, ...] = (
    requirements.read,
    conda.read,
    mlflow.read,
    mlflow.read_python_env,
    pyproject.read,
    setup_files.read_cfg,
    setup_files.read_py,
)
_COMMENT = re.compile(r"(?m)(?:^|\s)#[^\n]*")


class Reference(NamedTuple):
    """One file that leads to another; `firm` for a manifest, whose installation includes the other."""

    source: str
    path: str
    reading: Reading
    firm: bool


def references(files: Mapping[str, str], paths: Collection[str]) -> list[Reference]:
    """Return what the texts lead to among `paths`; what is led to is searched as well."""
    found: list[Reference] = []
    reading: dict[str, Reading] = {}
    ahead = list(files)
    done: set[str] = set()
    while ahead and len(found) < _MOST:
        source = ahead.pop(0)
        if source in done or source not in files:
            continue
        done.add(source)
        firm = source in reading or is_manifest(source)
        for target, how in list(_named(source, files[source], reading.get(source)))[:_MOST_OF_A_FILE]:
            path = _within(source, target, paths)
            if path is not None and path != source:
                found.append(Reference(source, path, how, firm))
                if path not in reading:
                    reading[path] = how
                    done.discard(path)
                    ahead.append(path)
    return found


def unread(files: Mapping[str, str], paths: Collection[str]) -> list[str]:
    """Return files that were not chosen by their names and that chosen ones lead to, at most 12."""
    wanted = [r.path for r in references(files, paths) if r.path not in files and scope_of(r.source) != "development"]
    return list(dict.fromkeys(wanted))[:_MOST_UNREAD]


def is_manifest(path: str) -> bool:
    """Return whether a file is read as a manifest because of its own name."""
    kind = kind_of(path)
    return kind is not None and kind.reader in _MANIFESTS


def _named(source: str, text: str, known: Reading | None) -> Iterator[tuple[str, Reading]]:
    kind = kind_of(source)
    reader = kind.reader if kind is not None else None
    if known in ("requirements", "constraints") or reader is requirements.read or reader is mlflow.read_python_env:
        yield from _options(_COMMENT.sub("", text))
    elif known == "environment" or reader is conda.read:
        yield from _options(
            "\n".join(line for line in _COMMENT.sub("", text).split("\n") if "-r" in line or "-c" in line)
        )
    elif reader is mlflow.read:
        yield from ((m[2], "environment") for m in _MLFLOW.finditer(text) if m["key"] == "conda_env")
    elif reader is setup_files.read_cfg:
        for found in _CFG_FILE.finditer(text):
            yield from ((name.strip(), "requirements") for name in found[1].split(",") if "readme" not in name.lower())
    elif reader is pyproject.read:
        for line in text.split("\n"):
            if _FILE_KEY.match(line):
                yield from ((m[1], "requirements") for m in _QUOTED.finditer(line))
    elif reader is setup_files.read_py:
        yield from ((m[1], "requirements") for m in _QUOTED.finditer(text))
    else:
        yield from _commands(text)


def _options(text: str) -> Iterator[tuple[str, Reading]]:
    for found in _OPTION.finditer(text):
        yield found[2], "constraints" if found["constraints"] else "requirements"


def _commands(text: str) -> Iterator[tuple[str, Reading]]:
    """Yield what the commands in a document, a script or a Dockerfile install from."""
    for line in text.split("\n"):
        if _PIP.search(line):
            yield from _options(line[:1000])
        elif found := _CONDA.search(line[:1000]):
            environment = found[1].endswith((".yml", ".yaml"))
            yield found[1], "environment" if environment else "requirements"


def _within(source: str, target: str, paths: Collection[str]) -> str | None:
    """Find the file that a name means: next to its source, else from the top."""
    for start in dict.fromkeys((posixpath.dirname(source), "")):
        path = posixpath.normpath(posixpath.join(start, target))
        if path in paths:
            return path
    return None
