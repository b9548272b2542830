"""Start the sandbox's server process once, find it again, control it, stop it and reset it.

Standard library only, and it does not load the server. A lock file serialises starters, so twenty processes at once
start one server.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from envagent.sandbox.files import SECRET_HEADER, Paths, is_locked, locked
from envagent.sandbox.sandbox_errors import SandboxError, SetupError

START_SECONDS = 20.0
IDLE_SECONDS = 15 * 60.0
MAX_RESPONSE = 64 << 20
KEPT_VARIABLES = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_START"),
    *("PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
"""The variables that the server inherits; secrets are not among them."""


@dataclass(frozen=True)
class Endpoint:
    """A running sandbox: its URL, its secret, its clouds.yaml, and the entries in it by name."""

    url: str
    secret: str = field(repr=False)
    clouds_file: Path
    clouds: dict[str, dict[str, Any]]

    def control(self, name: str, body: Any = None) -> Any:
        """Call a control endpoint: GET without a body, POST with one. Raises SandboxError."""
        return _request(self.url, self.secret, name, body)


def control(home: Path, name: str, body: Any = None, timeout: float = 5.0) -> Any:
    """Call a control endpoint of the sandbox in a home folder. Raises SandboxError."""
    try:
        known = json.loads(Paths(home).server.read_text("utf-8"))
        url, secret = known["url"], known.get("secret", "")
    except (OSError, ValueError, KeyError) as error:
        raise SandboxError(f"no sandbox is running in {home}: {error}") from None
    return _request(url, secret, name, body, timeout)


def _request(url: str, secret: str, name: str, body: Any, timeout: float = 5.0) -> Any:
    """Send one request to a control endpoint, over no proxy and without following a redirect.

    Another program may have the port by now, so the response is limited in size and to `3 * timeout` seconds.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", SECRET_HEADER: secret}
    where = f"{url}/_sandbox/{name}"
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        connection.connect()
        with contextlib.closing(connection), _deadline(connection.sock, 3 * timeout):
            connection.request("GET" if data is None else "POST", f"/_sandbox/{name}", data, headers)
            with connection.getresponse() as response:
                if response.length is None or response.length > MAX_RESPONSE:
                    raise SandboxError(f"{where}: HTTP {response.status} without a usable Content-Length")
                content = response.read()
        if response.status != http.HTTPStatus.OK:
            raise SandboxError(f"{where}: HTTP {response.status}: {content[:2000].decode(errors='replace')}")
        return json.loads(content)
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise SandboxError(f"{where}: {error}") from None


@contextlib.contextmanager
def _deadline(connected: socket.socket, seconds: float) -> Iterator[None]:
    """Break the connection after so many seconds: a socket's timeout starts again with every byte."""
    expired = threading.Event()

    def give_up() -> None:
        expired.set()
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if expired.is_set():
            raise TimeoutError(f"no complete response within {seconds:g} s") from None
        raise
    finally:
        timer.cancel()


def _running(paths: Paths) -> dict[str, Any] | None:
    """Return the health of this state's server, None if none responds."""
    try:
        known = json.loads(paths.server.read_text("utf-8"))
        health = control(paths.home, "health")
    except (OSError, ValueError, SandboxError):
        return None
    return health if health.get("id") == known["id"] else None


def _environment() -> dict[str, str]:
    """Return the server's environment, with modules found where this interpreter finds them."""
    own = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | {"PYTHONPATH": path}


_spawned: dict[Path, subprocess.Popen[bytes]] = {}
"""The servers that this process has started last, by folder; they outlive it."""


def _spawn(paths: Paths, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a server in its own session; it inherits no open file."""
    if paths.folder in _spawned:
        _spawned[paths.folder].poll()
    descriptor = os.open(paths.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        server = subprocess.Popen(
            [sys.executable, "-m", "envagent.sandbox", "--home", str(paths.home), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=descriptor,
            cwd=paths.folder,
            env=_environment(),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    _spawned[paths.folder] = server
    return server


def _started(paths: Paths, arguments: list[str]) -> dict[str, Any]:
    """Return the health of the state's server, started if there is none; the caller holds the start lock."""
    child: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        alive = is_locked(paths.server_lock)
        running = _running(paths) if alive else None
        if running is not None:
            return running
        if not alive and child is None:
            paths.server.unlink(missing_ok=True)
            child = _spawn(paths, arguments)
        if child is not None and child.poll() is not None:
            break
        time.sleep(0.02)
    output = paths.output.read_text("utf-8", "replace")[-2000:].strip()
    raise SandboxError("the sandbox did not start", output or None)


def ensure_running(
    home: Path,
    *,
    speed: float | None = None,
    profile: str | None = None,
    settings: dict[str, Any] | None = None,
    faults: Path | None = None,
    idle_seconds: float = IDLE_SECONDS,
) -> Endpoint:
    """Return the sandbox of this home folder; start it unless it is running.

    Args:
        home: the folder that holds `sandbox/`.
        speed: divides how long the cloud's operations take; None keeps the present one (1 at first).
        profile: `chameleon` or `upstream`; None keeps the present one (chameleon at first).
        settings: more settings of POST /_sandbox/settings (quotas, token_seconds, ...).
        faults: a fault schedule to activate (JSON file).
        idle_seconds: a server that is started here stops after so long without a request.

    Raises:
        SetupError: the folder cannot be created, or the file of the faults not read.
        SandboxError: the server does not start, or refuses the settings or the faults.
    """
    paths = Paths(home.resolve())
    paths.create()
    wanted = _settings(speed, profile, settings)
    running = _running(paths) if is_locked(paths.server_lock) else None
    if running is None:
        with locked(paths.start_lock):
            arguments = ["--idle-seconds", str(idle_seconds), "--settings", json.dumps(wanted)]
            running = _started(paths, arguments)
    endpoint = _endpoint(paths)
    if any(running.get(key) != value for key, value in wanted.items()):
        endpoint.control("settings", wanted)
    if faults is not None:
        endpoint.control("faults", _schedule(faults))
    return endpoint


def _schedule(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SetupError(f"cannot read the fault schedule {path}: {error.strerror}") from None
    except ValueError as error:
        raise SetupError(f"the fault schedule {path} is not valid JSON: {error}") from None


def _settings(speed: float | None, profile: str | None, others: dict[str, Any] | None) -> dict[str, Any]:
    named = {"speed": speed, "profile": profile}
    return {**(others or {}), **{key: value for key, value in named.items() if value is not None}}


def _endpoint(paths: Paths) -> Endpoint:
    import yaml

    known = json.loads(paths.server.read_text("utf-8"))
    # The loader in C is ten times as fast; it would crash on a hostile file, and this one is the server's own.
    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    clouds = yaml.load(paths.clouds.read_text("utf-8"), safe)["clouds"]  # noqa: S506
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

    Arguments are those of `ensure_running`; without `port` it is the last one, or any if that is taken; without
    `idle_seconds` it never stops by itself; `ready` is called once it listens.

    Raises:
        SetupError: another server has this state, or the folder, the settings, the faults or the port cannot be used.
    """
    from envagent.sandbox import server

    paths = Paths(home.resolve())
    schedule = None if faults is None else _schedule(faults)

    def listening() -> None:
        if ready is not None:
            ready(_endpoint(paths))

    server.run(paths, _settings(speed, profile, settings), schedule, port, idle_seconds, listening)


def stop(home: Path) -> bool:
    """Stop the server of this home folder and wait until it has ended; return whether one ran."""
    paths = Paths(home.resolve())
    ran = is_locked(paths.server_lock)
    if ran:
        if _running(paths) is None:
            raise SandboxError(f"the sandbox server of {paths.folder} is running and does not respond")
        control(paths.home, "stop", {})
        with locked(paths.server_lock):
            pass
    if (server := _spawned.pop(paths.folder, None)) is not None:  # another process may have stopped it
        server.wait(START_SECONDS)
    return ran


def reset(home: Path) -> None:
    """Stop the server and delete its state: objects, log, faults, settings, accounts."""
    paths = Paths(home.resolve())
    paths.create()
    with locked(paths.start_lock):
        stop(home)
        for path in (paths.state, paths.clouds, paths.server, paths.output):
            for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                each.unlink(missing_ok=True)


def read_log(home: Path) -> list[dict[str, Any]]:
    """Return the log of committed writes, oldest first, with or without a running server. Raises SandboxError."""
    from envagent.sandbox.state import read_writes

    try:
        return read_writes(Paths(home.resolve()).state)
    except sqlite3.Error as error:
        raise SandboxError(f"cannot read the log of the sandbox in {home}: {error}") from None
