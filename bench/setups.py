"""How many repositories are set up, from nothing, by rules alone: python -m bench.setups MIRROR [NAME ...] [-o FOLDER].

MIRROR has a bare git directory for each repository, OWNER+NAME/repo. Each is analyzed, planned and set up on a fresh
node of `tests/node` (this machine's root is needed); its proof decides. Without names, the thirty of `OWN` are taken.
With `--tasks FILE`, lines of JSON as SetupBench has them, each is set up at the task's `base_commit` and judged by its
`success_command`, which runs on the node afterwards, in the environment of the set-up and whatever became of that.
A line of JSON for each goes to FOLDER/results.jsonl, next to the scripts and logs, and what is there is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envagent import ssh
from envagent.cli.documents.setup_document import setup_document
from envagent.engine.journal import Journal
from envagent.environment.findings import step
from envagent.environment.planner import plan_setup
from envagent.environment.setup_plan import SetupPlan
from envagent.environment.setup_script import setup_script
from envagent.repository.analyzer import analyze
from envagent.repository.fetch import fetch
from envagent.steps.setup_pipeline import setup_id
from tests.kit.git import git
from tests.node import debian
from tests.node.conftest import begin

RUN = "bench"
SUCCESS = "Setup successful"
"""What the success command of a task says."""

OWN = (
    # Python
    "pallets/click", "pytoolz/toolz", "tqdm/tqdm", "encode/httpx", "karpathy/micrograd",
    "binder-examples/requirements", "microsoft/vscode-remote-try-python", "healthchecks/healthchecks",
    "python-attrs/attrs", "pallets/markupsafe", "more-itertools/more-itertools", "dateutil/dateutil",
    # Node.js
    "expressjs/express", "chalk/chalk", "minimistjs/minimist", "tj/commander.js", "debug-js/debug",
    # C and C++
    "DaveGamble/cJSON", "antirez/kilo", "madler/zlib", "jqlang/jq", "lh3/minimap2", "cosmoss-jigu/pactree",
    "lz4/lz4", "benhoyt/inih", "google/snappy", "ANL-CESAR/XSBench",
    # R, Rust and Go
    "tidyverse/glue", "sharkdp/hexyl", "spf13/pflag",
)  # fmt: skip
"""The thirty that the project itself is measured on."""

CLASSES = {
    "not whole in the mirror": r"not our ref|promisor remote",
    "unreachable here": r"Could not resolve|Temporary failure in name|dns error|Connection refused|403 Forbidden"
    r"|could not find python interpreter|getaddrinfo|NameResolutionError"
    r"|error sending request|Failed to connect|proxyconnect|EAI_AGAIN|ENOTFOUND|Failed to fetch",
    "no such version": r"No solution found|No matching distribution|ERESOLVE|ETARGET|requires-python"
    r"|FETCH_404|\bE404\b|OUTDATED_LOCKFILE|can only install packages when",
    "missing module": r"ModuleNotFoundError|ImportError|Cannot find module",
    "missing tool or header": r"command not found|directory: '[a-z]|fatal error: .*No such file|not found",
    "tests failed": r"\bFAILED\b|\d+ failed|failing|Failures|not ok",
    "compilation failed": r"error: |ninja: build stopped|make: \*\*\*",
}
"""Why a set-up failed, by what its last step wrote; the first that fits."""


@dataclass(frozen=True)
class Task:
    """A repository that is set up.

    Attributes:
        name: OWNER/NAME.
        commit: the commit; None for the newest one that the mirror has.
        success: the command that decides; None if the proof of the set-up does.
    """

    name: str
    commit: str | None = None
    success: str | None = None


def tasks_of(file: Path) -> list[Task]:
    """Read the tasks of a file."""
    rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return [
        Task("/".join(one["repo_url"].split("/")[-2:]), one.get("base_commit"), one["success_command"]) for one in rows
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mirror", type=Path)
    parser.add_argument("names", nargs="*", help="OWNER/NAME; by default all of the tasks, or the thirty")
    parser.add_argument("-o", "--output", type=Path, default=Path("setups"))
    parser.add_argument("--tasks", type=Path, metavar="FILE", help="repositories with commits and success commands")
    parser.add_argument("--minutes", type=float, default=20, help="after how long a set-up is given up")
    given = parser.parse_intermixed_args()
    tasks = tasks_of(given.tasks) if given.tasks else [Task(name) for name in given.names or OWN]
    tasks = [one for one in tasks if not given.names or one.name in given.names]
    given.output.mkdir(parents=True, exist_ok=True)
    results = given.output / "results.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    for task in tasks:
        if task.name in {one["name"] for one in done}:
            continue
        row = measured(task, given.mirror, given.output, given.minutes * 60)
        done.append(row)
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        shown(row)
    chosen = [one for one in done if one["name"] in {task.name for task in tasks}]
    good = [one for one in chosen if one["state"] == "succeeded"]
    seconds = statistics.median(one["seconds"] for one in chosen)
    print(f"\n{len(good)} of {len(chosen)} set up and proved; median {seconds:.0f} s")
    return 0


@contextmanager
def at_commit(task: Task, mirror: Path, folder: Path) -> Iterator[tuple[Path, str, bool]]:
    """Serve a repository with one branch; yield its git directory, its URL, and whether the commit is the task's.

    A commit that the mirror does not have is replaced by its newest one.
    """
    stored, own = mirror / task.name.replace("/", "+", 1) / "repo", folder / "served" / task.name.partition("/")[2]
    own.parent.mkdir(parents=True)
    git(own.parent, "clone", "--quiet", "--bare", str(stored.absolute()), own.name)
    for branch in git(own, "for-each-ref", "--format=%(refname)", "refs/heads").split():
        git(own, "update-ref", "--no-deref", f"refs/old/{branch}", branch)
    found = git(own, "cat-file", "--batch-check", stdin=(task.commit or "HEAD").encode()).split()
    had = found[1] == "commit"
    commit = found[0] if had else git(own, "rev-parse", "HEAD")
    git(own, "update-ref", "refs/heads/measured", whole(own, commit))
    git(own, "symbolic-ref", "HEAD", "refs/heads/measured")
    for name in git(own, "for-each-ref", "--format=%(refname)", "refs/old", "refs/heads").split():
        if name != "refs/heads/measured":
            git(own, "update-ref", "-d", name)
    git(own, "config", "uploadpack.allowFilter", "true")
    with debian.served(own.parent) as url:
        yield own, f"{url}/{own.name}", had
    shutil.rmtree(own.parent)


def whole(repository: Path, commit: str) -> str:
    """Return the commit, or one like it without the files whose contents the mirror lacks, such as very large ones."""
    listed = git(repository, "rev-list", "--objects", "--missing=print", "--no-walk", commit).splitlines()
    lacking = {line[1:] for line in listed if line.startswith("?")}
    if not lacking:
        return commit
    files = [line.split("\t", 1) for line in git(repository, "ls-tree", "-r", "-z", commit).split("\0") if line]
    gone = [f"0 {'0' * 40}\t{path}" for what, path in files if what.split()[2] in lacking]
    git(repository, "read-tree", commit)
    git(repository, "update-index", "-z", "--index-info", stdin="\0".join([*gone, ""]).encode())
    tree = git(repository, "write-tree", "--missing-ok")
    text = git(repository, "cat-file", "commit", commit)
    changed = re.sub(r"\Atree \w+", f"tree {tree}", text)
    return git(repository, "hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{changed}\n".encode())


def measured(task: Task, mirror: Path, output: Path, limit: float) -> dict[str, Any]:
    """Set one repository up on a fresh node."""
    folder = (output / task.name.replace("/", "+", 1)).absolute()
    with at_commit(task, mirror, folder) as (repository, url, had):
        plan = planned(repository, url)
        started = time.monotonic()
        with debian.started(folder / "node") as node:
            in_time = work_within(begin(folder, node, RUN, plan).start(), limit)
            seconds = round(time.monotonic() - started, 1)
            good = None if task.success is None else judged(task.success, plan, node, folder / "success.log")
    journal = Journal.open(folder / "journal.db")
    document = setup_document(journal, journal.run(setup_id(RUN)), working=False, simulated=False)
    journal.close()
    failed = next((one for one in document.steps if one.state not in ("done", "succeeded")), None)
    by_proof = in_time and document.state == "succeeded"
    if by_proof if good is None else good:
        reason = None
    elif not in_time:
        reason = "too long"
    elif by_proof or failed is None:
        reason = classed((folder / "success.log").read_text(errors="replace")) or "wrong command"
    else:
        reason = why(folder, failed.number, failed.name)
    return {
        "name": task.name,
        "commit": plan.commit,
        "at_commit": had,
        "ecosystem": plan.ecosystem,
        "state": "succeeded" if reason is None else "failed",
        "seconds": seconds,
        "proved": document.proved,
        "not_proved": document.not_proved,
        "failed": None if by_proof or failed is None else f"{failed.phase}: {failed.title}",
        "class": reason,
    }


def work_within(process: subprocess.Popen[str], seconds: float) -> bool:
    """Let a process work on a set-up, and return whether it ended in time."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    return True


def judged(command: str, plan: SetupPlan, node: debian.Node, log: Path) -> bool:
    """Run the success command of a task in the environment of its set-up, at the top of its clone."""
    judge = step("success", "proof", "the success command of the task", ("in_work", "bash", "-c", command))
    script = log.with_name("success.sh")
    script.write_text(setup_script(plan.model_copy(update={"steps": (judge,), "folder": ""})))
    ssh.run_command(node.target, "cat >success.sh", given=script)
    ran = node.run("timeout -k 5 290 bash success.sh </dev/null 2>&1", seconds=300)
    log.write_text(ran.output)
    return SUCCESS in ran.output


def planned(repository: Path, url: str) -> SetupPlan:
    """Plan a repository of this machine as one that the node clones from a URL; a node here has no GPU."""
    snapshot = fetch(str(repository))
    plan = plan_setup(snapshot, analyze(snapshot))
    steps = tuple(one for one in plan.steps if one.name != "gpu")
    return plan.model_copy(update={"url": url, "name": repository.name, "steps": steps})


def why(folder: Path, number: int, name: str) -> str:
    """Class a failure by the end of its log."""
    logs = sorted((folder / "setup").glob(f"{number:02d}-{name}.*.log"))
    end = logs[-1].read_text(errors="replace") if logs else ""
    before = (one.read_text(errors="replace") for one in (folder / "setup").glob("*.log"))
    if any("cannot be had" in text for text in before):  # what lacks it fails later, and says something else
        return "unreachable here"
    return classed(end) or "other"


def classed(end: str) -> str | None:
    """Return why a command failed, by the end of what it wrote."""
    return next((one for one, pattern in CLASSES.items() if re.search(pattern, end[-6000:])), None)


def shown(row: dict[str, Any]) -> None:
    what = row["proved"][-1] if row["state"] == "succeeded" and row["proved"] else f"{row['failed']} ({row['class']})"
    print(f"{row['name']:<32} {row['ecosystem']:<8} {row['state']:<10} {row['seconds']:>6.0f} s  {what}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
