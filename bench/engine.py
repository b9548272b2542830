"""The engine compared with plain sqlite3: ten steps with four intents, and 1,000 runs that wait in one process.

    python -m bench.engine [--rounds 3] [--runs 200] [--waiting 1000]

Both write WAL + synchronous=FULL, alternating in one process; ratios are the figures to quote. The runs that wait share
their commits, plain sqlite3 makes one commit a step; a slow disk is a pause before each commit of either side.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from bench.toy import Request, chain, waiting
from envagent.engine.execution import NewRun, Outcome
from envagent.engine.journal import Journal
from envagent.engine.loop import run_until_idle
from envagent.engine.runner import Runner
from envagent.engine.runtime import Runtime

WAIT = 2.0
"""Seconds that each run waits."""


def plain(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS steps (run TEXT, step INTEGER, output TEXT, PRIMARY KEY (run, step))"
    )
    return connection


def plain_run(connection: sqlite3.Connection, run: str) -> None:
    for step in range(10):
        output = json.dumps({"text": "x" * 200, "number": step})
        connection.execute("INSERT INTO steps VALUES (?, ?, ?)", (run, step, output))


def ten_steps(rounds: int, runs: int) -> None:
    ratios = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            connection = plain(Path(folder) / "plain.db")
            journal = Journal.open(Path(folder) / "journal.db")
            runner: Runner[None] = Runner(chain(), Runtime(journal))
            raw, ours = [], []
            for index in range(runs + 5):
                start = time.perf_counter()
                plain_run(connection, f"run{index}")
                middle = time.perf_counter()
                progress = runner.advance(runner.begin(Request(), None))
                end = time.perf_counter()
                assert progress.outcome is Outcome.SUCCEEDED
                if index >= 5:
                    raw.append(middle - start)
                    ours.append(end - middle)
            runner.close()
            journal.close()
        ratio = statistics.median(b / a for a, b in zip(raw, ours, strict=True))
        ratios.append(ratio)
        print(
            f"ten steps, round {number + 1}: plain {statistics.median(raw) * 1e3:.2f} ms, "
            f"engine {statistics.median(ours) * 1e3:.2f} ms, ratio {ratio:.2f}"
        )
    print(f"ten steps: ratio {statistics.median(ratios):.2f} (limit 2.5)")


async def plain_wait(connection: sqlite3.Connection, run: str, sync: float) -> None:
    time.sleep(sync)  # a commit holds up the loop as well
    connection.execute("INSERT INTO steps VALUES (?, 0, '')", (run,))
    start = time.monotonic()
    while time.monotonic() < start + WAIT:
        await asyncio.sleep(0.25)
    time.sleep(sync)
    connection.execute("INSERT INTO steps VALUES (?, 1, '')", (run,))


def memory() -> float:
    """Return what this process occupies now, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def many_waits(runs: int, sync: float, idle: float) -> None:
    """Compare runs that wait; `sync` seconds more for each commit of either side; `idle` MB are occupied anyway."""
    with tempfile.TemporaryDirectory() as folder:
        connection = plain(Path(folder) / "plain.db")

        async def everything() -> None:
            await asyncio.gather(*(plain_wait(connection, f"run{index}", sync) for index in range(runs)))

        start = time.perf_counter()
        asyncio.run(everything())
        raw = time.perf_counter() - start
        journal = Journal.open(Path(folder) / "journal.db")
        commits = 0

        def before_commit() -> None:
            nonlocal commits
            commits += 1
            time.sleep(sync)

        journal.before_commit = before_commit
        runner: Runner[None] = Runner(waiting(), Runtime(journal))
        start = time.perf_counter()
        results = run_until_idle(runner, runner.begin_all(NewRun(Request(), None) for _ in range(runs)))
        ours = time.perf_counter() - start
        assert all(progress.outcome is Outcome.SUCCEEDED for progress in results)
        runner.close()
        journal.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(
        f"{runs} waits of {WAIT:.0f} s, {sync * 1e3:.0f} ms more a commit: plain {raw:.2f} s ({2 * runs} commits), "
        f"engine {ours:.2f} s ({commits} commits), ratio {ours / raw:.2f}; "
        f"beyond the waiting: plain {raw - WAIT:.2f} s, "
        f"engine {ours - WAIT:.2f} s, ratio {(ours - WAIT) / (raw - WAIT):.2f} (limit 0.5); "
        f"at most {peak - idle:.0f} MB more than idle (limit 60)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--waiting", type=int, default=1000)
    chosen = parser.parse_args()
    ten_steps(chosen.rounds, chosen.runs)
    idle = memory()
    for sync in (0.0, 0.005):
        many_waits(chosen.waiting, sync, idle)
