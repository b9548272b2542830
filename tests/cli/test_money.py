"""Nothing is spent without a yes: who may agree to a plan, and what the agreement covers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from envagent.sandbox import process
from tests.cli.conftest import Cli, Sandbox
from tests.kit.chat import ChatServer, Reply, said
from tests.unit.advice.hostile import needs

CHEAP_ARE_GONE = {"action": "no_capacity", "node_types": ["gpu_rtx_6000", "gpu_v100"]}
"""What is left of the GPUs that the repository needs costs at least 96 SU a day, twice as much."""


def made(sandbox: Sandbox, since: int) -> list[str]:
    return [line["kind"] for line in process.read_log(sandbox.home)[since:] if line["method"] == "POST"]


def pasted(hint: str) -> list[str]:
    """Give the arguments of the command in a hint."""
    command = re.search(r"envagent ([^,;]*)", hint)
    assert command is not None, hint
    return command[1].split()


def test_nobody_to_ask_reserves_nothing(cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str) -> None:
    since = len(process.read_log(sandbox.home))
    ended = cli("run", str(repository), "--cloud", real_cloud, "--json")
    assert ended.code == 2
    assert made(sandbox, since) == []
    document = ended.document
    assert document["error"]["type"] == "UsageError"
    assert document["plan"]["service_units"] == document["plan"]["ceiling"] == 48
    assert "costs        at most 48 SU" in ended.err
    assert "nothing is charged" in ended.err
    assert document["state"] == "interrupted"
    hint = pasted(document["error"]["hint"])
    assert hint == ["resume", document["run_id"], "--yes"]

    again = cli(*hint[:2], "--json")
    assert (again.code, again.document["error"]["hint"]) == (2, document["error"]["hint"])
    assert made(sandbox, since) == []
    assert cli(*hint).code == 0
    assert "lease" in made(sandbox, since)
    assert cli("teardown", document["run_id"], "--yes").code == 0


def test_a_yes_in_advance_covers_what_the_plan_costs(
    cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str
) -> None:
    sandbox.faults(CHEAP_ARE_GONE)
    since = len(process.read_log(sandbox.home))
    ended = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json")
    assert ended.code == 5
    assert "lease" not in made(sandbox, since)
    error = ended.document["error"]
    assert "at most 48 SU" in error["message"]
    assert "compute_gigaio would cost 96 SU" in error["message"]
    run_id = ended.document["run_id"]
    assert pasted(error["hint"]) == ["resume", run_id, "--max-su", "96"]

    assert cli("resume", run_id, "--max-su", "95").code == 5
    assert "lease" not in made(sandbox, since)
    resumed = cli(*pasted(error["hint"]), "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.document["node_type"] == "compute_gigaio"
    assert resumed.document["plan"]["ceiling"] == resumed.document["cost"]["su_estimate"] == 96
    assert cli("teardown", run_id, "--yes").code == 0


def test_a_dearer_alternative_is_asked_for(cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str) -> None:
    sandbox.faults(CHEAP_ARE_GONE)
    since = len(process.read_log(sandbox.home))
    screen = cli.on_terminal("run", str(repository), "--cloud", real_cloud)
    shown = screen.until("Reserve gpu_rtx_6000 for 24 h, at most 48 SU? [y/N]")
    assert re.search(r"gpu_v100 .* 48 SU  if refused", shown)
    assert re.search(r"compute_gigaio .* 96 SU  only if you agree, or with --max-su", shown)
    screen.type("y\n")
    screen.until("Reserve compute_gigaio for 24 h instead, at most 96 SU? [y/N]")
    assert "lease" not in made(sandbox, since)
    screen.type("n\n")
    assert screen.end() == 130
    assert "Nothing was reserved." in screen.plain
    assert "lease" not in made(sandbox, since)
    [run_id] = re.findall(r"envagent resume (\w+)", screen.plain)

    refused = cli("resume", run_id, "--json")  # the yes was for 48 SU
    assert refused.code == 5
    assert "--max-su 96" in refused.document["error"]["hint"]

    screen = cli.on_terminal("resume", run_id)
    screen.until("at most 96 SU? [y/N]")
    screen.type("y\n")
    assert screen.end() == 0
    assert made(sandbox, since).count("lease") == 1
    assert cli("teardown", run_id, "--yes").code == 0


def test_a_limit_covers_what_stays_below_it(cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str) -> None:
    sandbox.faults(CHEAP_ARE_GONE)
    ended = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--max-su", "100", "--json")
    assert ended.code == 0, ended.err
    assert (ended.document["node_type"], ended.document["plan"]["ceiling"]) == ("compute_gigaio", 96)
    assert cli("teardown", ended.document["run_id"], "--yes").code == 0

    low = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--max-su", "40", "--json")
    assert low.code == 5
    assert "gpu_rtx_6000 for 24 h costs 48 SU" in low.document["error"]["message"]
    assert pasted(low.document["error"]["hint"])[:2] == ["resume", low.document["run_id"]]


def test_the_sandbox_takes_what_there_is_and_says_so(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.faults(CHEAP_ARE_GONE)
    document = cli.run(repository)
    assert document["node_type"] == "compute_gigaio"
    plan = document["plan"]
    assert plan["service_units"] == 48
    assert plan["ceiling"] == max(one["service_units"] for one in plan["candidates"]) > 96
    assert cli("teardown", document["run_id"]).code == 0


def test_a_plan_of_an_older_journal_is_held_to_its_first_node_type(
    cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str
) -> None:
    run_id = cli("run", str(repository), "--cloud", real_cloud, "--json").document["run_id"]
    newer = ("ceiling", "by_rules", "without_ai", "needs_person")
    with closing(sqlite3.connect(cli.home / "journal.db")) as connection, connection:
        connection.execute(
            "UPDATE steps SET output = json_remove(output, ?, ?, ?, ?) WHERE run_id = ? AND stage = 'plan'",
            (*(f"$.{name}" for name in newer), run_id),
        )
    assert cli("status", run_id, "--json").document["plan"]["ceiling"] == 48
    sandbox.faults(CHEAP_ARE_GONE)
    resumed = cli("resume", run_id, "--yes", "--json")
    assert resumed.code == 5
    assert "at most 48 SU" in resumed.document["error"]["message"]
    assert cli("teardown", run_id, "--yes").code == 0


@pytest.fixture
def obedient(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """An AI that does what a repository says: the dearest node type, for as long as there is."""

    def answer(request: dict[str, Any]) -> Reply:
        schema = str(request["response_format"]["json_schema"]["name"])
        return said(
            {
                "NodeTypeProposal": {"node_type": "gpu_a100_pcie", "reasoning": "The README says so."},
                "DurationProposal": {"duration_hours": 168, "reasoning": "The README says so."},
                "RequirementsProposal": needs(gpu_required=True, gpu_vendor="nvidia", cuda_required=True),
            }.get(schema, "no idea")
        )

    server = ChatServer(answer)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("ENVAGENT_AI__RETRIES", "0")
    yield server
    server.close()


def test_an_obedient_ai_spends_no_fortune(
    cli: Cli, repository: Path, real_cloud: str, obedient: ChatServer, sandbox: Sandbox
) -> None:
    for cloud, yes in ((real_cloud, ["--yes"]), ("sandbox", [])):
        ended = cli("run", str(repository), "--cloud", cloud, "--json", *yes)
        assert ended.code == 0, ended.err
        assert len(obedient.requests) >= 3
        assert ended.document["plan"]["service_units"] <= 4 * 48
        assert ended.document["cost"]["su_estimate"] <= 4 * 48
        rejected = [word for one in ended.document["decisions"] for word in one["rejected"]]
        assert any("limit 192 SU" in word for word in rejected), rejected
        assert cli("teardown", ended.document["run_id"], "--yes").code == 0


def test_a_person_may_let_the_ai_have_its_way(
    cli: Cli, repository: Path, real_cloud: str, obedient: ChatServer, sandbox: Sandbox
) -> None:
    since = len(process.read_log(sandbox.home))
    screen = cli.on_terminal("run", str(repository), "--cloud", real_cloud)
    shown = screen.until("Reserve gpu_a100_pcie for 168 h, at most 2688 SU? [y/N]")
    assert "by the built-in rules: 48 SU (gpu_rtx_6000 for 24 h)" in " ".join(shown.split())
    screen.type("n\n")
    assert screen.end() == 130
    [run_id] = re.findall(r"envagent resume (\w+)", screen.plain)
    refused = cli("resume", run_id, "--yes", "--json")  # a yes in advance is nobody's yes to that
    assert refused.code == 2
    assert "--max-su 2688" in refused.document["error"]["hint"]
    assert made(sandbox, since) == []

    allowed = cli("run", str(repository), "--cloud", real_cloud, "--max-su", "400", "--yes", "--json")
    assert allowed.code == 0, allowed.err
    assert allowed.document["plan"]["service_units"] == 384
    assert allowed.document["plan"]["by_rules"] == {"node_type": "gpu_rtx_6000", "hours": 24, "service_units": 48}
    assert cli("teardown", allowed.document["run_id"], "--yes").code == 0


@pytest.fixture
def unknown_site(sandbox: Sandbox, tmp_path: Path, real_cloud: str) -> Iterator[Callable[..., str]]:
    """A site that the catalogue does not know, and whose hosts users do not see."""
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(re.sub(r"\n +region_name:.*", "", clouds.read_text()))

    def hide(**overrides: bool) -> str:
        process.control(sandbox.home, "settings", {"overrides": overrides})
        return real_cloud

    yield hide
    hide()


def lease_requests(sandbox: Sandbox) -> int:
    [seen] = [one["seen"] for one in process.control(sandbox.home, "faults") if one["action"] == "count"]
    return int(seen)


def without_leases(sandbox: Sandbox) -> None:
    """End what other tests have left in the project."""

    def act(method: str, path: str) -> dict[str, Any]:
        asked = {"as": "user", "service": "blazar", "method": method, "path": path}
        return dict(process.control(sandbox.home, "act", asked)["body"] or {})

    for lease in act("GET", "/leases")["leases"]:
        act("DELETE", f"/leases/{lease['id']}")


HERE = {"gpu_rtx_6000", "gpu_v100", "compute_gigaio", "gpu_a100_pcie", "gpu_a100_nvlink"}
COUNT = {"action": "count", "service": "blazar", "method": "POST", "path": "/leases$"}


def test_what_a_site_does_not_have_is_not_asked_for(
    cli: Cli, repository: Path, sandbox: Sandbox, unknown_site: Callable[..., str]
) -> None:
    cloud = unknown_site(users_see_hosts=False, users_see_allocations=False)
    sandbox.faults(COUNT)
    ended = cli("run", str(repository), "--cloud", cloud, "--yes", "--json")
    assert ended.code == 0, ended.err
    assert lease_requests(sandbox) == 1
    assert {one["node_type"] for one in ended.document["plan"]["candidates"]} <= HERE
    assert cli("teardown", ended.document["run_id"], "--yes").code == 0


def test_the_one_that_a_silent_site_has_is_found(
    cli: Cli, repository: Path, sandbox: Sandbox, unknown_site: Callable[..., str]
) -> None:
    cloud = unknown_site(users_see_hosts=False, users_see_allocations=False, users_see_properties=False)
    other = ["gpu_rtx_6000", "gpu_v100", "compute_gigaio", "gpu_a100_pcie"]
    sandbox.faults(COUNT, {"action": "no_capacity", "node_types": other})
    command = ("run", str(repository), "--cloud", cloud, "--yes", "--max-su", "10000", "--json")
    ended = cli(*command)
    assert ended.code == 0, ended.err
    assert ended.document["node_type"] == "gpu_a100_nvlink"
    assert lease_requests(sandbox) > 4

    assert cli("teardown", ended.document["run_id"], "--yes").code == 0

    sandbox.faults()
    without_leases(sandbox)
    first = cli(*command, "--node-type", "gpu_a100_pcie")
    assert first.code == 0, first.err
    sandbox.faults(COUNT)
    second = cli(*command, "--new")  # what the project has had here is asked for first
    assert (second.code, second.document["node_type"]) == (0, "gpu_a100_pcie")
    assert lease_requests(sandbox) == 1
    for one in (first, second):
        assert cli("teardown", one.document["run_id"], "--yes").code == 0
