"""Repairs of failed steps on a real node, by an AI of the test's own: each command runs once, whatever is killed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from envagent.environment.setup_plan import SetupPlan, SetupStep
from tests.kit.chat import ChatServer, said
from tests.node.conftest import SetUp, begin
from tests.node.debian import Node
from tests.sweeps import Plan

pytestmark = pytest.mark.timeout(600)  # the first test makes the root, too

CALLS = 22
"""At least as many exchanges as the set-up of `broken` has with its node."""

_numbers = itertools.count()


def broken(run_id: str, check: str) -> SetupPlan:
    """Make a plan whose first step makes the environment, and fails until the check succeeds."""
    script = f'echo try >>~/{run_id}; [ ! -e "$HOME/{run_id}.clone/.venv" ] || echo remains >>~/{run_id}; '
    script += f'mkdir -p "$HOME/{run_id}.clone/.venv"; {check} || {{ echo no fixture; exit 3; }}'
    step = SetupStep(name="one", phase="environment", title="make it", commands=(("bash", "-c", script),))
    return SetupPlan(url="https://github.com/owner/toy", commit=None, name=f"{run_id}.clone", steps=(step,))


@contextmanager
def repairing(
    folder: Path, node: Node, run_id: str, plan: SetupPlan, command: str
) -> Iterator[tuple[SetUp, ChatServer]]:
    server = ChatServer(lambda _: said({"command": command, "reasoning": "It is missing."}))
    set_up = begin(folder, node, run_id, plan)
    (folder / "ai.json").write_text(json.dumps({"url": server.url}))
    yield set_up, server
    server.close()


def exchanges(plan: Plan) -> list[str]:
    return [f"{when} {number}" for number in range(5, CALLS + 1) for when in ("before", "after")]


@pytest.mark.sweep(points=exchanges, bounded=2)
def test_a_kill_while_a_step_is_repaired(point: str, node: Node, tmp_path: Path) -> None:
    run_id = f"repair{next(_numbers)}"
    command = f"echo repaired >>~/{run_id}; touch ~/{run_id}.fixture"
    plan = broken(run_id, f"[ -e ~/{run_id}.fixture ]")
    with repairing(tmp_path / "one", node, run_id, plan, command) as (set_up, server):
        killed, said_first = set_up.work(*point.split())
        assert killed in (-9, 0), said_first
        assert killed == -9 or int(point.split()[1]) > 12
        code, said_last = set_up.work()
        assert code == 0, said_last
    lines = node.run(f"cat {run_id}").output.splitlines()
    assert lines.count("repaired") == 1 and "remains" not in lines[lines.index("repaired") :], lines
    assert 2 <= lines.count("try") <= 3 and lines[-1] == "try"
    assert "no fixture" in server.requests[0]["messages"][1]["content"]


@pytest.mark.sweep(points=lambda plan: ["five"], bounded=1)
def test_a_set_up_is_repaired_five_times_at_most(point: str, node: Node, tmp_path: Path) -> None:
    run_id = f"repair{next(_numbers)}"
    with repairing(tmp_path / "one", node, run_id, broken(run_id, "false"), f"echo repaired >>~/{run_id}") as given:
        set_up, server = given
        code, words = set_up.work()
        assert (code, words.count("the AI proposes")) == (1, 5), words
        assert set_up.work()[0] == 1
        assert len(server.requests) == 5
    lines = node.run(f"cat {run_id}").output.splitlines()
    assert (lines.count("repaired"), lines.count("try")) == (5, 7)
