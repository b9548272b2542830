"""What is said of leases, charges and logins is computed from what exists, and says how old the word is."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from envagent.cli.documents.costs import latest
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.engine.clock import to_text
from envagent.engine.journal import Journal
from envagent.engine.tables import ResourceRecord
from tests.cli.conftest import ROOT, Cli, Sandbox

STORED = ROOT / "tests" / "fixtures" / "journals" / "0001.db"
RUN = "ynzh4tdvb7"
"""A run of an earlier version: succeeded, its lease for 12 h at 1 SU/h."""
BEGIN = datetime(2026, 11, 23, 14, 28, tzinfo=UTC)
END = BEGIN + timedelta(hours=12)
LOGIN = "ssh -i "

At = Callable[[datetime], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Set the clock that a person's words are computed by."""
    return lambda moment: monkeypatch.setattr("envagent.cli.render.times.now", lambda: moment)


@pytest.fixture
def stored(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A home with the stored journal."""
    home = tmp_path / "stored"
    home.mkdir(mode=0o700)
    shutil.copy(STORED, home / "journal.db")
    monkeypatch.setenv("ENVAGENT_HOME", str(home))
    return cli


def test_while_the_lease_runs_its_end_and_the_login_are_shown(stored: Cli, at: At) -> None:
    at(BEGIN + timedelta(hours=3))
    shown = stored("status", RUN).out
    assert LOGIN in shown
    assert "lease ends   Tue 24 Nov 2026 02:28 UTC, in 9 h 00 min" in shown
    assert "12 SU for the whole lease (1 SU/h), 3 SU so far" in shown
    assert f"last checked 2 h ago; to check again: envagent status {RUN} --refresh" in shown
    document = stored("status", RUN, "--json").document
    assert (document["cost"]["phase"], document["cost"]["charged_now"]) == ("running", True)
    assert (document["cost"]["su_per_hour_now"], document["cost"]["hours_so_far"]) == (1.0, 3.0)
    assert document["looked_at"].startswith("2026-11-23T14:28:38")


def test_after_the_end_of_the_lease_no_login_is_printed_and_nothing_is_charged(stored: Cli, at: At) -> None:
    at(END + timedelta(days=1))
    shown = stored("status", RUN).out
    assert LOGIN not in shown
    assert "lease ended  Tue 24 Nov 2026 02:28 UTC, 1 d 0 h ago" in shown
    assert "used         12 SU in 12 h" in shown
    assert "last checked 1 d ago" in shown
    assert "ended with its lease" in shown
    document = stored("status", RUN, "--json").document
    assert document["ssh"] is None
    assert (document["server"]["status"], document["lease"]["status"]) == (None, None)
    assert (document["cost"]["phase"], document["cost"]["charged_now"]) == ("ended", False)
    assert (document["cost"]["su_so_far"], document["cost"]["su_per_hour_now"]) == (12.0, 0)
    ended = {one["kind"]: one["ended_at"] is not None for one in document["resources"]}
    assert ended == {"keypair": False, "lease": True, "server": True, "floating_ip": False}


def test_the_list_says_when_each_run_was_looked_at_and_whether_its_lease_is_over(stored: Cli, at: At) -> None:
    at(END + timedelta(hours=2))
    line = next(one for one in stored("status").out.splitlines() if one.startswith(RUN))
    assert "ended 2 h ago" in line and "12 used" in line
    assert line.endswith(", checked 13 h ago")
    at(BEGIN + timedelta(hours=2))
    line = next(one for one in stored("status").out.splitlines() if one.startswith(RUN))
    assert "ends in 10 h" in line and "10 left" in line


def test_a_torn_down_run_says_what_it_used(cli: Cli, repository: Path) -> None:
    run_id = cli.run(repository)["run_id"]
    removed = cli("teardown", run_id)
    assert "used         0" in removed.err
    shown = cli("status", run_id).out
    assert "lease ends" not in shown
    assert "for the whole lease" not in shown
    assert "so far" not in shown
    assert "lease        removed " in shown
    assert "SU in 0" in shown
    document = cli("status", run_id, "--json").document
    assert document["cost"]["phase"] == "removed"
    assert document["cost"]["lease_removed_at"] is not None
    assert document["cost"]["charged_now"] is False
    listed = {one["run_id"]: one["lease_end"] for one in cli("status", "--json").document["runs"]}
    assert listed[run_id] is None


def test_a_lease_that_is_removed_is_not_charged_while_the_rest_is_still_there(
    cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_REMOVAL_TIMEOUT_SECONDS", "1")
    run_id = cli.run(repository)["run_id"]
    sandbox.faults({"action": "ignore_delete", "service": "nova", "path": "/os-keypairs/"})
    assert cli("teardown", run_id).code == 11
    shown = cli("status", run_id).out
    assert "lease        removed" in shown
    assert LOGIN not in shown
    listed = next(one for one in cli("status").out.splitlines() if one.startswith(run_id))
    assert "ends" not in listed
    assert "ended" not in listed
    again = cli("teardown", run_id)
    assert "still there 1 s after" in again.err
    assert "SU/h:" not in again.err
    sandbox.faults()
    assert cli("teardown", run_id).code == 0


def test_before_the_lease_begins_nothing_is_charged(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(1)
    begin = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    running = cli.start("run", str(repository), "--cloud", "sandbox", "--start", begin.isoformat())
    said = running.until("waiting for the lease to start")
    run_id = next(line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("run "))
    running.send(signal.SIGINT)
    assert running.wait() == 130
    assert "Still there:" in running.err
    assert "SU/h:" not in running.err
    shown = cli("status", run_id).out
    assert "lease starts " in shown
    assert "lease ends" not in shown
    document = cli("status", run_id, "--json").document
    assert (document["cost"]["phase"], document["cost"]["su_so_far"]) == ("not_begun", 0)
    assert document["cost"]["charged_now"] is False
    listed = next(one for one in cli("status").out.splitlines() if one.startswith(run_id))
    assert "starts in 2 h" in listed
    assert "used         0 SU in 0 h" in cli("teardown", run_id).err


def test_every_lease_of_the_run_counts(at: At, tmp_path: Path) -> None:
    """One went to ERROR and was removed after an hour, a second one of a lost request is still there."""
    shutil.copy(STORED, tmp_path / "journal.db")
    journal = Journal.open(tmp_path / "journal.db")
    rows = StoredRun.load(journal, journal.run(RUN), working=False)
    journal.close()
    more = [
        lease("first", BEGIN - timedelta(hours=2), END, removed=BEGIN - timedelta(hours=1)),
        lease("surplus", BEGIN, END),
    ]
    at(BEGIN + timedelta(hours=3))
    cost = run_document(replace(rows, resources=[*more, *rows.resources])).cost
    assert cost is not None
    assert (cost.su_so_far, cost.hours_so_far, cost.su_per_hour_now) == (7.0, 7.0, 2.0)


def test_a_lease_that_was_prolonged_is_told_by_its_new_end(at: At, tmp_path: Path) -> None:
    shutil.copy(STORED, tmp_path / "journal.db")
    journal = Journal.open(tmp_path / "journal.db")
    rows = StoredRun.load(journal, journal.run(RUN), working=False)
    journal.close()
    held = latest(rows.resources, "lease")
    assert held is not None
    held.detail = f'{{"end_date": "{to_text(END + timedelta(hours=6))}"}}'
    at(END + timedelta(hours=1))
    document = run_document(rows)
    assert document.ssh is not None
    assert document.cost is not None
    assert (document.cost.phase, document.cost.su_estimate, document.cost.su_so_far) == ("running", 18.0, 13.0)


def test_no_login_is_given_to_the_server_of_a_lease_that_somebody_deleted(at: At, tmp_path: Path) -> None:
    shutil.copy(STORED, tmp_path / "journal.db")
    journal = Journal.open(tmp_path / "journal.db")
    rows = StoredRun.load(journal, journal.run(RUN), working=False)
    journal.close()
    held = latest(rows.resources, "lease")
    assert held is not None
    held.state, held.removed_at = "absent", to_text(BEGIN + timedelta(hours=1))
    at(BEGIN + timedelta(hours=2))
    document = run_document(rows)
    assert document.ssh is None
    assert document.cost is not None
    assert (document.cost.phase, document.cost.su_so_far, document.cost.charged_now) == ("removed", 1.0, False)
    assert {one.kind for one in document.resources if one.ended_at is not None} == {"server"}


def test_a_cloud_that_did_not_answer_was_not_looked_at(at: At, tmp_path: Path) -> None:
    shutil.copy(STORED, tmp_path / "journal.db")
    journal = Journal.open(tmp_path / "journal.db")
    rows = StoredRun.load(journal, journal.run(RUN), working=False)
    journal.close()
    at(BEGIN + timedelta(hours=3))
    answered = run_document(rows).looked_at
    rows.row.state, rows.row.updated_at = "failed", to_text(BEGIN + timedelta(hours=2))
    for error, exit_code, looked_at in (
        ("CloudUnreachable", 7, answered),
        ("AuthenticationError", 4, answered),
        ("ServerFailed", 6, rows.row.updated_at),
    ):
        told = {"error": error, "message": "it failed", "hint": "", "exit_code": exit_code}
        rows.row.error = json.dumps(told)
        assert run_document(rows).looked_at[:19] == looked_at[:19]  # to the second
    rows.row.labels = json.dumps({"looked_at": to_text(BEGIN + timedelta(hours=2.5))})
    assert run_document(rows).looked_at == to_text(BEGIN + timedelta(hours=2.5))


def test_a_teardown_asks_about_what_was_there_when_it_was_last_looked_at(stored: Cli, at: At, real_cloud: str) -> None:
    at(BEGIN + timedelta(hours=3))
    ended = stored("teardown", RUN)
    assert ended.code == 2
    assert "Running when last checked, 2 h ago, 1 SU/h:" in ended.err
    at(END + timedelta(hours=3))
    later = stored("teardown", RUN).err
    assert "There when last checked, 14 h ago:" in later
    assert "SU/h:" not in later
    assert "crash-server" not in later
    assert "127.21.0.14" in later
    assert "used         12 SU in 12 h" in later


def lease(name: str, created: datetime, end: datetime, *, removed: datetime | None = None) -> ResourceRecord:
    return ResourceRecord(
        run_id=RUN,
        stage="reserve_hardware.reserve",
        kind="lease",
        cloud_id=name,
        name=name,
        ownership="owned",
        state="present" if removed is None else "absent",
        created_at=to_text(created),
        removed_at=None if removed is None else to_text(removed),
        detail=f'{{"end_date": "{to_text(end)}"}}',
    )
