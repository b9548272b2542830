"""Connections by SSH to a simulated node: who is admitted, and sessions with the simulated shell.

Only sessions exist: no forwarding of ports, agents or displays, no SFTP. The module loads asyncssh, and is loaded with
the first connection.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import traceback

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from envagent.sandbox.cloud_time import Clock
from envagent.sandbox.node_programs import programs_of
from envagent.sandbox.node_shell import MAX_LINE, MAX_OUTPUT, Answer, Shell
from envagent.sandbox.ssh_server import KEYS, Door

LOGIN_SECONDS = 30.0
IDLE_SECONDS = 3600.0
CONNECTION_SECONDS = 12 * 3600.0
MAX_SESSIONS = 10
"""Sessions of one connection, over its whole time at most a hundred times as many."""

Process = asyncssh.SSHServerProcess[str]


async def talk(door: Door, connection: socket.socket, clock: Clock) -> None:
    """Serve one connection until it ends."""
    key = Ed25519PrivateKey.from_private_bytes(door.host_key)
    sessions = asyncio.Semaphore(MAX_SESSIONS)

    async def session(process: Process) -> None:
        async with sessions:
            await _serve(door, process)

    with contextlib.suppress(OSError, asyncssh.Error, TimeoutError):
        accepted = await asyncssh.run_server(
            connection,
            server_factory=lambda: _Gate(door, clock),
            server_host_keys=[
                asyncssh.import_private_key(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
            ],
            server_version="OpenSSH_9.6p1 sandbox",
            process_factory=session,
            errors="replace",
            login_timeout=LOGIN_SECONDS,
            keepalive_interval=60,
            compression_algs=None,
            gss_host=None,
            agent_forwarding=False,
            line_history=100,
            max_line_length=MAX_LINE,
        )
        try:
            async with asyncio.timeout(CONNECTION_SECONDS):
                await accepted.wait_closed()
        finally:
            accepted.abort()


class _Gate(asyncssh.SSHServer):
    """Admits the user of the image with a key that the server was created with or was given since; nobody else."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door = door
        self._clock = clock

    def begin_auth(self, username: str) -> bool:
        """Require a key."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Accept keys; there are no passwords."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Compare a key with the one that is installed."""
        files, shown = self._door.files, base64.b64encode(key.public_data).decode()
        if username != self._door.node.system.user or self._clock.now() < self._door.admits_at:
            return False
        path = f"{files.home}/{KEYS}"
        lines = files.read(path).splitlines() if files.exists(path) else []
        return any(shown in line.split()[1:2] for line in lines)


async def _serve(door: Door, process: Process) -> None:
    """Run a session: one command, or a shell until its end."""
    shell = Shell(door.node, door.files, programs_of(door.node), door.node.system.user)
    try:
        if process.subsystem is not None:
            _write(process, Answer(err=f"{process.subsystem}: not simulated\n", code=1))
        elif process.command is None:
            await _interact(shell, process)
        else:
            given = await process.stdin.read(MAX_OUTPUT) if shell.reads_input(process.command) else ""
            _write(process, shell.run(process.command, given))
        process.exit(shell.code)
    except (asyncssh.Error, OSError, TimeoutError):
        process.exit(1)
    except Exception:
        traceback.print_exc()
        process.exit(1)


async def _interact(shell: Shell, process: Process) -> None:
    """Read lines and run them, with a prompt where there is a terminal."""
    terminal = process.term_type is not None
    if terminal:
        system = shell.node.system
        process.stdout.write(f"{system.name} {system.long} on a simulated node; `help` lists what it knows.\n")
    while not shell.ended:
        if terminal:
            process.stdout.write(shell.prompt)
        line = await _line(process)
        if line is None:
            continue
        if not line:
            if terminal:
                process.stdout.write("logout\n")
            return
        _write(process, shell.run(line.rstrip("\r\n")))
        await process.stdout.drain()


async def _line(process: Process) -> str | None:
    """Read a line: "" at the end of the input, None if it was interrupted."""
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                return await process.stdin.readline()
        except asyncssh.TerminalSizeChanged:
            continue
        except (asyncssh.BreakReceived, asyncssh.SignalReceived):
            if isinstance(process.channel, asyncssh.SSHLineEditorChannel):
                process.channel.clear_input()
            process.stdout.write("^C\n")
            return None


def _write(process: Process, answer: Answer) -> None:
    """Write what a command said; a terminal has one stream only."""
    process.stdout.write(answer.out)
    (process.stdout if process.term_type is not None else process.stderr).write(answer.err)
