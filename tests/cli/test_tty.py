"""On a terminal: the plan and its question, the live table, Ctrl-C, and terminals that can do little."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from envagent.sandbox import process
from envagent.steps import PROVISIONING
from tests.cli.conftest import Cli, Sandbox


def writes_of(sandbox: Sandbox, since: int) -> list[str]:
    return [line["path"] for line in process.read_log(sandbox.home)[since:]]


def test_the_plan_is_shown_and_asked_for_once(cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str) -> None:
    since = len(process.read_log(sandbox.home))
    screen = cli.on_terminal("run", str(repository), "--cloud", real_cloud)
    shown = screen.until("Reserve gpu_rtx_6000 for 24 h, at most 48 SU? [y/N]")
    for part in (
        "node type    gpu_rtx_6000",
        "24 cores",
        "lease        24 h",
        "at most 48 SU;",
        "if refused",
        "image ",
    ):
        assert part in shown
    assert writes_of(sandbox, since) == []
    screen.type("y\n")
    assert screen.end() == 0
    assert screen.plain.count("[y/N]") == 1
    for step in PROVISIONING.steps:
        assert f"✓ {step}" in screen.plain
    assert "\x1b[?25h" in screen.shown  # the cursor is back
    assert cli("teardown", "last", "--yes").code == 0


def test_prose_goes_on_below_itself_on_a_terminal_and_stays_whole_in_a_pipe(cli: Cli, repository: Path) -> None:
    document = cli.run(repository)
    [reason] = [one["reason"] for one in document["decisions"] if one["name"] == "node_type"]
    lines = cli("status", "last").out.splitlines()
    [whole] = [line for line in lines if line.endswith(reason)]
    assert len(whole) > 60
    assert all(line == line.rstrip() for line in lines)
    screen = cli.on_terminal("status", "last", columns=60)
    assert screen.end() == 0
    shown = screen.plain.splitlines()
    [first] = [number for number, line in enumerate(shown) if line.startswith("  node_type ")]
    begin = whole.index(document["node_type"])
    pieces = [line[begin:] for line in shown[first:] if line[:begin].strip() in ("", whole[:begin].strip())]
    assert " ".join(pieces).startswith(f"{document['node_type']}: {reason}")
    assert max(map(len, shown[first:])) <= 60
    assert cli("teardown", "last").code == 0


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])
def test_no_is_the_default_and_makes_nothing(
    cli: Cli, repository: Path, sandbox: Sandbox, real_cloud: str, answer: str
) -> None:
    since = len(process.read_log(sandbox.home))
    screen = cli.on_terminal("run", str(repository), "--cloud", real_cloud)
    screen.until("Reserve gpu_rtx_6000 for 24 h, at most 48 SU? [y/N]")
    screen.type(answer)
    assert screen.end() == 130
    assert "Nothing was reserved." in screen.plain
    assert writes_of(sandbox, since) == []
    document = cli("status", "last", "--json").document
    assert document["state"] == "interrupted"
    assert f"envagent resume {document['run_id']}" in screen.plain
    if answer == "n\n":
        resumed = cli("resume", document["run_id"], "--yes", "--json")
        assert resumed.document["state"] == "succeeded"
    assert cli("teardown", "last", "--yes").code == 0


def test_ctrl_c_answers_the_question(cli: Cli, repository: Path, real_cloud: str) -> None:
    screen = cli.on_terminal("run", str(repository), "--cloud", real_cloud)
    screen.until("Reserve gpu_rtx_6000 for 24 h, at most 48 SU? [y/N]")
    screen.type("\x03")
    assert screen.end() == 130
    assert "Nothing was deleted" in screen.plain
    assert cli("teardown", "last", "--yes").code == 0


def test_teardown_asks_and_no_is_the_default(cli: Cli, repository: Path, real_cloud: str) -> None:
    run_id = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json").document["run_id"]
    screen = cli.on_terminal("teardown", run_id)
    shown = screen.until(f"Remove everything that run {run_id} created? [y/N]")
    assert "Still running, " in shown
    screen.type("\n")
    assert screen.end() == 130
    assert cli("status", run_id, "--json").document["state"] == "succeeded"
    screen = cli.on_terminal("teardown", run_id, "--json")
    screen.until("[y/N]")
    screen.type("no\n")
    assert screen.end() == 130
    assert json.loads("{" + screen.plain.partition("\n{")[2])["state"] == "succeeded"
    screen = cli.on_terminal("teardown", run_id)
    screen.until("[y/N]")
    screen.type("y\n")
    screen.until("Remove the private key")
    screen.type("\n")
    assert screen.end() == 0
    assert f"envagent teardown {run_id} --delete-key" in screen.plain


def test_yes_and_the_sandbox_ask_nothing(cli: Cli, repository: Path, real_cloud: str) -> None:
    for arguments in (["--cloud", real_cloud, "--yes"], ["--cloud", "sandbox"]):
        screen = cli.on_terminal("run", str(repository), *arguments)
        assert screen.end() == 0
        assert "[y/N]" not in screen.plain
        assert screen.plain.count("Plan\n") == 1
        assert screen.plain.index("chosen") < screen.plain.index("created lease")
    for yes in ([], ["--yes"]):
        run_id = cli("status", "--json").document["runs"][1 if yes else 0]["run_id"]
        screen = cli.on_terminal("teardown", run_id, *yes)
        assert screen.end() == 0
        assert "[y/N]" not in screen.plain


def test_ctrl_c_in_the_live_view(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(10)
    screen = cli.on_terminal("run", str(repository), "--cloud", "sandbox")
    shown = screen.until("the server to boot")
    assert "timeout in" in shown
    screen.type("\x03")
    assert screen.end() == 130
    assert "Stopping after the current request" in screen.plain
    assert "✓ reserve_hardware" in screen.plain
    assert "… launch_server" in screen.plain
    assert cli("teardown", "last").code == 0


def test_a_lost_terminal_does_not_lose_the_run(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    sandbox.speed(10)
    screen = cli.on_terminal("run", str(repository), "--cloud", "sandbox")
    screen.until("the server to boot")
    screen.close()
    assert screen.wait() == 129
    document = cli("status", "last", "--json").document
    assert document["state"] == "interrupted"
    assert document["server"]["status"].startswith("BUILD")
    assert cli("teardown", "last").code == 0


@pytest.mark.parametrize("name", ["TERM", "NO_COLOR"])
def test_a_terminal_that_can_do_little(cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, {"TERM": "dumb", "NO_COLOR": "1"}[name])
    screen = cli.on_terminal("run", str(repository), "--cloud", "sandbox")
    assert screen.end() == 0
    colours = re.findall(r"\x1b\[(?:\d+;)*3\dm", screen.shown)
    assert colours == []
    if name == "TERM":
        assert "\x1b" not in screen.shown
        assert re.search(r"(\d+)/\1 save_state: done", screen.plain)
    assert cli("teardown", "last").code == 0
