# ruff: noqa: E501 - tables read best one violation a line
"""The judge of the sweeps and of the rig sees what it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.kit.judge import Judge

RUN = "k3j9x2m4qa"
STRANGERS = {"user": [{"id": "s1", "name": "by hand", "status": "ACTIVE"}], "mate": [{"id": "s2", "name": "theirs"}]}
MADE: dict[str, dict[str, Any]] = {
    "lease": {"id": "l", "name": f"envagent-{RUN}-1-thing", "status": "ACTIVE"},
    "server": {"id": "n", "name": "mine", "metadata": {"envagent_run": RUN}, "status": "ACTIVE"},
    "port": {"id": "p", "name": "", "device_id": "n"},
    "floating_ip": {"id": "f", "description": f"envagent run {RUN} try 1", "port_id": "p"},
    "keypair": {"name": f"envagent-{RUN}"},
}
Cloud = dict[str, dict[str, list[dict[str, Any]]]]


@pytest.fixture
def cloud() -> Cloud:
    return {
        person: {kind: copy.deepcopy(leases) if kind == "lease" else [] for kind in MADE}
        for person, leases in STRANGERS.items()
    }


@pytest.fixture
def judge(cloud: Cloud) -> Judge:
    """A judge that has seen the cloud before the run."""
    one = Judge(lambda: copy.deepcopy(cloud))
    for kind, made in MADE.items():
        cloud["user"][kind].append(copy.deepcopy(made))
    return one


def test_a_run_that_works_and_is_gone_is_innocent(cloud: Cloud, judge: Judge) -> None:
    judge.works(RUN, judge.held_by([RUN])[RUN])
    for kind in MADE:
        cloud["user"][kind].pop()
    judge.gone()
    assert (judge.violations, judge.doubles, judge.leftovers) == ([], 0, 0)


BROKEN: dict[str, tuple[Callable[[Cloud], object], str]] = {
    "a second server": (lambda cloud: cloud["user"]["server"].append({**MADE["server"], "id": "n2"}), "two of kind server"),
    "a lease without a tag": (lambda cloud: cloud["user"]["lease"][1].update(name="x"), "tagged with None"),
    "another run's key": (lambda cloud: cloud["user"]["keypair"][0].update(name="envagent-other"), "tagged with other"),
    "a port of no server": (lambda cloud: cloud["user"]["port"][0].update(device_id="x"), "tagged with None"),
    "no address": (lambda cloud: cloud["user"]["floating_ip"].clear(), "has ['keypair', 'lease', 'port', 'server']"),
    "an address that leads elsewhere": (lambda cloud: cloud["user"]["floating_ip"][0].update(port_id="x"), "leads to port x"),
    "a server that builds": (lambda cloud: cloud["user"]["server"][0].update(status="BUILD"), "the server is BUILD"),
    "a changed lease of a stranger": (lambda cloud: cloud["mate"]["lease"][0].update(name="x"), "mate's lease s2 was touched"),
    "a lease by hand that is gone": (lambda cloud: cloud["user"]["lease"].pop(0), "user's lease s1 was touched"),
    "a stranger's new key": (lambda cloud: cloud["mate"]["keypair"].append({"name": "x"}), "mate got a keypair"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), BROKEN.values(), ids=BROKEN)
def test_a_violation_is_seen(cloud: Cloud, judge: Judge, spoil: Callable[[Cloud], object], words: str) -> None:
    spoil(cloud)
    judge.works(RUN, judge.held_by([RUN])[RUN])
    assert any(words in violation for violation in judge.violations), judge.violations


def test_what_is_left_is_counted(judge: Judge) -> None:
    judge.gone()
    assert judge.leftovers == len(MADE)


def test_what_strangers_do_meanwhile_can_be_accepted(cloud: Cloud, judge: Judge) -> None:
    cloud["mate"]["keypair"].append({"name": "x"})
    judge.accept("mate")
    judge.new()
    assert judge.violations == []
