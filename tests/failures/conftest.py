"""A home with a running sandbox, a small repository, and the command line as a user calls it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envagent.sandbox import Endpoint, read_log
from envagent.sandbox.process import stop
from tests.kit import warm_sandbox
from tests.kit.by_hand import host_lease
from tests.kit.commands import Ended, Started, call
from tests.kit.git import PLAIN, make_repository

Fault = dict[str, Any]


class Shell:
    """Calls envagent in a process of its own, at home in one folder."""

    def __init__(self, home: Path, endpoint: Endpoint, repository: Path) -> None:
        self.home = home
        self.endpoint = endpoint
        self.repository = repository
        self.settings: dict[str, str] = {}
        """Further variables of every command's environment."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "ENVAGENT_HOME": str(self.home),
            "ENVAGENT_RETRY__FIRST_SECONDS": "0.1",
            "ENVAGENT_RETRY__TRIES": "3",
            **self.settings,
        }

    def start(self, *arguments: str) -> Started:
        """Start a run and do not wait for it."""
        given = ("run", str(self.repository), "--cloud", "sandbox", "--new", *arguments, "--json")
        return Started(*given, folder=self.home, environment=self.environment, warm=True)

    def __call__(self, *arguments: str, **settings: str) -> Ended:
        ended = call(*arguments, "--json", folder=self.home, environment={**self.environment, **settings}, warm=True)
        assert "Traceback" not in ended.err
        return ended

    def run(self, *arguments: str, **settings: str) -> Ended:
        return self("run", str(self.repository), "--cloud", "sandbox", "--new", *arguments, **settings)

    def faults(self, *faults: Fault) -> None:
        self.endpoint.control("faults", {"faults": faults})

    def act(self, service: str, method: str, path: str, body: object = None, who: str = "user") -> dict[str, Any]:
        """Do something in the cloud outside envagent, as the user or somebody else; return the answer's body."""
        asked = {"as": who, "service": service, "method": method, "path": path, "body": body}
        answer = self.endpoint.control("act", asked)
        assert answer["status"] < 300, answer
        return dict(answer["body"] or {})

    def reserve(self, name: str, end: str, *, who: str = "user", node_type: str | None = None) -> dict[str, Any]:
        """Reserve one host outside envagent, from now until a time as Blazar writes it; return the lease."""
        body = host_lease(name, end, node_type=node_type)
        return dict(self.act("blazar", "POST", "/leases", body, who)["lease"])

    def live(self) -> dict[str, int]:
        """Count what is there of what was ever made, by the cloud's own log."""
        count: dict[str, set[str]] = {"lease": set(), "server": set(), "floating_ip": set(), "keypair": set()}
        for line in read_log(self.home):
            if line["kind"] in count and line["status"] < 300:
                if line["method"] == "POST":
                    count[line["kind"]].add(line["id"])
                elif line["method"] == "DELETE":
                    count[line["kind"]].discard(line["id"])
        return {kind: len(ids) for kind, ids in count.items()}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    home = tmp_path / "home"
    home.mkdir()
    repository = make_repository(tmp_path / "thing", PLAIN)
    yield Shell(home, warm_sandbox.start(home, speed=5000), repository)
    stop(home)


@pytest.fixture
def nothing_left(shell: Shell) -> Iterator[Callable[[], None]]:
    """Whatever happened, a teardown leaves nothing."""

    def check() -> None:
        shell.faults()
        done = shell("teardown", "last", "--yes")
        assert done.code == 0, done.err
        assert set(shell.live().values()) == {0}

    yield check
