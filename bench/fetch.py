"""How many bytes and how long reading a repository takes, beside git itself.

    python bench/fetch.py                made repositories: 20,004 files with 100 commits, and a small one
    python bench/fetch.py REPOSITORY...  local repositories as well

Each is served by `git daemon` on the loopback behind a proxy that counts. Beside our `fetch` stand a blob-filtered
clone plus one batched fetch of the same files, the least that git can do (`floor`), and a plain `--depth 1` clone.
The promise: at most 1.3 times the floor's bytes, in two connections.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from envagent.repository.choose import choose
from envagent.repository.fetch import Limits, fetch
from envagent.repository.model import Entry

REPEATS = 3
PROMISE = 1.3


class Counter:
    """A TCP proxy on the loopback that counts what comes down and how often one connects."""

    def __init__(self, port: int) -> None:
        self.down = self.connections = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._target))
            self.connections += 1
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 18):
                if down:
                    self.down += len(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)


def git(*arguments: str, folder: Path | None = None, lines: str | None = None) -> str:
    """Run git, with the user's own configuration kept out."""
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *(["-C", str(folder)] if folder else []), *arguments]
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=True, env=environment).stdout


def make(folder: Path, files: int, commits: int) -> None:
    """A bare repository of incompressible sources and the usual manifests."""
    git("init", "--bare", "--quiet", "--initial-branch=main", str(folder))
    writer = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert writer.stdin is not None
    choice = random.Random(1)
    for commit in range(commits):
        head = f"commit refs/heads/main\ncommitter a <a@example.org> {1700000000 + commit} +0000\ndata 1\nx\n"
        writer.stdin.write(head.encode())
        for number in range(files) if commit == 0 else choice.sample(range(files), files // 100):
            body = random.Random(number * 1000 + commit).randbytes(900).hex().encode()
            path = f"d{number % 100}/s{number // 100 % 20}/f{number}.py"
            writer.stdin.write(f"M 100644 inline {path}\ndata {len(body)}\n".encode() + body + b"\n")
        if commit == 0:
            for name in ("README.md", "requirements.txt", "pyproject.toml", "Dockerfile"):
                writer.stdin.write(f"M 100644 inline {name}\ndata 6\nhello\n\n".encode())
    writer.stdin.close()
    writer.wait()
    git("repack", "-adq", folder=folder)


def floor(url: str, folder: Path) -> None:
    """A blob-filtered shallow clone, then the chosen files in one request."""
    git("clone", "--quiet", "--bare", "--depth=1", "--filter=blob:none", "--no-tags", url, str(folder))
    oids = {}
    for record in git("ls-tree", "-r", "-z", "HEAD", folder=folder).split("\0"):
        meta, _, path = record.partition("\t")
        if meta and meta.split()[0] not in ("120000", "160000"):
            oids[path] = meta.split()[2]
    chosen = choose([Entry(path=path, size=None) for path in oids])
    wanted = "".join(f"{oid}\n" for oid in sorted({oids[entry.path] for entry in chosen}))
    options = [
        "-c",
        "fetch.negotiationAlgorithm=noop",
        "fetch",
        "--quiet",
        "--no-tags",
        "--filter=blob:none",
        "--stdin",
    ]
    git(*options, "origin", folder=folder, lines=wanted)


def shallow(url: str, folder: Path) -> None:
    """What most tools do."""
    git("clone", "--quiet", "--depth=1", url, str(folder))


def ours(url: str, _: Path) -> None:
    """What envagent does."""
    fetch(url, allow_loopback_git=True, limits=Limits(seconds=300))


@contextlib.contextmanager
def served(base: Path) -> Iterator[int]:
    """A git daemon over `base`; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    arguments = ["--export-all", f"--base-path={base}", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"]
    daemon = subprocess.Popen(["git", "daemon", *arguments], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        os.killpg(daemon.pid, 15)
        daemon.wait()


def measure(name: str, counter: Counter, way: Callable[[str, Path], None], scratch: Path) -> tuple[float, int, int]:
    """Median seconds, bytes down and connections of one way."""
    seconds = []
    for _ in range(REPEATS):
        shutil.rmtree(scratch, ignore_errors=True)
        counter.down = counter.connections = 0
        started = time.perf_counter()
        way(f"git://127.0.0.1:{counter.port}/{name}", scratch)
        seconds.append(time.perf_counter() - started)
        time.sleep(0.1)
    return statistics.median(seconds), counter.down, counter.connections


def main() -> int:
    """Measure and print; 1 when the promise is broken."""
    broken = False
    with tempfile.TemporaryDirectory() as name:
        base, scratch = Path(name, "served"), Path(name, "scratch")
        base.mkdir()
        make(base / "made-20k", 20_000, 100)
        make(base / "made-small", 60, 20)
        for given in sys.argv[1:]:
            target = base / Path(given).resolve().parent.name if given.endswith("/repo") else base / Path(given).name
            git("clone", "--quiet", "--bare", given, str(target))
        for repository in base.iterdir():
            git("config", "uploadpack.allowFilter", "true", folder=repository)
        print(f"{'repository':32} {'way':8} {'ms':>7} {'kB down':>9} {'connections':>11} {'x floor':>8}")
        with served(base) as port:
            counter = Counter(port)
            for repository in sorted(base.iterdir()):
                least = 0
                for way in (floor, shallow, ours):
                    seconds, down, connections = measure(repository.name, counter, way, scratch)
                    least = least or down
                    ratio = down / least
                    broken |= way is ours and ratio > PROMISE
                    row = f"{seconds * 1000:7.0f} {down / 1000:9.0f} {connections:11} {ratio:8.2f}"
                    print(f"{repository.name:32} {way.__name__:8} {row}")
    print("promise broken" if broken else f"ours is at most {PROMISE} times the floor")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
