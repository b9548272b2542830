"""The demo: it leaves nothing behind, and what --kill-at kills can be resumed."""

from __future__ import annotations

import json
import signal

from tests.cli.conftest import Cli, Sandbox


def test_it_ends_with_nothing_left(cli: Cli, sandbox: Sandbox) -> None:
    ended = cli("demo")
    assert ended.code == 0, ended.err
    assert "GPU 0: Quadro RTX 6000" in ended.err and "nothing is left" in ended.err
    run = json.loads(cli("status", "last", "--json").out)
    assert (run["state"], run["node_type"]) == ("torn_down", "gpu_rtx_6000")
    made = [kind for method, kind in sandbox.writes(run["run_id"]) if method == "POST"]
    removed = [kind for method, kind in sandbox.writes(run["run_id"]) if method == "DELETE"]
    assert sorted(made) == sorted(removed) and len(made) == 3


def test_what_it_kills_is_adopted_by_resume(cli: Cli, sandbox: Sandbox) -> None:
    child = cli.start("demo", "--kill-at", "launch_server")
    assert child.wait() == -signal.SIGKILL
    resumed = cli("resume", "last", "--json")
    run = json.loads(resumed.out)
    assert run["state"] == "succeeded"
    assert [one["ownership"] for one in run["resources"] if one["kind"] == "server"] == ["adopted"]
    assert sandbox.writes(run["run_id"]).count(("POST", "server")) == 1
    assert cli("teardown", "last").code == 0


def test_a_step_that_does_not_exist(cli: Cli) -> None:
    ended = cli("demo", "--kill-at", "lunch")
    assert ended.code == 2
    assert "a run has no step 'lunch'" in ended.err and "launch_server" in ended.err
