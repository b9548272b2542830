"""The sandbox's README: its examples run, its tables are complete, and what it calls unsimulated is refused so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from envagent.sandbox.cloud import SETTINGS
from envagent.sandbox.control_routes import Control
from envagent.sandbox.faults import ACTIONS
from envagent.sandbox.mishaps import MISHAPS
from envagent.sandbox.world import DEFAULT_QUOTAS

from .conftest import SPEED, Person, Sandbox

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "envagent" / "sandbox" / "README.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def words(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


@pytest.mark.scenario
def test_the_pytest_example_passes(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(block("python"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_fault_example_does_what_it_says(sandbox: Sandbox, me: Person) -> None:
    sandbox.control("faults", json.loads(block("json")))
    me.lease("first")
    with pytest.raises(Exception, match="Not enough hosts"):
        me.lease("second")
    me.lease("third")
    with pytest.raises(Exception, match=r"(?i)connection"):
        me.http("compute", "POST", "/servers", json={})
    started = time.monotonic()
    me.http("image", "GET", "/v2/images")
    assert time.monotonic() - started >= 30 / SPEED
    assert [one["seen"] for one in sandbox.control("faults")] == [3, 1, 1]


def test_the_table_has_every_action_and_its_parameters() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*)\|", section("Faults"), re.MULTILINE)
    assert {name for name, _ in rows} == ACTIONS.keys()
    for name, parameters in rows:
        action = ACTIONS[name]
        optional = "".join(re.findall(r"\*([^*]*)\*", parameters))
        assert words(parameters) == action.parameters, name
        assert words(parameters) - words(optional) == action.required, name


def test_settings_and_control_endpoints_are_complete() -> None:
    assert SETTINGS.keys() | DEFAULT_QUOTAS.keys() <= words(section("Speed, profiles, settings")) | {"speed", "profile"}
    unused: Any = None
    names = {route.path.rsplit("/", 1)[1] for route in Control(unused, unused).routes()}
    assert names | MISHAPS.keys() == words(section("Control")) - {"mate", "other", "what", "id"}


def test_what_is_not_simulated_is_refused_as_such(me: Person) -> None:
    services = {
        "compute": ("compute", "/compute/v2.1"),
        "network": ("network", "/network"),
        "image": ("image", "/image"),
        "reservation": ("reservation", "/reservation/v1"),
        "identity": ("identity", "/identity/v3"),
    }
    examples = section("Limits").partition("501 for example")[2]
    for status, part in zip((501, 405), examples.split("405 for example"), strict=True):
        requests = re.findall(r"`([A-Z]+)\s/(\w+)(/\S+)`", part)
        assert requests
        for method, service, path in requests:
            kind, mount = services[service]
            answer = me.http(kind, method, f"/{service}{path}".removeprefix(mount))
            assert (answer.status_code, "The sandbox does not simulate" in answer.text) == (status, True), path
    actions = examples.partition("of server actions")[2].partition(";")[0]
    for action in re.findall(r"`([\w-]+)`", actions):
        answer = me.http("compute", "POST", "/servers/x/action", json={action: None})
        assert (answer.status_code, f"the action {action}" in answer.text) == (501, True), action
