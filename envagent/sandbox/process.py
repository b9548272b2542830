"""The life of the sandbox's server process: start it once, find it again, stop and reset it.

Light to import: it does not load the server. A lock file serialises starters, so twenty processes at once start
one server.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from envagent.children import environment
from envagent.errors import CloudError, ConfigurationError
from envagent.hints import Hint, command
from envagent.sandbox.files import SECRET_HEADER, Paths
from envagent.wire import EXCHANGE_FACTOR, LimitedResponse, limited

START_SECONDS = 20.0
IDLE_SECONDS = 15 * 60.0
KEPT_VARIABLES = (
    "VIRTUAL_ENV",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    "COVERAGE_PROCESS_START",
)


class SandboxError(CloudError):
    """The sandbox cannot be started or asked."""

    default_hint = Hint("reset it, then try again:", command("sandbox", "reset"))


@dataclass(frozen=True)
class Endpoint:
    """A running sandbox: its URL, its secret, its clouds.yaml, and the entries in it by name."""

    url: str
    secret: str = field(repr=False)
    clouds_file: Path
    clouds: dict[str, dict[str, Any]]

    def control(self, name: str, body: Any = None) -> Any:
        """Ask a control endpoint: GET without a body, POST with one. Raises SandboxError."""
        return _request(self.url, self.secret, name, body)


def control(home: Path, name: str, body: Any = None, timeout: float = 5.0) -> Any:
    """Ask a control endpoint of the sandbox that runs in a home folder. Raises SandboxError."""
    try:
        known = json.loads(Paths(home).server.read_text("utf-8"))
        url, secret = known["url"], known.get("secret", "")
    except (OSError, ValueError, KeyError) as error:
        raise SandboxError(f"no sandbox is known in {home}: {error}") from None
    return _request(url, secret, name, body, timeout)


class _Connection(http.client.HTTPConnection):
    """No proxy, no redirect: the secret goes to the sandbox alone, and its answer has an end."""

    response_class = LimitedResponse


def _request(url: str, secret: str, name: str, body: Any, timeout: float = 5.0) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", SECRET_HEADER: secret}
    where = f"{url}/_sandbox/{name}"
    try:
        connection = _Connection(urlsplit(url).netloc, timeout=timeout)
        with limited(EXCHANGE_FACTOR * timeout), contextlib.closing(connection):
            connection.request("GET" if data is None else "POST", f"/_sandbox/{name}", data, headers)
            answer = connection.getresponse()
            said = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise SandboxError(f"{where}: HTTP {answer.status}: {said[:2000].decode(errors='replace')}")
        return json.loads(said)
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise SandboxError(f"{where}: {error}") from None


def _running(paths: Paths) -> dict[str, Any] | None:
    """Return the health of the server that has this state, with its url; None when none answers."""
    try:
        known = json.loads(paths.server.read_text("utf-8"))
        health = control(paths.home, "health")
    except (OSError, ValueError, SandboxError):
        return None
    return health if health.get("id") == known["id"] else None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _prepare(home: Path) -> Paths:
    paths = Paths(home)
    try:
        paths.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths.folder.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {paths.folder} cannot be made: {error.strerror}", hint="set ENVAGENT_HOME to one that can"
        ) from None
    return paths


def _environment() -> dict[str, str]:
    """Return what the server needs of our environment; secrets stay here."""
    own = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])  # as this very interpreter has it
    return environment(*KEPT_VARIABLES, PYTHONPATH=path)


def _alive(paths: Paths) -> bool:
    """Say whether a server process has this state, answering or not."""
    try:
        descriptor = os.open(paths.server_lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _spawn(paths: Paths, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own that inherits nothing of ours."""
    descriptor = os.open(paths.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "envagent.sandbox", str(paths.home), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=paths.folder,
            env=_environment(),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _started(paths: Paths, arguments: list[str]) -> dict[str, Any]:
    """Return the health of the state's server, started if there is none; the caller holds the start lock."""
    child: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        alive = _alive(paths)
        running = _running(paths) if alive else None
        if running is not None:
            return running
        if not alive and child is None:
            paths.server.unlink(missing_ok=True)
            child = _spawn(paths, arguments)
        if child is not None and child.poll() is not None:
            break
        time.sleep(0.02)
    said = paths.output.read_text("utf-8", "replace")[-2000:].strip()
    raise SandboxError("the sandbox did not start", service_said=said)


def ensure_running(
    home: Path,
    *,
    speed: float | None = None,
    profile: str | None = None,
    settings: dict[str, Any] | None = None,
    faults: Path | None = None,
    idle_seconds: float = IDLE_SECONDS,
) -> Endpoint:
    """Return the sandbox of this home folder, started if none answers.

    Args:
        home: the folder that holds `sandbox/`.
        speed: divides the durations of what the cloud does; None leaves what is in force (1 at first).
        profile: `chameleon` or `upstream`; None leaves what is in force (chameleon at first).
        settings: more settings of POST /_sandbox/settings (quotas, token_seconds, ...).
        faults: a fault schedule to put in force (JSON file).
        idle_seconds: a server that is started here stops after so long without a request.

    Raises:
        ConfigurationError: the home folder cannot be made.
        SandboxError: it does not start, or refuses the settings.
    """
    paths = _prepare(home.resolve())
    wanted = _settings(speed, profile, settings)
    running = _running(paths) if _alive(paths) else None
    if running is None:
        with _locked(paths.start_lock):
            arguments = ["--idle-seconds", str(idle_seconds), "--settings", json.dumps(wanted)]
            running = _started(paths, arguments)
    endpoint = _endpoint(paths)
    if any(running.get(key) != value for key, value in wanted.items()):
        endpoint.control("settings", wanted)
    if faults is not None:
        endpoint.control("faults", json.loads(faults.read_text("utf-8")))
    return endpoint


def _settings(speed: float | None, profile: str | None, others: dict[str, Any] | None) -> dict[str, Any]:
    named = {"speed": speed, "profile": profile}
    return {**(others or {}), **{key: value for key, value in named.items() if value is not None}}


def _endpoint(paths: Paths) -> Endpoint:
    import yaml

    known = json.loads(paths.server.read_text("utf-8"))
    clouds = yaml.safe_load(paths.clouds.read_text("utf-8"))["clouds"]
    return Endpoint(url=known["url"], secret=known.get("secret", ""), clouds_file=paths.clouds, clouds=clouds)


def serve(
    home: Path,
    *,
    speed: float | None = None,
    profile: str | None = None,
    port: int | None = None,
    settings: dict[str, Any] | None = None,
    faults: Path | None = None,
    idle_seconds: float | None = None,
    ready: Callable[[Endpoint], None] | None = None,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM.

    Args are those of `ensure_running`; `port` None is the last one, or any when that is taken; `idle_seconds` None
    never ends it; `ready` is called once it listens.

    Raises:
        AlreadyServed: another server has this state.
        UsageError: the settings, the faults or the port cannot be used.
    """
    from envagent.sandbox import server

    paths = Paths(home.resolve())

    def listening() -> None:
        if ready is not None:
            ready(_endpoint(paths))

    wanted = _settings(speed, profile, settings)
    server.run(paths.home, server.Options(wanted, port, faults, idle_seconds, listening))


def stop(home: Path) -> bool:
    """Stop the server of this home folder and wait until it has ended; return whether one ran."""
    paths = Paths(home.resolve())
    if not _alive(paths):
        return False
    running = _running(paths)
    if running is None:
        raise SandboxError(f"a sandbox server has {paths.folder} and does not answer")
    control(paths.home, "stop", {})
    with _locked(paths.server_lock):
        return True


def reset(home: Path) -> None:
    """Stop the server and forget the simulated cloud: objects, log, faults, settings, accounts."""
    paths = _prepare(home.resolve())
    with _locked(paths.start_lock):
        stop(home)
        for path in (paths.state, paths.clouds, paths.server, paths.output):
            for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                each.unlink(missing_ok=True)


def read_log(home: Path) -> list[dict[str, Any]]:
    """Return the log of committed writes, oldest first; works with and without a running server."""
    from envagent.sandbox.state import read_writes

    return read_writes(Paths(home.resolve()).state)
