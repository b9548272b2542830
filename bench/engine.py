"""The engine compared with plain sqlite3: ten steps with four intents, and 1,000 runs that wait in one process.

    python -m bench.engine [--rounds 3] [--runs 200] [--waiting 1000]

Both write WAL + synchronous=FULL, alternating in one process; ratios are the figures to quote.
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
from envagent.engine.execution import Outcome
from envagent.engine.journal import Journal
from envagent.engine.loop import run_until_idle
from envagent.engine.runner import Runner
from envagent.engine.runtime import Runtime


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


async def plain_wait(connection: sqlite3.Connection, run: str) -> None:
    connection.execute("INSERT INTO steps VALUES (?, 0, '')", (run,))
    start = time.monotonic()
    while time.monotonic() < start + 2.0:
        await asyncio.sleep(0.25)
    connection.execute("INSERT INTO steps VALUES (?, 1, '')", (run,))


def many_waits(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        connection = plain(Path(folder) / "plain.db")

        async def everything() -> None:
            await asyncio.gather(*(plain_wait(connection, f"run{index}") for index in range(runs)))

        start = time.perf_counter()
        asyncio.run(everything())
        raw = time.perf_counter() - start
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        journal = Journal.open(Path(folder) / "journal.db")
        runner: Runner[None] = Runner(waiting(), Runtime(journal))
        start = time.perf_counter()
        results = run_until_idle(runner, [runner.begin(Request(), None) for _ in range(runs)])
        ours = time.perf_counter() - start
        assert all(progress.outcome is Outcome.SUCCEEDED for progress in results)
        runner.close()
        journal.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{runs} waits of 2 s: plain {raw:.2f} s, engine {ours:.2f} s, ratio {ours / raw:.2f} (limit 3); "
        f"peak {peak / 1024:.0f} MB (limit 200), of it {(peak - before) / runs:.0f} kB a run"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--waiting", type=int, default=1000)
    chosen = parser.parse_args()
    ten_steps(chosen.rounds, chosen.runs)
    many_waits(chosen.waiting)
