"""How long steps usually take: the median over the last runs that succeeded on the same cloud, from the journal."""

from __future__ import annotations

import json
import statistics

from envagent.cli.durations import History
from envagent.engine.journal import Journal
from envagent.engine.tables import RunState, StageRecord

MOST_RUNS = 10
SHORTEST = 5.0
"""Seconds below which nobody wonders how long it will take."""


def usual_seconds(journal: Journal, cloud: str | None) -> dict[str, float]:
    """Give the usual seconds by step, for steps long enough to wait for."""
    same = [
        run
        for run in journal.runs()
        if run.state in (RunState.SUCCEEDED, RunState.TORN_DOWN) and json.loads(run.request).get("cloud") == cloud
    ]
    taken: dict[str, list[float]] = {}
    for run in same[:MOST_RUNS]:
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
