"""Where servers are reached by SSH: a socket on the floating IP of each that runs, from its boot until it is gone.

The port is that of the HTTP server, so two sandboxes of one machine, whose floating IPs are the same loopback
addresses, do not meet. Everything follows from the state, so all is as before when the process has been restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
import math
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from envagent.sandbox.cloud import Sandbox
from envagent.sandbox.inventory import sites
from envagent.sandbox.node_facts import Node, node_of
from envagent.sandbox.node_files import Files
from envagent.sandbox.node_programs import system_files
from envagent.sandbox.records import FloatingIp, Port, Server
from envagent.sandbox.world import World

BOOT_SECONDS = {"baremetal": 60.0, "kvm": 15.0}
"""From ACTIVE to the first answer, by kind of site: Nova reports ACTIVE when the node begins its final boot."""
KEYS = ".ssh/authorized_keys"
MAX_CONNECTIONS = 64
MAX_INSTALLATIONS = 200
"""How many have files; the oldest lose theirs."""


@dataclass(frozen=True)
class Door:
    """A server that is reached at an address; `key` identifies the installation and the boot that it is open for."""

    key: tuple[str, int, float]
    node: Node
    files: Files
    host_key: bytes
    admits_at: float
    """When the node knows the user's key; infinite if it never does."""


@dataclass
class _Open:
    """An open door: its socket, and the tasks of its connections."""

    door: Door
    listener: socket.socket
    connections: set[asyncio.Task[None]] = field(default_factory=set)


def can_listen(port: int) -> bool:
    """Return whether this machine has the addresses of the sandbox; Linux does, others only have 127.0.0.1."""
    address = next(network.cidr for network in sites()["uc"].networks.values() if network.external)
    with socket.socket() as probe:
        try:
            probe.bind((address.partition("/")[0].rpartition(".")[0] + ".1", port))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


class SshServers:
    """Opens and closes the doors of all servers as the state changes."""

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self._sandbox = sandbox
        self._port = port
        self._open: dict[str, _Open] = {}
        self._files: dict[tuple[str, int], Files] = {}
        """The files of each installation, by server and number."""
        self._refused: set[str] = set()
        self._changed = asyncio.Event()
        self.last = time.monotonic()
        """When a connection was open last."""

    def wake(self) -> None:
        """Look at the state again."""
        self._changed.set()

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return sum(len(one.connections) for one in self._open.values())

    async def run(self) -> None:
        """Follow the state until cancelled."""
        try:
            while True:
                delay = self._follow()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), delay)
        finally:
            for address in list(self._open):
                self._close(address)

    def _follow(self) -> float | None:
        """Open and close doors as they should be now; return the seconds until this may change by itself."""
        if any(True for _ in self._addresses()):
            self._sandbox.catch_up()
        self._changed.clear()
        now = self._sandbox.clock.now()
        doors: dict[str, Door] = {}
        moments = []
        for world, address, server in self._addresses():
            moments.append(opens := _opens_at(world, server))
            if opens <= now:
                doors[address] = self._door(world, address, server)
        for address in [one for one, open in self._open.items() if one not in doors or doors[one].key != open.door.key]:
            self._close(address)
        for address in doors.keys() - self._open.keys():
            self._listen(address, doors[address])
        if moments:
            moments.append(self._sandbox.state.next_moment() or math.inf)
        soonest = min((one for one in moments if one > now), default=math.inf)
        return None if math.isinf(soonest) else soonest - now

    def _addresses(self) -> Iterator[tuple[World, str, Server]]:
        """Return the servers that have a floating IP."""
        for key in sites():
            world = self._sandbox.world(key)
            for address in world.find(FloatingIp):
                port = world.get(Port, address.port) if address.port else None
                server = world.get(Server, port.device) if port else None
                if server is not None:
                    yield world, address.name, server

    def _door(self, world: World, address: str, server: Server) -> Door:
        known = self._open.get(address)
        key = _key(server)
        if known is not None and known.door.key == key:
            return known.door
        node = node_of(world, server, address)
        installation = (server.id, server.installed)
        while len(self._files) >= MAX_INSTALLATIONS:
            del self._files[next(iter(self._files))]
        refused = server.faults.get("ssh_refused")
        wait = 0.0 if refused is None else float(refused.get("seconds", math.inf))
        return Door(
            key=key,
            node=node,
            files=self._files.setdefault(installation, _installed(node, server.public_key)),
            host_key=self._host_key(server),
            admits_at=_opens_at(world, server) + world.pace.seconds(wait),
        )

    def _host_key(self, server: Server) -> bytes:
        """Return the seed of an installation's host key: the same whenever it is asked for."""
        text = f"host key {server.installed} of {server.id}"
        return hmac.new(self._sandbox.secret.encode(), text.encode(), hashlib.sha256).digest()

    def _listen(self, address: str, door: Door) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind((address, self._port))
            listener.listen(16)
        except OSError as error:
            listener.close()
            if address not in self._refused:
                sys.stderr.write(f"no SSH at {address}:{self._port}: {error.strerror}\n")
            self._refused.add(address)
            return
        self._open[address] = _Open(door, listener)
        asyncio.get_running_loop().add_reader(listener, self._accept, address)

    def _close(self, address: str) -> None:
        closed = self._open.pop(address)
        asyncio.get_running_loop().remove_reader(closed.listener)
        closed.listener.close()
        for task in closed.connections:
            task.cancel()

    def _accept(self, address: str) -> None:
        """Take a connection that waits; it is closed with its task, however that ends."""
        opened = self._open[address]
        try:
            connection, _ = opened.listener.accept()
        except OSError:  # the client is gone, or there are too many open files
            return
        if self.connections >= MAX_CONNECTIONS:
            connection.close()
            return
        connection.setblocking(False)
        task = asyncio.create_task(self._talk(opened.door, connection))
        opened.connections.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            opened.connections.discard(task)
            connection.close()
            self.last = time.monotonic()

        task.add_done_callback(ended)

    async def _talk(self, door: Door, connection: socket.socket) -> None:
        from envagent.sandbox.ssh_sessions import talk

        await talk(door, connection, self._sandbox.clock)


def _installed(node: Node, public_key: str | None) -> Files:
    """Return the files of a new installation, which admits the key that the server was created with."""
    files = Files(system_files(node), f"/home/{node.system.user}")
    files.make_folder(f"{files.home}/.ssh")
    files.write(f"{files.home}/{KEYS}", "" if public_key is None else f"{public_key.strip()}\n")
    return files


def _key(server: Server) -> tuple[str, int, float]:
    return server.id, server.installed, server.booted_at or 0.0


def _opens_at(world: World, server: Server) -> float:
    """Return when a server answers; infinite while it does not run."""
    running = server.status == "ACTIVE" and server.task_state is None and server.booted_at is not None
    if not running or "ssh_silent" in server.faults:
        return math.inf
    late = float(server.faults.get("ssh_late", {}).get("seconds", 0))
    return (server.booted_at or 0.0) + world.pace.seconds(BOOT_SECONDS[world.site.kind] + late)
