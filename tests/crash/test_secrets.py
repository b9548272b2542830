"""Secrets, file modes, escape sequences: what must not leave, be readable by others, or reach a terminal.

Secrets: the password, the secret of an application credential, tokens, the AI's key and the private key are searched
in everything that a command leaves and shows while it fails in every way, with all logging at its loudest.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.crash import escapes
from tests.crash.chat import chat_server
from tests.crash.child import Ended, Home
from tests.crash.hooks import Exchange, Strike
from tests.crash.oracle import Judge, Outcome
from tests.crash.world import CLOUD, World

SPEED = 2000.0
AI_KEY = "sk-canary4c1d0e77a2b84f6b9d0c5e1f7a3b2c4d"
WRONG_PASSWORD = "canary-password-6b1f29e0"
LOUD = {
    "ENVAGENT_DEBUG": "1",
    "OS_DEBUG": "1",
    "OPENAI_LOG": "debug",
    "PYTHONASYNCIODEBUG": "1",
    "OPENAI_API_KEY": AI_KEY,
    "ENVAGENT_AI__API_KEY": AI_KEY,
    "ENVAGENT_RETRY__TRIES": "1",
}

Scenario = Callable[[World, Home, Judge], list[Ended]]
"""One way in which a run goes well or wrong; returns its commands."""

Play = Callable[[World, Home, Judge], None]


def _loudly() -> None:
    """Let every logger say everything."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
    for name in ("keystoneauth", "keystoneauth.session", "openstack", "blazarclient", "urllib3", "openai", "httpx"):
        logging.getLogger(name).setLevel(logging.DEBUG)


def _with_a_bug() -> None:
    """Break the adapter where all secrets are within reach of a traceback."""
    from envagent.cloud import adapter

    def broken(cloud: Any, *arguments: Any, **more: Any) -> Any:
        password = cloud._session.auth.__dict__
        raise RuntimeError(f"a bug among {len(password)} secrets")

    adapter._OpenStackCloud.networks = broken  # type: ignore[assignment,method-assign]
    _loudly()


def _ways() -> dict[str, Scenario]:
    """List the ways in which a run goes well or wrong."""

    def plain(*faults: dict[str, Any]) -> Scenario:
        def play(world: World, home: Home, judge: Judge) -> list[Ended]:
            world.faults(*faults)
            ended = [_watched(judge, world, home, *home.run_arguments())]
            world.faults()
            return ended

        return play

    def entry(change: Callable[[dict[str, Any]], None], name: str = CLOUD) -> Scenario:
        def play(world: World, home: Home, judge: Judge) -> list[Ended]:
            clouds = yaml.safe_load(world.clouds_file.read_text("utf-8"))["clouds"]
            change(clouds[name])
            other = world.folder / "other-clouds.yaml"
            other.write_text(yaml.safe_dump({"clouds": {CLOUD: clouds[name]}}), "utf-8")
            home.environment["OS_CLIENT_CONFIG_FILE"] = str(other)
            ended = [_watched(judge, world, home, *home.run_arguments())]
            home.environment.pop("OS_CLIENT_CONFIG_FILE")
            return ended

        return play

    def bug(world: World, home: Home, judge: Judge) -> list[Ended]:
        ended = home.start(*home.run_arguments(), before=_with_a_bug).wait()
        judge.expect(ended.code == 1, f"not exit 1: {ended}")
        return [ended]

    def killed(world: World, home: Home, judge: Judge) -> list[Ended]:
        strike = Strike("committed", Exchange("POST", "/uc/compute/v2.1/servers", 1))
        return [home.call(*home.run_arguments(), strikes=[strike])]

    def wrong_password(cloud: dict[str, Any]) -> None:
        cloud["auth"]["password"] = WRONG_PASSWORD

    def dead_host(cloud: dict[str, Any]) -> None:
        cloud["auth"]["auth_url"] = "http://127.0.0.1:9/identity/v3"

    def userinfo(cloud: dict[str, Any]) -> None:
        cloud["auth"]["auth_url"] = f"http://you:{WRONG_PASSWORD}@127.0.0.1:9/identity/v3"

    def stray(cloud: dict[str, Any]) -> None:
        cloud["auth"]["passwort"] = WRONG_PASSWORD

    def nothing(cloud: dict[str, Any]) -> None:
        pass

    def fail(service: str, path: str, status: int) -> dict[str, Any]:
        return {"action": "fail", "service": service, "path": path, "status": status}

    return {
        "success": plain(),
        "wrong password": entry(wrong_password),
        "unreachable Keystone": entry(dead_host),
        "a password in the URL": entry(userinfo),
        "an unknown option": entry(stray),
        "application credential": entry(nothing, "chi-appcred"),
        "500 at the login": plain(fail("keystone", "/tokens$", 500)),
        "401 everywhere": plain({"action": "expire_token"}),
        "500 at the images": plain(fail("glance", "/images", 500)),
        "400 at the keypair": plain(fail("nova", "/os-keypairs$", 400)),
        "500 at the lease": plain(fail("blazar", "/leases$", 500)),
        "403 at the server": plain(fail("nova", "/servers$", 403)),
        "a lost server": plain({"action": "commit_then_drop", "service": "nova", "path": "/servers$", "nth": 1}),
        "server in ERROR": plain({"action": "server_error", "text": "broken", "after": 1}),
        "reset at the address": plain({"action": "drop", "service": "neutron", "path": "/floatingips$"}),
        "a bug": bug,
        "SIGKILL": killed,
    }


def _canaries(name: str, way: Scenario, *, refuses: bool) -> Play:
    """Let a run go one way, and search."""

    def search(world: World, home: Home, judge: Judge) -> None:
        home.environment |= LOUD
        with chat_server("a reason", refuses=refuses) as url:
            home.environment["ENVAGENT_AI__BASE_URL"] = url
            ended = way(world, home, judge)
            judge.expect(all(one.code != 1 or name == "a bug" for one in ended), f"{name}: {ended}")
            run_id = home.run_id()
            if run_id is not None:
                ended.append(_watched(judge, world, home, "status", run_id, "--json"))
                ended.append(_watched(judge, world, home, "teardown", run_id, "--yes"))
                judge.expect(ended[-1].code == 0, f"{name}: {ended[-1]}")
            _search(judge, world, home, name, ended)

    return search


def _watched(judge: Judge, world: World, home: Home, *argv: str) -> Ended:
    """Run a command and look at the process list meanwhile."""
    child = home.start(*argv, before=_loudly)
    secrets = _secrets(world, home)
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = process.read_text("utf-8", "replace")
            except OSError:
                continue
            for name, secret in secrets.items():
                judge.expect(secret not in line, f"{name} in the process list: {line}")
        time.sleep(0.02)
    return child.wait()


def _secrets(world: World, home: Home) -> dict[str, str]:
    """Collect everything that must stay where it is."""
    found = {"the AI's key": AI_KEY, "the wrong password": WRONG_PASSWORD}
    for name, cloud in world.entries.items():
        for option in ("password", "application_credential_secret"):
            if option in cloud["auth"]:
                found[f"{option} of {name}"] = cloud["auth"][option]
    state = world.folder / "sandbox" / "state.db"
    with closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True)) as connection:
        for number, (token,) in enumerate(connection.execute("SELECT token FROM tokens")):
            found[f"token {number}"] = token
    for key in (home.home / "keys").glob("*"):
        lines = key.read_text("utf-8").splitlines()
        found[f"private key {key.name}"] = lines[len(lines) // 2]
    return found


def _search(judge: Judge, world: World, home: Home, name: str, ended: list[Ended]) -> None:
    """Search what was shown and every file but the keys themselves."""
    texts = {
        f"{stream} of {one.argv[0]}": text for one in ended for stream, text in (("out", one.out), ("err", one.err))
    }
    for path in home.folder.rglob("*"):
        if path.is_file() and path.parent != home.home / "keys":
            texts[str(path.relative_to(home.folder))] = path.read_bytes().decode("latin-1")
    texts["the journal"] = home.database.text()
    for what, secret in _secrets(world, home).items():
        for where, text in texts.items():
            judge.expect(secret not in text, f"{name}: {what} in {where}")
    for where, text in texts.items():
        judge.expect("PRIVATE KEY-----" not in text, f"{name}: a private key in {where}")


def _open_to_all() -> None:
    os.umask(0)


def modes_are_private(world: World, home: Home, judge: Judge) -> None:
    """Under umask 000, every file is for its owner alone."""
    shutil.rmtree(home.folder)
    home.folder.mkdir(mode=0o700)
    strike = Strike("committed", Exchange("POST", "/uc/compute/v2.1/servers", 1))
    for argv, strikes in (
        (home.run_arguments(), [strike]),
        (("resume", "last", "--yes"), []),
        (("status", "last"), []),
        (("teardown", "last", "--yes"), []),
    ):
        child = home.start(*argv, strikes=strikes, before=_open_to_all)
        ended = child.wait()
        judge.expect(ended.killed if strikes else ended.code == 0, f"under umask 000: {ended}")
        for path in home.folder.rglob("*"):
            harness = re.fullmatch(r"command-\d+\.(out|err|trace)", path.name)
            mode = path.lstat().st_mode & 0o777
            wanted = 0o700 if path.is_dir() else 0o600
            judge.expect(bool(harness) or mode == wanted, f"{path.relative_to(home.folder)} is {mode:o}")


SCENARIOS: dict[str, Play] = {
    "modes are private under umask 000": modes_are_private,
    **{f"escapes of {source} do not arrive": escapes.from_source(source) for source in escapes.SOURCES},
    "escapes of the AI do not arrive": escapes.from_the_ai,
    "escapes of a lease's name do not arrive": escapes.from_a_lease,
    **{f"canaries: {name}": _canaries(name, way, refuses=False) for name, way in _ways().items()},
    **{f"canaries, the AI refuses: {name}": _canaries(name, way, refuses=True) for name, way in _ways().items()},
}


@pytest.mark.sweep(points=lambda plan: list(SCENARIOS), bounded=5)
def test_nothing_gets_out(world: World, point: str, check: Callable[[Outcome], None]) -> None:
    """Play a scenario and judge."""
    home = Home.make(world, "secrets")
    judge = Judge(world)
    SCENARIOS[point](world, home, judge)
    time.sleep(0.05)
    judge.gone()
    home.remove()
    check(judge.verdict())
