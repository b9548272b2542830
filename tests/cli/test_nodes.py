"""What is free: at every site of a clouds.yaml, whatever one of them does."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from envagent import config
from envagent.cli.site_survey import ask_sites, sites_to_ask
from envagent.sandbox import process
from tests.cli.conftest import Cli


@pytest.fixture
def clouds(shared_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clouds.yaml: two sites that work, and one that takes connections and says nothing."""
    given = yaml.safe_load((shared_home / "sandbox" / "clouds.yaml").read_text())["clouds"]
    silent = socket.create_server(("127.0.0.1", 0))
    dead = {**given["sandbox"], "region_name": "CHI@NU"}
    dead["auth"] = {**dead["auth"], "auth_url": f"http://127.0.0.1:{silent.getsockname()[1]}/v3"}
    entries = {
        "nu": dead,
        "wrong": {**given["sandbox"], "auth": {**given["sandbox"]["auth"], "password": "no"}},
        "uc": given["sandbox"],
        "tacc": given["sandbox-tacc"],
        "private": {"region_name": "RegionOne", "auth": {"auth_url": "https://cloud.example.org:5000/v3"}},
    }
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": entries}, sort_keys=False))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    monkeypatch.setenv("ENVAGENT_TIMEOUT_SECONDS", "1")
    yield
    silent.close()


def test_every_site_is_asked_and_one_that_is_silent_is_one_line(cli: Cli, clouds: None, repository: Path) -> None:
    run = cli.run(repository, "--node-type", "gpu_a100_nvlink")
    ended = cli("nodes", "--gpu", "--json")
    assert ended.code == 0, ended.err
    found = {(one["site"], one["node_type"]): one for one in ended.document["node_types"]}
    assert {site for site, _ in found} == {"CHI@UC", "CHI@TACC"}
    assert all(one["gpu"] for one in found.values())
    taken, other = found["CHI@UC", "gpu_a100_nvlink"], found["CHI@TACC", "gpu_mi100"]
    assert (taken["free_now"], taken["total"], taken["cloud"]) == (0, 1, "uc")  # `wrong` has no access to the same site
    until = datetime.fromisoformat(run["lease"]["end_date"])
    assert until <= datetime.fromisoformat(taken["next_free"]) <= until + timedelta(minutes=20)
    assert other["free_now"] == other["total"] == 8
    assert other["next_free"] == ended.document["looked_at"]
    assert [one["cloud"] for one in ended.document["unanswered"]] == ["nu"]
    assert "no answer from CHI@NU" in ended.err
    assert "not asked" in ended.err and ended.err.rstrip().count("\n") == 1
    shown = cli("nodes", "--cloud", "uc").out
    [row] = [line.split() for line in shown.splitlines() if "gpu_a100_nvlink" in line]
    assert row[1:4] == ["0", "of", "1"] and row[4] != "now"
    assert "fpga" in shown
    assert cli("teardown", run["run_id"], "--yes").code == 0


def test_the_failure_counts_where_no_site_answers(cli: Cli, clouds: None) -> None:
    assert cli("nodes", "--cloud", "nu", "--json").document["error"]["exit_code"] == 7
    refused = cli("nodes", "--cloud", "wrong")
    assert (refused.code, refused.out) == (4, "")
    assert cli("nodes", "--cloud", "nowhere").code == 2


def test_a_site_that_takes_too_long_is_not_waited_for(clouds: None) -> None:
    sites, others = sites_to_ask(None, config.load(), everywhere=False)
    assert [one.region for one in sites] == ["CHI@NU", "CHI@UC", "CHI@TACC"]
    assert others == ["private"]
    answers = list(ask_sites(sites[:1], datetime.now(UTC), 24, seconds=0.05))
    assert [str(one.error) for one in answers] == ["no answer within 0.05 s"]


def test_a_site_that_hides_its_hosts_says_so(cli: Cli) -> None:
    process.control(cli.home, "settings", {"overrides": {"users_see_hosts": False, "users_see_allocations": False}})
    try:
        ended = cli("nodes", "--cloud", "sandbox", "--gpu")
    finally:
        process.control(cli.home, "settings", {"overrides": {}})
    assert ended.code == 0
    assert "does not show what is reserved" in ended.out
    assert re.search(r"gpu_v100 +\? of 4 +not shown +2 ", ended.out)
