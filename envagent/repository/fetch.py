"""Read one commit of an untrusted repository: its listing, and the text of the relevant files.

Owns: the order of operations and their limits. A remote repository costs two connections, one for the commit and its
trees without file contents and one for all chosen files, and up to three more where links or lists of requirements
lead to files that were not chosen.
Nothing is checked out; submodules, hooks, filters and links out of the tree are not followed, and the temporary folder
is removed. Must not: judge what the files say.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from envagent.errors import RepositoryRefused
from envagent.hints import Hint, Option, Shell
from envagent.repository.choose import MOST_PDF_BYTES, choose
from envagent.repository.decoding import clean_line, decode
from envagent.repository.git import Git, GitFailed
from envagent.repository.links import MAX_TARGET, better_names, follow, worth_reading
from envagent.repository.local import borrow, has_work_tree
from envagent.repository.markup import Unreadable
from envagent.repository.objects import Listing, branches, list_tree, read_blobs, resolve, sizes
from envagent.repository.readers.locks import condense, is_lock
from envagent.repository.readers.references import unread
from envagent.repository.results import Entry, Snapshot
from envagent.repository.scratch import scratch_folder
from envagent.repository.source import Local, Remote, is_ref, parse_source

_PASSING = re.compile(
    r"could not resolve host|failed to connect|connection (timed out|reset|refused)|early eof|unexpected disconnect|"
    r"rpc failed|hung up unexpectedly|broken pipe|operation too slow|ssl_|gnutls|returned error: (429|5\d\d)|timed out|"
    r"network is|ended with code -13",  # SIGPIPE: the other side hung up while git was still sending
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"not found|could not read username|terminal prompts disabled|does not appear to be|access denied|"
    r"returned error: 40[134]|not exported",
    re.IGNORECASE,
)
_NO_SUCH_REF = re.compile(r"couldn't find remote ref|not our ref|unadvertised object|no such remote ref", re.IGNORECASE)
_OTHER_HASH = re.compile(r"mismatched algorithms|support this repository's object format", re.IGNORECASE)
_TOO_NEW = re.compile(r"unknown repository extensions?", re.IGNORECASE)
_REDIRECTED = re.compile(r"unable to update url base from redirection|returned error: 30[1278]|redirect", re.IGNORECASE)
_COMMIT = re.compile(r"[0-9A-Fa-f]{40}(?:[0-9A-Fa-f]{24})?")
_LFS_POINTER = b"version https://git-lfs"
RETRY_AFTER_SECONDS = 1.0
_MAX_HEADS = 4 << 20
_PDF_SECONDS = 10.0
_NAMED = 5
_FIND_SECONDS = 30.0
_ROUNDS = 2
"""Times to look for files that other files name."""


@dataclass(frozen=True)
class Limits:
    """Limits on reading a repository.

    Attributes:
        seconds: for everything, including the retry.
        transfer_bytes: received from the server.
        entries: files listed; the rest is skipped with a note.
        file_bytes: read of each chosen file. The specification's 10 KB cut off the hardware sections of long
            readmes; prompts for the AI are shortened separately.
        total_bytes: read of all chosen files together.
        lock_bytes: read of each lock file, of which at most `file_bytes` are kept.
    """

    seconds: float = 60.0
    transfer_bytes: int = 300 << 20
    entries: int = 200_000
    file_bytes: int = 256 << 10
    total_bytes: int = 2 << 20
    lock_bytes: int = 16 << 20


def fetch(
    source: str | Remote | Local,
    *,
    ref: str | None = None,
    limits: Limits | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Snapshot:
    """Read a repository.

    Args:
        source: an `https://` URL of a repository or of a branch's page, or the path of a git repository; or one parsed.
        ref: branch, tag or full commit id; takes precedence over one in the URL.
        limits: defaults to `Limits()`.
        cancelled: polled ten times a second; True stops everything.

    Raises:
        RepositoryRefused: the repository cannot or must not be read, or has no commit.
        envagent.repository.git.Cancelled: `cancelled` returned True.
    """
    named, limits = _parsed(source, ref), limits or Limits()
    with scratch_folder() as folder:
        git = Git(folder, time.monotonic() + limits.seconds, limits.transfer_bytes, cancelled)
        try:
            if isinstance(named, Local):
                return _read_local(git, named, limits)
            git.transport = named.transport
            return _read_remote(git, named, limits)
        except GitFailed as error:
            raise RepositoryRefused(
                f"The repository cannot be read: {named.name}",
                hint=Hint("it looks damaged; try a fresh clone, or look for the damage with", Shell("git", "fsck")),
                service_said=error.said,
            ) from error


def find(source: str | Remote | Local, *, ref: str | None = None) -> None:
    """Check that a repository, branch or tag exists, without fetching it.

    Args:
        source: as for `fetch`.
        ref: branch, tag or full commit id; takes precedence over one in the URL. A commit of a remote is not checked.

    Raises:
        RepositoryRefused: it does not exist, has no commit, or cannot be reached.
    """
    named = _parsed(source, ref)
    with scratch_folder() as folder:
        git = Git(folder, time.monotonic() + _FIND_SECONDS, Limits.transfer_bytes)
        if isinstance(named, Local):
            _find_commit(git, named)
        else:
            git.transport = named.transport
            git.prepare()
            _look_for(git, named)


def _parsed(source: str | Remote | Local, ref: str | None) -> Remote | Local:
    return parse_source(source, ref=ref) if isinstance(source, str) else source


def _read_local(git: Git, named: Local, limits: Limits) -> Snapshot:
    found = _find_commit(git, named)
    if has_work_tree(named.path):
        found.notes.append("Read the last commit; uncommitted changes are ignored.")
    listing = list_tree(git, found.commit, limit=limits.entries)
    known = sizes(git, (blob.oid for blob in listing.blobs))
    choice = _choice(git, listing, known, _chosen(listing, known))
    return _snapshot(git, found.url, found, listing, known, choice, limits)


class _Found(NamedTuple):
    """A commit, the reference it was found under, the URL that responded, and notes for the user."""

    commit: str
    ref: str | None
    url: str
    notes: list[str]


def _find_commit(git: Git, named: Local) -> _Found:
    ref = named.refs[0] if named.refs else None
    borrow(named.path, git, ref)
    url = named.path.resolve().as_posix()
    try:
        return _Found(resolve(git, ref or "HEAD"), ref, url, [])
    except GitFailed as error:
        if _TOO_NEW.search(error.said):
            raise RepositoryRefused(
                f"{named.name} stores its branches as reftable, which the installed git cannot read",
                hint=Hint("install git 2.45 or newer, or name a commit by its full id with", Option("ref")),
                service_said=error.said,
            ) from error
        if ref:
            raise _no_such_ref(named.name, ref, error.said) from error
        branch, commit = _commit_of_a_branch(git, named, error)
        return _Found(commit, branch, url, [_no_head(branch)])


def _commit_of_a_branch(git: Git, named: Local, error: GitFailed) -> tuple[str, str]:
    """Choose a branch of a repository whose HEAD names no commit; return it with its commit."""
    damaged = RepositoryRefused(
        f"The current commit of {named.name} cannot be read",
        hint=Hint("check it with:", Shell("git", "-C", str(named.path), "log", "-1")),
        service_said=error.said,
    )
    try:
        here = branches(git)
        head = git.output("symbolic-ref", "HEAD").decode("utf-8", errors="replace").strip()
        if not here and not any(path.is_file() for path in (git.folder / "refs").rglob("*")):
            raise _no_commit(named.name) from error
        if not here or head.removeprefix("refs/heads/") in here:
            raise damaged from error
        branch = _main_branch(named.name, here)
        return branch, resolve(git, f"refs/heads/{branch}")
    except GitFailed:
        raise damaged from error


def _read_remote(git: Git, named: Remote, limits: Limits) -> Snapshot:
    git.prepare()
    try:
        found = _fetch_commit(git, named)
    except RepositoryRefused as refusal:
        if not _OTHER_HASH.search(refusal.service_said or ""):
            raise
        git = replace(git, folder=git.folder / "sha256", extensions={"objectformat": "sha256"})
        git.prepare()
        found = _fetch_commit(git, named)
    listing = list_tree(git, found.commit, limit=limits.entries)
    known = sizes(git, (blob.oid for blob in listing.blobs[:1]))
    if known:
        # The server ignored the filter and sent everything.
        known = sizes(git, (blob.oid for blob in listing.blobs))
    direct = _chosen(listing, known)
    if not known:
        links = (listing.links[path] for path in worth_reading(listing.links))
        git = _fetch_blobs(git, found, {*direct.values(), *links})
    choice = _choice(git, listing, known, direct)
    if not known and choice.oids != direct:
        wanted = set(choice.oids.values())
        git = _fetch_blobs(git, found, wanted - sizes(git, wanted).keys())
    return _snapshot(git, named.url, found, listing, known, choice, limits)


def _look_for(git: Git, named: Remote) -> None:
    wanted = () if any(_COMMIT.fullmatch(ref) for ref in named.refs) else named.refs
    listed = False

    def take(_: bytes) -> bool:
        nonlocal listed
        listed = True
        return False

    try:
        _with_suffix(named.url, lambda url: _connect(git, url, ["ls-remote", "--quiet", "origin", *wanted], take))
    except GitFailed as error:
        if any(known.search(error.said) for known in (_REDIRECTED, _ABSENT, _PASSING)):
            raise _unreachable(named, error.said) from error
        return  # leave it to the fetch to find out
    if not listed:
        raise _no_such_ref(named.name, wanted[-1], "") if wanted else _no_commit(named.name)


def _with_suffix(url: str, ask: Callable[[str], None]) -> str:
    """Call `ask` with a URL, or with `.git` appended if that redirects; return the URL that responded."""
    try:
        ask(url)
    except GitFailed as error:
        if url.endswith(".git") or not _REDIRECTED.search(error.said):
            raise
        url += ".git"
        ask(url)
    return url


def _fetch_commit(git: Git, named: Remote) -> _Found:
    """Fetch the commit and its trees."""
    wanted: tuple[str | None, ...] = named.refs or (None,)
    url = named.url
    for last, ref in enumerate(wanted, start=1 - len(wanted)):
        try:
            url = _with_suffix(url, partial(_transfer, git, wants=[ref or "HEAD"], depth=True))
        except GitFailed as error:
            if not _NO_SUCH_REF.search(error.said):
                raise _unreachable(named, error.said) from error
            if last < 0:
                continue
            if ref is not None:
                raise _no_such_ref(named.name, ref, error.said) from error
            return _fetch_a_branch(git, named, url)
        return _Found(resolve(git, "FETCH_HEAD"), ref, url, [])
    raise AssertionError("unreachable: the last candidate returns or raises")


def _fetch_a_branch(git: Git, named: Remote, url: str) -> _Found:
    """Fetch the likeliest branch from a server whose HEAD names none."""
    listed = bytearray()

    def take(piece: bytes) -> bool:
        listed.extend(piece)
        return len(listed) < _MAX_HEADS

    try:
        _connect(git, url, ["ls-remote", "--quiet", "--heads", "origin"], take)
        names = [line.partition("\trefs/heads/")[2] for line in listed.decode("utf-8", errors="replace").split("\n")]
        here = [name for name in names if is_ref(name)]
        if not here:
            raise _no_commit(named.name)
        branch = _main_branch(named.name, here)
        _transfer(git, url, [f"refs/heads/{branch}"], depth=True)
    except GitFailed as error:
        raise _unreachable(named, error.said) from error
    return _Found(resolve(git, "FETCH_HEAD"), branch, url, [_no_head(branch)])


def _main_branch(name: str, here: list[str]) -> str:
    """Choose the branch to read when HEAD names no existing one."""
    for likely in here if len(here) == 1 else ("main", "master"):
        if likely in here:
            return likely
    shown = ", ".join(here[:_NAMED]) + (f" and {len(here) - _NAMED} more" if len(here) > _NAMED else "")
    raise RepositoryRefused(
        f"HEAD of {name} points to a branch that does not exist; existing branches: {clean_line(shown)}",
        hint=Hint("name one:", Option("ref", clean_line(here[0]))),
    )


def _no_head(branch: str) -> str:
    return f"HEAD points to a branch that does not exist; read {clean_line(branch)} instead."


def _fetch_blobs(git: Git, found: _Found, oids: set[str]) -> Git:
    """Fetch objects in one request; from a server that does not send single objects, the whole commit."""
    if not oids:
        return git
    try:
        _transfer(git, found.url, sorted(oids), depth=False)
    except GitFailed:
        git = replace(git, folder=git.folder / "whole")
        git.prepare()
        _transfer(git, found.url, [found.commit], depth=True, filtered=False)
    return git


class _Choice(NamedTuple):
    """What to read: objects by path, most relevant first, and the file that each relevant link leads to."""

    oids: dict[str, str]
    leads: dict[str, str]


def _choice(git: Git, listing: Listing, known: Mapping[str, int], direct: dict[str, str]) -> _Choice:
    """Choose the files to read, following links; `direct` are the files chosen without links."""
    files = {blob.path: blob.oid for blob in listing.blobs}
    links = {path: listing.links[path] for path in worth_reading(listing.links) if path not in files}
    if not links:
        return _Choice(direct, {})
    small = {oid: size for oid, size in sizes(git, set(links.values())).items() if size <= MAX_TARGET}
    contents = read_blobs(git, small, most=MAX_TARGET)
    leads = follow({path: contents[oid] for path, oid in links.items() if oid in contents}, files)
    names = better_names(leads, direct)
    if not names:
        return _Choice(direct, leads)
    lent = {path: files.pop(end) for path, end in names.items()}
    return _Choice(_relevant(files | lent, known), leads)


def _chosen(listing: Listing, known: Mapping[str, int]) -> dict[str, str]:
    return _relevant({blob.path: blob.oid for blob in listing.blobs}, known)


def _relevant(files: Mapping[str, str], known: Mapping[str, int]) -> dict[str, str]:
    return {e.path: files[e.path] for e in choose([Entry(path=p, size=known.get(oid)) for p, oid in files.items()])}


def _transfer(git: Git, url: str, wants: list[str], *, depth: bool, filtered: bool = True) -> None:
    command = ["fetch", "--quiet", "--no-tags", "--recurse-submodules=no", "--no-auto-maintenance"]
    command += ["--depth=1"] if depth else ["--no-write-fetch-head"]
    settings = {}
    if filtered:
        command.append("--filter=blob:none")
        settings = {"remote.origin.promisor": "true", "remote.origin.partialCloneFilter": "blob:none"}
    _connect(git, url, [*command, "--stdin", "origin"], lambda _: True, lines=wants, settings=settings)


def _connect(
    git: Git,
    url: str,
    command: list[str],
    take: Callable[[bytes], bool],
    *,
    lines: Iterable[str] = (),
    settings: Mapping[str, str] | None = None,
) -> None:
    """Run a command that contacts the remote; retry once after a transient failure."""
    settings = {"remote.origin.url": url, **(settings or {})}
    for attempt in (1, 2):
        try:
            git.stream(command, take, lines=lines, settings=settings, online=True)
            return
        except GitFailed as error:
            if attempt == 2 or not _PASSING.search(error.said) or time.monotonic() + RETRY_AFTER_SECONDS > git.deadline:
                raise
            time.sleep(RETRY_AFTER_SECONDS)


def _snapshot(
    git: Git, url: str, found: _Found, listing: Listing, known: dict[str, int], choice: _Choice, limits: Limits
) -> Snapshot:
    here = known or sizes(git, choice.oids.values())
    papers = {path: oid for path, oid in choice.oids.items() if path.lower().endswith(".pdf")}
    texts = [(path, oid) for path, oid in choice.oids.items() if path not in papers]
    files, more = _read(git, texts, here, limits)
    later, seen = _read_what_they_name(git, found, listing, files, limits, remote=not known)
    choice.oids.update(later)
    here = {**here, **seen}
    pages: dict[str, tuple[int, ...]] = {}
    for path, oid in papers.items():
        _read_pdf(git, path, oid, here, files, pages, more)
    read = known or {oid: here[oid] for path, oid in choice.oids.items() if path in files}
    links = (f"{path} is a symbolic link; read {end}." for path, end in choice.leads.items() if path in files)
    return Snapshot(
        url=url,
        commit=found.commit,
        ref=found.ref,
        entries=tuple(Entry(path=blob.path, size=read.get(blob.oid)) for blob in listing.blobs),
        files=files,
        pages=pages,
        notes=(*found.notes, *links, *_left_out(listing, followed=len(choice.leads)), *more),
    )


def _read_what_they_name(
    git: Git, found: _Found, listing: Listing, files: dict[str, str], limits: Limits, *, remote: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """Add files of any name that the files read so far name as lists of requirements.

    Returns:
        Their objects by path, and the sizes of these.
    """
    oids = {blob.path: blob.oid for blob in listing.blobs}
    read: dict[str, str] = {}
    seen: dict[str, int] = {}
    limits = replace(limits, total_bytes=limits.total_bytes // 4)
    for _ in range(_ROUNDS):
        new = {path: oids[path] for path in unread(files, oids)}
        if not new:
            break
        here = sizes(git, new.values())
        if remote and (missing := set(new.values()) - here.keys()):
            try:
                git = _fetch_blobs(git, found, missing)
            except GitFailed:
                break
            here = sizes(git, new.values())
        texts, _ = _read(git, list(new.items()), here, limits)
        files.update(texts)
        read |= {path: oid for path, oid in new.items() if path in texts}
        seen |= here
        if not texts:
            break
    return read, seen


def _read(
    git: Git, chosen: list[tuple[str, str]], here: dict[str, int], limits: Limits
) -> tuple[dict[str, str], list[str]]:
    notes: list[str] = []
    wanted: dict[str, int] = {}
    total = 0
    for path, oid in chosen:
        if oid not in here:
            notes.append(f"{path}: content missing from this copy of the repository.")
            continue
        share = min(here[oid], limits.file_bytes)
        if total + share > limits.total_bytes:
            notes.append(f"{path}: skipped, the other files reached the limit of {limits.total_bytes >> 20} MB.")
            continue
        if here[oid] > _most(path, limits):
            notes.append(f"{path}: only the first {_most(path, limits) >> 10} of {here[oid] >> 10} KB were read.")
        total += 0 if oid in wanted else share
        wanted[oid] = here[oid]
    locks = {oid: wanted[oid] for path, oid in chosen if oid in wanted and is_lock(path)}
    contents = read_blobs(git, {o: size for o, size in wanted.items() if o not in locks}, most=limits.file_bytes)
    contents |= read_blobs(git, locks, most=limits.lock_bytes)
    files: dict[str, str] = {}
    for path, oid in chosen:
        if (content := contents.get(oid)) is None:
            continue
        content = condense(path, content, limits.file_bytes)[: limits.file_bytes]
        text = None if content.startswith(_LFS_POINTER) else decode(content)
        if text is None:
            notes.append(f"{path}: binary, skipped.")
        else:
            files[path] = text
    return files, notes


def _read_pdf(
    git: Git,
    path: str,
    oid: str,
    here: Mapping[str, int],
    files: dict[str, str],
    pages: dict[str, tuple[int, ...]],
    notes: list[str],
) -> None:
    """Add the text of a PDF to the files, or a note why there is none."""
    from envagent.repository.conversion import convert

    size = here.get(oid)
    if size is None:
        notes.append(f"{path}: content missing from this copy of the repository.")
        return
    if size > MOST_PDF_BYTES:
        notes.append(f"{path}: skipped, larger than {MOST_PDF_BYTES >> 20} MB.")
        return
    content = read_blobs(git, {oid: size}, most=MOST_PDF_BYTES).get(oid, b"")
    if b"%PDF-" not in content[:1024]:
        notes.append(f"{path}: not a PDF, skipped.")
        return
    seconds = min(_PDF_SECONDS, max(git.deadline - time.monotonic(), 0.0))
    try:
        text, begins, left_out = convert(content, "pdf", seconds=seconds, cancelled=git.cancelled)
    except Unreadable as problem:
        notes.append(f"{path}: skipped, it {problem}.")
        return
    files[path], pages[path] = text, begins
    notes.append(f"{path}: its text was read" + (f", without {left_out}." if left_out else "."))


def _most(path: str, limits: Limits) -> int:
    return limits.lock_bytes if is_lock(path) else limits.file_bytes


def _left_out(listing: Listing, *, followed: int) -> list[str]:
    notes = []
    links = max(listing.link_count - followed, 0)
    if links or listing.submodules:
        notes.append(f"Not followed: {links} symbolic links, {listing.submodules} submodules.")
    if listing.odd:
        notes.append(f"Skipped {listing.odd} paths that lead out of the repository or into .git.")
    if listing.cut:
        notes.append(f"Only the first {len(listing.blobs)} files were listed.")
    return notes


def _no_commit(name: str) -> RepositoryRefused:
    return RepositoryRefused(f"The repository has no commits: {name}", hint=Hint("commit something and push it first"))


def _no_such_ref(name: str, ref: str, said: str) -> RepositoryRefused:
    return RepositoryRefused(
        f"{name} has no branch, tag or commit {ref!r}",
        hint=Hint("check the name; a commit needs its full id"),
        service_said=said or None,
    )


def _unreachable(named: Remote, said: str) -> RepositoryRefused:
    for pattern, problem, hint in (
        (_REDIRECTED, "{} has moved", "open it in a browser and use the address it redirects to"),
        (
            _ABSENT,
            "There is no public repository at {}",
            "check owner and name; for a private repository, pass the path of a local clone",
        ),
        (
            _PASSING,
            "{} could not be reached in two attempts",
            "check the network and try again, or pass the path of a local clone",
        ),
    ):
        if pattern.search(said):
            return RepositoryRefused(problem.format(named.url), hint=Hint(hint), service_said=said)
    return RepositoryRefused(f"{named.url} could not be fetched", service_said=said)
