"""How long the command line takes before it does anything, beside the bare import of its libraries.

    python -m bench.startup [--rounds 7]

The two processes of each pair alternate; the ratio of each pair's times counts, and the median of them is quoted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord, StageRecord

RUNS = 50


def seconds(command: list[str], home: str) -> float:
    environment = {**os.environ, "ENVAGENT_HOME": home}
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def compare(name: str, ours: list[str], imports: str, limit: float, home: str, rounds: int) -> bool:
    bare = [sys.executable, "-c", f"import {imports}"]
    command = [sys.executable, "-m", "envagent", *ours]
    seconds(bare, home), seconds(command, home)  # compiled and in the page cache
    pairs = [(seconds(bare, home), seconds(command, home)) for _ in range(rounds)]
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    theirs, mine = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    print(f"{name}: {mine:.0f} ms, import {imports}: {theirs:.0f} ms, ratio {ratio:.2f} (limit {limit})")
    return ratio <= limit


def fill(home: Path) -> str:
    """Store runs of twelve stages, as many as somebody has after a while; give the last one's id."""
    journal = Journal.open(home / "journal.db")
    with journal.transaction() as transaction:
        for number in range(RUNS):
            run_id, at = f"run{number:07}", f"2026-11-23T12:{number:02}:00.000000+00:00"
            transaction.save(
                RunRecord(
                    run_id=run_id,
                    pipeline="provisioning",
                    state="succeeded",
                    created_at=at,
                    updated_at=at,
                    request='{"repository": "https://github.com/karpathy/minGPT", "cloud": "sandbox"}',
                    labels='{"site": "CHI@UC", "node_type": "gpu_rtx_6000"}',
                )
            )
            for position in range(12):
                transaction.save(
                    StageRecord(run_id=run_id, step=f"step{position}", stage="do", position=position, state="succeeded")
                )
    journal.close()
    return run_id


def main(rounds: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        last = fill(Path(folder))
        return all(
            [
                compare("envagent --help", ["--help"], "typer, rich", 1.5, folder, rounds),
                compare("envagent status", ["status"], "typer, rich, sqlmodel", 2.0, folder, rounds),
                compare("envagent status RUN_ID", ["status", last], "typer, rich, sqlmodel", 2.0, folder, rounds),
                compare("envagent status --json", ["status", "--json"], "typer, rich, sqlmodel", 2.0, folder, rounds),
            ]
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    sys.exit(0 if main(parser.parse_args().rounds) else 1)
