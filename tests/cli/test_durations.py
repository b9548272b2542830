"""What a step is said to have taken: its work, not the time that a person took, nor the pauses in between."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from envagent.cli.documents.durations import PERSON, History
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.render.progress import Progress
from envagent.engine.clock import to_text
from envagent.engine.tables import EventKind, EventRecord, RunRecord, StageRecord
from envagent.steps import PROVISIONING
from tests.cli.conftest import Cli

BEGUN = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAN = f"{PERSON}the plan"


def at(minutes: float) -> datetime:
    return BEGUN + timedelta(minutes=minutes)


def event(kind: str, minutes: float, stage: str | None = None, message: str = "") -> EventRecord:
    detail = json.dumps({"status": "", "since": to_text(at(minutes)), "deadline": None})
    return EventRecord(run_id="r", at=to_text(at(minutes)), kind=kind, stage=stage, message=message, detail=detail)


def stage(
    key: str, begun: float, ended: float | None, *, attempts: int = 1, wait: str | None = None, since: float = 0
) -> StageRecord:
    step, _, name = key.partition(".")
    return StageRecord(
        run_id="r",
        step=step,
        stage=name,
        position=0,
        state="running" if ended is None else "succeeded",
        attempts=attempts,
        started_at=to_text(at(begun)),
        finished_at=None if ended is None else to_text(at(ended)),
        wait=wait,
        wait_since=None if wait is None else to_text(at(since)),
    )


def test_the_time_of_a_persons_answer_is_no_work() -> None:
    history = History(
        [
            event(EventKind.STAGE_WAITING, 2, "reserve_hardware.approve", PLAN),
            event(EventKind.RUN_APPROVED, 62),
            event(EventKind.STAGE_WAITING, 63, "reserve_hardware.reserve", f"{PERSON}gpu_v100: 24 SU"),
            event(EventKind.RUN_APPROVED, 93),
            event(EventKind.STAGE_WAITING, 93, "reserve_hardware.reserve", "the lease to start"),
        ]
    )
    rows = [
        stage("reserve_hardware.plan", 0, 2),
        stage("reserve_hardware.approve", 2, 62, wait=PLAN, since=2),
        stage("reserve_hardware.reserve", 62, 95, wait="the lease to start", since=93),
    ]
    assert history.step_seconds(rows) == (2 + 3) * 60


def test_a_journal_without_events_tells_the_last_wait() -> None:
    rows = [stage("reserve_hardware.approve", 2, 62, wait=PLAN, since=2.5)]
    assert History().step_seconds(rows) == 30


def test_pauses_between_stages_and_before_a_resume_are_no_work() -> None:
    rows = [stage("ensure_keypair.choose", 0, 1), stage("ensure_keypair.register", 100, 101)]
    assert History().step_seconds(rows) == 120
    again = [stage("launch_server.launch", 0, 600, attempts=2)]
    assert History([event(EventKind.RUN_RESUMED, 590)]).step_seconds(again) == 600
    done_before = [stage("launch_server.launch", 0, 10)]
    assert History([event(EventKind.RUN_RESUMED, 590)]).step_seconds(done_before) == 600


def test_an_answer_after_a_resume_counts_from_there() -> None:
    history = History(
        [
            event(EventKind.STAGE_WAITING, 1, "reserve_hardware.approve", PLAN),
            event(EventKind.RUN_RESUMED, 500),
            event(EventKind.STAGE_WAITING, 501, "reserve_hardware.approve", PLAN),
            event(EventKind.RUN_APPROVED, 560),
        ]
    )
    assert history.step_seconds([stage("reserve_hardware.approve", 1, 561, attempts=2, wait=PLAN, since=1)]) == 120


def test_the_steps_that_wait_for_a_person_say_so_in_these_words(cli: Cli, repository: Path, real_cloud: str) -> None:
    """And what a person sees on the terminal and in the status leaves the answer's time out."""
    screen = cli.on_terminal("run", str(repository), "--cloud", real_cloud)
    screen.until("[y/N]")
    pause = 4.0
    time.sleep(pause)
    screen.type("y\n")
    assert screen.end() == 0
    document = cli("status", "last", "--json").document
    step = next(one for one in document["steps"] if one["name"] == "reserve_hardware")
    approve = next(one for one in step["stages"] if one["name"] == "approve")
    assert approve["wait"].startswith(PERSON)
    wall = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
    assert wall.total_seconds() - step["seconds"] >= pause
    keypair = next(one for one in document["steps"] if one["name"] == "ensure_keypair")
    wall = datetime.fromisoformat(keypair["finished_at"]) - datetime.fromisoformat(keypair["started_at"])
    assert wall.total_seconds() - keypair["seconds"] >= pause
    assert cli("teardown", document["run_id"], "--yes").code == 0


def test_the_board_stops_the_clock_while_a_person_is_asked() -> None:
    board = Progress([StageRecord(run_id="r", step="reserve_hardware", stage=name, position=0) for name in ("a", "b")])
    [step] = board.steps.values()
    assert step.seconds(at(0)) is None
    board.take(event(EventKind.STAGE_STARTED, 0, "reserve_hardware.a"))
    board.take(event(EventKind.STAGE_WAITING, 1, "reserve_hardware.a", PLAN))
    assert step.seconds(at(50)) == 60
    board.take(event(EventKind.RUN_APPROVED, 61))
    assert step.seconds(at(62)) == 120
    board.take(event(EventKind.STAGE_SUCCEEDED, 62, "reserve_hardware.a"))
    assert step.seconds(at(99)) == 120
    board.take(event(EventKind.STAGE_STARTED, 99, "reserve_hardware.b"))
    board.take(event(EventKind.STAGE_FAILED, 100, "reserve_hardware.b", "no node"))
    assert (step.seconds(at(200)), step.failure) == (180, "no node")


def test_a_run_that_is_taken_up_is_timed_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envagent.cli.render.times.now", lambda: at(500))
    board = Progress([stage("launch_server.launch", 0, None, attempts=2)])
    assert board.steps["launch_server"].seconds(at(501)) == 60


def test_a_step_whose_result_was_lost_afterwards_shows_the_failure() -> None:
    failure = {
        "error": "ResourceLost",
        "message": "lease x was deleted by somebody",
        "hint": "",
        "exit_code": 6,
        "stage": "reserve_hardware.reserve",
    }
    run = RunRecord(
        run_id="r",
        pipeline="provisioning",
        state="failed",
        created_at=to_text(BEGUN),
        updated_at=to_text(BEGUN),
        request='{"repository": "/x"}',
        error=json.dumps(failure),
    )
    rows = StoredRun(row=run, working=False, stages=[stage(key, 0, 1) for key in PROVISIONING.stages])
    steps = {one.name: one for one in run_document(rows).steps}
    failed = steps.pop("reserve_hardware")
    assert failed.error is not None
    assert (failed.state, failed.error.message, failed.seconds) == ("failed", failure["message"], 180)
    assert {one.state for one in steps.values()} == {"succeeded"}
