"""The simulated cloud as a whole: it carries out due events and handles one call at a time.

Everything runs on one thread and each call is one transaction, so calls never see each other half done.
"""

from __future__ import annotations

import secrets
import traceback
import uuid
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from envagent.sandbox import blazar, glance, keystone, lease_life, neutron, node_life, nova, server_life, server_tasks
from envagent.sandbox.cloud_time import Clock, Pace, utc
from envagent.sandbox.exchange import Call, Handler, Identity, Reply, Route, Service
from envagent.sandbox.faults import Faults
from envagent.sandbox.inventory import sites
from envagent.sandbox.keystone_tokens import authenticate
from envagent.sandbox.profiles import PROFILES, Profile
from envagent.sandbox.state import Due, State
from envagent.sandbox.world import World

SERVICES: tuple[Service, ...] = (
    keystone.SERVICE,
    glance.SERVICE,
    nova.SERVICE,
    neutron.SERVICE,
    blazar.SERVICE,
)

EVENTS: dict[str, Callable[[World, Due], None]] = {
    "lease.start": lease_life.start,
    "lease.started": lease_life.started,
    "lease.before_end": lease_life.before_end,
    "lease.end": lease_life.end,
    "lease.ended": lease_life.ended,
    "lease.gone": lease_life.gone,
    "server.schedule": server_life.schedule,
    "node.cleaned": node_life.cleaned,
    "server.spawn": server_life.spawn,
    "server.active": server_life.become_active,
    "server.fail": server_life.fail,
    "server.gone": server_life.gone,
    "server.task": server_tasks.finish,
}

NUMBER = (int, float)
SETTINGS: dict[str, type | tuple[type, ...]] = {
    "speed": NUMBER,
    "profile": str,
    "overrides": dict,
    "token_seconds": NUMBER,
    "quotas": dict,
    "service_units": NUMBER,
    "clock_offset": NUMBER,
}


class Sandbox:
    """The sites, their state and the settings in force."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._initialise()
        self.faults = Faults(state)
        self.clock = Clock()
        self.pace = Pace()
        self.profile: Profile = PROFILES["chameleon"]
        self.on_change: Callable[[], None] = lambda: None
        """Called after each change of the state or the settings."""
        self._apply()

    def _initialise(self) -> None:
        """Give a new state an id and secrets for its accounts."""
        with self.state.transaction():
            if self.state.setting("sandbox_id") is None:
                self.state.set("sandbox_id", str(uuid.uuid4()))
                holders = ("user", "mate", "other", "unrestricted", "restricted")
                self.state.set("credentials", {holder: secrets.token_urlsafe(18) for holder in holders})
            if self.state.setting("control_secret") is None:
                self.state.set("control_secret", secrets.token_urlsafe(24))

    @property
    def id(self) -> str:
        """The identity of this state."""
        return str(self.state.setting("sandbox_id"))

    @property
    def secret(self) -> str:
        """The secret that the control endpoints require."""
        return str(self.state.setting("control_secret"))

    # Settings

    def settings(self) -> dict[str, Any]:
        """Return the settings in force."""
        stored = {key: self.state.setting(key) for key in SETTINGS}
        return {**stored, "speed": self.pace.speed, "profile": self.profile.name}

    def change(self, wanted: Any) -> None:
        """Store and apply settings. Raises ValueError for unusable ones."""
        if not isinstance(wanted, dict):
            raise ValueError("settings must be a JSON object")
        unknown = wanted.keys() - SETTINGS.keys()
        wrong = sorted(key for key, value in wanted.items() if key in SETTINGS and not isinstance(value, SETTINGS[key]))
        if wrong:
            raise ValueError(f"setting of the wrong type: {', '.join(wrong)}")
        overrides = wanted.get("overrides", {}).keys() - {field.name for field in fields(Profile)}
        if unknown or overrides:
            raise ValueError(f"unknown setting: {', '.join(sorted(unknown | overrides))}")
        if wanted.get("profile", "chameleon") not in PROFILES:
            raise ValueError(f"profile must be one of {', '.join(PROFILES)}")
        if wanted.get("speed", 1) <= 0:
            raise ValueError("speed must be more than 0")
        with self.state.transaction():
            for key, value in wanted.items():
                self.state.set(key, value)
        self._apply()
        self.on_change()

    def _apply(self) -> None:
        self.clock.offset = float(self.state.setting("clock_offset", 0.0))
        self.pace = Pace(float(self.state.setting("speed", 1.0)))
        named = PROFILES[self.state.setting("profile", "chameleon")]
        self.profile = replace(named, **self.state.setting("overrides", {}))

    # Time

    def world(self, site: str, at: float | None = None) -> World:
        """Return a site now, or at a moment."""
        moment = self.clock.now() if at is None else at
        return World(sites()[site], self.state, moment, self.pace, self.profile)

    def catch_up(self) -> None:
        """Carry out all due events, each at its own moment."""
        now = self.clock.now()
        while (due := self.state.next_due(now)) is not None:
            self.on_change()
            try:
                with self.state.transaction():
                    self.state.done(due)
                    EVENTS[due.what](self.world(due.site, due.at), due)
            except Exception:
                # A bug: skip this event, so that the rest of the cloud goes on.
                traceback.print_exc()
                with self.state.transaction():
                    self.state.done(due)

    # Calls

    def handle(self, service: Service, handler: Handler, call: Call, *, open: bool = False) -> Reply:
        """Carry out a call and log its changes in one transaction. Raises ServiceError with nothing done."""
        self.catch_up()
        call.world = self.world(call.site.key)
        if "stale" in call.effects:
            call.as_of = call.world.at - self.pace.seconds(call.effects.seconds("stale"))
        with self.state.transaction():
            if not open and call.caller is None:
                call.caller = self._caller(service, call)
            reply = handler(call)
            time = utc(call.world.at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for change in call.changes:
                self.state.log(time, service.name, call.method, call.log_path, reply.status, call.request_id, *change)
        if call.changes:
            self.on_change()
        return reply

    def _caller(self, service: Service, call: Call) -> Identity:
        caller = authenticate(call.world, call.headers.get("x-auth-token"))
        if caller is None or (not caller.project and service.name != "keystone"):
            raise service.unauthorized()
        return caller

    def expire(self, call: Call) -> None:
        """Make the call's token invalid."""
        with self.state.transaction():
            self.state.revoke_token(call.headers.get("x-auth-token", ""))


def routes_of(service: Service, path: str) -> dict[str, tuple[Route, dict[str, str]]]:
    """Return the routes of a path below the service's mount by method, each with the parameters in the path."""
    found: dict[str, tuple[Route, dict[str, str]]] = {}
    parts = path.strip("/").split("/")
    for route in service.routes:
        template = route.path.strip("/").split("/")
        if len(template) != len(parts):
            continue
        pairs = list(zip(template, parts, strict=True))
        if all(t == part or (t.startswith("{") and part) for t, part in pairs):
            found.setdefault(route.method, (route, {t[1:-1]: part for t, part in pairs if t.startswith("{")}))
    return found
