"""How many repositories are set up, from nothing, by rules alone: python -m bench.setups MIRROR [NAME ...] [-o FOLDER].

MIRROR has a bare git directory for each repository, OWNER+NAME/repo. Each is analyzed, planned and set up on a fresh
node of `tests/node` (this machine's root is needed); its proof decides. A line of JSON for each goes to
FOLDER/results.jsonl, next to the scripts and logs, and what is there is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from envagent.cli.documents.setup_document import setup_document
from envagent.engine.execution import Outcome
from envagent.environment.planner import plan_setup
from envagent.environment.setup_plan import SetupPlan
from envagent.repository.analyzer import analyze
from envagent.repository.fetch import fetch
from envagent.steps.setup_pipeline import setup_id
from tests.node import debian
from tests.node.client import work
from tests.node.conftest import begin

RUN = "bench"

CLASSES = {
    "unreachable here": r"Could not resolve|Temporary failure in name|dns error|Connection refused|403 Forbidden"
    r"|error sending request|Failed to connect|proxyconnect|EAI_AGAIN|ENOTFOUND|Failed to fetch",
    "no such version": r"No solution found|No matching distribution|ERESOLVE|ETARGET|requires-python",
    "missing module": r"ModuleNotFoundError|ImportError|Cannot find module",
    "missing tool or header": r"command not found|directory: '[a-z]|fatal error: .*No such file|not found",
    "tests failed": r"\bFAILED\b|\d+ failed|failing|Failures|not ok",
    "compilation failed": r"error: |ninja: build stopped|make: \*\*\*",
}
"""Why a set-up failed, by what its last step wrote; the first that fits."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mirror", type=Path)
    parser.add_argument("names", nargs="*", help="OWNER/NAME; by default all of the mirror")
    parser.add_argument("-o", "--output", type=Path, default=Path("setups"))
    given = parser.parse_args()
    names = given.names or sorted(one.name.replace("+", "/", 1) for one in given.mirror.iterdir() if one.is_dir())
    given.output.mkdir(parents=True, exist_ok=True)
    results = given.output / "results.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    with debian.served(given.mirror) as url:
        for name in names:
            if name in {one["name"] for one in done}:
                continue
            row = measured(name, given.mirror / name.replace("/", "+", 1) / "repo", url, given.output)
            done.append(row)
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            shown(row)
    chosen = [one for one in done if one["name"] in names]
    proved = [one for one in chosen if one["state"] == "succeeded"]
    seconds = statistics.median(one["seconds"] for one in chosen)
    print(f"\n{len(proved)} of {len(chosen)} set up and proved; median {seconds:.0f} s")
    return 0


def measured(name: str, repository: Path, url: str, output: Path) -> dict[str, Any]:
    """Set one repository up on a fresh node."""
    folder = (output / name.replace("/", "+", 1)).absolute()
    plan = planned(repository, f"{url}/{name.replace('/', '+', 1)}/repo")
    started = time.monotonic()
    with debian.started(folder / "node") as node:
        begin(folder, node, RUN, plan)
        outcome, journal = work(folder)
        row = journal.run(setup_id(RUN))
        document = setup_document(journal, row, working=False, simulated=False)
        journal.close()
    failed = next((one for one in document.steps if one.state == "failed"), None)
    return {
        "name": name,
        "ecosystem": plan.ecosystem,
        "state": "succeeded" if outcome is Outcome.SUCCEEDED else "failed",
        "seconds": round(time.monotonic() - started, 1),
        "proved": document.proved,
        "not_proved": document.not_proved,
        "failed": None if outcome is Outcome.SUCCEEDED or failed is None else f"{failed.phase}: {failed.title}",
        "class": None if outcome is Outcome.SUCCEEDED or failed is None else why(folder, failed.number, failed.name),
    }


def planned(repository: Path, url: str) -> SetupPlan:
    """Plan a repository of this machine as one that the node clones from a URL; a node here has no GPU."""
    snapshot = fetch(str(repository))
    plan = plan_setup(snapshot, analyze(snapshot))
    steps = tuple(one for one in plan.steps if one.name != "gpu")
    return plan.model_copy(update={"url": url, "name": repository.parent.name.partition("+")[2], "steps": steps})


def why(folder: Path, number: int, name: str) -> str:
    """Class a failure by the end of its log."""
    logs = sorted((folder / "setup").glob(f"{number:02d}-{name}.*.log"))
    end = logs[-1].read_text(errors="replace")[-6000:] if logs else ""
    before = (one.read_text(errors="replace") for one in (folder / "setup").glob("*.log"))
    if any("cannot be had" in text for text in before):  # what lacks it fails later, and says something else
        return "unreachable here"
    return next((one for one, pattern in CLASSES.items() if re.search(pattern, end)), "other")


def shown(row: dict[str, Any]) -> None:
    what = row["proved"][-1] if row["state"] == "succeeded" and row["proved"] else f"{row['failed']} ({row['class']})"
    print(f"{row['name']:<32} {row['ecosystem']:<8} {row['state']:<10} {row['seconds']:>6.0f} s  {what}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
