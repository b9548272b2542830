"""The calls for Python programs: the documents of `--json`, errors that are raised, and nothing that is asked."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

import envagent
from envagent.api import PlanPart
from envagent.errors import CapacityError, RunNotFound, RunStateError, UsageError
from tests.cli.conftest import Cli


def hint(error: pytest.ExceptionInfo[Any]) -> str:
    [note] = error.value.__notes__
    return str(note)


def test_a_run_from_start_to_teardown(cli: Cli, repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = envagent.run(repository, cloud="sandbox", ai=False, name="from-python")
    assert (run.state, run.cloud, run.name) == ("succeeded", "sandbox", "from-python")
    shown = capfd.readouterr()
    assert "launch_server: done" in shown.err
    assert shown.out == ""
    known = run.model_dump(mode="json", exclude={"cost"})  # it grows with time
    shown_by_command = cli("status", run.run_id, "--json").document
    assert known == {name: value for name, value in shown_by_command.items() if name != "cost"}
    assert envagent.status("from-python", refresh=True).resources == run.resources
    assert envagent.status().runs[0].run_id == run.run_id

    analyzed = envagent.analyze(repository, ai=False).model_dump(mode="json")
    shown_analysis = cli("analyze", str(repository), "--no-ai", "--json").document
    assert {**analyzed, "decision": None} == {**shown_analysis, "decision": None}
    longer = envagent.extend("from-python", "1h", progress=False)
    assert run.cost is not None and longer.cost is not None
    assert longer.cost.hours_left == pytest.approx(run.cost.hours_left + 1, abs=0.1)
    assert envagent.extend("from-python", until=longer.cost.lease_end).cost is not None
    mine = [one for one in envagent.orphans(cloud="sandbox").orphans if one.run_id == run.run_id]
    assert {(one.offered, one.outcome) for one in mine} == {(False, "left_alone")}
    with pytest.raises(UsageError, match="either how much longer"):
        envagent.extend("from-python")

    drawn = cli("diagram", "run", "last", "--format", "svg").out
    assert [drawn.find(f"{step.name}.{step.stages[-1].name}<") > 0 for step in run.steps] == [True] * len(run.steps)
    assert cli("diagram", "run", run.run_id).out.startswith(f"gantt\n  title run {run.run_id}")
    assert cli("diagram", "run").code == cli("diagram", "states", "last").code == 2

    with pytest.raises(RunStateError) as again:
        envagent.run(repository, cloud="sandbox")
    known_run = f"envagent.status('{run.run_id}')"
    assert hint(again) == f"hint: {known_run}; for a second server, repeat the command with new=True"
    would = envagent.teardown(run.run_id, dry_run=True).would_remove
    assert would is not None
    assert {one.kind for one in would} == {"lease", "server", "floating_ip", "keypair"}
    capfd.readouterr()
    gone = envagent.teardown(run.run_id, progress=False, delete_key=True)
    assert capfd.readouterr() == ("", "")
    assert gone.state == "torn_down"
    assert gone.private_key is None
    with pytest.raises(RunStateError) as over:
        envagent.resume(run.run_id)
    assert hint(over) == "hint: envagent.run('URL')"
    with pytest.raises(RunNotFound):
        envagent.status("nothing")


def test_a_real_cloud_needs_an_approval(cli: Cli, repository: Path, real_cloud: str) -> None:
    with pytest.raises(UsageError, match="neither approve nor max_su") as refused:
        envagent.run(repository, cloud=real_cloud, ai=False)
    run_id = refused.value.run_id
    assert run_id is not None
    assert hint(refused) == f"hint: envagent.resume('{run_id}', approve=True)"
    assert envagent.status(run_id).state == "interrupted"
    with pytest.raises(CapacityError):
        envagent.resume(run_id, max_su=0.5)

    plans: list[PlanPart] = []

    def decline(plan: PlanPart) -> bool:
        plans.append(plan)
        return False

    declined = envagent.run(repository, cloud=real_cloud, ai=False, hours=1, approve=decline)
    assert (declined.state, declined.lease) == ("interrupted", None)
    assert plans[0].hours == 1
    assert plans[0].candidates[0].node_type == declined.node_type

    def interrupt(plan: PlanPart) -> bool:
        signal.raise_signal(signal.SIGINT)
        return True

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=f"envagent resume {declined.run_id}"):
        envagent.resume(declined.run_id, approve=interrupt)
    assert signal.getsignal(signal.SIGINT) == before
    made = envagent.plan(repository, cloud=real_cloud, ai=False, hours=1, output="plan.json", progress=False)
    assert made.model_dump(mode="json") == json.loads(Path("plan.json").read_text())
    with pytest.raises(UsageError, match="settles --hours"):
        envagent.run(plan=made, hours=2, approve=True)
    up = envagent.run(plan=made, approve=lambda plan: plan.ceiling == made.plan.ceiling)
    assert up.state == "succeeded"
    with pytest.raises(UsageError, match="extend asks") as unasked:
        envagent.extend(up.run_id, "1h")
    assert hint(unasked) == f"hint: envagent.extend('{up.run_id}', '1h', approve=True)"
    with pytest.raises(CapacityError):
        envagent.extend(up.run_id, "1h", max_su=0.5)
    Path("all.txt").write_text(f"{repository}\n")
    with pytest.raises(UsageError, match="run asks before it reserves them, and neither approve"):
        envagent.run_file("all.txt", cloud=real_cloud, ai=False, new=True)
    with pytest.raises(UsageError, match="teardown asks"):
        envagent.teardown(up.run_id)
    assert envagent.teardown(up.run_id, approve=True).state == "torn_down"
