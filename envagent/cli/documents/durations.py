"""How long a step has worked, and how long it usually takes: neither pauses nor a person's time to answer count.

Neither does the time until a run was resumed: a stage that was started again is timed from there.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import datetime

from envagent.cli.render import times
from envagent.engine.journal import Journal
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import EventKind, EventRecord, RunState, StageRecord

PERSON = "approval of "
"""The prefix of every wait for a person's answer."""

Interval = tuple[datetime, datetime]


class History:
    """The times at which nothing was worked on, from a run's events.

    Args:
        events: oldest first; without them, only a stage's last wait is known.
    """

    def __init__(self, events: Iterable[EventRecord] = ()) -> None:
        self._resumed: list[datetime] = []
        self._asked: dict[str, list[Interval]] = {}
        """Stage key to the times at which a person was asked."""
        pending: dict[str, datetime] = {}
        for event in events:
            at = datetime.fromisoformat(event.at)
            if event.kind == EventKind.RUN_RESUMED:
                self._resumed.append(at)
                pending.clear()
            elif event.kind == EventKind.STAGE_WAITING and event.stage is not None and event.message.startswith(PERSON):
                pending.setdefault(event.stage, at)
            elif event.kind == EventKind.RUN_APPROVED:
                for stage, since in pending.items():
                    self._asked.setdefault(stage, []).append((since, at))
                pending.clear()

    def seconds(self, row: StageRecord, until: datetime | None = None) -> float | None:
        """Return how long a stage worked; None before it starts, and before it ends unless `until` is given."""
        started, finished = times.parsed(row.started_at), times.parsed(row.finished_at) or until
        if started is None or finished is None:
            return None
        restarted = max([started, *(one for one in self._resumed if row.attempts > 1 and started < one <= finished)])
        asked = self._asked.get(f"{row.step}.{row.stage}", [])
        since = times.parsed(row.wait_since)
        if not asked and row.wait is not None and row.wait.startswith(PERSON) and since is not None:
            asked = [(since, finished)]
        idle = sum(max(0.0, (min(end, finished) - max(since, restarted)).total_seconds()) for since, end in asked)
        return max(0.0, (finished - restarted).total_seconds() - idle)

    def step_seconds(self, rows: Iterable[StageRecord], until: datetime | None = None) -> float | None:
        """Return the sum over a step's stages; None before any of them is done."""
        known = [one for one in (self.seconds(row, until) for row in rows) if one is not None]
        return sum(known) if known else None


MOST_RUNS = 10
SHORTEST = 5.0
"""Seconds; a quicker step needs no estimate."""


def typical_seconds(journal: Journal, cloud: str | None) -> dict[str, float]:
    """Return the usual seconds by step, from the last successful runs on a cloud; only for longer steps."""
    same = RunQuery(states=(RunState.SUCCEEDED, RunState.TORN_DOWN), labels={"cloud": cloud}, archived=True)
    taken: dict[str, list[float]] = {}
    for run in journal.runs(same, limit=MOST_RUNS):
        history = History(journal.events(run.run_id))
        steps: dict[str, list[StageRecord]] = {}
        for row in journal.stages(run.run_id):
            steps.setdefault(row.step, []).append(row)
        for name, rows in steps.items():
            seconds = history.step_seconds(rows)
            if seconds is not None and all(row.attempts == 1 and row.finished_at is not None for row in rows):
                taken.setdefault(name, []).append(seconds)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return {name: median for name, median in medians.items() if median >= SHORTEST}
