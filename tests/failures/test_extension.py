"""A lease is extended once and by what was asked, whatever happens to the request, or it is said why not."""

from __future__ import annotations

from datetime import datetime, timedelta

from envagent.sandbox import read_log
from tests.failures.conftest import Shell
from tests.kit.by_hand import host_lease

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
