"""Make nodes: a Debian root below an overlay, in a mount and process namespace of its own, with a real sshd.

The root is made once with debootstrap, from its own default mirror, and kept; each node starts from it and
leaves nothing. It shares this machine's network, so that package indexes are reachable from it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envagent import ssh
from tests.kit.servers import free_port

ADDRESS = "127.0.0.1"
USER = "cc"
RELEASE = "bookworm"
PACKAGES = "openssh-server,sudo,ca-certificates,python3,python3-venv,git,iproute2,procps,curl"
ROOT = Path(os.environ.get("ENVAGENT_TEST_NODE", "/var/cache/envagent-test-node"))
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
UsePAM no
PasswordAuthentication no
AllowUsers cc
SetEnv SSL_CERT_FILE={ca} NODE_EXTRA_CA_CERTS={ca} PIP_CERT={ca} REQUESTS_CA_BUNDLE={ca}
"""

START = """\
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
if [ -n "$3" ]; then mkdir -p "$2/root/srv/git" && mount --bind "$3" "$2/root/srv/git"; fi
mkdir -p "$2/root/run/sshd"
exec chroot "$2/root" /usr/sbin/sshd -D -e
"""
"""Executed in namespaces of its own: sshd is the first process there, and all others end with it."""


class NoNode(Exception):
    """A node cannot be made on this machine; the message says why."""


@dataclass
class Node:
    """A running node."""

    target: ssh.Target
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def root(self) -> Path:
        """What the node has changed, as files of this machine; what it has not is only in the base."""
        return self.folder / "upper"

    def run(self, command: str, seconds: float = 60) -> ssh.Ran:
        """Run a command on the node."""
        return ssh.run_command(self.target, command, seconds=seconds)


def base(root: Path = ROOT) -> Path:
    """Return the root that nodes start from; make it if it is not there.

    Raises:
        NoNode: this machine cannot.
    """
    if os.geteuid() != 0:
        raise NoNode("only root can make a node")
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_name(f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers of pytest come at once
        return _made(root)


def _made(root: Path) -> Path:
    if (root / "etc/debian_version").exists():
        return root
    tool = shutil.which("debootstrap")
    if tool is None:
        raise NoNode("debootstrap is not installed")
    draft = root.with_name(f"{root.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    words = [tool, "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(draft)]
    made = subprocess.run(words, capture_output=True, text=True, timeout=900)
    if made.returncode != 0:
        raise NoNode(f"debootstrap failed: {made.stdout[-300:]}")
    shutil.rmtree(draft / "var/cache/apt/archives", ignore_errors=True)
    draft.rename(root)
    return root


@contextmanager
def started(folder: Path, repositories: Path | None = None) -> Iterator[Node]:
    """Start a node in an empty folder; it ends with the block.

    Args:
        folder: where its files are.
        repositories: a folder that the node sees as /srv/git.

    Raises:
        NoNode: this machine cannot.
    """
    lower = base()
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    port = free_port()
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    _configure(folder / "upper", port, key.with_suffix(".pub").read_text(), folder)
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", START, "node"]
    log = (folder / "sshd.log").open("wb")
    process = subprocess.Popen([*words, str(lower), str(folder), str(repositories or "")], stderr=log, stdout=log)
    target = ssh.Target(ADDRESS, USER, key, folder / "known_hosts", port)
    try:
        _wait_for(target, process, folder / "sshd.log")
        yield Node(target, folder, process)
    finally:
        process.kill()
        process.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(upper: Path, port: int, public_key: str, folder: Path) -> None:
    """Write what makes the root a node: its user, who may become root, its keys and its network."""
    etc = upper / "etc"
    for name in ("ssh", "sudoers.d", "ssl/certs"):
        (etc / name).mkdir(parents=True, exist_ok=True)
    host_key = etc / "ssh/ssh_host_ed25519_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)], check=True)
    (etc / "ssh/sshd_config").write_text(SSHD.format(port=port, ca=CERTIFICATES))
    for name, line in (
        ("passwd", f"{USER}:x:1000:1000::/home/{USER}:/bin/bash"),
        ("group", f"{USER}:x:1000:"),
        ("shadow", f"{USER}:*:20000:0:99999:7:::"),
    ):
        (etc / name).write_text(f"{(ROOT / 'etc' / name).read_text()}{line}\n")
    (etc / "shadow").chmod(0o600)
    (etc / f"sudoers.d/{USER}").write_text(
        f'{USER} ALL=(ALL) NOPASSWD:ALL\nDefaults env_keep += "SSL_CERT_FILE PIP_CERT"\n'
    )
    (etc / f"sudoers.d/{USER}").chmod(0o440)
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", etc / name)
    shutil.copy(CERTIFICATES, etc / "ssl/certs")
    home = upper / "home" / USER
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/authorized_keys").write_text(public_key)
    for one in (home, home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(one, 1000, 1000)
    folder.chmod(0o755)


def _wait_for(target: ssh.Target, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NoNode(f"the node does not start: {log.read_text()[-300:]}")
        login = ssh.try_login(target.address, target.user, target.private_key, target.known_hosts, target.port)
        if login.logged_in:
            return
        time.sleep(0.1)
    raise NoNode(f"no login: {log.read_text()[-300:]}")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the repositories below a folder to nodes, and yield the beginning of their URLs."""
    port = free_port()
    words = ["git", "daemon", "--export-all", f"--base-path={folder}", f"--listen={ADDRESS}", f"--port={port}"]
    words += ["--reuseaddr", "--enable=upload-pack", str(folder)]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            yield f"git://{ADDRESS}:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
