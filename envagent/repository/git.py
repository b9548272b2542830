"""Run git as a child process that trusts nothing and cannot run away.

Owns: the environment and configuration of every git command, its deadline, its size limits and its termination, also
when this process is killed or stopped. Must not: know what is fetched or why. Nothing depends on a git newer than
2.30: each guard that newer versions add is a second line of defence behind one that older versions have.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envagent.errors import RepositoryRefused
from envagent.hints import Hint
from envagent.repository.decoding import clean

_PROXIES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
# The only variables a child inherits: credentials of clouds and of the AI stay behind.
_PASSED_ON = ("TMPDIR", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", *_PROXIES)
_NEUTRAL = {
    "protocol.allow": "never",
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.askPass": "",
    "core.gitProxy": "",
    "core.sshCommand": "false",
    "core.attributesFile": os.devnull,
    "core.bigFileThreshold": "1m",
    "credential.helper": "",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "protocol.version": "2",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.writeCommitGraph": "false",
    "fetch.unpackLimit": "1",
    "fetch.negotiationAlgorithm": "noop",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "pack.threads": "1",
    "advice.detachedHead": "false",
}
_LOOK_EVERY = 0.1
_MAX_STDERR = 64 * 1024
_MAX_ALLOCATION = "512m"
_MAX_MEMORY = 768 << 20
_MAX_PACKS = 8
"""Each fetch brings one, and there are at most three. A git too old for GIT_NO_LAZY_FETCH asks the server for objects
that a pack lacks through another git, which asks again: a server that always omits one starts 300 processes a second.
"""

_GUARD = """\
exec 3<&0 0<"$1"
{ ulimit -f "$2"; ulimit -d "$3"; ulimit -t "$4"; } 2>/dev/null
(read -r _ <&3; kill -9 0) >/dev/null 2>&1 &
(exec 3<&-; sleep "$4"; kill -9 0) >/dev/null 2>&1 &
shift 4
exec "$@" 3<&-
"""
"""What becomes git. Its arguments: the file to read, the limits in blocks of 512 bytes, KB and seconds, the command.

Git's transports and indexers are its children and share its process group. Two watchers kill that group whole: one when
the pipe at their input closes, which the kernel does however this process ends, and one at a deadline, in case this
process is stopped. The limits hold for each process and from its first instruction.
"""
_GRACE = 2
"""Seconds by which the watcher's deadline comes after ours, so that ours has the word."""
_SLACK = 16 << 20
"""Bytes by which a single file may exceed our own limit, for the same reason."""


class Cancelled(Exception):
    """The caller asked to stop; the child is dead and its folder is being removed."""


class GitFailed(Exception):
    """Git failed; `said` is its own message, cleaned."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


@dataclass
class Git:
    """A private repository folder and the way git runs on it.

    Attributes:
        folder: the private git directory.
        deadline: `time.monotonic()` by which everything must have ended.
        max_bytes: maximum size of the folder.
        cancelled: polled ten times a second; True kills the child and raises Cancelled.
        transport: the only transport allowed to online commands.
        extensions: how the repository stores objects and references; never hooks or filters.
    """

    folder: Path
    deadline: float
    max_bytes: int
    cancelled: Callable[[], bool] = field(default=lambda: False)
    transport: str = "none"
    extensions: Mapping[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Create an empty bare repository without templates."""
        for part in ("objects/pack", "refs", "home"):
            (self.folder / part).mkdir(parents=True)
        (self.folder / "HEAD").write_text("ref: refs/heads/none\n")
        lines = ["[core]", f"repositoryformatversion = {int(bool(self.extensions))}", "bare = true", "[extensions]"]
        lines += [f"{name} = {value}" for name, value in self.extensions.items()]
        (self.folder / "config").write_text("\n".join([*lines, ""]))

    def output(self, *arguments: str, lines: Iterable[str] = (), settings: Mapping[str, str] | None = None) -> bytes:
        """Run a command with small output and return the output; see `stream`."""
        gathered = bytearray()

        def take(piece: bytes) -> bool:
            gathered.extend(piece)
            return True

        self.stream(arguments, take, lines=lines, settings=settings)
        return bytes(gathered)

    def stream(
        self,
        arguments: Iterable[str],
        take: Callable[[bytes], bool],
        *,
        lines: Iterable[str] = (),
        settings: Mapping[str, str] | None = None,
        online: bool = False,
    ) -> None:
        """Run a command and pass on its output piece by piece, until it ends or `take` returns False.

        Args:
            arguments: the command after `git`.
            take: receives each piece; False kills the child, which does not count as a failure.
            lines: written to the command's input.
            settings: configuration on top of the neutral one.
            online: allow `transport`; without it the command cannot fetch anything.

        Raises:
            GitFailed: nonzero exit code.
            RepositoryRefused: deadline or size limit reached, or git is not installed.
            Cancelled: the caller asked to stop.
        """
        options = [word for pair in {**_NEUTRAL, **(settings or {})}.items() for word in ("-c", "=".join(pair))]
        given = self.folder / "input"
        given.write_bytes(b"".join(line.encode() + b"\n" for line in lines))
        held, alive = os.pipe()
        try:
            child = self._start([*options, *arguments], given, held, self.transport if online else "none")
            try:
                stopped, said = self._attend(child, take)
            finally:
                _end(child)
        finally:
            os.close(held)
            os.close(alive)
        if child.returncode != 0 and not stopped:
            self._check(time.monotonic())
            raise GitFailed(said or f"git ended with code {child.returncode}")

    def _start(self, arguments: list[str], given: Path, held: int, transport: str) -> subprocess.Popen[bytes]:
        home = str(self.folder / "home")
        # A relative entry would find programs in the current folder.
        path = os.pathsep.join(entry for entry in os.get_exec_path() if Path(entry).is_absolute())
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
            "PATH": path,
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "LC_ALL": "C",
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "GIT_SSH_COMMAND": "false",
            "GIT_ALLOW_PROTOCOL": transport,
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ALLOC_LIMIT": _MAX_ALLOCATION,
            "GIT_NO_LAZY_FETCH": "1",
        }
        if (program := shutil.which("git", path=path)) is None:
            raise RepositoryRefused("git is not installed", hint=Hint("install git 2.30 or newer"))
        seconds = max(math.ceil(self.deadline - time.monotonic()), 0) + _GRACE
        limits = (self.max_bytes + _SLACK) // 512, _MAX_MEMORY >> 10, seconds
        return subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "git", str(given), *map(str, limits), program, *arguments],
            stdin=held,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=self.folder,
            start_new_session=True,
        )

    def _attend(self, child: subprocess.Popen[bytes], take: Callable[[bytes], bool]) -> tuple[bool, str]:
        """Pump both outputs under all limits; return whether `take` stopped it, and its error output."""
        assert child.stdout is not None and child.stderr is not None  # noqa: S101 - both are pipes
        errors = bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            ready.register(child.stderr, selectors.EVENT_READ)
            looked = 0.0
            while ready.get_map():
                for key, _ in ready.select(_LOOK_EVERY):
                    piece = os.read(key.fd, 1 << 16)
                    if not piece:
                        ready.unregister(key.fileobj)
                    elif key.fileobj is child.stderr:
                        errors = (errors + piece)[-_MAX_STDERR:]
                    elif not take(piece):
                        return True, ""
                if (now := time.monotonic()) - looked >= _LOOK_EVERY:
                    looked = now
                    self._check(now)
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_LOOK_EVERY)
                return False, _plain(errors)
            self._check(time.monotonic())

    def _check(self, now: float) -> None:
        if self.cancelled():
            raise Cancelled
        if now > self.deadline:
            raise RepositoryRefused(
                "Reading the repository took too long and was stopped",
                hint=Hint("try again; if it is very large, pass the path of a local clone instead of the URL"),
            )
        sizes = _packs(self.folder)
        if len(sizes) > _MAX_PACKS:
            raise RepositoryRefused(
                "The repository's server keeps omitting objects that it should send",
                hint=Hint("pass the path of a local clone instead of the URL"),
            )
        if sum(sizes) > self.max_bytes:
            raise RepositoryRefused(
                f"The repository sends more than {self.max_bytes >> 20} MB even without its history",
                hint=Hint("pass the path of a local clone instead of the URL"),
            )


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole group: git's transports and indexers are its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _packs(folder: Path) -> list[int]:
    """Return the size of each pack, including unfinished ones; borrowed folders are links and do not count."""
    pack = folder / "objects" / "pack"
    if pack.is_symlink():
        return []
    found = []
    for path in pack.glob("*pack*"):
        if path.suffix in ("", ".pack"):
            with contextlib.suppress(OSError):
                found.append(path.lstat().st_size)
    return found


def _plain(errors: bytes | bytearray) -> str:
    text = clean(bytes(errors).decode("utf-8", errors="replace").replace("\r", "\n"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("remote: Enumerating", "remote: Counting", "remote: Total"))]
    return "\n".join(kept[-8:])[:1000]
