"""A plan without a run, and a run that does exactly what a saved plan says, or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envagent.cli.documents.run_models import PlanDocument
from envagent.sandbox import process
from envagent.steps.saved_plan import SavedPlan
from tests.cli.conftest import Cli, Sandbox
from tests.kit.git import commit


def make_plan(cli: Cli, repository: Path, *arguments: str) -> dict[str, Any]:
    ended = cli("plan", str(repository), "-o", "plan.json", "--json", *arguments)
    assert ended.code == 0, ended.err
    return ended.document


def test_a_plan_creates_nothing_and_its_run_does_exactly_that(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    def made() -> tuple[object, int]:
        runs = [(one["run_id"], one["updated_at"]) for one in cli("status", "--json").document["runs"]]
        return runs, len(process.read_log(sandbox.home))

    before = made()
    appendix = cli.work / "appendix.txt"
    appendix.write_text("The experiments need 64 GB of RAM.\n")
    plan = make_plan(cli, repository, "--cloud", "sandbox", "--hours", "5", "--also", str(appendix))
    assert made() == before
    assert json.loads((cli.work / "plan.json").read_text()) == plan
    assert PlanDocument.model_validate(plan).model_dump(mode="json") == plan
    assert plan["plan"]["hours"] == 5

    appendix.unlink()
    (repository / "README.md").write_text("# toy\n\nNeeds no GPU.\n")
    commit(repository, "second")
    ended = cli("run", "--plan", "plan.json", "--json")
    assert ended.code == 0, ended.err
    run = ended.document
    [done] = [line for line in ended.err.splitlines() if "select_image: done" in line]
    assert done.endswith(f": {run['image']['name']}")
    explained = cli("explain", run["run_id"]).out
    assert " dated build" in explained and not re.search(r"CC-\S+[_-]20\d\d", explained)
    assert run["warnings"][: len(plan["warnings"])] == plan["warnings"]  # then what the server lacks
    for field in ("repository", "requirements"):
        assert run[field] == plan[field], field
    assert run["node_type"] == plan["plan"]["candidates"][0]["node_type"]
    assert run["image"] == plan["plan"]["image"]
    assert run["cost"]["su_estimate"] == plan["plan"]["service_units"]
    later = {"approved_at", "creates"}
    assert {**run["plan"], **dict.fromkeys(later)} == {**plan["plan"], **dict.fromkeys(later)}
    created = [(one["kind"], one["name"].replace("RUN_ID", run["run_id"])) for one in plan["plan"]["creates"]]
    assert {(one["kind"], one["name"]) for one in run["resources"]} >= set(created[:3])
    assert [one["kind"] for one in plan["plan"]["creates"]] == ["lease", "keypair", "server", "floating_ip"]
    decided = [(one["name"], one["value"], one["reason"], one["step"]) for one in plan["decisions"]]
    assert [(one["name"], one["value"], one["reason"], one["step"]) for one in run["decisions"]] == decided
    assert cli("run", "--plan", "plan.json").code == 10  # its commit has a server
    assert cli("teardown", run["run_id"]).code == 0


@pytest.fixture
def refused(cli: Cli, sandbox: Sandbox) -> Callable[..., str]:
    """Change a plan, perhaps with a new digest, and give the error of its run."""

    def run(change: Callable[[dict[str, Any]], None], code: int, *, consistent: bool = True) -> str:
        document = json.loads((cli.work / "plan.json").read_text())
        change(document)
        if consistent:
            document["digest"] = SavedPlan.model_validate(document["saved"]).digest
        (cli.work / "changed.json").write_text(json.dumps(document))
        since = len(process.read_log(sandbox.home))
        ended = cli("run", "--plan", "changed.json", "--json")
        assert (ended.code, len(process.read_log(sandbox.home))) == (code, since)
        assert "run_id" not in ended.document
        return str(ended.document["error"]["message"])

    return run


def test_a_plan_that_does_not_fit_is_refused(cli: Cli, repository: Path, refused: Callable[..., str]) -> None:
    make_plan(cli, repository, "--cloud", "sandbox")

    def saved(**changes: Any) -> Callable[[dict[str, Any]], None]:
        return lambda document: document["saved"].update(changes)

    def within(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
        def change(document: dict[str, Any]) -> None:
            place: Any = document["saved"]
            for one in path[:-1]:
                place = place[one]
            place[path[-1]] = value

        return change

    assert "was changed" in refused(within("plan", "hours_reason", value="for fun"), 2, consistent=False)
    assert "not a valid plan" in refused(saved(plan=None), 2, consistent=False)
    assert "its price" in refused(within("plan", "service_units", value=1.0), 2, consistent=False)
    assert "hours" in refused(within("plan", "hours", value=9999), 2, consistent=False)
    assert "envagent 9.9" in refused(lambda document: document.update(envagent="9.9"), 10)
    assert "made for project other" in refused(within("identity", "project_id", value="other"), 10)
    no_image = "00000000-0000-4000-8000-000000000000"
    assert f"({no_image}) is gone" in refused(within("image", "image", "id", value=no_image), 10)
    assert "start has passed" in refused(within("plan", "start", value="2020-01-01T00:00:00Z"), 10)
    rate = within("plan", "placement", "candidates", 1, "su_per_hour", value=0.5)
    assert "costs 2 SU/h now, and 0.5 SU/h in the plan" in refused(rate, 10)
    (cli.work / "changed.json").write_text("[" * 100_000)
    assert cli("run", "--plan", "changed.json").code == 2
    settled = cli("run", str(repository), "--plan", "plan.json", "--hours", "3", "--no-ai")
    assert (settled.code, "settles REPO, --hours, --no-ai" in settled.err) == (2, True)


def test_a_node_type_that_was_taken_since_is_not_replaced(cli: Cli, repository: Path) -> None:
    make_plan(cli, repository, "--cloud", "sandbox", "--node-type", "gpu_a100_nvlink", "--no-ai")
    run = cli.run(repository, "--node-type", "gpu_a100_nvlink")
    ended = cli("run", "--plan", "plan.json", "--new", "--json")
    assert ended.code == 10
    assert "gpu_a100_nvlink is not free now any more; free again: " in ended.document["error"]["message"]
    hint = ended.document["error"]["hint"]
    assert hint.endswith(
        f"envagent plan {repository} --cloud sandbox --node-type gpu_a100_nvlink --no-ai --output plan.json"
    )
    assert cli("teardown", run["run_id"]).code == 0
    assert cli("run", "--plan", "plan.json", "--new").code == 0
    assert cli("teardown", "last").code == 0


def test_a_saved_plan_is_shown_and_asked_for_once(cli: Cli, repository: Path, real_cloud: str) -> None:
    screen = cli.on_terminal("plan", str(repository), "--cloud", real_cloud, "-o", "plan.json")
    assert screen.end() == 0
    plan = screen.plain[screen.plain.index("Plan\n") : screen.plain.index("Nothing was reserved")]
    assert "README.md:3" in plan
    nobody = cli("run", "--plan", "plan.json")
    assert (nobody.code, "resume" in nobody.err) == (2, True)
    assert cli("teardown", "last", "--yes").code == 0
    screen = cli.on_terminal("run", "--plan", "plan.json")
    shown = screen.until("Reserve gpu_rtx_6000 for 24 h, at most 48 SU? [y/N]")
    [run_id] = {line.split()[1].rstrip(":") for line in shown.splitlines() if line.startswith("run ")}
    same = [
        line.strip()
        for line in plan.splitlines()
        if "RUN_ID" not in line and "until" not in line and "warning" not in line
    ]
    assert [line for line in same if line not in shown] == []
    screen.type("n\n")
    assert screen.end() == 130
    assert screen.plain.count("[y/N]") == 1
    assert cli("teardown", run_id, "--yes").code == 0
