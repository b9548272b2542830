"""The login is proved with the real ssh client against a real SSH server."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from envagent import ssh
from tests.failures.conftest import Shell

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client here")


@dataclass
class Node:
    """An SSH server on every loopback address, as a freshly booted node: it lets `cc` in with one public key."""

    port: int = 0
    authorized: set[str] = field(default_factory=set)
    any_key: bool = False
    logins: list[str] = field(default_factory=list)

    def lets_in(self, user: str, key: asyncssh.SSHKey) -> bool:
        line = " ".join(key.export_public_key().decode().split()[:2])
        return user == "cc" and (self.any_key or line in self.authorized)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            self.user = username
            return True

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return node.lets_in(username, key)

    async def work(process: asyncssh.SSHServerProcess[str]) -> None:
        node.logins.append(process.get_extra_info("username"))
        process.exit(0 if process.command == "true" else 1)

    async def serve() -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        acceptor = await asyncssh.create_server(
            Server, "0.0.0.0", 0, server_host_keys=[key], process_factory=work, allow_scp=False
        )
        node.port = acceptor.get_port()
        ready.set()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    assert ready.is_set()
    yield node
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def test_a_key_that_fits_logs_in(node: Node, tmp_path: Path) -> None:
    ssh.create_private_key(tmp_path / "key")
    node.authorized.add(ssh.public_key_of(tmp_path / "key"))
    login = ssh.try_login("127.0.0.1", "cc", tmp_path / "key", tmp_path / "known_hosts", node.port)
    assert (login.reached, login.logged_in) == (True, True), login.said
    assert node.logins == ["cc"]
    assert (tmp_path / "known_hosts").exists()


def test_a_wrong_key_or_user_is_reached_and_refused(node: Node, tmp_path: Path) -> None:
    ssh.create_private_key(tmp_path / "key")
    login = ssh.try_login("127.0.0.1", "cc", tmp_path / "key", tmp_path / "known_hosts", node.port)
    assert (login.reached, login.logged_in) == (True, False)
    assert "denied" in login.said.lower()
    assert node.logins == []


def test_nobody_there(tmp_path: Path) -> None:
    login = ssh.try_login("127.0.0.1", "cc", None, tmp_path / "known_hosts", 9)
    assert (login.reached, login.logged_in) == (False, False)


def test_a_key_file_is_private_whole_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key"
    assert ssh.create_private_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert ssh.public_key_of(path).startswith("ssh-ed25519 ")
    before = path.read_bytes()
    assert not ssh.create_private_key(path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["key"]


def test_a_run_proves_the_login(shell: Shell, node: Node, nothing_left: Callable[[], None]) -> None:
    node.any_key = True
    done = shell.run(ENVAGENT_SSH__PORT=str(node.port))
    assert done.code == 0, done.told
    assert done.document["ssh_verified"] is True
    assert node.logins == ["cc"]
    nothing_left()
