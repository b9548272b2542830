"""The list of runs: bounded by its limit however many there are, selected by what is asked for, with what runs out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from envagent.cli.documents.json_models import RunsDocument
from envagent.cli.documents.run_list import RunFilter, runs_document
from envagent.engine.clock import to_text
from envagent.engine.journal import Journal
from envagent.engine.tables import IntentRecord, Record, ResourceRecord, RunRecord, StageRecord
from tests.cli.conftest import Cli

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OLDEST = 40


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """Forty runs, one a day; the oldest has a lease for another hour, all others had one for 12 h."""
    monkeypatch.setattr("envagent.cli.render.times.now", lambda: NOW)
    one = Journal.open(tmp_path / "journal.db")
    with one.transaction() as transaction:
        for days in range(OLDEST):
            transaction.save(*a_run(days, hours=12))
        transaction.save(*a_run(OLDEST, hours=24 * OLDEST + 1))
    yield one
    one.close()


def a_run(days: int, *, hours: int) -> list[Record]:
    run_id, began = f"run{days:07}", NOW - timedelta(days=days)
    at = to_text(began)
    end = began + timedelta(hours=hours)
    state = ("running", "interrupted", "failed", "succeeded", "torn_down")[days % 5]
    labels = {"repository": f"https://github.com/me/toy{days % 2}", "cloud": "chi", "site": "CHI@UC"}
    plan = {
        "hours": hours,
        "start": None,
        "placement": {"candidates": [{"node_type": {"name": "gpu_v100"}, "su_per_hour": 2.0}]},
    }
    lease = ResourceRecord(
        run_id=run_id,
        stage="reserve_hardware.reserve",
        kind="lease",
        cloud_id=f"lease{days}",
        name="lease",
        ownership="owned",
        state="present",
        created_at=at,
        detail=json.dumps({"start_date": at, "end_date": to_text(end)}),
    )
    intent = IntentRecord(
        run_id=run_id,
        stage=lease.stage,
        kind="lease",
        number=1,
        name="lease",
        request='{"node_type": "gpu_v100", "hours": 12}',
        state="done",
        attempt=1,
        sent_at=at,
        cloud_id=lease.cloud_id,
    )
    row = RunRecord(
        run_id=run_id,
        pipeline="provisioning",
        state=state,
        created_at=at,
        updated_at=at,
        request="{}",
        labels=json.dumps(labels),
        teardown_at=at if state == "torn_down" else None,
    )
    stage = StageRecord(
        run_id=run_id, step="reserve_hardware", stage="plan", position=0, model="Plan", output=json.dumps(plan)
    )
    return [row, stage, lease, intent]


def listed(journal: Journal, limit: int | None = 5, *, worked_on: str = "", **chosen: object) -> RunsDocument:
    return runs_document(journal, lambda run_id: run_id == worked_on, RunFilter(**chosen), limit)  # type: ignore[arg-type]


def ids(document: RunsDocument) -> list[int]:
    return [int(one.run_id.removeprefix("run")) for one in document.runs]


def test_the_newest_are_listed_and_each_that_still_has_a_lease(journal: Journal) -> None:
    document = listed(journal)
    assert ids(document) == [0, 1, 2, 3, 4, OLDEST]  # the newest began just now
    assert document.more == OLDEST + 1 - 6
    assert ids(listed(journal, None)) == list(range(OLDEST + 1))
    assert listed(journal, None).more == 0


def test_a_lease_that_ends_soon_is_warned_of(journal: Journal) -> None:
    document = listed(journal)
    [warning] = document.warnings
    assert f"run{OLDEST:07} ends in 1 h 00 min" in warning
    assert warning.endswith(f"envagent extend run{OLDEST:07} 6h")
    first, old = document.runs[0].cost, document.runs[-1].cost
    assert first is not None and (first.su_so_far, first.su_left, first.hours_left) == (0, 24, 12)
    assert old is not None and (old.su_so_far, old.su_left, old.hours_left) == (1920, 2, 1)


@pytest.mark.parametrize("limit", [1, 5, 20])
def test_the_queries_are_as_many_however_long_the_list_is(journal: Journal, limit: int) -> None:
    statements: list[tuple[str, tuple[Any, ...]]] = []

    def count(connection: object, cursor: object, statement: str, values: tuple[Any, ...], *_: object) -> None:
        statements.append((statement, values))

    def is_worked_on(run_id: str) -> bool:
        checked.append(run_id)
        return False

    checked: list[str] = []
    event.listen(Engine, "before_cursor_execute", count)
    try:
        runs_document(journal, is_worked_on, RunFilter(), limit)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len(statements) == 6
    assert len(checked) == limit + 1
    plans = [
        row[3]
        for one, values in statements
        for row in journal.writer().cursor().execute(f"EXPLAIN QUERY PLAN {one}", values)
    ]
    assert len(plans) >= len(statements)
    assert not [plan for plan in plans if plan.startswith("SCAN") and "json_each" not in plan]


def test_what_is_asked_for_is_listed(journal: Journal) -> None:
    assert ids(listed(journal, 3, state="failed")) == [2, 7, 12]
    assert listed(journal, 3, state="failed").more == 5
    assert ids(listed(journal, 2, state="torn_down")) == [4, 9]
    assert ids(listed(journal, state="running", worked_on="run0000003")) == [3]
    assert ids(listed(journal, 3, state="interrupted")) == [0, 1, 5]
    assert ids(listed(journal, 3, state="interrupted", worked_on="run0000001")) == [0, 5, 6]
    assert set(ids(listed(journal, None, repository="ME/TOY1"))) == set(range(1, OLDEST, 2))
    assert ids(listed(journal, site="CHI@TACC")) == ids(listed(journal, cloud="other")) == []
    assert len(ids(listed(journal, None, site="CHI@UC", cloud="chi"))) == OLDEST + 1


def test_the_screen_says_how_many_more_there_are(cli: Cli, repository: Path) -> None:
    runs = [cli.run(repository, "--new")["run_id"] for _ in range(2)]
    shown = cli("status", "--limit", "1")
    first, rest = shown.out.splitlines()[1], shown.out.splitlines()[-3:]
    assert first.split()[1:4] == ["succeeded", "gpu_rtx_6000", "CHI@UC"]
    assert str(repository) in first
    assert any(line.startswith("Charged now: ") for line in rest)
    assert "No such runs." in cli("status", "--repo", "nosuchrepository").out
    assert cli("status", "last", "--limit", "1").code == 2
    for run_id in runs:
        assert cli("teardown", run_id).code == 0


def test_runs_that_hold_nothing_are_archived_and_still_found(
    cli: Cli, repository: Path, broken_repository: Path
) -> None:
    held = cli.run(repository)["run_id"]
    failed = cli("run", str(broken_repository), "--cloud", "sandbox", "--json").document["run_id"]

    def lists(*options: str) -> set[str]:
        return {one["run_id"] for one in cli("status", "--limit", "0", "--json", *options).document["runs"]}

    refused = cli("archive", failed, held, "--json")
    assert refused.code == 10 and f"run {held} may have resources" in refused.document["error"]["message"]
    assert lists() >= {held, failed}
    archived = cli("archive", "--older-than", "0h", "--json").document["runs"]
    assert failed in archived and held not in archived
    assert held in lists() and failed not in lists() and failed in lists("--archived")
    assert cli("status", failed).code == 0
    assert cli("archive", failed, "--undo").out == "Took back 1 run\n"
    assert failed in lists()
    assert cli("teardown", held).code == 0
    assert cli("archive", held).code == 0 and held not in lists()
    assert cli("archive").code == cli("archive", "--older-than", "soon").code == 2
