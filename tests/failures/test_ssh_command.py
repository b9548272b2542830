"""`envagent ssh` and the entries for ssh, with the real client against a real SSH server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from envagent import ssh
from tests.failures import test_login
from tests.failures.conftest import Shell
from tests.failures.test_login import Node
from tests.kit.commands import Ended, call

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client here")
node = test_login.node


def plainly(shell: Shell, *arguments: str) -> Ended:
    return call(*arguments, folder=shell.home, environment=shell.environment, warm=True)


def test_a_run_can_be_logged_in_to_until_it_is_torn_down(shell: Shell, node: Node) -> None:
    node.any_key = True
    shell.settings["ENVAGENT_SSH__PORT"] = str(node.port)
    unknown = plainly(shell, "ssh", "last")
    assert (unknown.code, "there are no runs yet" in unknown.err) == (10, True)
    document = shell.run().document
    assert plainly(shell, "ssh", "last", "--", "true").code == 0
    assert plainly(shell, "ssh", "last", "--", "exit 1").code == 1, "the exit code of the command there"

    entries = shell.home / "ssh_config"
    assert entries.stat().st_mode & 0o777 == 0o600
    for name in (f"envagent-{document['run_id']}", document["server"]["name"]):
        done = subprocess.run(["ssh", "-F", str(entries), "-o", "BatchMode=yes", name, "true"], check=False)
        assert done.returncode == 0, name
    assert node.logins == ["cc"] * 5

    opened = plainly(shell, "open", "last", "--editor", "cursor", "--folder", "/data/a b?c")
    host = f"envagent-{document['run_id']}"
    assert opened.out == f"cursor://vscode-remote/ssh-remote+{host}/data/a%20b%3Fc\n"
    assert "envagent ssh --setup" in opened.err
    assert plainly(shell, "open", "last").out == f"vscode://vscode-remote/ssh-remote+{host}/home/cc\n"

    key = Path(document["private_key"])
    key.rename(key.with_suffix(".elsewhere"))
    without = plainly(shell, "ssh", "last", "--", "true")
    assert (without.code, "is not on this machine" in without.err) == (10, True)

    assert shell("teardown", "last", "--yes").code == 0
    assert "Host " not in entries.read_text()
    gone = plainly(shell, "ssh", "last", "--", "true")
    assert (gone.code, "has been torn down" in gone.err) == (10, True)


def test_no_value_of_an_entry_reaches_beyond_its_option(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" %h \\ #c'
    folder.mkdir()
    target = ssh.Target("192.0.2.7", "cc", folder / "key", folder / "known_hosts", 2222)
    config = tmp_path / "config"
    config.write_text(target.config_entry(["one", "two"]) + "\n" + target.config_entry(["three"]))
    shown = subprocess.run(["ssh", "-G", "-F", str(config), "two"], capture_output=True, text=True, check=True).stdout
    found = dict(line.split(" ", 1) for line in shown.splitlines() if " " in line)
    assert (found["hostname"], found["user"], found["port"]) == ("192.0.2.7", "cc", "2222")
    assert found["identityfile"] == str(target.private_key).replace("%", "%%")
    assert found["userknownhostsfile"] == str(target.known_hosts)
