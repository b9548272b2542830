"""How long the command line takes before it does anything, beside the bare import of its libraries.

    python -m bench.startup [--rounds 7]

The two processes of each pair alternate; the ratio of each pair's times counts, and the median of them is quoted.
Modules are compiled once, as pip does at an installation, whatever the environment says of that.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from envagent.engine.journal import Journal

RUNS = 10_000
STORED = Path(__file__).parents[1] / "tests" / "fixtures" / "journals" / "0001.db"
TEMPLATE = "ynzh4tdvb7"
"""A run in there that has succeeded."""
NEW = {
    "run_id": "copies.run_id",
    "created_at": "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', copies.age)",
}


def seconds(command: list[str], home: str) -> float:
    environment = {**os.environ, "ENVAGENT_HOME": home, "PYTHONPYCACHEPREFIX": f"{home}/compiled"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
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
    """Store as many runs as somebody has after years, copies of one that has succeeded; return the last one's id."""
    path = home / "journal.db"
    shutil.copy(STORED, path)
    Journal.open(path).close()  # upgrades it
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE steps SET output = NULL WHERE length(output) > 20000")  # all images of a site
        connection.execute("CREATE TEMP TABLE copies (run_id TEXT PRIMARY KEY, age TEXT)")
        ages = [(f"run{number:07}", f"-{(RUNS - number) * 10} minutes") for number in range(RUNS)]
        connection.executemany("INSERT INTO copies VALUES (?, ?)", ages)
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            if "run_id" in names:
                columns = [one for one in names if one not in ("id", "seq")]
                read = [NEW.get(one, f"theirs.{one}") for one in columns]
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(read)} "
                    f"FROM copies JOIN {table} AS theirs ON theirs.run_id = ?",
                    (TEMPLATE,),
                )
    return ages[-1][0]


def main(rounds: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o700)
        last = fill(Path(folder))
        return all(
            [
                compare("envagent --help", ["--help"], "typer, rich", 1.5, folder, rounds),
                compare("envagent status", ["status"], "typer, rich, sqlmodel", 1.3, folder, rounds),
                compare("envagent status RUN_ID", ["status", last], "typer, rich, sqlmodel", 2.0, folder, rounds),
                compare("envagent status --json", ["status", "--json"], "typer, rich, sqlmodel", 2.0, folder, rounds),
            ]
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    sys.exit(0 if main(parser.parse_args().rounds) else 1)
