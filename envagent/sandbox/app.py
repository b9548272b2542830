"""The HTTP application: the routes of all sites and services, and what faults do to an exchange.

Services do not depend on an HTTP library: requests become calls here, and replies become responses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import traceback
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from envagent.sandbox import faults
from envagent.sandbox.cloud import SERVICES, Sandbox, routes_of
from envagent.sandbox.exchange import Call, Reply, Route, Service, ServiceError
from envagent.sandbox.faults import Effects
from envagent.sandbox.inventory import sites

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
Dropper = Callable[[Any], None]
"""Breaks the connection of a client address without a response."""


class Dropped(Exception):
    """The connection was broken on purpose; no response can be sent."""


class Exchanges:
    """Handles HTTP exchanges, faults included."""

    def __init__(self, sandbox: Sandbox, drop: Dropper) -> None:
        self.sandbox = sandbox
        self._drop = drop
        self._late: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """The number of calls that will be committed later."""
        return len(self._late)

    def endpoint(self, site: str, service: Service) -> Endpoint:
        """Return the HTTP endpoint of all paths of a service."""

        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            call = self._call(site, service, request, raw)
            return await self._exchange(service, _route(service, call), call, request)

        return endpoint

    def _call(self, site: str, service: Service, request: Request, raw: bytes) -> Call:
        text = raw.decode("utf-8", "replace")
        path = request.url.path
        mount = f"/{site}{service.mount}"
        seen = faults.Request(site, service.name, request.method, path, text)
        try:
            body = json.loads(text) if text else None
        except ValueError:
            body = None
        return Call(
            world=self.sandbox.world(site),
            method=request.method,
            root=f"{request.url.scheme}://{request.url.netloc}{mount}",
            path=path.removeprefix(mount),
            log_path=path,
            query=list(request.query_params.multi_items()),
            headers=request.headers,
            body=body if isinstance(body, dict) else {},
            request_id=f"req-{uuid.uuid4()}",
            effects=self.sandbox.faults.fire(seen),
        )

    async def _exchange(self, service: Service, route: Route, call: Call, request: Request) -> Response:
        effects, sandbox = call.effects, self.sandbox
        if "drop" in effects:
            self._hang_up(request)
        if "fail" in effects:
            return _refusal(service, call, effects.get("fail") or {})
        if "expire_token" in effects:
            sandbox.expire(call)
        if "late_commit" in effects:
            return self._commit_later(service, route, call, request)
        await self._wait("delay", effects)
        if "twice" in effects:
            with contextlib.suppress(ServiceError):
                self._handle(service, route, call)
        try:
            reply = self._handle(service, route, call)
        except ServiceError as error:
            response = _error(service, call, error)
        else:
            if reply.not_before is not None:
                await asyncio.sleep(max(0.0, reply.not_before - sandbox.clock.now()))
            response = _response(service, call, reply)
        if "commit_then_drop" in effects:
            self._hang_up(request)
        await self._wait("slow_answer", effects)
        if "commit_then_fail" in effects:
            return _refusal(service, call, effects.get("commit_then_fail") or {})
        return response

    def _handle(self, service: Service, route: Route, call: Call) -> Reply:
        """Carry out the call; a bug in the sandbox is a 500 for the client and a traceback in the server's output."""
        try:
            return self.sandbox.handle(service, route.handler, call, open=route.open)
        except ServiceError:
            raise
        except Exception:
            traceback.print_exc()
            raise ServiceError(500, "Internal Server Error", "INTERNAL_SERVER_ERROR") from None

    async def _wait(self, action: str, effects: Effects) -> None:
        if action in effects:
            await asyncio.sleep(self.sandbox.pace.seconds(effects.seconds(action)))

    def _hang_up(self, request: Request) -> None:
        self._drop(request.client)
        raise Dropped

    def _commit_later(self, service: Service, route: Route, call: Call, request: Request) -> Response:
        """Send the client no usable response now, and carry out the call later."""

        async def commit() -> None:
            await self._wait("late_commit", call.effects)
            try:
                self._handle(service, route, call)
            except ServiceError as error:
                sys.stderr.write(f"late {call.method} {call.log_path}: {error}\n")

        task = asyncio.create_task(commit())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        parameters = call.effects.get("late_commit") or {}
        if "status" not in parameters:
            self._hang_up(request)
        return _refusal(service, call, parameters)


def _response(service: Service, call: Call, reply: Reply) -> Response:
    headers = {**service.headers(call), **reply.headers}
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    if isinstance(reply.body, str):
        return Response(reply.body, reply.status, headers, media_type="text/html")
    return Response(json.dumps(reply.body), reply.status, headers, media_type="application/json")


def _error(service: Service, call: Call, error: ServiceError) -> Response:
    headers = dict(error.headers)
    if error.status == 401:
        site_root = call.root.removesuffix(service.mount)
        headers["WWW-Authenticate"] = f'Keystone uri="{site_root}/identity/v3"'
    return _response(service, call, Reply(error.status, service.envelope(error), headers))


def _refusal(service: Service, call: Call, parameters: dict[str, Any]) -> Response:
    """Respond as a fault says: with its own body, or its message in the service's envelope."""
    headers = {key: str(value) for key, value in parameters.get("headers", {}).items()}
    status = int(parameters["status"])
    if "body" in parameters:
        return _response(service, call, Reply(status, parameters["body"], headers))
    message = str(parameters.get("message", "The server is currently unavailable. Please try again later."))
    return _error(service, call, ServiceError(status, message, str(parameters.get("type", "")), headers))


def _route(service: Service, call: Call) -> Route:
    """Find the route of a call and store the parameters of its path in the call.

    What is not simulated is never a 404, which clients understand as "deleted".
    """
    known = routes_of(service, call.path)
    found = known.get("GET" if call.method == "HEAD" else call.method)
    if found is not None:
        route, call.params = found
        return route

    def refuse(call: Call) -> Reply:
        message = f"The sandbox does not simulate {call.method} {call.path}"
        raise ServiceError(405 if known else 501, message, "", {"Allow": ", ".join(known)} if known else None)

    return Route(call.method, call.path, refuse)


def _http_routes(exchanges: Exchanges) -> list[HttpRoute]:
    routes = []
    for site in sites():
        for service in SERVICES:
            endpoint, base = exchanges.endpoint(site, service), f"/{site}{service.mount}"
            routes += [HttpRoute(path, endpoint, methods=METHODS) for path in (base, base + "/{rest:path}")]
    return routes


async def _dropped(request: Request, error: Exception) -> Response:
    """Return a response that nobody will read."""
    return Response(status_code=500)


def build(exchanges: Exchanges, control: list[HttpRoute], hosts: Sequence[str]) -> Starlette:
    """Assemble the application: all services of all sites, and the control routes.

    Requests whose Host is not one of `hosts` are refused: a web page may have its own name resolve to this machine.
    """
    return Starlette(
        routes=[*control, *_http_routes(exchanges)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={Dropped: _dropped},
    )
