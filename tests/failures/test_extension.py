"""A lease is extended once and by what was asked, whatever happens to the request, or it is said why not."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

import pytest

from envagent.sandbox import read_log
from tests.failures.conftest import Shell
from tests.kit.by_hand import host_lease

pytestmark = pytest.mark.scenario

BLAZAR = {"service": "blazar", "method": "PUT", "path": "/leases/"}


def test_an_extension_through_lost_responses_and_up_to_the_next_reservation(shell: Shell) -> None:
    up = shell.run("--node-type", "gpu_a100_nvlink", "--hours", "4")
    assert up.code == 0, up.err
    lease = up.document["lease"]["id"]
    end = datetime.fromisoformat(up.document["lease"]["end_date"])

    def extended(*arguments: str) -> datetime:
        done = shell("extend", "last", *arguments)
        assert done.code == 0, done.err
        shown = datetime.fromisoformat(done.document["lease"]["end_date"])
        there = shell.act("blazar", "GET", f"/leases/{lease}")["lease"]["end_date"]
        assert there == shown.strftime("%Y-%m-%dT%H:%M:%S.%f")
        return shown

    shell.faults({**BLAZAR, "action": "commit_then_drop", "nth": 1})
    assert extended("2h") == end + timedelta(hours=2)
    shell.faults({**BLAZAR, "action": "drop", "nth": 1})
    assert extended("90m") == end + timedelta(hours=3, minutes=30)
    shell.faults()
    assert [one["method"] for one in read_log(shell.home) if one["id"] == lease] == ["POST", "PUT", "PUT"]
    cost = shell("status", "last").document["cost"]
    assert (cost["su_per_hour"], cost["su_estimate"]) == (16, 16 * 7.5)

    following = end + timedelta(hours=5)
    begin, until = following, following + timedelta(hours=3)
    dates = [one.strftime("%Y-%m-%d %H:%M") for one in (begin, until)]
    other = host_lease("next", dates[1], start=dates[0], node_type="gpu_a100_nvlink")
    shell.act("blazar", "POST", "/leases", other, who="other")
    refused = shell("extend", "last", "3h")
    assert refused.code == 5
    latest = f"{following - timedelta(minutes=5):%Y-%m-%d %H:%M} UTC"
    assert f"its node is reserved by others then; it can end at {latest} at the latest" in refused.err
    assert shell("status", "last").document["lease"]["end_date"] == (end + timedelta(hours=3.5)).isoformat()
    assert shell("extend", "last", "7d").code == 2
    assert shell("teardown", "last").code == 0
    assert shell("extend", "last", "1h").code == 10


def test_a_repeated_extension_finishes_the_one_whose_success_was_not_reported(shell: Shell) -> None:
    up = shell.run("--hours", "4").document
    end = datetime.fromisoformat(up["lease"]["end_date"])
    puts = [one["method"] for one in read_log(shell.home)].count("PUT")

    shell.faults({"service": "blazar", "method": "GET", "path": "/leases/", "action": "drop", "from": 2})
    cut = shell("extend", "last", "6h")
    assert cut.code == 7
    shell.faults()
    again = shell("extend", "last", "6h")
    assert again.code == 0 and "by a command that was interrupted; no other was added" in again.err
    assert datetime.fromisoformat(again.document["lease"]["end_date"]) == end + timedelta(hours=6)
    more = shell("extend", "last", "6h")
    assert more.code == 0 and "interrupted" not in more.err
    assert datetime.fromisoformat(more.document["lease"]["end_date"]) == end + timedelta(hours=12)

    until = (end + timedelta(hours=15)).isoformat()
    for told in ("", "Nothing to do: the lease ends "):
        done = shell("extend", "last", "--until", until)
        assert done.code == 0 and told in done.err
        assert datetime.fromisoformat(done.document["lease"]["end_date"]) == end + timedelta(hours=15)
    assert [one["method"] for one in read_log(shell.home)].count("PUT") == puts + 3
    assert shell("extend", "last", "6h", "--until", until).code == shell("extend", "last").code == 2
    assert shell("teardown", "last").code == 0


def test_a_lease_that_has_not_started_is_extended(shell: Shell) -> None:
    start = datetime.now(UTC) + timedelta(days=1)
    running = shell.start("--hours", "4", "--start", start.isoformat(timespec="minutes"))
    running.wait_for("waiting for the lease to start")
    running.send(signal.SIGINT)
    stopped = running.wait().document
    end = datetime.fromisoformat(stopped["lease"]["end_date"])
    longer = shell("extend", "last", "6h")
    assert longer.code == 0, longer.err
    assert datetime.fromisoformat(longer.document["lease"]["end_date"]) == end + timedelta(hours=6)
    cost = longer.document["cost"]
    assert (cost["phase"], cost["su_estimate"]) == ("not_begun", cost["su_per_hour"] * 10)
    assert shell("extend", "last", "2d").code == 0
    early = shell("extend", "last", "1h")
    assert early.code == 5 and "extend it once it has started, or tear the run down" in early.err
    assert shell("teardown", "last").code == 0
