"""The journal under SIGKILL: what a transaction has acknowledged is there, and a file is whole.

A child commits in a loop, from two threads, and acknowledges each commit through a pipe; the parent kills it at a
random moment, reopens the journal and looks. Some kill PostgreSQL too. Others are killed while they make the journal.
"""

from __future__ import annotations

import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from envagent.engine.clock import to_text
from envagent.engine.journal import REVISION, Journal
from envagent.engine.tables import EventKind, EventRecord, RunRecord, RunState
from tests.crash.databases import Database, FileDatabase, ServerDatabase
from tests.crash.oracle import Outcome

LONGEST_LIFE = 0.02
LONGEST_OPENING = 0.15
SERVER_TOO = 0.05
"""How many of the kills hit PostgreSQL, too."""


def kill_committing(database: Database, kills: int, seed: int) -> Outcome:
    """Kill a committing child this many times, on one journal that grows."""
    dice = random.Random(seed)
    Journal.open(database.place).close()
    outcome = Outcome()
    for number in range(kills):
        _kill_one(database, number, dice, outcome)
    return outcome


def _kill_one(database: Database, number: int, dice: random.Random, outcome: Outcome) -> None:
    reader, writer = os.pipe()
    run_id = f"kill{number:06}"
    pid = os.fork()
    if pid == 0:
        _commit_for_ever(database.place, run_id, writer)
    os.close(writer)
    select.select([reader], [], [], 10)  # the first commit
    time.sleep(dice.uniform(0, LONGEST_LIFE))
    if isinstance(database, ServerDatabase) and dice.random() < SERVER_TOO:
        database.server.stop(at_once=True)
        outcome.counts["kills of PostgreSQL"] += 1
        database.server.start()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    acknowledged = {int(word) for word in _drain(reader).split()}
    outcome.counts.update(kills=1, commits=len(acknowledged))
    if isinstance(database, FileDatabase) and (whole := database.rows("PRAGMA quick_check")) != [("ok",)]:
        outcome.violations.append(f"kill {number}: corrupt: {whole}")
    rows = database.rows("SELECT message FROM events WHERE run_id = ?", run_id)
    kept = {int(message) for (message,) in rows}
    if not acknowledged:
        outcome.violations.append(f"kill {number}: nothing was committed in 10 s")
    if acknowledged - kept:
        outcome.violations.append(f"kill {number}: lost: {sorted(acknowledged - kept)}")


def _commit_for_ever(place: Path | str, run_id: str, writer: int) -> None:
    try:
        journal = Journal.open(place)
        now = to_text(datetime.now(UTC))
        with journal.transaction() as transaction:
            transaction.save(
                RunRecord(
                    run_id=run_id,
                    pipeline="durability",
                    state=RunState.RUNNING.value,
                    created_at=now,
                    updated_at=now,
                    request="{}",
                )
            )
        other = threading.Thread(target=_commit, args=(journal, run_id, writer, 1), daemon=True)
        other.start()
        _commit(journal, run_id, writer, 0)
    finally:
        os._exit(1)


def _commit(journal: Journal, run_id: str, writer: int, first: int) -> None:
    for number in range(first, 1_000_000, 2):
        line = EventRecord(run_id=run_id, at=to_text(datetime.now(UTC)), kind=EventKind.REPORT, message=str(number))
        with journal.transaction() as transaction:
            transaction.save(line)
        os.write(writer, f"{number} ".encode())


def _drain(reader: int) -> str:
    parts = []
    while part := os.read(reader, 65536):
        parts.append(part)
    os.close(reader)
    return b"".join(parts).decode()


def kill_opening(make: Callable[[], Database], kills: int, seed: int) -> Outcome:
    """Kill children that make a journal; whatever they leave opens.

    Args:
        make: names a place where there is none yet.
        kills: how many.
        seed: draws the moments.
    """
    dice = random.Random(seed)
    outcome = Outcome()
    for number in range(kills):
        database = make()
        pid = os.fork()
        if pid == 0:
            try:
                Journal.open(database.place)
                time.sleep(1)
            finally:
                os._exit(0)
        time.sleep(dice.uniform(0, LONGEST_OPENING))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        outcome.counts["kills while it is made"] += 1
        try:
            journal = Journal.open(database.place)
            journal.runs()
            journal.close()
        except Exception as error:
            outcome.violations.append(f"kill {number}: it does not open: {error}")
        else:
            found = database.rows("SELECT version_num FROM alembic_version")
            if found != [(REVISION,)]:
                outcome.violations.append(f"kill {number}: revision {found}")
    return outcome
