"""A keypair is known by its name alone: whose it is and stays, when names are shared or the user takes a hand in it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.failures.conftest import Shell
from tests.kit.by_hand import public_key

pytestmark = pytest.mark.scenario

Check = Callable[[], None]
NAME = "lab"


def by_hand(shell: Shell, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Do something at Nova as the user, outside envagent."""
    asked = {"as": "user", "service": "nova", "method": method, "path": path, "body": body}
    return dict(shell.endpoint.control("act", asked))


def register(shell: Shell, key: str) -> None:
    made = by_hand(shell, "POST", "/os-keypairs", {"keypair": {"name": NAME, "public_key": key}})
    assert made["status"] < 300


def is_there(shell: Shell) -> bool:
    return bool(by_hand(shell, "GET", f"/os-keypairs/{NAME}")["status"] == 200)


def test_a_key_that_the_user_put_in_place_of_ours_stays(shell: Shell) -> None:
    assert shell.run("--key-name", NAME).code == 0
    by_hand(shell, "DELETE", f"/os-keypairs/{NAME}")
    register(shell, public_key())
    assert shell("teardown", "last", "--yes").code == 0
    assert is_there(shell)


def test_a_key_that_the_user_registers_while_the_plan_is_read_stays(shell: Shell, tmp_path: Path) -> None:
    public = tmp_path / "key.pub"
    public.write_text(public_key())
    shell.faults({"action": "delay", "service": "nova", "method": "POST", "path": "os-keypairs", "seconds": 2000})
    run = shell.start("--key-name", NAME, "--public-key", str(public))
    time.sleep(0.5)
    deadline = time.monotonic() + 20
    while run.running and time.monotonic() < deadline:
        if shell.live()["lease"] and not is_there(shell):  # approved: the registration is on its way
            register(shell, public.read_text())
        time.sleep(0.05)
    assert run.wait(90).code == 0
    assert shell("teardown", "last", "--yes").code == 0
    assert is_there(shell)


def test_orphans_leave_the_key_of_a_run_under_way_alone_if_an_older_one_had_it(
    shell: Shell, nothing_left: Check
) -> None:
    assert shell.run("--key-name", NAME).code == 0
    assert shell("teardown", "last", "--yes").code == 0
    shell.faults({"action": "lease_stuck"})
    run = shell.start("--key-name", NAME)
    deadline = time.monotonic() + 20
    while not (is_there(shell) and shell.live()["lease"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    found = shell("teardown", "--orphans", "--cloud", "sandbox", "--yes")
    assert {one["outcome"] for one in found.document["orphans"]} == {"left_alone"}
    assert is_there(shell)
    run.send(signal.SIGTERM)
    run.wait(60)
    nothing_left()


def test_runs_that_begin_together_share_a_new_key(shell: Shell) -> None:
    runs = [shell.start("--key-name", NAME) for _ in range(4)]
    for run in runs:
        ended = run.wait(80)
        assert ended.code == 0, ended.document["error"]
    assert shell.live()["keypair"] == 1


def test_a_refused_look_does_not_disown_the_key_that_was_made(shell: Shell, nothing_left: Check) -> None:
    keypairs = {"service": "nova", "path": "/os-keypairs$"}
    shell.faults(
        {"action": "commit_then_drop", "method": "POST", **keypairs},
        {"action": "fail", "method": "GET", "status": 409, **keypairs},
    )
    assert shell.run().code != 0
    shell.faults()
    done = shell("resume", "last")
    assert done.code == 0, done.err
    assert {one["ownership"] for one in done.document["resources"] if one["kind"] == "keypair"} == {"adopted"}
    nothing_left()


def horizon_key(shell: Shell) -> Path:
    """Have the cloud know a key whose private half was downloaded as a PEM file."""
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    register(shell, public.decode())
    path = shell.home / ".ssh" / f"{NAME}.pem"
    path.parent.mkdir()
    path.touch(0o600)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return path


def test_a_key_that_horizon_made_is_found_where_the_hint_says(shell: Shell) -> None:
    path = horizon_key(shell)
    path.rename(shell.home / "away")
    refused = shell.run("--key-name", NAME)
    assert refused.code == 2, refused.err
    assert str(path) in refused.document["error"]["hint"]
    assert shell.live()["lease"] == 0
    (shell.home / "away").rename(path)
    done = shell("resume", refused.document["run_id"])
    assert done.code == 0, done.err
    assert done.document["private_key"] == str(path)
    assert shell("teardown", "last", "--yes").code == 0
    assert is_there(shell)


def test_a_private_key_that_others_may_read_is_refused_before_anything_is_reserved(shell: Shell) -> None:
    path = horizon_key(shell)
    path.chmod(0o644)
    refused = shell.run("--key-name", NAME)
    assert refused.code == 2, refused.err
    assert "mode 0644" in refused.document["error"]["message"]
    assert refused.document["error"]["hint"] == f"chmod 600 {path}"
    assert {kind: count for kind, count in shell.live().items() if count} == {"keypair": 1}


def test_a_run_that_fails_before_its_plan_makes_no_private_key(shell: Shell) -> None:
    """The AI is asked while the repository is analysed, and the key was once made at the same time."""
    ai = {"REQUIRED": "true", "BASE_URL": "http://127.0.0.1:9/v1", "RETRIES": "0"}
    failed = shell.run(**{f"ENVAGENT_AI__{name}": value for name, value in ai.items()})
    assert failed.code == 8, failed.err
    time.sleep(0.2)
    assert list(shell.home.glob("keys/*")) == []
    assert failed.document["private_key"] is None


def test_a_private_key_that_is_gone_is_not_replaced_by_another_one(shell: Shell, nothing_left: Check) -> None:
    """The cloud has its public half: a server with it would let nobody in."""
    keypairs = {"service": "nova", "path": "/os-keypairs$"}
    shell.faults(
        {"action": "commit_then_drop", "method": "POST", **keypairs},
        {"action": "fail", "method": "GET", "status": 409, **keypairs},
    )
    assert shell.run().code != 0
    shell.faults()
    (key,) = shell.home.glob("keys/*")
    key.unlink()
    resumed = shell("resume", "last")
    assert resumed.code == 6, resumed.err
    assert f"the private key {key} is gone" in resumed.document["error"]["message"]
    assert shell.live()["server"] == 0
    assert not key.exists()
    nothing_left()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh client here")
def test_a_key_with_a_passphrase_is_told_before_anything_is_reserved(shell: Shell, tmp_path: Path) -> None:
    """The run goes on: its owner may log in, or give the key to an agent meanwhile."""
    path = tmp_path / "laptop"
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-C", "josé@portátil", "-f", str(path)]
    subprocess.run(made, check=True)
    done = shell.run("--public-key", str(tmp_path / "laptop.pub"))
    assert done.code == 0, done.err
    assert done.document["private_key"] == str(path)
    (warning,) = [one for one in done.document["warnings"] if "login will not be verified" in one]
    assert f"ssh-add {path}" in warning
    told = done.err
    assert told.index("login will not be verified") < told.index("lease")
    assert shell("teardown", "last", "--yes").code == 0
