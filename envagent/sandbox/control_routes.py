"""The sandbox's own endpoints below /_sandbox: the log, faults, settings, and what other people do.

They want the secret in server.json, which only the user who runs the sandbox can read: no web page, no other user of
the machine and no repository under analysis can give orders here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from envagent.sandbox.cloud import SERVICES, Sandbox, routes_of
from envagent.sandbox.exchange import Call, Identity, ServiceError
from envagent.sandbox.faults import BadSchedule, Effects
from envagent.sandbox.files import SECRET_HEADER
from envagent.sandbox.inventory import sites
from envagent.sandbox.mishaps import MISHAPS
from envagent.sandbox.occupation import occupy

Act = Callable[[Any], Any]


class Control:
    """Answers the control endpoints; every body and answer is JSON."""

    def __init__(self, sandbox: Sandbox, stop: Callable[[], None]) -> None:
        self._sandbox = sandbox
        self._stop = stop

    def routes(self) -> list[Route]:
        """Return the HTTP routes."""
        table: dict[tuple[str, str], Act] = {
            ("GET", "health"): self.health,
            ("GET", "log"): lambda _: self._sandbox.state.writes(),
            ("GET", "faults"): lambda _: self._sandbox.faults.report(),
            ("POST", "faults"): self.load_faults,
            ("GET", "settings"): lambda _: self._sandbox.settings(),
            ("POST", "settings"): self.change_settings,
            ("POST", "clock"): self.advance_clock,
            ("POST", "act"): self.act,
            ("POST", "allocations"): self.occupy,
            ("POST", "mishap"): self.mishap,
            ("POST", "stop"): self.stop,
        }
        return [self._route(method, name, act) for (method, name), act in table.items()]

    def _route(self, method: str, name: str, act: Act) -> Route:
        async def endpoint(request: Request) -> Response:
            if not secrets.compare_digest(
                request.headers.get(SECRET_HEADER, "").encode(), self._sandbox.secret.encode()
            ):
                return JSONResponse({"error": f"{SECRET_HEADER} must be the secret in sandbox/server.json"}, 403)
            try:
                raw = await request.body()
                return JSONResponse(act(json.loads(raw) if raw else {}))
            except (BadSchedule, ValueError, KeyError, TypeError) as error:
                return JSONResponse({"error": str(error) or type(error).__name__}, 400)

        return Route(f"/_sandbox/{name}", endpoint, methods=[method])

    def health(self, body: Any) -> Any:
        """Say which sandbox this is."""
        return {"id": self._sandbox.id, **self._sandbox.settings()}

    def load_faults(self, body: Any) -> Any:
        """Put a fault schedule in force; with `"add": true`, beside the one that is."""
        add = bool(isinstance(body, dict) and body.get("add"))
        self._sandbox.faults.load(body, add=add)
        return self._sandbox.faults.report()

    def change_settings(self, body: Any) -> Any:
        """Change speed, profile, overrides, quotas, ..."""
        self._sandbox.change(body)
        return self._sandbox.settings()

    def advance_clock(self, body: Any) -> Any:
        """Move the cloud's clock on by `seconds`."""
        self._sandbox.change({"clock_offset": self._sandbox.clock.offset + float(body["seconds"])})
        self._sandbox.catch_up()
        return {"offset": self._sandbox.clock.offset}

    def act(self, body: Any) -> Any:
        """Make an API call as somebody else: {"as", "site", "service", "method", "path", "body"}."""
        site = sites()[body.get("site", "uc")]
        user = site.users[body.get("as", "mate")]
        service = next(service for service in SERVICES if service.name == body["service"])
        path = service.catalog_path.removeprefix(service.mount) + str(body["path"])
        method = str(body.get("method", "POST"))
        found = routes_of(service, path).get(method)
        if found is None:
            raise ValueError(f"no such call: {method} {path}")
        call = Call(
            world=self._sandbox.world(site.key),
            method=method,
            root="",
            path=path,
            log_path=f"/_sandbox/act/{site.key}{service.mount}{path}",
            query=[],
            headers={},
            body=dict(body.get("body") or {}),
            request_id="req-by-somebody",
            effects=Effects(),
            params=found[1],
            caller=Identity(user.id, user.projects[0]),
        )
        try:
            reply = self._sandbox.answer(service, found[0].handler, call)
        except ServiceError as error:
            return {"status": error.status, "body": service.envelope(error)}
        return {"status": reply.status, "body": reply.body}

    def occupy(self, body: Any) -> Any:
        """Have other people's leases take hosts."""
        self._sandbox.catch_up()
        with self._sandbox.state.transaction():
            return {"leases": occupy(self._sandbox.world(body.get("site", "uc")), body)}

    def mishap(self, body: Any) -> Any:
        """Have something happen to an object: {"what", "site", "id", ...}."""
        self._sandbox.catch_up()
        with self._sandbox.state.transaction():
            MISHAPS[body["what"]](self._sandbox.world(body.get("site", "uc")), body)
        return {"what": body["what"]}

    def stop(self, body: Any) -> Any:
        """End the server after this answer."""
        self._stop()
        return {"stopping": True}
