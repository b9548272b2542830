"""One HTTP exchange as the services see it: the call, the reply, the error, and the description of a service.

Independent of any HTTP library: `app` turns requests into calls and replies into responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from envagent.sandbox.faults import Effects
from envagent.sandbox.inventory import Site

if TYPE_CHECKING:
    from envagent.sandbox.records import Record
    from envagent.sandbox.world import World

R = TypeVar("R", bound="Record")


@dataclass(frozen=True)
class Identity:
    """The caller: a user in a project. `restricted` marks a restricted application credential."""

    user: str
    project: str
    methods: tuple[str, ...] = ("password",)
    restricted: bool = False


class ServiceError(Exception):
    """A refusal. `type` is its name in the service's envelope (Nova's key, Neutron's type)."""

    def __init__(self, status: int, message: str, type: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.headers = dict(headers or {})


@dataclass
class Reply:
    """A response; a `body` that is text is HTML, any other JSON.

    `not_before` is the moment before which the service does not respond.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    not_before: float | None = None


@dataclass
class Call:
    """A request to a service, with the world at its moment.

    `root` is the absolute URL of the service, `path` what follows it, `log_path` the whole path; `body` is empty unless
    it is a JSON object. Handlers report their changes with `store`, `remove` or `wrote`.
    """

    world: World
    method: str
    path: str
    log_path: str
    body: dict[str, Any]
    request_id: str
    root: str = ""
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    params: dict[str, str] = field(default_factory=dict)
    caller: Identity | None = None
    as_of: float | None = None
    changes: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def identity(self) -> Identity:
        """The caller of an authenticated call."""
        if self.caller is None:
            raise RuntimeError("handler of an open route asked for the caller")
        return self.caller

    @property
    def site(self) -> Site:
        """The site that the call is made at."""
        return self.world.site

    def own(self, record_type: type[R], id: str, absent: ServiceError) -> R:
        """Return an object of the caller's project. Raises `absent` if it has none with this id."""
        found = self.world.get(record_type, id)
        if found is None or found.owner != self.identity.project:
            raise absent
        return found

    def argument(self, name: str) -> str | None:
        """Return the last value of a query parameter."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def part(self, key: str) -> dict[str, Any]:
        """Return an object in the body, empty if there is none of that name."""
        value = self.body.get(key)
        return value if isinstance(value, dict) else {}

    def store(self, record: Record) -> None:
        """Store an object and log the change."""
        self.world.put(record)
        self.wrote(record.kind, record.id, record.name)

    def remove(self, record: Record) -> None:
        """Remove an object and log the change."""
        self.world.remove(record)
        self.wrote(record.kind, record.id, record.name)

    def wrote(self, kind: str, id: str, name: str) -> None:
        """Record a change for the log of writes."""
        self.changes.append((kind, id, name))


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Route:
    """A method and a path template of a service; `open` routes need no token."""

    method: str
    path: str
    handler: Handler
    open: bool = False


def routes(path: str, **handlers: Handler) -> tuple[Route, ...]:
    """Return the routes of a path, given the handlers by method."""
    return tuple(Route(method, path, handler) for method, handler in handlers.items())


def respond(body: dict[str, Any]) -> Handler:
    """Return a handler that responds with the same body to everybody."""
    return lambda call: Reply(200, body)


def refuse(error: Callable[[str], ServiceError], what: str, after: Callable[[Call], object] | None = None) -> Handler:
    """Return a handler that refuses what only administrators may do, `after` the refusals of another check."""

    def handle(call: Call) -> Reply:
        if after is not None:
            after(call)
        raise error(what)

    return handle


def keystone_unauthorized() -> ServiceError:
    """Return the 401 of Keystone and of keystonemiddleware in front of Nova, Neutron and Blazar."""
    return ServiceError(401, "The request you have made requires authentication.", "keystone")


def keystone_error_body(error: ServiceError) -> dict[str, Any]:
    """Return Keystone's envelope."""
    return {"error": {"code": error.status, "message": error.message, "title": HTTPStatus(error.status).phrase}}


def request_id_header(call: Call) -> dict[str, str]:
    """Return the request id as most services send it."""
    return {"x-openstack-request-id": call.request_id}


@dataclass(frozen=True)
class Service:
    """A service: its project name, catalog type, path below the site, routes and envelopes."""

    name: str
    type: str
    mount: str
    catalog_path: str
    routes: tuple[Route, ...]
    error_body: Callable[[ServiceError], Any]
    unauthorized: Callable[[], ServiceError] = keystone_unauthorized
    headers: Callable[[Call], dict[str, str]] = request_id_header

    def envelope(self, error: ServiceError) -> Any:
        """Return the body of a refusal, Keystone's for a 401 of keystonemiddleware in front of the service."""
        return keystone_error_body(error) if error.type == "keystone" else self.error_body(error)
