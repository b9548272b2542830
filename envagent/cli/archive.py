"""Put runs away that hold nothing: lists leave them out, and every command that names one still finds it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from envagent.cli.home import Home
from envagent.cli.render import times
from envagent.engine.clock import to_text
from envagent.engine.journal import Journal
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import OVER, IntentRecord, RunRecord
from envagent.errors import RunStateError, UsageError
from envagent.hints import Hint, Option, teardown

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_age(text: str) -> timedelta:
    """Parse an age such as `90d`.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if found is None:
        raise UsageError(f"not a valid age: {text}", hint=Hint("for example", Option("older_than", "90d")))
    return int(found[1]) * UNITS[found[2]]


def archive(home: Home, journal: Journal, names: Sequence[str], age: timedelta | None, *, undo: bool) -> list[str]:
    """Archive runs, or take them back, and return their ids.

    Args:
        home: where the runs are.
        journal: their journal.
        names: ids of runs, or their first characters; each must be one that can be archived.
        age: also those that can be archived and have not changed for so long.
        undo: whether to take back instead.

    Raises:
        RunNotFound: there is no such run.
        RunStateError: a named run is worked on, or may have resources in the cloud.
    """
    chosen = [journal.run(name) for name in names]
    if not undo:
        for row in chosen:
            _check(home, journal, row)
    if age is not None:
        old = journal.runs(RunQuery(unchanged_since=to_text(times.now() - age), archived=undo))
        chosen += [row for row in old if row.archived_at is not None] if undo else _holding_nothing(home, journal, old)
    ids = list(dict.fromkeys(row.run_id for row in chosen))
    journal.archive(ids, None if undo else to_text(times.now()))
    return ids


def _check(home: Home, journal: Journal, row: RunRecord) -> None:
    if not _holding_nothing(home, journal, [row]):
        what = "is being worked on" if home.is_worked_on(row.run_id) else "may have resources in the cloud"
        error = RunStateError(
            f"run {row.run_id} {what}; it is not archived", hint=Hint("remove them first:", teardown())
        )
        error.run_id = row.run_id
        raise error


def _holding_nothing(home: Home, journal: Journal, rows: Sequence[RunRecord]) -> list[RunRecord]:
    """Select the runs that nobody works on, and that are torn down, moved away or have never requested anything."""
    unclear = [row.run_id for row in rows if row.state not in OVER]
    requested = {one.run_id for one in journal.selected(IntentRecord, unclear)}
    return [row for row in rows if row.run_id not in requested and not home.is_worked_on(row.run_id)]
