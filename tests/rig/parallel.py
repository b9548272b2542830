"""Ten runs at once over eight nodes of real services: eight get a server, two are told that nothing is free.

    ENVAGENT_TEST_CLOUD=rig python -m tests.rig.parallel [--wait-for-capacity]

Each has a home of its own, as ten people on ten machines would. Where the site shows its hosts, those who get nothing
are told when a node is free again (with `--wait-for-capacity` they reserve that window, and are killed while they wait
for it). Strangers' things stay as they are: another project's address and keypairs, and of the same user a lease of our
prefix, a free address and a keypair.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from envagent.cloud.adapter import connect
from envagent.errors import Forbidden
from tests.kit.commands import Ended
from tests.kit.git import PLAIN, make_repository
from tests.rig.operator import Judge, Rig
from tests.rig.shell import Shell

MORE = 2
"""How many runs there are more than nodes."""


def hosts_shown(rig: Rig) -> bool:
    """Whether the user may list the hosts."""
    try:
        connect(rig.name).hosts()
    except Forbidden:
        return False
    return True


def main(arguments: Any) -> int:
    """Run them all; give the exit code."""
    began = time.monotonic()
    rig = Rig.named()
    rig.remove_all()
    hosts = rig.hosts()
    total = sum(hosts.values())
    several = sorted(hosts, key=lambda name: -hosts[name])[:MORE]
    wanted = [*(name for name, count in sorted(hosts.items()) for _ in range(count)), *several]
    shown = hosts_shown(rig)
    if arguments.wait_for_capacity and not shown:
        raise SystemExit("--wait-for-capacity: this user may not list the hosts, so no window is known")
    waiting = ["--wait-for-capacity"] if arguments.wait_for_capacity else []
    with tempfile.TemporaryDirectory(prefix="envagent-rig-") as folder:
        repository = make_repository(Path(folder) / "thing", PLAIN)
        shells = [Shell(rig, Path(folder) / str(number), repository) for number in range(len(wanted))]
        try:
            rig.let_others_have_things(several[0])
            judge = Judge(rig)
            started = [
                shell.start_run("--node-type", name, "--hours", "2", *waiting)
                for shell, name in zip(shells, wanted, strict=True)
            ]
            run_ids = [one.run_id() for one in started]
            late: list[str] = []
            while arguments.wait_for_capacity and sum(one.running for one in started) > MORE:
                time.sleep(1)
            for run_id, one in zip(run_ids, started, strict=True):
                if arguments.wait_for_capacity and one.running:
                    one.wait_for("waiting for the lease to start: PENDING")
                    one.kill()
                    late.append(run_id)
            done = {run_id: one.wait() for run_id, one in zip(run_ids, started, strict=True) if run_id not in late}
            up = [run_id for run_id, one in done.items() if one.code == 0]
            refused = {run_id: one for run_id, one in done.items() if one.code != 0}
            judge.expect(len(up) == total, f"{len(up)} of {total} got a server")
            for run_id, ended in refused.items():
                _check_refusal(judge, run_id, ended, shown)
            found = judge.held_by(run_ids)
            for run_id in refused:
                judge.expect(set(found[run_id]) <= {"keypair"}, f"refused run {run_id} has {sorted(found[run_id])}")
            for run_id in late:
                lease = found[run_id].get("lease", {"status": "none"})
                judge.expect(lease["status"] == "PENDING", f"late run {run_id} has a lease {lease['status']}")
            judge.complete(up, among=run_ids)
            with ThreadPoolExecutor(4) as pool:
                removed = list(pool.map(_tear_down, shells, run_ids))
            judge.expect(all(one.code == 0 for one in removed), f"teardowns: {[one.code for one in removed]}")
            judge.gone()
        finally:
            rig.remove_all()
    codes = sorted({one.code for one in refused.values()})
    print(
        f"rig parallel: {len(wanted)} runs over {total} nodes in {time.monotonic() - began:.0f} s, "
        f"hosts {'shown' if shown else 'hidden'}\n"
        f"  succeeded   {len(up)}\n  refused     {len(refused)} with exit {codes}\n"
        f"  late        {len(late)}\n  doubles     {judge.doubles}\n  leftovers   {judge.leftovers}\n"
        f"  violations  {len(judge.violations)}"
    )
    print("\n".join(f"VIOLATION {one}" for one in judge.violations))
    return 1 if judge.violations else 0


def _check_refusal(judge: Judge, run_id: str, one: Ended, shown: bool) -> None:
    error = one.document["error"]
    print(f"run {run_id} ended {one.code}: {error['message']}", flush=True)
    judge.expect(one.code == 5, f"run {run_id} ended {one.code}: {one.err[-800:]}")
    judge.expect("free again" in error["message"] or not shown, f"run {run_id} is not told when: {error['message']}")


def _tear_down(shell: Shell, run_id: str) -> Ended:
    return shell("teardown", run_id, "--yes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.rig.parallel")
    parser.add_argument("--wait-for-capacity", action="store_true", help="the last ones wait for their window")
    sys.exit(main(parser.parse_args()))
