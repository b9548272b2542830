"""The journal and what happens to files: kills, full disks, closed folders, locks, losses, other versions, clocks.

In every case nothing is written to the cloud that is not in the journal before, the message is clear, and there is a
way out: the resume, or a teardown that finds its objects without the journal.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.crash.child import Child, Ended, Home
from tests.crash.databases import Database, FileDatabase, ServerDatabase
from tests.crash.durability import kill_committing, kill_opening
from tests.crash.hooks import Exchange, Strike
from tests.crash.oracle import Judge, Outcome
from tests.crash.stored_journal import FOLDER
from tests.crash.world import World
from tests.kit.postgres import Postgres
from tests.kit.waiting import until
from tests.sweeps import Plan

SPEED = 2000.0
KILLS = 1000
BATCH = 100

RESERVED = Exchange("POST", "/uc/reservation/v1/leases", 1)
LAUNCHED = Exchange("POST", "/uc/compute/v2.1/servers", 1)
LOST_LEASE = Strike("committed", RESERVED)
LOST_SERVER = Strike("committed", LAUNCHED)
ROOT = 0
NOBODY = 65534

Scenario = Callable[[World, Home, Judge], list[Ended]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    """Register a scenario under its name in words."""
    SCENARIOS[play.__name__.replace("_", " ")] = play
    return play


# Full disks


def _limited(size: int) -> Callable[[], None]:
    """Let no file grow beyond a size, as if the disk were full there."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def _full_while_running(size: int) -> Scenario:
    def play(world: World, home: Home, judge: Judge) -> list[Ended]:
        full = home.start(*home.run_arguments(), before=_limited(size)).wait()
        if full.code == 0:
            return [full]
        _refused(judge, full)
        return [full, *_resumed(home, judge)]

    return play


def _full_while_removing(size: int) -> Scenario:
    def play(world: World, home: Home, judge: Judge) -> list[Ended]:
        ran = home.call(*home.run_arguments())
        judge.expect(ran.code == 0, f"the run: {ran}")
        full = home.start("teardown", home.run_id() or "", "--yes", before=_limited(size)).wait()
        if full.code != 0:
            _refused(judge, full)
        return [ran, full]

    return play


for _kib in range(24, 240, 8):
    SCENARIOS[f"disk full at {_kib} KiB in a run"] = _full_while_running(_kib * 1024)
for _kib in range(24, 96, 8):
    SCENARIOS[f"disk full at {_kib} KiB in a teardown"] = _full_while_removing(_kib * 1024)


@scenario
def disk_full_on_a_real_file_system(world: World, home: Home, judge: Judge) -> list[Ended]:
    home.home.mkdir(mode=0o700, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120k,mode=0700", "tmpfs", str(home.home)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        return []  # not allowed here; the size limits above stand for it
    try:
        full = home.call(*home.run_arguments())
        judge.expect(full.code != 0, "a run fits in 120 KiB: no test")
        _refused(judge, full)
        subprocess.run(["mount", "-o", "remount,size=50m", str(home.home)], check=True)
        taken = _resumed(home, judge)
        removed = home.call("teardown", home.run_id() or "", "--yes") if home.run_id() else None
        judge.expect(removed is None or removed.code == 0, f"the teardown: {removed}")
        judge.sends_are_intended(home, [full, *taken])
    finally:
        subprocess.run(["umount", str(home.home)], check=True)
    return [full, *taken]


# Closed folders


def _closed(owner: int, file_mode: int, folder_mode: int) -> Scenario:
    """Write a scenario in which another user, who has the folder, may not write the journal (of `owner`) in it."""

    def play(world: World, home: Home, judge: Judge) -> list[Ended]:
        if os.geteuid() != 0:
            return []
        work = home.folder / "work"
        work.mkdir()
        for folder in (work, home.home):
            os.chown(folder, NOBODY, NOBODY)
        for folder in (world.folder, world.folder / "homes", home.folder):
            folder.chmod(0o755)
        os.chown(home.journal, owner, owner)
        home.journal.chmod(file_mode)
        home.home.chmod(folder_mode)

        def become_nobody() -> None:
            os.chdir(work)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

        ended = home.start(*home.run_arguments(), before=become_nobody).wait()
        judge.expect(ended.code == 10, f"not exit 10: {ended}")
        judge.expect("journal" in ended.err and "Traceback" not in ended.err, f"not clear: {ended}")
        judge.expect(not ended.exchanges, f"it asked the cloud: {ended.exchanges}")
        return [ended]

    return play


SCENARIOS["read-only: the journal of somebody else"] = _closed(ROOT, 0o600, 0o755)
SCENARIOS["read-only: a journal that may only be read"] = _closed(ROOT, 0o644, 0o755)
SCENARIOS["read-only: a folder that may only be read"] = _closed(NOBODY, 0o600, 0o555)


# Locks


def _short_patience() -> None:
    from envagent.engine import sqlite_file

    sqlite_file.BUSY_SECONDS = 0.6  # for the half minute of reality


def _locked_for(seconds: float, *, ends_well: bool) -> Scenario:
    def play(world: World, home: Home, judge: Judge) -> list[Ended]:
        child = home.start(*home.run_arguments(), before=_short_patience)
        _until(child, RESERVED)
        with closing(sqlite3.connect(home.journal, isolation_level=None, timeout=10)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")
        locked = child.wait()
        if ends_well:
            judge.expect(locked.code == 0, f"a short lock ends it: {locked}")
            return [locked]
        _refused(judge, locked)
        return [locked, *_resumed(home, judge)]

    return play


SCENARIOS["locked for a moment: waited for"] = _locked_for(0.2, ends_well=True)
SCENARIOS["locked for a minute: refused, and resumed later"] = _locked_for(1.5, ends_well=False)


def _until(child: Child, exchange: Exchange, seconds: float = 20.0) -> None:
    """Wait until a child has its answer."""

    def answered() -> bool:
        return any(one["event"] == "answer" and one["what"] == str(exchange) for one in child.trace())

    until(answered, str(exchange), seconds, 0.002)


# Losses


def _damaged(damage: Callable[[Path], None]) -> Scenario:
    def play(world: World, home: Home, judge: Judge) -> list[Ended]:
        killed = home.call(*home.run_arguments(), strikes=[LOST_SERVER])
        run_id = home.run_id() or ""
        kept = judge.at_most_one(run_id)
        damage(home.journal)
        for verb in ("resume", "teardown"):
            ended = home.call(verb, run_id, "--yes")
            judge.expect(ended.code == 10, f"{verb} does not end with 10: {ended}")
            judge.expect("Traceback" not in ended.err, f"a traceback: {ended}")
            judge.expect(not [one for one in ended.exchanges if one.writes], f"{verb} wrote: {ended}")
        judge.expect(judge.at_most_one(run_id) == kept, "something was made or removed")
        orphans = home.call("teardown", "--orphans", "--yes")
        judge.expect(orphans.code == 0, f"the way out: {orphans}")
        time.sleep(0.05)
        judge.gone()
        return [killed]

    return play


def _cut(path: Path, keep: float) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(path, int(path.stat().st_size * keep))


def _forget(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def _scribble(path: Path) -> None:
    _cut(path, 1.0)
    with path.open("r+b") as file:
        file.write(os.urandom(4096))


SCENARIOS["truncated to a half"] = _damaged(lambda path: _cut(path, 0.5))
SCENARIOS["truncated to a tenth"] = _damaged(lambda path: _cut(path, 0.1))
SCENARIOS["truncated to nothing"] = _damaged(lambda path: _cut(path, 0.0))
SCENARIOS["deleted"] = _damaged(_forget)
SCENARIOS["overwritten with noise"] = _damaged(_scribble)


@scenario
def deleted_under_a_run(world: World, home: Home, judge: Judge) -> list[Ended]:
    child = home.start(*home.run_arguments())
    _until(child, RESERVED)
    _forget(home.journal)
    ran = child.wait()
    judge.expect("Traceback" not in ran.err, f"a traceback: {ran}")
    orphans = home.call("teardown", "--orphans", "--yes")
    judge.expect(orphans.code == 0, f"the way out: {orphans}")
    time.sleep(0.05)
    judge.gone()
    return []


@scenario
def made_by_a_newer_version(world: World, home: Home, judge: Judge) -> list[Ended]:
    killed = home.call(*home.run_arguments(), strikes=[LOST_SERVER])
    run_id = home.run_id() or ""
    with closing(sqlite3.connect(home.journal)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with closing(sqlite3.connect(home.journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = home.journal.read_bytes()
    for argv in (("resume", run_id, "--yes"), ("teardown", run_id, "--yes"), ("status",), home.run_arguments()):
        ended = home.call(*argv)
        judge.expect(ended.code == 10 and "newer" in ended.err, f"not refused as newer: {ended}")
        judge.expect(not ended.exchanges, f"it asked the cloud: {ended}")
    judge.expect(home.journal.read_bytes() == before, "the journal was changed")
    with closing(sqlite3.connect(home.journal)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    return [killed, *_resumed(home, judge)]


# Clocks


def _clock(jump: timedelta, after: float) -> Callable[[], None]:
    """Set the child's clock by so much, so many seconds after its start."""

    def install() -> None:
        from envagent.engine.clock import SystemClock

        began = time.monotonic()
        now = SystemClock.now

        def jumped(self: SystemClock) -> datetime:
            true = now(self)
            return true + jump if time.monotonic() - began >= after else true

        SystemClock.now = jumped  # type: ignore[method-assign]

    return install


def _clock_set_back(strike: Strike, after: float) -> Scenario:
    def play(world: World, home: Home, judge: Judge) -> list[Ended]:
        back = _clock(timedelta(hours=-1), after)
        killed = home.call(*home.run_arguments(), strikes=[strike])
        run_id = home.run_id() or ""
        kept = judge.at_most_one(run_id)
        resumed = home.start("resume", run_id, "--yes", before=back).wait(30)
        judge.expect(resumed.code == 0, f"the resume: {resumed}")
        judge.complete(run_id, kept=kept)
        removed = home.start("teardown", run_id, "--yes", before=back).wait(30)
        judge.expect(removed.code == 0, f"the teardown: {removed}")
        return [killed, resumed, removed]

    return play


for _strike in (
    LOST_LEASE,
    Strike("before", RESERVED),
    LOST_SERVER,
    Strike("before", LAUNCHED),
    Strike("checkpoint", Exchange("GET", "/uc/compute/v2.1/servers/*", 2)),
):
    for _after in (0.0, 0.3):
        SCENARIOS[f"clock set back an hour {_after} s into the resume after {_strike}"] = _clock_set_back(
            _strike, _after
        )


# Upgrades


@scenario
def stored_journals_of_every_revision_open(world: World, home: Home, judge: Judge) -> list[Ended]:
    stored = sorted(FOLDER.glob("*.db"))
    judge.expect(bool(stored), "no journal is stored")
    for path in stored:
        home.home.mkdir(mode=0o700, exist_ok=True)
        _forget(home.journal)
        shutil.copy(path, home.journal)
        listed = home.call("status", "--json")
        judge.expect(listed.code == 0 and listed.out.count('"run_id"') == 2, f"{path.name}: {listed}")
        interrupted, done = (row[0] for row in home.rows("SELECT run_id FROM runs ORDER BY state"))
        shown = home.call("status", done)
        judge.expect(shown.code == 0 and "crash-server" in shown.out, f"{path.name}: {shown}")
        for run_id in (interrupted, done):  # what they made is not in this cloud
            resumed = home.call("resume", run_id, "--yes")
            judge.expect(resumed.code == 6 and "was deleted" in resumed.err, f"{path.name}: {resumed}")
        for run_id in (interrupted, done):
            removed = home.call("teardown", run_id, "--yes")
            judge.expect(removed.code == 0, f"{path.name}: {removed}")
    return []


# Common


def _refused(judge: Judge, ended: Ended) -> None:
    """Check that the message says that it is the journal; no traceback, no bug."""
    judge.expect(ended.code == 10, f"not exit 10: {ended}")
    clear = any(word in ended.err for word in ("journal", "the lock"))
    judge.expect(clear and "Traceback" not in ended.err, f"not clear: {ended}")


def _resumed(home: Home, judge: Judge) -> list[Ended]:
    """Resume with the disk free again; a run that was never stored has made nothing."""
    run_id = home.run_id()
    kept = judge.at_most_one(run_id)
    if run_id is None:
        judge.gone()
        return []
    resumed = home.call("resume", run_id, "--yes")
    judge.expect(resumed.code == 0, f"the resume: {resumed}")
    judge.complete(run_id, kept=kept)
    return [resumed]


@dataclass(frozen=True)
class Batch:
    """So many kills, each at a moment that the seed draws."""

    seed: int
    kills: int

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.kills} kills"


def batches(plan: Plan) -> list[Batch]:
    """Divide the kills into tests; a bounded sweep has one."""
    if plan.bounded:
        return [Batch(plan.seed * 100_000, plan.rounds or 40)]
    kills = plan.rounds or KILLS
    return [Batch(plan.seed * 100_000 + at, min(BATCH, kills - at)) for at in range(0, kills, BATCH)]


@pytest.fixture
def unmade(warm: None, server: Postgres | None, tmp_path: Path) -> Callable[[], Database]:
    """Return what names places where there is no journal yet."""
    numbers = itertools.count()

    def make() -> Database:
        file = FileDatabase(tmp_path / f"journal-{next(numbers)}.db")
        return file if server is None else ServerDatabase.make(server, used=False)

    return make


@pytest.mark.sweep(points=batches, bounded=1)
def test_acknowledged_commits_survive(
    unmade: Callable[[], Database], point: Batch, check: Callable[[Outcome], None]
) -> None:
    check(kill_committing(unmade(), point.kills, point.seed))


@pytest.mark.sweep(points=batches, bounded=1)
def test_killed_while_it_is_made(
    unmade: Callable[[], Database], point: Batch, check: Callable[[Outcome], None]
) -> None:
    check(kill_opening(unmade, max(1, point.kills // 10), point.seed))


@pytest.mark.sweep(points=lambda plan: list(SCENARIOS), bounded=6, journal="sqlite")
def test_refused_or_survived(world: World, point: str, check: Callable[[Outcome], None]) -> None:
    """Play a scenario, tear down what is left of it, judge."""
    home = Home.make(world, "scenario")
    judge = Judge(world)
    commands = SCENARIOS[point](world, home, judge)
    readable = home.journal.exists() and bool(commands)
    run_id = home.run_id() if readable else None
    if run_id is not None:
        commands.append(home.call("teardown", run_id, "--yes"))
        judge.expect(commands[-1].code == 0, f"the teardown: {commands[-1]}")
    judge.gone()
    judge.log_is_clean()
    unrecorded = [text for one in commands for text in one.unrecorded]
    judge.expect(not unrecorded, f"sent without a record: {unrecorded}")
    home.remove()
    resumed = sum(one.argv[0] == "resume" and one.code == 0 for one in commands)
    refused = sum(one.code == 10 for one in commands)
    check(judge.verdict(*(["exit 10"] * refused or ["no harm"]), resumed=resumed))
