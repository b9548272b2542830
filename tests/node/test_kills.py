"""Kills of whoever works on a set-up: no step runs twice, and none is lost.

Each step appends its number to a file on the node, at its beginning and at its end.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from envagent.environment.setup_plan import PHASES, SetupPlan, SetupStep
from tests.node.conftest import begin
from tests.node.debian import Node
from tests.sweeps import Plan

pytestmark = pytest.mark.timeout(600)  # the first test makes the root, too

CALLS = 24
"""At least as many exchanges as a set-up of `plan_of` has with its node."""

_numbers = itertools.count()


def plan_of(run_id: str, seconds: float) -> SetupPlan:
    """Make a plan with one step in each phase."""
    steps = []
    for number, phase in enumerate(PHASES[:4], 1):
        script = f"echo begin {number} >>~/{run_id}; sleep {seconds}; echo end {number} >>~/{run_id}"
        steps.append(SetupStep(name=f"step-{number}", phase=phase, title=phase, commands=(("bash", "-c", script),)))
    return SetupPlan(url="https://github.com/owner/toy", commit=None, name="toy", steps=tuple(steps))


def exchanges(plan: Plan) -> list[str]:
    return [f"{when} {number}" for number in range(1, CALLS + 1) for when in ("before", "after")]


def once(node: Node, run_id: str) -> bool:
    wanted = [f"{word} {number}" for number in range(1, 5) for word in ("begin", "end")]
    return node.run(f"cat {run_id}").output.splitlines() == wanted


@pytest.mark.sweep(points=exchanges, bounded=2)
def test_a_kill_at_an_exchange(point: str, node: Node, tmp_path: Path) -> None:
    run_id = f"exchange{next(_numbers)}"
    set_up = begin(tmp_path / "one", node, run_id, plan_of(run_id, 0.05))
    killed, _ = set_up.work(*point.split())
    assert killed in (-9, 0), "a set-up has fewer exchanges, or was killed at this one"
    assert killed == -9 or int(point.split()[1]) > 14
    code, said = set_up.work()
    assert code == 0, said
    assert once(node, run_id)


@pytest.mark.sweep(points=lambda plan: [0.6, 1.4, 2.2, 3.0, 3.8], bounded=1)
def test_a_kill_inside_a_step_together_with_its_connection(point: float, node: Node, tmp_path: Path) -> None:
    run_id = f"inside{next(_numbers)}"
    set_up = begin(tmp_path / "one", node, run_id, plan_of(run_id, 1.0))
    with set_up.start() as process:
        time.sleep(point)
        process.kill()
        process.communicate()
    node.run("pkill -u cc sshd; true")
    code, said = set_up.work()
    assert code == 0, said
    assert once(node, run_id)


@pytest.mark.sweep(points=lambda plan: ["reboot"], bounded=1)
def test_a_step_that_vanishes_is_reported_and_tried_again(point: str, node: Node, tmp_path: Path) -> None:
    """As after a reboot: all processes of the step are gone, and nobody wrote its exit status."""
    run_id = f"vanish{next(_numbers)}"
    plan = plan_of(run_id, 0.05)
    long = f"echo begin 2 >>~/{run_id}; mkdir ~/{run_id}.d && sleep 100; echo end 2 >>~/{run_id}"  # the first time
    second = plan.steps[1].model_copy(update={"commands": (("bash", "-c", long),)})
    steps = (plan.steps[0], second, *plan.steps[2:])
    set_up = begin(tmp_path / "one", node, run_id, plan.model_copy(update={"steps": steps}))
    with set_up.start() as process:
        while "begin 2" not in node.run(f"cat {run_id}").output:
            time.sleep(0.2)
        node.run("pkill -9 -f '[s]upervise.sh carry'; pkill -9 -x timeout; pkill -9 -x sleep; true")
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "was killed, or the server was restarted" in said
    code, said = set_up.work()
    assert code == 0, said
    assert node.run(f"cat {run_id}").output.splitlines().count("begin 2") == 2
    assert node.run(f"cat {run_id}").output.splitlines().count("begin 1") == 1
