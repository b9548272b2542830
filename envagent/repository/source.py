"""What a user may name as a repository, and nothing else.

Owns: turning the text behind `envagent run` into a remote URL that we built ourselves, or a local folder.
Must not: touch the network, or let any part of the text through that has not been checked character by character,
because the text comes from strangers and ends as an argument of git.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from envagent.errors import RepositoryRefused

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_SEGMENT = re.compile(r"[A-Za-z0-9._~+][A-Za-z0-9._~+-]*")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@#=-]*")
# How forges write "this branch, tag or commit" behind the repository's own path.
_PAGE = re.compile(r"(?P<repository>/.+?)(?:/-)?/(?:tree|blob|commit|src/(?:branch|tag|commit))/(?P<ref>.+)")
_LOOPBACK = re.compile(r"git://127\.0\.0\.1(:\d{1,5})?(/[A-Za-z0-9._~+-]+)+")
_SSH = re.compile(r"(?:ssh://)?(?:[\w.-]+@)(?P<host>[\w.-]+)[:/](?P<path>[\w./~+-]+)")
_OWNER_AND_NAME = frozenset({"github.com", "bitbucket.org", "codeberg.org"})
_MAX_LENGTH = 2000


@dataclass(frozen=True)
class Remote:
    """A repository behind a URL that is safe to hand to git."""

    url: str
    refs: tuple[str, ...]
    """Candidates for the branch, tag or commit, likeliest last resort first; empty means the default branch."""

    @property
    def name(self) -> str:
        """How to call it in a message."""
        return self.url


@dataclass(frozen=True)
class Local:
    """A repository in a folder of this machine."""

    path: Path
    refs: tuple[str, ...]

    @property
    def name(self) -> str:
        """How to call it in a message."""
        return str(self.path)


def parse_source(source: str, *, ref: str | None = None, allow_loopback_git: bool = False) -> Remote | Local:
    """Check what the user named.

    Args:
        source: `https://host/owner/name`, also with `.git`, a trailing slash or `/tree/REF`; or a local path.
        ref: branch, tag or commit; wins over one in the URL.
        allow_loopback_git: also take `git://127.0.0.1`, for tests and benches.

    Raises:
        RepositoryRefused: anything else, with what to write instead.
    """
    text = source.strip()
    if not text or len(text) > _MAX_LENGTH or not text.isprintable():
        raise RepositoryRefused(f"Not the name of a repository: {_shown(source)}")
    if text.startswith("-"):
        raise RepositoryRefused(f"A repository's name cannot begin with a dash: {_shown(text)}")
    wanted = (check_ref(ref),) if ref is not None else ()
    if text.lower().startswith("https://"):
        return _remote(text, wanted)
    if allow_loopback_git and _LOOPBACK.fullmatch(text):
        return Remote(text, wanted)
    _refuse_other_transports(text)
    return Local(Path(text).expanduser(), wanted)


def check_ref(ref: str) -> str:
    """A branch, tag or commit that git can take for nothing else.

    Raises:
        RepositoryRefused: it has characters that no such name has, or begins like an option.
    """
    if not _REF.fullmatch(ref) or ".." in ref or "//" in ref or "@{" in ref or ref.endswith((".", "/", ".lock")):
        raise RepositoryRefused(
            f"Not a branch, tag or commit: {_shown(ref)}", hint="name one, such as main, v1.2 or a full commit id"
        )
    return ref


def _remote(text: str, wanted: tuple[str, ...]) -> Remote:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise RepositoryRefused(f"Not a URL: {_shown(text)}") from error
    if "@" in parts.netloc:
        raise RepositoryRefused(
            "The URL carries a user name or a password",
            hint="leave out what stands before the @; only public URLs are read",
        )
    if port is not None or parts.netloc.lower() != host:
        raise RepositoryRefused(f"The URL names a port: {_shown(text)}", hint="use the host's plain https address")
    if not _HOST.fullmatch(host):
        raise RepositoryRefused(f"Not a host name: {_shown(host)}")
    path = parts.path.rstrip("/")
    if page := _PAGE.fullmatch(path):
        path, refs = page["repository"], wanted or _candidates(page["ref"])
    else:
        refs = wanted
    segments = path.removesuffix(".git").split("/")[1:]
    if not segments or not all(_SEGMENT.fullmatch(s) and s not in (".", "..") for s in segments):
        raise RepositoryRefused(f"Not the address of a repository: {_shown(text)}")
    if host in _OWNER_AND_NAME and len(segments) != 2:
        raise RepositoryRefused(
            f"Not the address of a repository: {_shown(text)}", hint=f"use https://{host}/owner/name"
        )
    # Forges redirect the plain form to the one with .git, and redirects are not followed.
    forge = host in _OWNER_AND_NAME or "gitlab" in host
    suffix = ".git" if forge or path.endswith(".git") else ""
    return Remote(f"https://{host}/{'/'.join(segments)}{suffix}", refs)


def _candidates(rest: str) -> tuple[str, ...]:
    """A page's address does not say where a branch's name ends and a folder begins: longest first."""
    pieces = rest.split("/")[:6]
    return tuple(check_ref("/".join(pieces[:n])) for n in range(len(pieces), 0, -1))


def _refuse_other_transports(text: str) -> None:
    if ssh := _SSH.fullmatch(text):
        raise RepositoryRefused(
            f"Only https and local paths are read, not ssh: {_shown(text)}",
            hint=f"use https://{ssh['host']}/{ssh['path'].strip('/').removesuffix('.git')}",
        )
    if text.lower().startswith("file://"):
        raise RepositoryRefused(f"Not a URL that is read: {_shown(text)}", hint="give the path itself, without file://")
    if text.lower().startswith("http://"):
        raise RepositoryRefused(f"Only https is read: {_shown(text)}", hint="use https:// instead of http://")
    if "://" in text or "::" in text:
        raise RepositoryRefused(f"Only https and local paths are read: {_shown(text)}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "...")
