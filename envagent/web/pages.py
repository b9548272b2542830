"""The pages: login and logout, the fleet, a run, and the figures for a monitoring system. Nothing is changed here.

An owner sees the runs that are theirs; for any other, the reply is the same as for a run that does not exist.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from envagent.cli.documents.fleet_document import FleetDocument, fleet_document
from envagent.cli.documents.json_models import RunStateName
from envagent.cli.documents.run_document import StoredRun
from envagent.cli.documents.run_list import RunFilter, runs_document
from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord
from envagent.errors import EnvagentError
from envagent.web import shown
from envagent.web.guard import LOOPBACK, Guard, Log, host_name
from envagent.web.metrics import CONTENT_TYPE, metrics_text
from envagent.web.sessions import SESSION_SECONDS, Sessions, Throttle
from envagent.web.web_tokens import TokenFile, Visitor, digest

STATES: tuple[RunStateName, ...] = get_args(RunStateName)

SESSION, FORM = "envagent_session", "envagent_form"
"""The cookies: of a session, and of the login form before there is one."""

USUAL_LIMIT = 50
"""Runs that the table shows, apart from those that have a lease."""
MOST_RUNS = 1000
TOTALS_SECONDS = 5.0
LONGEST_FORM = 4096
LONGEST_FILTER = 200

TRY_LATER = "Too many wrong tokens from your address. Wait a minute, then try again."
WRONG_TOKEN = "This token is not valid: it is mistyped, revoked or expired."  # noqa: S105 - a message
OLD_FORM = "The form was too old. Please log in again."


@dataclass(frozen=True)
class Fleet:
    """What the pages show.

    Attributes:
        journal: the runs.
        is_worked_on: whether a process works on a run.
        tokens: who may log in.
    """

    journal: Journal
    is_worked_on: Callable[[str], bool]
    tokens: TokenFile


class _NotLoggedIn(Exception):
    """A page needs a session, and there is none."""


def application(fleet: Fleet, *, hosts: Iterable[str] = (), log: Log) -> Guard:
    """Return the application.

    Args:
        fleet: what it shows.
        hosts: the names under which it may be asked for, apart from those of this machine.
        log: receives a record of each exchange.
    """
    pages = _Pages(fleet)
    routes = [
        Route("/", pages.runs),
        Route("/runs/{run_id}", pages.run),
        Route("/login", pages.login_form, methods=["GET"]),
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/logout", pages.log_out, methods=["POST"]),
        Route("/style.css", pages.style),
        Route("/metrics", pages.metrics),
        Route("/healthz", pages.health),
    ]
    handlers: Any = {HTTPException: _refused, EnvagentError: _unusable, _NotLoggedIn: _to_login}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), hosts, log)


class _Pages:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._sessions = Sessions(fleet.tokens)
        self._throttle = Throttle()
        self._totals: dict[str | None, tuple[float, FleetDocument]] = {}
        self._style = (Path(__file__).parent / "static" / "style.css").read_bytes()

    def runs(self, request: Request) -> Response:
        visitor = self._visitor(request)
        chosen = _chosen(request, visitor)
        query = request.query_params
        limit, all_url = (MOST_RUNS, "") if "all" in query else (USUAL_LIMIT, f"/?{urlencode({**query, 'all': 'on'})}")
        listed = runs_document(self._fleet.journal, self._fleet.is_worked_on, chosen, limit)
        total = self._total(None if visitor.operator else visitor.owner)
        values = {"listed": listed, "total": total, "chosen": chosen, "states": STATES, "all_url": all_url}
        return self._page(request, visitor, "fleet.html", **values)

    def run(self, request: Request) -> Response:
        visitor = self._visitor(request)
        run_id = request.path_params["run_id"]
        found = self._fleet.journal.selected(RunRecord, [run_id]) if run_id.isascii() and run_id.isalnum() else []
        rows = [row for row in found if visitor.may_see(row.owner)]
        if not rows:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        run = StoredRun.load(self._fleet.journal, rows[0], working=self._fleet.is_worked_on(run_id))
        return self._page(request, visitor, "run.html", **shown.run_page(run))

    def login_form(self, request: Request) -> Response:
        return self._login(request)

    async def log_in(self, request: Request) -> Response:
        form, address = await _form(request), _address(request)
        if not self._sessions.is_from_form(_cookie(request, FORM), form.get("form", "")):
            return self._login(request, HTTPStatus.FORBIDDEN, OLD_FORM)
        if wait := self._throttle.wait_seconds(address):
            response = self._login(request, HTTPStatus.TOO_MANY_REQUESTS, TRY_LATER)
            response.headers["Retry-After"] = str(int(wait) + 1)
            return response
        cookie = self._sessions.start(form.get("token", "").strip())
        if cookie is None:
            self._throttle.failed(address)
            return self._login(request, HTTPStatus.UNAUTHORIZED, WRONG_TOKEN)
        self._sessions.end(_cookie(request, SESSION))
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        _set_cookie(request, response, SESSION, cookie)
        return response

    async def log_out(self, request: Request) -> Response:
        form, cookie = await _form(request), _cookie(request, SESSION)
        if not self._sessions.is_from_form(cookie, form.get("form", "")):
            raise HTTPException(HTTPStatus.FORBIDDEN)
        self._sessions.end(cookie)
        response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        _set_cookie(request, response, SESSION, "", seconds=0)
        return response

    def style(self, request: Request) -> Response:
        return Response(self._style, media_type="text/css")

    def metrics(self, request: Request) -> Response:
        """Return the figures, for an operator's token as bearer."""
        address = _address(request)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if self._throttle.wait_seconds(address):
            return PlainTextResponse("too many wrong tokens\n", HTTPStatus.TOO_MANY_REQUESTS)
        visitor = self._fleet.tokens.visitor(digest(token.strip())) if kind.lower() == "bearer" else None
        if visitor is None:
            if token:
                self._throttle.failed(address)
            return PlainTextResponse(
                "the token of an operator is needed\n", HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"}
            )
        request.state.visitor = visitor
        if not visitor.operator:
            return PlainTextResponse("the token of an operator is needed\n", HTTPStatus.FORBIDDEN)
        return PlainTextResponse(metrics_text(self._total(None)), headers={"Content-Type": CONTENT_TYPE})

    def health(self, request: Request) -> Response:
        self._fleet.journal.runs(limit=1)
        return PlainTextResponse("ok\n")

    def _total(self, owner: str | None) -> FleetDocument:
        """Return the sums of an owner's runs, or of all runs: they read every run, so they are kept for a moment."""
        at, total = self._totals.get(owner, (-math.inf, None))
        if total is None or time.monotonic() - at > TOTALS_SECONDS:
            total = fleet_document(self._fleet.journal, self._fleet.is_worked_on, owner)
            self._totals[owner] = time.monotonic(), total
        return total

    def _visitor(self, request: Request) -> Visitor:
        """Return who is logged in."""
        visitor = self._sessions.visitor(_cookie(request, SESSION))
        if visitor is None:
            raise _NotLoggedIn
        request.state.visitor = visitor
        return visitor

    def _page(self, request: Request, visitor: Visitor, name: str, **values: Any) -> Response:
        form = self._sessions.form_token(_cookie(request, SESSION))
        return HTMLResponse(shown.page(name, visitor=visitor, form=form, **values))

    def _login(self, request: Request, status: int = HTTPStatus.OK, problem: str = "") -> Response:
        cookie = _cookie(request, FORM) or secrets.token_urlsafe(32)
        form = self._sessions.form_token(cookie)
        response = HTMLResponse(shown.page("login.html", visitor=None, form=form, problem=problem), status)
        _set_cookie(request, response, FORM, cookie)
        return response


def _chosen(request: Request, visitor: Visitor) -> RunFilter:
    """Return which runs the query asks for, within what the visitor may see."""
    query = request.query_params
    state = next((one for one in STATES if one == query.get("state")), None)
    repository, cloud, site, owner = (
        "".join(one for one in query.get(name, "") if one.isprintable())[:LONGEST_FILTER].strip() or None
        for name in ("repository", "cloud", "site", "owner")
    )
    return RunFilter(
        state=state,
        repository=repository,
        cloud=cloud,
        site=site,
        archived="archived" in query,
        owner=owner if visitor.operator else visitor.owner,
    )


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form that was sent; nothing of one that is too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _is_loopback(request: Request) -> bool:
    return host_name(request.scope) in LOOPBACK


def _cookie_name(request: Request, name: str) -> str:
    """Return a cookie's name: with this prefix, browsers take it only from this host and over https."""
    return name if _is_loopback(request) else f"__Host-{name}"


def _cookie(request: Request, name: str) -> str:
    return request.cookies.get(_cookie_name(request, name), "")


def _set_cookie(request: Request, response: Response, name: str, value: str, seconds: int = SESSION_SECONDS) -> None:
    response.set_cookie(
        _cookie_name(request, name),
        value,
        max_age=seconds,
        secure=not _is_loopback(request),
        httponly=True,
        samesite="strict",
    )


def _refused(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    text = "There is no such page or run." if status == HTTPStatus.NOT_FOUND else status.description or status.phrase
    body = shown.page("message.html", visitor=None, title=status.phrase, text=text)
    return HTMLResponse(body, status, headers=error.headers)


def _unusable(request: Request, error: EnvagentError) -> Response:
    request.state.error = type(error).__name__
    text = "The journal or the file of tokens cannot be read at the moment."
    body = shown.page("message.html", visitor=None, title="Not available", text=text)
    return HTMLResponse(body, HTTPStatus.SERVICE_UNAVAILABLE)


def _to_login(request: Request, error: Exception) -> Response:
    return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
