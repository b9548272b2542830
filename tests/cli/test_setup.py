"""The set-up of a repository on the server of a run: shown before, carried out once, and never listed as a run."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_a_run_with_its_set_up(cli: Cli, repository: Path) -> None:
    before = len(cli("status", "--limit", "0", "--json").document["runs"])
    script = cli("plan", str(repository), "--cloud", "sandbox", "--show-setup").out
    assert "step_1() {\n    see_gpu\n}" in script
    run = cli.run(repository, "--setup", "--no-ai")
    setup = run["setup"]
    assert (setup["state"], setup["simulated"], setup["proved"]) == ("succeeded", True, [])
    assert all(f"    {one}\n" in script for step in setup["steps"] for one in step["commands"])
    places = {place["path"] for step in setup["steps"] for place in step["reasons"]}
    assert {"requirements.txt", "README.md"} <= places

    again = cli("setup", run["run_id"])
    assert again.code == 0, again.err
    assert "toy is set up (Python)" in again.out
    assert "created step" not in again.err
    assert cli("resume", run["run_id"], "--json").document["setup"] == setup
    shown = cli("status", run["run_id"], "--json").document
    assert shown["setup"] == setup
    assert {one["tries"] for one in setup["steps"]} == {1}
    assert len(cli("status", "--limit", "0", "--json").document["runs"]) == before + 1
    assert cli("status", "last", "--json").document["run_id"] == run["run_id"]

    logs = cli("logs", run["run_id"], "--setup").out
    assert logs.splitlines()[:2] == ["01-gpu.1", "  (simulated) see_gpu"]
    assert cli("logs", run["run_id"], "--setup", "--json").document["jobs"][0]["output"] == "(simulated) see_gpu\n"
    cli("teardown", run["run_id"], "--yes")
    gone = cli("setup", run["run_id"])
    assert gone.code == 10
    assert "its server is gone" in gone.err
    assert cli("logs", run["run_id"], "--setup").out == logs


def test_a_folder_of_this_machine_is_refused_before_anything_is_reserved(cli: Cli, repository: Path) -> None:
    """No server can clone it; the simulated one need not."""
    (cli.work / "clouds.yaml").write_text("clouds: {mine: {auth: {auth_url: 'https://192.0.2.1:5000/v3'}}}\n")
    refused = cli("run", str(repository), "--cloud", "mine", "--setup", "--yes")
    assert refused.code == 10, refused.err
    assert "the server cannot clone a folder of this machine" in refused.err
