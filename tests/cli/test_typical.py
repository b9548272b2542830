"""How long a step usually takes comes from this machine's own past runs on the same cloud."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from envagent.cli.documents.durations import typical_seconds
from envagent.engine.clock import to_text
from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord, StageRecord

STARTED = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal.open(tmp_path / "journal.db")
    yield one
    one.close()


def past(
    journal: Journal, name: str, seconds: float, *, cloud: str = "chi", state: str = "succeeded", attempts: int = 1
) -> None:
    at = to_text(STARTED)
    row = RunRecord(
        run_id=name,
        pipeline="provisioning",
        state=state,
        created_at=at,
        updated_at=at,
        request="{}",
        labels=f'{{"cloud": "{cloud}"}}',
    )
    stages = [
        StageRecord(
            run_id=name,
            step=step,
            stage="do",
            position=position,
            state="succeeded",
            attempts=attempts,
            started_at=at,
            finished_at=to_text(STARTED + timedelta(seconds=took)),
        )
        for position, (step, took) in enumerate([("launch_server", seconds), ("find_network", 0.2)])
    ]
    with journal.transaction() as transaction:
        transaction.save(row, *stages)


def test_the_median_of_whole_runs_on_the_same_cloud(journal: Journal) -> None:
    for number, seconds in enumerate((600, 700, 5000)):
        past(journal, f"r{number}", seconds)
    past(journal, "elsewhere", 10, cloud="other")
    past(journal, "failed", 10, state="failed")
    past(journal, "again", 10, attempts=2)
    assert typical_seconds(journal, "chi") == {"launch_server": 700}
    assert typical_seconds(journal, "other") == {"launch_server": 10}
    assert typical_seconds(journal, None) == {}


def test_what_is_quick_needs_no_word(journal: Journal) -> None:
    past(journal, "r", 4)
    assert typical_seconds(journal, "chi") == {}


def test_a_persons_time_to_answer_is_nothing_to_expect_again(journal: Journal) -> None:
    past(journal, "r", 600)
    asked = to_text(STARTED + timedelta(seconds=20))
    answered = to_text(STARTED + timedelta(seconds=3020))
    approve = StageRecord(
        run_id="r",
        step="reserve_hardware",
        stage="approve",
        position=2,
        state="succeeded",
        attempts=1,
        started_at=asked,
        finished_at=answered,
        wait="approval of the plan",
        wait_since=asked,
    )
    plan = approve.model_copy(
        update={"stage": "plan", "position": 1, "started_at": to_text(STARTED), "finished_at": asked, "wait": None}
    )
    with journal.transaction() as transaction:
        transaction.save(plan, approve)
    assert typical_seconds(journal, "chi") == {"launch_server": 600, "reserve_hardware": 20}
