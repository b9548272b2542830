"""The login is proved with the real ssh client against a real SSH server."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import asyncssh
import pytest

from envagent import keys, ssh
from envagent.catalog import node_types
from envagent.cli.render.hint_text import hint_text
from envagent.config import Settings, SshSettings
from envagent.engine.context import Context
from envagent.engine.intents import Ledger
from envagent.engine.loaded_run import Inventory
from envagent.engine.runtime import Runtime
from envagent.engine.step import NotYet
from envagent.engine.tables import StageRecord
from envagent.errors import ServerFailed
from envagent.repository.results import Requirements
from envagent.steps.assign_floating_ip import AssignedAddress
from envagent.steps.ensure_keypair import EnsuredKeypair
from envagent.steps.launch_server import LaunchedServer
from envagent.steps.node_check import LOOK
from envagent.steps.select_image import ImageCandidates
from envagent.steps.services import Services
from envagent.steps.verify import Verify
from tests.failures.conftest import Shell

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client here")


@dataclass
class Node:
    """An SSH server on every loopback address, as a freshly booted node: it lets `cc` in with one public key."""

    port: int = 0
    authorized: set[str] = field(default_factory=set)
    any_key: bool = False
    logins: list[str] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    """Keys that clients have shown."""
    succeeding: set[str] = field(default_factory=lambda: {"true", LOOK})
    """The commands that exit with 0."""
    renew: Callable[[str], None] = lambda kind: None
    """Makes its host key anew, as cloud-init does while it sets a machine up."""

    def lets_in(self, user: str, key: asyncssh.SSHKey) -> bool:
        line = " ".join(key.export_public_key().decode().split()[:2])
        self.offered.add(line)
        return user == "cc" and (self.any_key or line in self.authorized)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    loop = asyncio.new_event_loop()
    connections: list[asyncssh.SSHServerConnection] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
            connections.append(connection)

        def begin_auth(self, username: str) -> bool:
            self.user = username
            return True

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return node.lets_in(username, key)

    async def work(process: asyncssh.SSHServerProcess[str]) -> None:
        node.logins.append(process.get_extra_info("username"))
        process.exit(0 if process.command in node.succeeding else 1)

    async def serve() -> asyncssh.SSHAcceptor:
        key = asyncssh.generate_private_key("ssh-ed25519")
        acceptor = await asyncssh.create_server(
            Server, "0.0.0.0", 0, server_host_keys=[key], process_factory=work, allow_scp=False
        )
        node.port = acceptor.get_port()

        async def change(kind: str) -> None:
            acceptor.update(server_host_keys=[asyncssh.generate_private_key(kind)])

        node.renew = lambda kind: asyncio.run_coroutine_threadsafe(change(kind), loop).result(10)
        return acceptor

    async def close(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    acceptor = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    yield node
    asyncio.run_coroutine_threadsafe(close(acceptor), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_a_key_that_fits_logs_in(node: Node, tmp_path: Path) -> None:
    keys.create_private_key(tmp_path / "key")
    node.authorized.add(keys.public_key_of(tmp_path / "key"))
    login = ssh.try_login("127.0.0.1", "cc", tmp_path / "key", tmp_path / "known_hosts", node.port)
    assert (login.reached, login.logged_in) == (True, True), login.said
    assert node.logins == ["cc"]
    assert (tmp_path / "known_hosts").exists()


def test_a_wrong_key_or_user_is_reached_and_refused(node: Node, tmp_path: Path) -> None:
    keys.create_private_key(tmp_path / "key")
    login = ssh.try_login("127.0.0.1", "cc", tmp_path / "key", tmp_path / "known_hosts", node.port)
    assert (login.reached, login.logged_in) == (True, False)
    assert "denied" in login.said.lower()
    assert node.logins == []


def locked_key(folder: Path) -> Path:
    """Make a key with a passphrase, and beside it its public half and an open copy."""
    path = folder / "locked"
    keys.create_private_key(path)
    path.with_suffix(".pub").write_text(keys.public_key_of(path))
    path.with_suffix(".open").write_bytes(path.read_bytes())
    path.with_suffix(".open").chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(path)], check=True)
    return path


def test_a_key_with_a_passphrase_proves_nothing_and_is_not_tried_for_ever(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    node.any_key = True
    login = ssh.try_login("127.0.0.1", "cc", locked_key(tmp_path), tmp_path / "known_hosts", node.port)
    assert (login.reached, login.logged_in, login.repeatable) == (True, False, False)
    assert "passphrase" in login.said


@contextmanager
def agent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty SSH agent that the environment names."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(folder / "agent")], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(folder / "agent"))
        while not (folder / "agent").exists():
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait()


def test_an_agent_opens_a_key_with_a_passphrase(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = locked_key(tmp_path)
    node.authorized.add(key.with_suffix(".pub").read_text())
    with agent(tmp_path, monkeypatch):
        subprocess.run(["ssh-add", "-q", str(key.with_suffix(".open"))], check=True)
        login = ssh.try_login("127.0.0.1", "cc", key, tmp_path / "known_hosts", node.port)
        node.authorized.clear()
        refused = ssh.try_login("127.0.0.1", "cc", key, tmp_path / "known_hosts", node.port)
    assert login.logged_in, login.said
    assert not refused.logged_in and refused.repeatable, "the node may not have the key yet"


def test_without_an_ssh_client_nothing_is_proved(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.create_private_key(tmp_path / "key")
    monkeypatch.setenv("PATH", str(tmp_path))
    login = ssh.try_login("127.0.0.1", "cc", tmp_path / "key", tmp_path / "known_hosts", node.port)
    assert (login.reached, login.logged_in, login.repeatable) == (True, False, False)


def own_address() -> str:
    """An address of this machine that is not loopback's, as a real server has one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has loopback alone")
        return str(one.getsockname()[0])


def verifying(node: Node, folder: Path, warnings: list[str]) -> Context[Services]:
    """What the step `verify` works with, on a node that is not a simulated one."""
    settings = Settings(ssh=SshSettings(port=node.port))
    cloud = SimpleNamespace(server=lambda _: SimpleNamespace(status="ACTIVE", fixed_ips=()))
    services = Services(
        settings,
        run_folder=folder,
        key_folder=folder,
        connect=lambda: cloud,
        advise=None,  # type: ignore[arg-type]
    )
    row = StageRecord(run_id="r", step="verify", stage="check", position=0)
    run = SimpleNamespace(run_id="r", stages={"verify.check": row}, inventory=Inventory("r"))
    runtime = Runtime(None, listener=lambda line: warnings.append(line.message))  # type: ignore[arg-type]
    ledger = Ledger(runtime, run.inventory, "verify.check", attempt=1)
    return Context(services, run, "verify.check", ledger)  # type: ignore[arg-type]


def log_in(context: Context[Services], key: Path) -> bool | str:
    """Do the step's stage on a server at this machine's address; whether it logged in, or what it waits for."""
    verified = Verify().check(
        context,
        LaunchedServer(server_id="s", server_name="n", image_id="i", image_name="CC-Ubuntu24.04", fixed_ips=()),
        AssignedAddress(floating_ip_id="f", address=own_address()),
        EnsuredKeypair(name="k", private_key=key),
        ImageCandidates(images=()),
        SimpleNamespace(analysis=SimpleNamespace(requirements=Requirements())),  # type: ignore[arg-type]
        SimpleNamespace(placement=SimpleNamespace(candidates=[SimpleNamespace(node_type=node_types("CHI@UC")[0])])),  # type: ignore[arg-type]
        SimpleNamespace(node_type=node_types("CHI@UC")[0].name),  # type: ignore[arg-type]
    )
    return (verified.status or "") if isinstance(verified, NotYet) else verified.logged_in


def test_a_login_that_cannot_be_proved_here_does_not_fail_the_run(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    warnings: list[str] = []
    context = verifying(node, tmp_path, warnings)
    assert log_in(context, locked_key(tmp_path)) is False
    assert "passphrase" in warnings[0]


def test_a_login_is_proved_although_looking_at_the_node_fails(node: Node, tmp_path: Path) -> None:
    keys.create_private_key(tmp_path / "key")
    node.any_key = True
    node.succeeding = {"true"}
    assert log_in(verifying(node, tmp_path, []), tmp_path / "key") is True
    assert node.logins == ["cc", "cc"]


def test_a_pem_key_that_is_not_installed_yet_is_waited_for(node: Node, tmp_path: Path) -> None:
    key = tmp_path / "lab.pem"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", str(key)], check=True)
    context = verifying(node, tmp_path, [])
    assert "denied" in str(log_in(context, key)).lower()
    node.authorized.add(keys.public_key_of(key))
    assert log_in(context, key) is True


def test_a_host_key_that_is_made_anew_before_the_first_login_locks_nobody_out(node: Node, tmp_path: Path) -> None:
    keys.create_private_key(tmp_path / "key")
    context = verifying(node, tmp_path, [])
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-ed25519"):
        assert isinstance(log_in(context, tmp_path / "key"), str)
        node.renew(kind)
    node.authorized.add(keys.public_key_of(tmp_path / "key"))
    assert log_in(context, tmp_path / "key") is True
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256"):
        node.renew(kind)
        with pytest.raises(ServerFailed, match="another host key than at the last login") as refused:
            log_in(context, tmp_path / "key")
    command = hint_text(refused.value.hint).partition(": ")[2].partition(", then")[0]
    subprocess.run(command, shell=True, check=True)
    assert log_in(context, tmp_path / "key") is True


@pytest.mark.parametrize("folder", ["plain", 'with space "and" 100%'])
def test_the_command_that_is_printed_logs_in_where_an_agent_has_many_keys(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """Servers close the connection after six keys, and the user's own known_hosts may have another one's key."""
    place = tmp_path / folder
    place.mkdir()
    keys.create_private_key(place / "key")
    node.authorized.add(keys.public_key_of(place / "key"))
    with agent(tmp_path, monkeypatch):
        for number in range(8):
            keys.create_private_key(tmp_path / f"{number}")
            subprocess.run(["ssh-add", "-q", str(tmp_path / f"{number}")], check=True)
        login = ssh.try_login("127.0.0.1", "cc", place / "key", place / "known_hosts", node.port)
        assert login.logged_in, login.said
        command = ssh.command_line("127.0.0.1", "cc", place / "key", place / "known_hosts", node.port)
        pasted = subprocess.run(f"{command} true </dev/null", shell=True, capture_output=True, check=False)
        assert pasted.returncode == 0, pasted.stderr
    assert node.offered == node.authorized, "no other key was shown"
    assert node.logins == ["cc", "cc"]


def test_nobody_there(tmp_path: Path) -> None:
    login = ssh.try_login("127.0.0.1", "cc", None, tmp_path / "known_hosts", 9)
    assert (login.reached, login.logged_in) == (False, False)


def test_a_key_file_is_private_whole_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key"
    assert keys.create_private_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert keys.public_key_of(path).startswith("ssh-ed25519 ")
    before = path.read_bytes()
    assert not keys.create_private_key(path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["key"]


def test_a_run_proves_the_login(shell: Shell, node: Node, nothing_left: Callable[[], None]) -> None:
    node.any_key = True
    done = shell.run(ENVAGENT_SSH__PORT=str(node.port))
    assert done.code == 0, done.err
    assert done.document["ssh_verified"] is True
    assert node.logins == ["cc"]
    again = shell("resume", "last", ENVAGENT_SSH__PORT=str(node.port))
    assert (again.code, again.document["ssh_verified"]) == (0, True)
    assert node.logins == ["cc", "cc"]  # what a resume shows it has tried
    node.renew("ssh-ed25519")
    changed = shell("resume", "last", ENVAGENT_SSH__PORT=str(node.port))
    assert (changed.code, changed.document["ssh_verified"]) == (6, None)
    assert "another host key than at the last login" in changed.document["error"]["message"]
    nothing_left()
