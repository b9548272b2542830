"""A cloud in memory, on a virtual clock, that goes wrong as a seed says.

It implements the port `envagent.cloud.port.Cloud`. Before every call it may lose the call, make it fail, or kill the
calling process, before or after the call took effect. Its own books are the oracle: `violations` collects every
moment at which two live objects of one kind had one run's tag, and every touch of a foreign object.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from envagent.cloud.port import (
    Flavor,
    FlavorReservation,
    FloatingIp,
    Host,
    HostReservation,
    Identity,
    Image,
    Keypair,
    Lease,
    Network,
    Occupation,
    Port,
    Reservation,
    Server,
    ServerFault,
    ServerRequest,
)
from envagent.errors import CloudUnreachable, Conflict, NoCapacity, NotFound, OutcomeUnknown
from envagent.steps import mark

T = TypeVar("T")
LONGEST_LAG = 20.0
"""How many seconds a listing may lag."""
NODE_TYPES = ("compute_skylake", "compute_cascadelake_r", "compute_icelake_r650")


class Killed(BaseException):
    """The process is gone."""


class VirtualClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def steady(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float, wake: object) -> None:
        self.at += timedelta(seconds=max(0.0, seconds))


@dataclass
class Thing:
    id: str
    kind: str
    name: str
    owner: tuple[str, int] | None
    made: datetime
    ready: datetime
    fails: bool = False
    gone_from: datetime | None = None
    parent: str | None = None
    port: str | None = None
    text: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    """What a listing shows of the request."""


@dataclass
class Mischief:
    """How likely each kind of trouble is at a call."""

    unreachable: float = 0.04
    lost_request: float = 0.04
    lost_answer: float = 0.06
    late: float = 0.05
    refused: float = 0.05
    kill: float = 0.03
    stop: float = 0.02
    stale: float = 0.04
    conflict: float = 0.05
    deaf_delete: float = 0.05
    fails: float = 0.1
    somebody: float = 0.004


CALM = Mischief(**dict.fromkeys(Mischief.__dataclass_fields__, 0.0))


class SimulatedCloud:
    def __init__(self, seed: int, clock: VirtualClock) -> None:
        self.rng = random.Random(seed)
        self.clock = clock
        self.mischief = Mischief() if self.rng.random() < 0.5 else Mischief(stale=0.0)
        self.things: dict[str, Thing] = {}
        self.coming: list[tuple[datetime, Callable[[], object]]] = []
        self.dead = False
        self.on_stop: Callable[[], None] = lambda: None
        self.violations: list[str] = []
        self.trail: list[str] = []
        self.lost_to_somebody = False
        self._count = 0
        self._foreign()
        self.untouched = self._foreign_books()

    # --- the books

    def live(self, kind: str, run_id: str | None = None) -> list[Thing]:
        now = self.clock.now()
        return [
            one
            for one in self.things.values()
            if one.kind == kind
            and (one.gone_from is None or one.gone_from > now)
            and (run_id is None or (one.owner is not None and one.owner[0] == run_id))
        ]

    def check(self, run_id: str) -> None:
        for kind in ("lease", "server", "floating_ip", "keypair"):
            found = self.live(kind, run_id)
            if kind == "lease" and len(found) == 2 and self._took_no_server(found[0]):
                continue  # the second replaces it
            if len(found) > 1:
                self.violations.append(f"{len(found)} live objects of kind {kind}: {[one.id for one in found]}")
        if self._foreign_books() != self.untouched:
            self.violations.append("a foreign object was touched")

    def _took_no_server(self, lease: Thing) -> bool:
        """Whether a server on a lease has gone to ERROR."""
        servers = (one for one in self.things.values() if one.kind == "server" and one.parent == f"r-{lease.id}")
        return any(one.fails and one.ready <= self.clock.now() for one in servers)

    def _foreign(self) -> None:
        for kind, name in (
            ("lease", "envagent-zzzzzzzzzz-1-mine"),
            ("server", "envagent-aaaaaaaaaa-thing"),
            ("floating_ip", "127.0.9.9"),
            ("keypair", "colleague"),
        ):
            thing = self._thing(kind, name, None, 0)
            thing.text = "ssh-ed25519 AAAA colleague" if kind == "keypair" else ""

    def _foreign_books(self) -> list[tuple[str, object, object]]:
        return [(one.id, one.gone_from, one.port) for one in self.things.values() if one.owner is None]

    def _thing(self, kind: str, name: str, owner: tuple[str, int] | None, seconds: float) -> Thing:
        self._count += 1
        now = self.clock.now()
        thing = Thing(f"{kind}-{self._count}", kind, name, owner, now, now + timedelta(seconds=seconds))
        self.things[thing.id] = thing
        if owner is not None:
            self.check(owner[0])
        return thing

    # --- trouble

    def _arrive(self) -> None:
        """Let late writes take effect whose moment has come."""
        now = self.clock.at
        due = sorted((one for one in self.coming if one[0] <= now), key=lambda one: one[0])
        self.coming = [one for one in self.coming if one not in due]
        for moment, commit in due:
            self.clock.at = moment
            commit()
        self.clock.at = now

    def _before(self, what: str) -> None:
        if self.dead:
            raise Killed
        self._arrive()
        self.clock.at += timedelta(seconds=self.rng.uniform(0.01, 0.3))
        self.trail.append(f"{self.clock.at:%H:%M:%S} {what}")
        if self._chance(self.mischief.kill):
            self._die(f"before {what}")
        if self._chance(self.mischief.stop):
            self.trail.append("stop requested")
            self.on_stop()
        if self._chance(self.mischief.somebody):
            self._somebody()

    def _die(self, where: str) -> None:
        self.trail.append(f"KILLED {where}")
        self.dead = True
        raise Killed

    def _chance(self, share: float) -> bool:
        return self.rng.random() < share

    def _somebody(self) -> None:
        ours = [one for kind in ("lease", "server") for one in self.live(kind) if one.owner is not None]
        if ours:
            victim = self.rng.choice(ours)
            self.trail.append(f"somebody deletes {victim.id}")
            self.lost_to_somebody = True
            self._remove(victim, 0.0)

    def _read(self, what: str, answer: Callable[[], T]) -> T:
        self._before(what)
        if self._chance(self.mischief.unreachable):
            raise CloudUnreachable(f"{what}: 503", retry_after=self.rng.choice([None, 3.0]))
        result = answer()
        if self._chance(self.mischief.kill):
            self._die(f"after {what}")
        return result

    def _listing(self, kind: str) -> list[Thing]:
        if self._chance(self.mischief.stale):  # as it was some seconds ago: what is new is missing
            then = self.clock.now() - timedelta(seconds=self.rng.uniform(1, LONGEST_LAG))
            return [one for one in self.live(kind) if one.made <= then]
        return self.live(kind)

    def _write(self, what: str, commit: Callable[[], T]) -> T:
        self._before(what)
        dice = self.rng.random()
        for share, act in (
            (self.mischief.unreachable, self._unreachable),
            (self.mischief.lost_request, self._lost_request),
            (self.mischief.lost_answer, lambda: self._lost_answer(commit)),
            (self.mischief.late, lambda: self._late(commit)),
        ):
            if dice < share:
                self.trail.append(f"  {getattr(act, '__name__', 'lost')}")
                act()
            dice -= share
        result = commit()
        if self._chance(self.mischief.kill):
            self._die(f"after {what}")
        return result

    def _unreachable(self) -> None:
        raise CloudUnreachable("429, nothing was written", retry_after=2.0)

    def _lost_request(self) -> None:
        self.clock.at += timedelta(seconds=self.rng.uniform(0, 30))
        raise OutcomeUnknown("the request was lost")

    def _lost_answer(self, commit: Callable[[], object]) -> None:
        self._quietly(commit)
        raise OutcomeUnknown("the answer was lost")

    def _late(self, commit: Callable[[], object]) -> None:
        # A listing that lags hides what came late: together they must stay within the settle window of 60 s.
        latest = 59.0 if self.mischief.stale == 0 else 59.0 - LONGEST_LAG
        moment = self.clock.now() + timedelta(seconds=self.rng.uniform(1, latest))
        self.coming.append((moment, lambda: self._quietly(commit)))
        if self._chance(0.5):
            self._die("with a late write under way")
        raise OutcomeUnknown("timed out; it will happen later")

    def _quietly(self, commit: Callable[[], object]) -> None:
        try:
            commit()
        except (NoCapacity, Conflict, NotFound):
            self.trail.append("  (the lost request was refused)")

    # --- the port

    def identity(self) -> Identity:
        return self._read(
            "identity",
            lambda: Identity(
                cloud="sim", auth_url="http://sim", region="CHI@UC", project_id="p", project_name="CHI-1", user_id="u"
            ),
        )

    def images(self) -> list[Image]:
        names = ("CC-Ubuntu22.04", "CC-Ubuntu24.04", "CC-Ubuntu24.04-CUDA")
        return self._read("images", lambda: [self._image(name) for name in names])

    def image(self, image_id: str) -> Image:
        return self._read("image", lambda: self._image(image_id))

    @staticmethod
    def _image(name: str) -> Image:
        return Image(
            id=name, name=name, status="active", visibility="public", properties={"chameleon-supported": "true"}
        )

    def flavors(self) -> list[Flavor]:
        return self._read("flavors", lambda: [Flavor(id="f", name="baremetal")])

    def keypair(self, name: str) -> Keypair | None:
        def look() -> Keypair | None:
            found = [one for one in self.live("keypair") if one.name == name]
            return self._keypair(found[0]) if found else None

        return self._read("keypair", look)

    def keypairs(self) -> list[Keypair]:
        return self._read("keypairs", lambda: [self._keypair(one) for one in self._listing("keypair")])

    @staticmethod
    def _keypair(thing: Thing) -> Keypair:
        return Keypair(name=thing.name, fingerprint="", public_key=thing.text)

    def import_keypair(self, name: str, public_key: str) -> Keypair:
        def commit() -> Keypair:
            if any(one.name == name for one in self.live("keypair")):
                raise Conflict(f"Key pair '{name}' already exists.")
            thing = self._thing("keypair", name, mark.read_keypair_name(name), 0)
            thing.text = public_key
            return self._keypair(thing)

        return self._write("POST keypair", commit)

    def delete_keypair(self, name: str) -> None:
        self._delete("keypair", lambda one: one.name == name, 0.0)

    def servers(self) -> list[Server]:
        return self._read("servers", lambda: [self._server(one) for one in self._listing("server")])

    def server(self, server_id: str) -> Server:
        return self._read("server", lambda: self._server(self._get(server_id)))

    def create_server(self, request: ServerRequest) -> Server:
        def commit() -> Server:
            thing = self._thing("server", request.name, mark.read_metadata(request.metadata), self.rng.uniform(60, 900))
            thing.metadata = dict(request.metadata)
            thing.asked = request.model_dump(include={"image_id", "flavor_id", "key_name"})
            thing.parent = request.reservation_id
            lease = next((one for one in self.live("lease") if f"r-{one.id}" == request.reservation_id), None)
            busy = [one for one in self.live("server") if one.parent == thing.parent and one is not thing]
            if lease is None or self._lease_status(lease) != "ACTIVE" or busy:
                thing.fails, thing.ready, thing.text = True, self.clock.now(), "No valid host was found."
            elif self._chance(self.mischief.fails):
                thing.fails, thing.text = True, "Failed to provision instance: deploy timeout"
            return self._server(thing)

        return self._write("POST server", commit)

    def _server(self, thing: Thing) -> Server:
        ready = self.clock.now() >= thing.ready
        status = "BUILD" if not ready else "ERROR" if thing.fails else "ACTIVE"
        return Server(
            id=thing.id,
            name=thing.name,
            status=status,
            fault=ServerFault(message=thing.text) if status == "ERROR" else None,
            metadata=thing.metadata,
            user_id="u",
            **thing.asked,
            fixed_ips=("10.0.0.9",) if status == "ACTIVE" else (),
        )

    def delete_server(self, server_id: str) -> None:
        self._delete("server", lambda one: one.id == server_id, self.rng.uniform(1, 40))

    def networks(self) -> list[Network]:
        nets = [
            Network(id="n", name="sharednet1", subnet_ids=("s",)),
            Network(id="x", name="public", external=True, subnet_ids=("t",)),
        ]
        return self._read("networks", lambda: nets)

    def ports(self, server_id: str) -> list[Port]:
        return self._read("ports", lambda: [Port(id=f"port-{server_id}", network_id="n")])

    def floating_ips(self) -> list[FloatingIp]:
        return self._read("floating ips", lambda: [self._address(one) for one in self._listing("floating_ip")])

    def floating_ip(self, floating_ip_id: str) -> FloatingIp:
        return self._read("floating ip", lambda: self._address(self._get(floating_ip_id)))

    def create_floating_ip(self, network_id: str, description: str) -> FloatingIp:
        def commit() -> FloatingIp:
            if self._chance(self.mischief.refused):
                raise NoCapacity("No more IP addresses available on network x.")
            thing = self._thing("floating_ip", f"127.0.0.{self._count % 250}", mark.read_description(description), 0)
            thing.text = description
            thing.asked = {"network_id": network_id}
            return self._address(thing)

        return self._write("POST floating ip", commit)

    def attach_floating_ip(self, floating_ip_id: str, port_id: str) -> FloatingIp:
        def commit() -> FloatingIp:
            thing = self._get(floating_ip_id)
            thing.port = port_id
            return self._address(thing)

        return self._write("PUT floating ip", commit)

    @staticmethod
    def _address(thing: Thing) -> FloatingIp:
        return FloatingIp(
            id=thing.id,
            address=thing.name,
            status="ACTIVE",
            description=thing.text,
            port_id=thing.port,
            network_id=thing.asked.get("network_id"),
        )

    def delete_floating_ip(self, floating_ip_id: str) -> None:
        self._delete("floating_ip", lambda one: one.id == floating_ip_id, 0.0)

    def ensure_ssh_security_group(self) -> str:
        raise AssertionError("bare metal has no security groups")

    def hosts(self) -> list[Host]:
        hosts = [Host(id=f"{kind}-{n}", node_type=kind) for kind in NODE_TYPES for n in range(3)]
        return self._read("hosts", lambda: hosts)

    def node_type_names(self) -> set[str]:
        return self._read("properties", lambda: set(NODE_TYPES))

    def occupations(self) -> list[Occupation]:
        return self._read("occupations", list)

    def leases(self) -> list[Lease]:
        return self._read("leases", lambda: [self._lease(one) for one in self._listing("lease")])

    def lease(self, lease_id: str) -> Lease:
        return self._read("lease", lambda: self._lease(self._get(lease_id)))

    def create_lease(
        self, name: str, start: datetime | None, end: datetime, reservation: HostReservation | FlavorReservation
    ) -> Lease:
        def commit() -> Lease:
            if self._chance(self.mischief.refused):
                raise NoCapacity("Not enough hosts available")
            thing = self._thing("lease", name, mark.read_lease_name(name), self.rng.uniform(1, 10))
            thing.fails = self._chance(self.mischief.fails)
            if isinstance(reservation, HostReservation):
                thing.asked = {"node_type": reservation.node_type}
            if self._chance(self.mischief.fails / 5):
                thing.ready += timedelta(days=1)  # never starts
            return self._lease(thing)

        return self._write("POST lease", commit)

    def _lease_status(self, thing: Thing) -> str:
        if self.clock.now() < thing.ready:
            return "PENDING"
        if thing.fails:
            return "ERROR"
        return "STARTING" if self.clock.now() < thing.ready + timedelta(seconds=3) else "ACTIVE"

    def _lease(self, thing: Thing) -> Lease:
        reservation = Reservation(
            id=f"r-{thing.id}", resource_type="physical:host", status="active", node_type=thing.asked.get("node_type")
        )
        return Lease(
            id=thing.id,
            name=thing.name,
            status=self._lease_status(thing),
            start=thing.made,
            end=thing.made + timedelta(hours=24),
            user_id="u",
            reservations=(reservation,),
        )

    def extend_lease(self, lease_id: str, end: datetime) -> Lease:
        raise NotImplementedError("no story extends a lease")

    def delete_lease(self, lease_id: str) -> None:
        self._delete("lease", lambda one: one.id == lease_id, 0.0)

    def close(self) -> None:
        pass

    # --- small things

    def _get(self, thing_id: str) -> Thing:
        thing = self.things[thing_id]
        if thing.gone_from is not None and thing.gone_from <= self.clock.now():
            raise NotFound(f"{thing_id} is not there")
        return thing

    def _delete(self, kind: str, which: Callable[[Thing], bool], seconds: float) -> None:
        def commit() -> None:
            if self._chance(self.mischief.deaf_delete):
                return
            for one in self.live(kind):
                if which(one):
                    self._remove(one, seconds)

        def delete() -> None:
            if self._chance(self.mischief.conflict):
                raise Conflict("Invalid lease status.")
            commit()

        self._write(f"DELETE {kind}", delete)

    def _remove(self, thing: Thing, seconds: float) -> None:
        gone = self.clock.now() + timedelta(seconds=seconds)
        thing.gone_from = gone if thing.gone_from is None else min(thing.gone_from, gone)
        if thing.kind == "lease":
            for one in self.live("server"):
                if one.parent == f"r-{thing.id}":
                    self._remove(one, 5.0)
