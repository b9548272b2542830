"""`envagent ssh --setup`: one line in the user's own configuration of ssh, and nothing else changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from envagent import ssh
from envagent.cli.logins import ServerLogin
from envagent.cli.ssh_config import host_names
from tests.cli.conftest import Cli

MINE = b"# caf\xe9\r\nHost *\n    User me"


def test_one_line_is_added_at_the_top_and_the_rest_is_kept(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "ssh_config", tmp_path / ".ssh" / "config"
    real.write_bytes(MINE)
    real.chmod(0o644)
    link.parent.mkdir()
    link.symlink_to("../dotfiles/ssh_config")
    for said in ("Added one line", "has the line already"):
        ended = cli("ssh", "--setup")
        assert (ended.code, said in ended.err) == (0, True), ended.err
        assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o644
        comment, line, empty, rest = real.read_bytes().split(b"\n", 3)
        assert (comment[:1], line, empty, rest) == (b"#", f'Include "{cli.home}/ssh_config"'.encode(), b"", MINE)
    assert [one.name for one in real.parent.iterdir()] == ["ssh_config"]


def test_without_a_run_or_a_configuration_of_ones_own(cli: Cli, tmp_path: Path) -> None:
    assert cli("ssh").code == 2
    assert cli("ssh", "--setup").code == 0
    own = tmp_path / ".ssh" / "config"
    assert (own.stat().st_mode & 0o777, own.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_name_that_means_another_host_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    """A server's name may be a pattern, a domain, a host of the user's own, or that of an older server."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text('Host other "lab"\n    User me\nhost=third\n')
    target = ssh.Target("192.0.2.7", "cc", None, tmp_path / "known_hosts")
    names = {"a": "mine", "b": "*", "c": "github.com", "d": "lab", "e": "mine", "f": "x\nHost *", "g": "third"}
    logins = [ServerLogin(run_id, name, "", target) for run_id, name in names.items()]
    logins += [ServerLogin(run_id, "mine", "", target, name) for run_id, name in (("h", "mine"), ("i", "lab"))]
    hosts = host_names(logins)  # the name that a user gave to a run goes first
    assert hosts == {"h": ["envagent-h", "mine"]} | {one: [f"envagent-{one}"] for one in "abcdefgi"}
    assert host_names(logins[:-2])["a"] == ["envagent-a", "mine"]


def test_plain_ssh_finds_a_server_until_it_is_torn_down(cli: Cli, repository: Path, tmp_path: Path) -> None:
    assert cli("ssh", "--setup").code == 0
    ended = cli("run", str(repository), "--cloud", "sandbox")
    [host] = [line.split()[-1] for line in ended.out.splitlines() if line.split()[:2] == ["or", "ssh"]]
    # ssh looks for its configuration in the account's home folder, not in $HOME
    plainly = ["ssh", "-F", str(tmp_path / ".ssh" / "config"), "-o", "BatchMode=yes", host, "hostname"]
    done = subprocess.run(plainly, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{host}-")
    assert cli("teardown", host.removeprefix("envagent-")).code == 0
    gone = subprocess.run(plainly, capture_output=True, text=True, check=False)
    assert (gone.returncode, "resolve hostname" in gone.stderr) == (255, True)
