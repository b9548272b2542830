"""Workers at work: runs per minute, what waiting costs, and how soon a run is advanced.

    python -m bench.fleet [--runs 24] [--workers 1 2 4] [--waiting 10 100 1000] [--seconds 6] [--signals 100]
                          [--leases 20]

PostgreSQL, workers and the sandbox run on this machine, which they share: quote the ratios within one call.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import resource
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from envagent.engine.journal import Journal
from envagent.engine.memory import Memory
from envagent.engine.step import Watched, pause_after
from envagent.engine.tables import RunRecord
from envagent.fleet.jobs import Jobs, Wake, Work
from envagent.fleet.watches import Listing, Watches
from envagent.fleet.worker import Worker
from envagent.sandbox.cloud_time import LEASE_STARTING, Pace
from tests.crash.world import World
from tests.fleet.fleet import Fleet
from tests.kit.postgres import Postgres

EVERY = 1.0
"""Seconds between two looks of a run that waits, at most."""

CLOUD = "bench"


def runs_per_minute(server: Postgres, runs: int, workers: list[int]) -> None:
    first = None
    for count in workers:
        with tempfile.TemporaryDirectory() as folder:
            world = World.start(Path(folder) / "home", speed=600.0)
            try:
                fleet = Fleet(world, server)
                fleet.environment["ENVAGENT_FLEET__STALE_SECONDS"] = "60"
                started_up(fleet, count)
                for worker in fleet.workers:
                    worker.send_signal(signal.SIGSTOP)
                fleet.submit_file(runs, [world.repository], "--node-type", "compute_skylake")
                programs = {
                    "workers": [worker.pid for worker in fleet.workers],
                    "PostgreSQL": [server.pid],
                    "the sandbox": [json.loads((world.folder / "sandbox" / "server.json").read_text())["pid"]],
                }
                before = {name: sum(map(cpu_seconds, pids)) for name, pids in programs.items()}
                started = time.monotonic()
                for worker in fleet.workers:
                    worker.send_signal(signal.SIGCONT)
                fleet.await_end(600)
                seconds = time.monotonic() - started
                used = {name: sum(map(cpu_seconds, pids)) - before[name] for name, pids in programs.items()}
                succeeded = sum(state == "succeeded" for state in fleet.states().values())
                fleet.stop()
            finally:
                world.stop()
        rate = 60 * succeeded / seconds
        first = first or rate
        shares = ", ".join(f"{name} {1000 * each / runs:.0f}" for name, each in used.items())
        print(
            f"{count} workers: {succeeded} of {runs} runs in {seconds:.1f} s, {rate:.0f} a minute, {rate / first:.2f}; "
            f"ms of processor time a run: {shares}"
        )


def started_up(fleet: Fleet, count: int) -> None:
    """Start workers and wait until they take jobs: what follows is not about imports."""
    Journal.open(fleet.url).close()
    fleet.start(count)
    deadline = time.monotonic() + 60
    with closing(Journal.open(fleet.url)) as journal:
        while True:
            with journal.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM procrastinate_workers")
                if cursor.fetchall() == [(count,)]:
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"the workers do not start: {fleet.log()[-2000:]}")
            time.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its children so far (Linux); 0 once its parent has counted it."""
    try:
        used = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    return used / os.sysconf("SC_CLK_TCK") + sum(cpu_seconds(int(one)) for one in children)


def store(journal: Journal, count: int) -> list[str]:
    ids = [f"run{number:07}" for number in range(count)]
    with journal.transaction() as transaction:
        for one in ids:
            row = RunRecord(run_id=one, pipeline="p", state="running", created_at="1", updated_at="1", request="{}")
            transaction.save(row)
    return ids


def prepared(server: Postgres, name: str) -> tuple[Journal, Jobs]:
    url = server.database(name)
    journal, jobs = Journal.open(url), Jobs(url)
    return journal, jobs


def memory() -> float:
    """Return what this process occupies now, in bytes (Linux)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def alone(seconds: float) -> int:
    """Return how often one run looks by itself."""
    start = now = datetime.now(UTC)
    looks = 0
    while now - start < timedelta(seconds=seconds):
        now += pause_after(start, now, timedelta(seconds=EVERY))
        looks += 1
    return looks


def cost_of_waiting(server: Postgres, counts: list[int], seconds: float) -> None:
    """Compare one listing for all with a look by each; listings themselves cost nothing here."""
    for count in counts:
        journal, _ = prepared(server, f"waiting{count}")
        with closing(journal):
            ids, watches, calls = store(journal, count), Watches(journal), 0
            shown = {f"lease-{one}": "PENDING" for one in ids}

            def look(cloud: str | None, kind: str, shown: dict[str, str] = shown) -> Listing:
                nonlocal calls
                calls += 1
                return Listing(shown, 0.01, 1)

            before, now = memory(), datetime.now(UTC)
            for one in ids:
                watched = Watched("lease", f"lease-{one}", "PENDING", now, timedelta(seconds=EVERY))
                with journal.transaction() as transaction:
                    watches.leave(transaction, one, CLOUD, [watched])
            begun, calls = time.monotonic(), 0
            while time.monotonic() < begun + seconds:
                _, pause = watches.tick(look)
                time.sleep(max(0.05, pause))
            minutes = (time.monotonic() - begun) / 60
            grown = max(0.0, memory() - before) / count
        each, by_itself = calls / count / minutes, alone(seconds) / (seconds / 60)
        print(
            f"{count} runs wait: {each:.3f} calls for each and minute, alone {by_itself:.0f}, "
            f"ratio {each / by_itself:.5f}, times n {count * each / by_itself:.2f}; {grown / 1024:.1f} KiB a run"
        )


def how_soon(server: Postgres, count: int) -> None:
    """Measure how soon a run is advanced after its lease has changed, and after "advance now" beside a wake."""
    journal, jobs = prepared(server, "soon")
    with closing(journal):
        ids, watches = store(journal, count), Watches(journal)
        shown = {f"lease-{one}": "PENDING" for one in ids}
        due: dict[str, float] = {}
        took: list[float] = []
        all_done = threading.Event()

        def carry_out(run_id: str, work: Work, memory: Memory) -> Wake | None:
            took.append(time.monotonic() - due[run_id])
            if len(took) == count:
                all_done.set()
            return Wake(work, datetime.now(UTC) + timedelta(hours=1))

        def tick() -> tuple[list[str], float]:
            return watches.tick(lambda cloud, kind: Listing(dict(shown), 0.01, 1))

        worker = Worker(jobs, carry_out, tick, concurrency=8, stale=30.0, pause=3600.0)
        serving = threading.Thread(target=lambda: asyncio.run(worker.run()))
        now = datetime.now(UTC)
        for one in ids:
            watched = Watched("lease", f"lease-{one}", "PENDING", now, timedelta(seconds=0.2))
            with journal.transaction() as transaction:
                watches.leave(transaction, one, CLOUD, [watched])
        serving.start()
        time.sleep(2.0)

        def measure(what: str, strike: Callable[[str], None]) -> None:
            took.clear()
            all_done.clear()
            for one in ids:
                due[one] = time.monotonic()
                strike(one)
                time.sleep(0.03)
            if not all_done.wait(60):
                raise AssertionError(f"{len(took)} of {count} were advanced")
            took.sort()
            print(
                f"{what}: p50 {statistics.median(took) * 1e3:.0f} ms, p99 {took[int(count * 0.99) - 1] * 1e3:.0f} ms, "
                f"at most {took[-1] * 1e3:.0f} ms (limit of p99 1,000 ms)"
            )

        def becomes_active(run_id: str) -> None:
            shown[f"lease-{run_id}"] = "ACTIVE"

        measure("a lease is ACTIVE until its run is advanced", becomes_active)
        measure("advance now, beside a wake in an hour", lambda one: jobs.defer(Work.RESUME, one))
        worker.stop()
        serving.join()


def lease_to_server(server: Postgres, runs: int) -> None:
    """Measure how soon after its lease is ACTIVE a run's server is created, by a sandbox as slow as a site."""
    with tempfile.TemporaryDirectory() as folder:
        world, pace = World.start(Path(folder) / "home", speed=600.0), Pace()
        try:
            world.control("settings", {"speed": pace.speed})
            fleet = Fleet(world, server)
            started_up(fleet, 2)
            fleet.submit_file(runs, [world.repository], "--node-type", "compute_skylake")
            active: dict[str, float] = {}
            took: dict[str, float] = {}
            deadline = time.monotonic() + 120
            while len(took) < runs:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{len(took)} of {runs} servers: {fleet.log()[-2000:]}")
                time.sleep(0.5)
                for row in world.created():
                    at = datetime.fromisoformat(row["time"]).timestamp()
                    if row["kind"] == "lease":
                        active[row["name"].split("-")[1]] = pace.next_tick(at) + pace.seconds(LEASE_STARTING)
                    elif row["kind"] == "server":
                        run_id = row["name"].split("-")[1]
                        took[run_id] = at - active[run_id]
            fleet.stop()
        finally:
            world.stop()
    told = sorted(took.values())
    print(
        f"{runs} leases are ACTIVE until their servers are created: p50 {statistics.median(told) * 1e3:.0f} ms, "
        f"p99 {told[math.ceil(runs * 0.99) - 1] * 1e3:.0f} ms (limit of p99 1,000 ms)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--waiting", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--signals", type=int, default=100)
    parser.add_argument("--leases", type=int, default=20)
    chosen = parser.parse_args()
    database = Postgres("max_connections=200")
    try:
        cost_of_waiting(database, chosen.waiting, chosen.seconds)
        if chosen.signals:
            how_soon(database, chosen.signals)
        if chosen.leases:
            lease_to_server(database, chosen.leases)
        runs_per_minute(database, chosen.runs, chosen.workers)
    finally:
        database.close()
