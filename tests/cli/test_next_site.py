"""With `--site any`, a site that refuses is followed by the next, wherever the process is killed; never two leases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envagent.cli.run_session import RunSession
from envagent.cli.teardown_session import TeardownSession
from envagent.engine.runner import Runner
from tests.cli.conftest import Cli, Sandbox
from tests.kit.commands import Ended

REFUSED = {"action": "no_capacity", "site": "tacc"}


def stopped(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, call: int, after: bool) -> None:
    """End the process as by a kill, before or after a call of a method."""
    method, calls = getattr(owner, name), [0]

    def stop(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == call and not after:
            raise KeyboardInterrupt
        result = method(*arguments, **more)
        if calls[0] == call:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, name, stop)


MOMENTS: dict[str, tuple[type, str, int, bool]] = {
    "the next run is noted": (TeardownSession, "remove", 1, False),
    "the first is torn down": (TeardownSession, "remove", 1, True),
    "the next is begun": (Runner, "begin", 2, True),
    "the next has a server": (RunSession, "go", 2, True),
}
"""After what the process is killed."""

START = ("--cloud", "sandbox", "--site", "any", "--name", "any-site", "--json")


def check_moved(cli: Cli, sandbox: Sandbox, ended: Ended, first: str) -> None:
    """Check that a run followed at the other site, and that the first one has nothing left."""
    assert ended.code == 0, ended.err
    document = ended.document
    assert (document["site"], document["name"], document["state"]) == ("CHI@UC", "any-site", "succeeded")
    [decision] = [one for one in document["decisions"] if one["name"] == "site"]
    assert decision["reason"].startswith("CHI@TACC refused: no suitable node can be reserved now")
    assert cli("status", first, "--json").document["state"] == "torn_down"
    assert "lease" not in {kind for _, kind in sandbox.writes(first)}
    assert sandbox.writes(document["run_id"]).count(("POST", "lease")) == 1


def first_run(ended: Ended) -> str:
    return ended.err.partition("\nrun ")[2].split()[0]


def test_the_next_site_is_taken_when_one_refuses(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.faults(REFUSED)
    ended = cli("run", str(repository), *START)
    first = first_run(ended)
    assert first != ended.document["run_id"]
    check_moved(cli, sandbox, ended, first)
    assert cli("explain", "any-site").out.partition("Site, ")[2].startswith("decided by the built-in rules")
    assert cli("teardown", "any-site").code == 0


@pytest.mark.sweep(points=lambda plan: list(MOMENTS), bounded=2)
def test_it_is_taken_wherever_the_process_is_killed(
    point: str, cli: Cli, repository: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, call, after = MOMENTS[point]
    sandbox.faults(REFUSED)
    with monkeypatch.context() as killed:
        stopped(killed, owner, name, call=call, after=after)
        ended = cli("run", str(repository), *START)
    assert ended.code == 130
    first = first_run(ended)
    resumed = cli("resume", first, "--json")
    check_moved(cli, sandbox, resumed, first)
    assert cli("resume", first, "--json").document["run_id"] == resumed.document["run_id"]
    assert cli("teardown", "any-site").code == 0


@pytest.mark.sweep(points=lambda plan: ["everywhere"], bounded=1)
def test_when_all_refuse_the_last_says_so_and_nothing_is_reserved(
    point: str, cli: Cli, repository: Path, sandbox: Sandbox
) -> None:
    sandbox.faults({"action": "no_capacity"})
    ended = cli("run", str(repository), "--cloud", "sandbox", "--site", "any", "--json")
    assert (ended.code, ended.document["site"], ended.document["lease"]) == (5, "CHI@UC", None)
    assert cli("teardown", ended.document["run_id"]).code == 0
