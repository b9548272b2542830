"""Measure what reading a large repository costs: bytes, connections, and time beyond the fetch.

    python -m bench.fetch                 a generated repository of 20,000 files
    python -m bench.fetch --repo PATH     a local one

Both ways go through one counting TCP proxy to one git daemon on this machine: envagent's own fetch, and what git's
manual suggests for the same files: a clone without blobs, depth one and no checkout, then the wanted blobs at once.
"""

from __future__ import annotations

import argparse
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envagent.repository.analyzer import analyze
from envagent.repository.fetch import fetch
from envagent.repository.results import Snapshot
from envagent.repository.source import Remote
from tests.kit.git import git, git_daemon
from tests.kit.servers import relay, serving

FILES = 20_000
RATIO, SECONDS, ROUNDS = 1.3, 1.5, 3
WORDS = ("alpha", "beta", "gamma", "delta", "lease", "node", "stack", "queue", "index", "buffer", "packet", "kernel")
TELLING = {
    "README.md": "# Made\n\nA training framework.\n\n## Requirements\n\nAn NVIDIA GPU with 24 GB, 64 GB of RAM.\n",
    "requirements.txt": "torch==2.1.0\nnumpy>=1.24\ntransformers\n",
    "pyproject.toml": '[project]\nname = "made"\nrequires-python = ">=3.9"\n',
    "Dockerfile": "FROM nvidia/cuda:12.1.1-devel-ubuntu22.04\nRUN pip install torch\n",
    "docs/install.md": "# Installation\n\nUbuntu 22.04 is recommended.\n",
    ".github/workflows/ci.yml": "jobs:\n  test:\n    runs-on: ubuntu-22.04\n    strategy:\n      matrix:\n"
    '        python-version: ["3.9", "3.10"]\n',
}


TELLING |= {f"src/{word}/README.md": f"# {word}\n\n" + f"The {word} part.\n\n" * 900 for word in WORDS}
TELLING |= {f"src/{word}/requirements.txt": f"numpy\nscipy\n{word}\n" for word in WORDS}


class Loopback(Remote):
    """A repository behind a git daemon, which envagent itself refuses."""

    transport = "git"


@dataclass
class Count:
    """What went through the proxy."""

    up: int = 0
    down: int = 0
    connections: int = 0

    @property
    def total(self) -> int:
        return self.up + self.down

    def __str__(self) -> str:
        return f"{self.total:,} bytes ({self.up:,} up, {self.down:,} down), {self.connections} connections"


@contextmanager
def counted(port: int, count: Count) -> Iterator[int]:
    """Forward connections to `port` and count the bytes; yield the port to connect to."""

    def add(way: str, size: int) -> None:
        setattr(count, way, getattr(count, way) + size)

    def one(client: socket.socket) -> None:
        count.connections += 1
        relay(client, port, add)

    with serving(one) as proxy:
        yield proxy


def make(folder: Path, files: int = FILES) -> Path:
    """Generate a repository with history, in some hundred folders, from a fixed seed."""
    dice = random.Random(7)
    lines: list[bytes] = []

    def data(text: str) -> bytes:
        raw = text.encode()
        return b"data %d\n%s\n" % (len(raw), raw)

    for revision in range(3):
        lines.append(b"commit refs/heads/main\ncommitter A <a@example.org> %d +0000\n" % (1700000000 + revision))
        lines.append(data(f"revision {revision}"))
        for number in range(files - len(TELLING) if revision == 0 else 200):
            ending = dice.choice(["py", "py", "py", "cpp", "h", "cu", "md", "json"])
            path = f"src/{WORDS[number % 12]}/part{number // 140}/{dice.choice(WORDS)}_{number}.{ending}"
            text = "\n".join(" ".join(dice.choices(WORDS, k=8)) for _ in range(dice.randrange(5, 60)))
            lines.append(f"M 100644 inline {path}\n".encode() + data(text))
        for path, text in TELLING.items():
            lines.append(f"M 100644 inline {path}\n".encode() + data(text))
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    git(folder, "fast-import", "--quiet", stdin=b"".join(lines))
    return folder


def reference(url: str, snapshot: Snapshot, folder: Path) -> None:
    """Get the same files with git alone: a clone without blobs, then all wanted blobs in one request."""
    git(folder.parent, "clone", "-q", "--bare", "--filter=blob:none", "--depth=1", "--no-tags", url, str(folder))
    oids = set()
    for record in git(folder, "ls-tree", "-r", "-z", "HEAD").split("\0"):
        meta, _, path = record.partition("\t")
        if path in snapshot.files:
            oids.add(meta.split()[2])
    fetched = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--stdin", "origin"]
    git(
        folder,
        "-c",
        "fetch.negotiationAlgorithm=noop",
        *fetched,
        stdin="".join(f"{oid}\n" for oid in sorted(oids)).encode(),
    )


def main(repository: Path | None) -> bool:
    with tempfile.TemporaryDirectory(prefix="envagent-bench-") as place:
        source = repository.resolve() if repository else make(Path(place) / "made")
        beyond, alone, processor = [], [], []
        with git_daemon(source.parent, uploadpack_allowFilter="true", uploadpack_allowAnySHA1InWant="true") as port:
            for number in range(ROUNDS):
                ours, theirs = Count(), Count()
                with counted(port, ours) as through:
                    started, used = time.perf_counter(), time.process_time()
                    snapshot = fetch(Loopback(f"git://127.0.0.1:{through}/{source.name}", ()))
                    fetched = time.perf_counter()
                    analysis = analyze(snapshot)
                    alone.append(time.perf_counter() - fetched)
                    processor.append(time.process_time() - used)
                    reading = time.perf_counter() - started
                with counted(port, theirs) as through:
                    started = time.perf_counter()
                    reference(f"git://127.0.0.1:{through}/{source.name}", snapshot, Path(place) / f"reference{number}")
                    beyond.append(reading - (time.perf_counter() - started))
    ratio = ours.total / theirs.total
    slower = statistics.median(beyond)
    print(f"{len(snapshot.entries):,} files, of which {len(snapshot.files)} were read")
    print(f"envagent:       {ours}")
    print(f"filtered clone: {theirs}")
    print(f"ratio of bytes: {ratio:.2f} (limit {RATIO}), connections {ours.connections} to {theirs.connections}")
    print(f"listing, choosing and analysis beyond the clone: {slower:.2f} s (limit {SECONDS}), median of {ROUNDS}")
    print(f"  of it analysis alone {statistics.median(alone):.2f} s; processor {statistics.median(processor):.2f} s")
    print(f"found: GPU {analysis.requirements.gpu_required}, {len(analysis.evidence)} pieces of evidence")
    return ratio <= RATIO and slower <= SECONDS and ours.connections <= theirs.connections


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path)
    sys.exit(0 if main(parser.parse_args().repo) else 1)
