"""Parse what a user may name as a repository.

Owns: turning the argument of `envagent run` into a remote URL that we compose ourselves, or a local folder.
Must not: touch the network, or pass on any part of the text that has not been checked character by character, because
the text is untrusted and ends up as an argument of git.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

from envagent.errors import RepositoryRefused
from envagent.hints import Hint

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_PUBLIC_NAME = re.compile(r".+\.[a-z][a-z0-9-]*")
_SEGMENT = re.compile(r"[\w.~+]([\w. ~+-]*[\w.~+-])?")
# What git check-ref-format forbids, and prefixes that git takes for an option or a forced update.
_NO_REF = re.compile(r"[\s~^:?*\[\\]|\.\.|//|@\{|^[-+/]|[/.]$|(^|/)\.|\.lock(/|$)|^@$|^$")
# How forges write a branch, tag or commit after the path of the repository.
_PAGE = re.compile(
    r"(?:(?:src|raw|media|commits|blame)/(?:branch|tag|commit)|releases/(?:tag|download)"
    r"|tree|blob|raw|blame|edit|commits?)/(?P<ref>.+)"
)
_PAGE_OF_GITLAB = re.compile(r"(?:tree|blob|raw|blame|edit|commits?|tags|releases)/(?P<ref>.+)")
_PAGE_OF_BITBUCKET = re.compile(r"(?:(?:src|raw|branch)|commits(?:/(?:branch|tag))?)/(?P<ref>.+)")
_SSH = re.compile(r"ssh://(?:[\w.-]+@)?(?P<host>[\w.-]+)(?::\d+)?/(?P<path>.+)", re.IGNORECASE)
_SCP = re.compile(r"(?:[\w.-]+@(?P<host>[\w.-]+)|(?P<bare>[\w-]+(?:\.[\w-]+)+)):(?!//)(?P<path>.+)")
_OWNER_AND_NAME = frozenset({"github.com", "bitbucket.org", "codeberg.org"})
_ALSO_KNOWN_AS = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",
    "www.gitlab.com": "gitlab.com",
    "altssh.gitlab.com": "gitlab.com",
    "www.bitbucket.org": "bitbucket.org",
    "altssh.bitbucket.org": "bitbucket.org",
}
_AZURE = {"GB": "", "GT": "refs/tags/", "GC": ""}
_ANY_CASE = ("https://github.com/", "https://gitlab.com/", "https://bitbucket.org/", "https://codeberg.org/")
"""Hosts that ignore the case of owner and name."""
_MAX_LENGTH = 2000
_MAX_PIECES = 6


@dataclass(frozen=True)
class Remote:
    """A repository behind a URL that is safe to hand to git."""

    transport: ClassVar[str] = "https"
    """The only one that git may use for it, whatever the URL says."""

    url: str
    refs: tuple[str, ...]
    """Candidates for the branch, tag or commit, to try in order; empty means the default branch."""

    @property
    def name(self) -> str:
        """How to call it in a message."""
        return self.url

    @property
    def identity(self) -> str:
        """The same text for every way to write the repository."""
        return self.url.casefold() if self.url.casefold().startswith(_ANY_CASE) else self.url


@dataclass(frozen=True)
class Local:
    """A repository in a folder of this machine."""

    path: Path
    refs: tuple[str, ...]

    @property
    def name(self) -> str:
        """How to call it in a message."""
        return str(self.path)

    @property
    def identity(self) -> str:
        """The same text for every way to write the path."""
        return str(self.path.resolve())


def parse_source(source: str, *, ref: str | None = None) -> Remote | Local:
    """Parse and check a repository argument.

    Args:
        source: `https://host/owner/name`, also with `.git`, a trailing slash or `/tree/REF`; or a local path.
        ref: branch, tag or commit; takes precedence over one in the URL.

    Raises:
        RepositoryRefused: anything else, with a hint what to write instead.
    """
    text = source.strip()
    if not text or len(text) > _MAX_LENGTH or not text.isprintable():
        raise RepositoryRefused(f"Not a valid repository: {_shown(source)}")
    if text.startswith("-"):
        raise RepositoryRefused(f"A repository cannot begin with a dash: {_shown(text)}")
    wanted = (check_ref(ref),) if ref is not None else ()
    address = re.sub(r"^git\+(?=\w+://)", "", text, flags=re.IGNORECASE)
    if address.lower().startswith("https://"):
        return _remote(address, wanted, as_pip_writes_it=address != text)
    _refuse_other_transports(address)
    return Local(Path(text).expanduser(), wanted)


def is_ref(name: str) -> bool:
    """Return whether git accepts it as a name and cannot take it for anything else."""
    return not _NO_REF.search(name) and name.isprintable()


def check_ref(ref: str) -> str:
    """Return the name of a branch, tag or commit, which is now safe to pass to git.

    Raises:
        RepositoryRefused: invalid characters, or it begins like an option.
    """
    if not is_ref(ref):
        raise RepositoryRefused(
            f"Not a valid branch, tag or commit: {_shown(ref)}",
            hint=Hint("use for example main, v1.2 or a full commit id"),
        )
    return ref


def _remote(text: str, wanted: tuple[str, ...], *, as_pip_writes_it: bool = False) -> Remote:
    try:
        parts = urlsplit(text)
        host, port = _authority(text, parts.netloc, parts.hostname or "", parts.port)
        path, _, pinned = parts.path.partition("@") if as_pip_writes_it else (parts.path, "", "")
        if pinned:
            wanted = wanted or (check_ref(unquote(pinned, errors="strict")),)
        host, repository, page = _divided(host, path.rstrip("/").split("/")[1:])
        segments = [unquote(piece, errors="strict") for piece in repository]
        refs = wanted or _refs(host, page, parts.query)
    except ValueError as error:
        raise RepositoryRefused(f"Not a valid URL: {_shown(text)}") from error
    if segments:
        segments[-1] = segments[-1].removesuffix(".git")
    # Forges redirect the plain form to the one with .git, and redirects are not followed.
    forge = host in _OWNER_AND_NAME or "gitlab" in host
    suffix = ".git" if forge or (repository and repository[-1].endswith(".git")) else ""
    url = f"https://{host}{port}/{'/'.join(quote(s, safe='~+') for s in segments)}{suffix}"
    fits = all(_SEGMENT.fullmatch(s) and s not in (".", "..") for s in segments) and " " not in text
    if not segments or not fits:
        raise RepositoryRefused(f"Not a repository URL: {_shown(text)}")
    if host in _OWNER_AND_NAME and len(segments) != 2:
        raise RepositoryRefused(f"Not a repository URL: {_shown(text)}", hint=Hint(f"use https://{host}/owner/name"))
    if refs is None:
        raise RepositoryRefused(
            f"This is a page of a repository, not the repository itself: {_shown(text)}", hint=Hint(f"use {url}")
        )
    return Remote(url, refs)


def _authority(text: str, netloc: str, host: str, port: int | None) -> tuple[str, str]:
    """Return the canonical host, and `:port` where a port is needed."""
    if "@" in netloc:
        raise RepositoryRefused(
            "The URL contains a user name or a password",
            hint=Hint("remove everything before the @; only public repositories are supported"),
        )
    if not host.isascii():
        hint = None
        with contextlib.suppress(UnicodeError):
            hint = Hint(f"if that is the host you mean, write it as https://{host.encode('idna').decode()}")
        raise RepositoryRefused(f"The host name contains non-ASCII letters: {_shown(text)}", hint=hint)
    if netloc.lower() not in (host, f"{host}:{port}") or not _HOST.fullmatch(host):
        raise RepositoryRefused(f"Not a valid host name: {_shown(netloc)}")
    host = _ALSO_KNOWN_AS.get(host, host)
    if port in (None, 443):
        return host, ""
    # A self-hosted forge may use any port; services of this machine or network must not pass for one.
    if host in _OWNER_AND_NAME or not _PUBLIC_NAME.fullmatch(host):
        raise RepositoryRefused(f"The URL has a port: {_shown(text)}", hint=Hint("use the host's plain https address"))
    return host, f":{port}"


def _divided(host: str, pieces: list[str]) -> tuple[str, list[str], list[str]]:
    """Split into host, path of the repository and page, the latter two still quoted."""
    if host == "raw.githubusercontent.com":
        return "github.com", pieces[:2], ["raw", *pieces[2:]]
    if host in _OWNER_AND_NAME:
        return host, pieces[:2], pieces[2:]
    for at, piece in enumerate(pieces):
        if piece == "-" and at:
            return host, pieces[:at], pieces[at:]
        if piece.endswith(".git"):
            return host, pieces[: at + 1], pieces[at + 1 :]
    # A repository may itself be named `tree`, so owner and name come before any page.
    for at in (*range(2, len(pieces)), 1):
        if _PAGE.fullmatch("/".join(pieces[at:])):
            return host, pieces[:at], pieces[at:]
    return host, pieces, []


def _refs(host: str, page: list[str], query: str) -> tuple[str, ...] | None:
    """List candidates for what a page shows; None if it shows no branch, tag or commit."""
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    if version := asked.get("version") if "azure" in host or "visualstudio" in host else None:
        return (check_ref(_AZURE.get(version[:2], "") + version[2:]),)
    if not page:
        return ()
    if page[0] == "-":
        page, pattern = page[1:], _PAGE_OF_GITLAB
    elif host == "bitbucket.org":
        pattern = _PAGE_OF_BITBUCKET
    else:
        pattern = _PAGE
        if host not in _OWNER_AND_NAME and (named := asked.get("h") or asked.get("id")):  # cgit
            return (check_ref(named),)
    match = pattern.fullmatch("/".join(page))
    return _candidates(match["ref"]) if match else None


def _candidates(rest: str) -> tuple[str, ...]:
    """List prefixes, longest first: a page's URL does not say where the branch ends and a folder begins."""
    pieces = [unquote(piece, errors="strict") for piece in rest.split("/")[:_MAX_PIECES]]
    names = ["/".join(pieces[:n]) for n in range(len(pieces), 0, -1)]
    return tuple(filter(is_ref, names)) or (check_ref(names[-1]),)


def _refuse_other_transports(text: str) -> None:
    if ssh := _SSH.fullmatch(text) or _SCP.fullmatch(text):
        raise RepositoryRefused(
            f"Only https URLs and local paths are supported, not ssh: {_shown(text)}",
            hint=_https_hint(ssh["host"] or ssh["bare"], ssh["path"]),
        )
    if text.lower().startswith("file://"):
        raise RepositoryRefused(f"Unsupported URL: {_shown(text)}", hint=Hint("pass the path itself, without file://"))
    if text.lower().startswith("http://"):
        raise RepositoryRefused(
            f"Only https is supported: {_shown(text)}", hint=Hint("use https:// instead of http://")
        )
    if "://" in text or "::" in text:
        raise RepositoryRefused(f"Only https URLs and local paths are supported: {_shown(text)}")


def _https_hint(host: str, path: str) -> Hint | None:
    """Compose the https URL of an ssh address, if there is one."""
    path = path.strip("/").removesuffix(".git")
    if host.lower() == "ssh.dev.azure.com" and path.startswith("v3/") and path.count("/") == 3:
        _, owner, project, name = path.split("/")
        host, path = "dev.azure.com", f"{owner}/{project}/_git/{name}"
    address = f"https://{_ALSO_KNOWN_AS.get(host.lower(), host)}/{path}"
    with contextlib.suppress(RepositoryRefused):
        _remote(address, ())
        return Hint(f"use {address}")
    return None


def _shown(text: str) -> str:
    text = re.sub(r"(?<=://)(?!git@)[^/\s]*@", "", text)  # may be a password
    return repr(text if len(text) <= 120 else text[:117] + "...")
