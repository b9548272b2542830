"""The sandbox's control endpoints below /_sandbox: log, faults, settings, other people's actions.

They require the secret in server.json, which only the user who runs the sandbox can read: no web page and no other
user of the machine can control it.
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
from envagent.sandbox.faults import BadSchedule
from envagent.sandbox.files import SECRET_HEADER
from envagent.sandbox.inventory import sites
from envagent.sandbox.mishaps import MISHAPS
from envagent.sandbox.occupation import occupy

Act = Callable[[Any], Any]


class Control:
    """Handles the control endpoints; every body and response is JSON."""

    def __init__(self, sandbox: Sandbox, stop: Callable[[], None], ssh_port: int | None = None) -> None:
        self._sandbox = sandbox
        self._stop = stop
        self._ssh_port = ssh_port

    def routes(self) -> list[Route]:
        """Return the HTTP routes."""
        table: dict[tuple[str, str], Act] = {
            ("GET", "health"): lambda _: {
                "id": self._sandbox.id,
                "ssh_port": self._ssh_port,
                **self._sandbox.settings(),
            },
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

    def load_faults(self, body: Any) -> Any:
        """Activate a fault schedule; with `"add": true`, in addition to the present one."""
        add = bool(isinstance(body, dict) and body.get("add"))
        self._sandbox.faults.load(body, add=add)
        return self._sandbox.faults.report()

    def change_settings(self, body: Any) -> Any:
        """Change speed, profile, overrides, quotas, ..."""
        self._sandbox.change(body)
        return self._sandbox.settings()

    def advance_clock(self, body: Any) -> Any:
        """Advance the cloud's clock by `seconds`."""
        self._sandbox.change({"clock_offset": self._sandbox.clock.offset + float(body["seconds"])})
        self._sandbox.catch_up()
        return {"offset": self._sandbox.clock.offset}

    def act(self, body: Any) -> Any:
        """Make an API call as another user: {"as", "site", "service", "method", "path", "body"}."""
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
            path=path,
            log_path=f"/_sandbox/act/{site.key}{service.mount}{path}",
            body=dict(body.get("body") or {}),
            request_id="req-by-another-user",
            params=found[1],
            caller=Identity(user.id, user.projects[0]),
        )
        try:
            reply = self._sandbox.handle(service, found[0].handler, call)
        except ServiceError as error:
            return {"status": error.status, "body": service.envelope(error)}
        return {"status": reply.status, "body": reply.body}

    def occupy(self, body: Any) -> Any:
        """Occupy hosts with other people's leases."""
        self._sandbox.catch_up()
        with self._sandbox.state.transaction():
            return {"leases": occupy(self._sandbox.world(body.get("site", "uc")), body)}

    def mishap(self, body: Any) -> Any:
        """Make something happen to an object: {"what", "site", "id", ...}."""
        self._sandbox.catch_up()
        with self._sandbox.state.transaction():
            MISHAPS[body["what"]](self._sandbox.world(body.get("site", "uc")), body)
        self._sandbox.on_change()
        return {"what": body["what"]}

    def stop(self, body: Any) -> Any:
        """Stop the server after this response."""
        self._stop()
        return {"stopping": True}
