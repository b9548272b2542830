"""The one keystoneauth session through which every request of every client goes.

The rules of sending are kept here: a deadline for each exchange and each call, writes sent exactly once, no redirect
followed. Refusals and silence become plain facts (`Refused`, `Redirected`, `NoResponse`); what they mean is decided in
`envagent.cloud.classify`. Nothing is retried, except that after a 401 a new token is fetched and the refused request
sent once more: what was refused was not written.

The facts are collected here, below the clients, because python-blazarclient drops the request id, always reports code
500 and crashes on a body that is not a JSON object.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session

from envagent.cloud.error_response import ErrorResponse, address, request_id
from envagent.cloud.transport import LimitedSession
from envagent.wire import EXCHANGE_FACTOR, LONGEST_CALL, Exchange, current, limited

_LONGEST_ID = 64
_REQUESTS = logging.getLogger("envagent.requests")
_LOGGERS = ("keystoneauth", "keystoneauth1", "openstack", "blazarclient", "urllib3", "requests", "stevedore", "oslo")
_READS = frozenset({"GET", "HEAD"})
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""The exceptions of reading a body that is not what the service's API promises."""

_CAUSES = {
    _NO_ADDRESS: "the address is invalid (check the endpoint overrides in clouds.yaml)",
    (requests.exceptions.ContentDecodingError,): "the compressed response is damaged",
    (requests.ConnectTimeout,): "no connection within the time limit",
    (requests.Timeout,): "no response within the time limit",
}
_SIGNS = {
    "NameResolutionError|Name or service not known": "unknown host name",
    "Connection refused": "connection refused",
    "Connection reset|Remote end closed|IncompleteRead": "the connection was closed before the response was complete",
    "got more than": "the head of the response is too long",
    "BadStatusLine": "the response is not HTTP",
    "Network is unreachable": "the network is unreachable",
    "No route to host": "no route to the host",
}

CALL_FACTOR = 6
"""A call with its login and its pages may take this many times the limit on silence."""


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """One request and what came of it, without headers, body, host and query: these may hold secrets.

    Attributes:
        path: the path of the URL.
        outcome: the status of the response, or why there is none.
        request_id: the service's, harmless and short.
    """

    method: str
    path: str
    outcome: str
    request_id: str | None
    milliseconds: float


Recorder: TypeAlias = Callable[[HttpExchange], None]
"""Called after each exchange, in the thread that made it; it must not raise."""


@dataclass(eq=False)
class Refused(Exception):
    """A service responded with an error status."""

    response: ErrorResponse


@dataclass(eq=False)
class NoResponse(Exception):
    """No complete response came.

    Attributes:
        service: None for a request for a token or a version document.
        sent: False when it is certain that no byte of the request left.
        reason: a message for the user, without secrets.
    """

    service: str | None
    host: str
    _: KW_ONLY
    sent: bool
    reason: str


@dataclass(eq=False)
class Redirected(Exception):
    """The response is a redirect, which was not followed, because the request carries a password or a token.

    Attributes:
        service: None as with `NoResponse`.
        asked: the address of the request, without user, query and fragment.
        target: where the redirect points, in the same form.
    """

    service: str | None
    status: int
    asked: str
    target: str


class SingleShotSession(Session):
    """A keystoneauth session in which nothing is sent twice and nothing waits forever.

    Args:
        read_timeout: seconds without a byte before a read or a login is given up; also for making a connection.
        write_timeout: the same for writes; Blazar's DELETE blocks until the servers of the lease are gone.
        record: receives every exchange.
        permit: called just before the bytes of each request to a service go out; it raises to keep them back.
        options: keystoneauth's own (auth, verify, cert).
    """

    def __init__(
        self,
        *,
        read_timeout: float,
        write_timeout: float,
        record: Recorder | None = None,
        permit: Callable[[], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(session=LimitedSession(), app_name="envagent", **options)
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._record = record
        self._permit = permit
        self._renewing = _LoginLock()
        if isinstance(self.auth, BaseIdentityPlugin):
            # keystoneauth's own lock waits forever for a login by another thread, or even by the same one.
            lock: object = self.auth._lock
            shared = isinstance(lock, _LoginLock)  # with another session
            self.auth._lock = lock if shared else _LoginLock()  # type: ignore[assignment]  # used in `with` statements only

    def call(self, *, write: bool) -> AbstractContextManager[Exchange]:
        """Limit a call of the port: its exchange, a login before it, a new token, and all pages of a list."""
        silence = self._write_timeout if write else self._read_timeout
        return limited(min(CALL_FACTOR * silence, LONGEST_CALL))

    def request(self, url: str, method: str, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request.

        Raises:
            Refused: a service responded with an error status; for a login, keystoneauth raises its own errors.
            Redirected: the response is a redirect.
            NoResponse: there is no complete response.
        """
        service = (kwargs.get("endpoint_filter") or {}).get("service_type")
        write = service is not None and method not in _READS
        silence = self._write_timeout if write else self._read_timeout
        # A login plugin that refuses redirects handles them itself.
        own_redirects = service is None and kwargs.get("redirect") is False
        kwargs |= {"connect_retries": 0, "status_code_retries": 0, "redirect": False}
        kwargs["timeout"] = (self._read_timeout, silence)
        if service is not None:
            kwargs |= {"raise_exc": False, "allow_reauth": False}
            self.get_token()  # before the exchange's time starts
        response = self._send_once(service, url, method, silence, *args, **kwargs)
        if service is not None and response.status_code == 401 and self._renew(_token_of(response)):
            response = self._send_once(service, url, method, silence, *args, **kwargs)
        if response.is_redirect and not own_redirects:
            target = address(response.headers["location"], response.url)
            raise Redirected(service, response.status_code, address(response.url), target)
        if service is not None and response.status_code >= 300:
            raise Refused(ErrorResponse.read(service, method, response))
        if service is not None and _holds_half_a_character(response):
            reason = "the response is unreadable (half a character)"
            raise NoResponse(service, _host(response.url), sent=True, reason=reason)
        return response

    def _send_once(
        self, service: str | None, url: str, method: str, silence: float, *args: Any, **kwargs: Any
    ) -> requests.Response:
        started = time.monotonic()
        try:
            response = self._send(service, url, method, silence, *args, **kwargs)
        except NoResponse as error:
            self._log(method, url, error.reason, None, started)
            raise
        except keystone_errors.HttpError as error:  # of a login
            self._log(method, url, str(error.http_status), error.request_id, started)
            raise
        self._log(method, response.url, str(response.status_code), request_id(response.headers), started)
        return response

    def _send(
        self, service: str | None, url: str, method: str, silence: float, *args: Any, **kwargs: Any
    ) -> requests.Response:
        with limited(min(EXCHANGE_FACTOR * silence, LONGEST_CALL)) as exchange:
            exchange.permit = self._permit
            try:
                response = super().request(url, method, *args, **kwargs)
            except keystone_errors.ConnectionError as error:
                cause = error.__context__
                request = getattr(cause, "request", None)
                sent = not _never_left(cause)
                reason = exchange.overrun or _reason(error, cause)
                host = _host(request.url if request is not None else url)
                raise NoResponse(service, host, sent=sent, reason=reason) from None
            except OSError as error:  # a certificate file that cannot be read
                raise NoResponse(service, _host(url), sent=False, reason=str(error)) from None
        if response.status_code < 200:
            reason = f"HTTP {response.status_code} came instead of a response"
            raise NoResponse(service, _host(response.url), sent=True, reason=reason)
        return response

    def _log(self, method: str, url: str, outcome: str, request_id: str | None, started: float) -> None:
        """Log and record one exchange."""
        if self._record is None and not _REQUESTS.isEnabledFor(logging.INFO):
            return
        shown_id = re.sub(r"[^\w.:-]", "", request_id or "")[:_LONGEST_ID] or None
        milliseconds = (time.monotonic() - started) * 1000
        done = HttpExchange(method, urlsplit(address(url)).path, outcome, shown_id, milliseconds)
        _REQUESTS.info("%s %s %s %s %.0f ms", method, done.path, outcome, shown_id or "-", milliseconds)
        if self._record is not None:
            self._record(done)

    def _renew(self, refused: str) -> bool:
        """Replace a refused token, unless another thread has; return False where the login has no tokens.

        keystoneauth itself forgets the token first: a second thread that was refused as well then gives up, and a
        third that is about to use it fails.
        """
        auth = self.auth
        if not isinstance(auth, BaseIdentityPlugin):
            return False
        with self._renewing:
            if auth.auth_ref is None or auth.auth_ref.auth_token == refused:
                auth.auth_ref = auth.get_auth_ref(self)
        return True


class _LoginLock:
    """A lock around logins; no thread waits for it beyond the deadline of its call, or while holding it.

    A login whose response cannot be read leaves it as `NoResponse`: what the login was for has not been sent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None

    def __enter__(self) -> None:
        if self._holder == threading.get_ident():
            # keystoneauth's discovery, when refused, asks for a token; after this error it tries without one.
            raise keystone_errors.DiscoveryFailure("logging in requires a login")
        exchange = current()
        if not self._lock.acquire(timeout=LONGEST_CALL if exchange is None else exchange.seconds_left):
            raise NoResponse(
                None, "the login service", sent=False, reason="another login is still waiting for its response"
            )
        self._holder = threading.get_ident()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder = None
        self._lock.release()
        if isinstance(error, MALFORMED):
            reason = f"its response is unreadable ({type(error).__name__})"
            raise NoResponse(None, "the login service", sent=True, reason=reason) from None


def quiet_loggers() -> None:
    """Limit the clients' loggers to warnings: below, they print requests with user names and tokens' hashes."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.setLevel(logging.WARNING)


def _holds_half_a_character(response: requests.Response) -> bool:
    """Return whether a JSON body holds half a surrogate pair: text that no file, database or terminal accepts."""
    if re.search(rb"\\u[dD][89a-fA-F]", response.content) is None:
        return False
    try:
        json.dumps(response.json(), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):  # not JSON: its reader reports that
        return False
    return False


def _token_of(response: requests.Response) -> str:
    token = response.request.headers.get("X-Auth-Token", "")
    return token.decode() if isinstance(token, bytes) else token


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the cloud"


def _never_left(cause: BaseException | None) -> bool:
    """Return whether the request certainly was not sent: no connection, no TLS session, or no way through a proxy."""
    if isinstance(cause, requests.ConnectTimeout):
        return True
    if not isinstance(cause, requests.ConnectionError) or not cause.args:
        return isinstance(cause, _NO_ADDRESS)
    failure = cause.args[0]
    inner = failure.reason if isinstance(failure, urllib3.exceptions.MaxRetryError) else failure
    if isinstance(inner, urllib3.exceptions.ProxyError):
        # urllib3 also calls it a proxy error when the connection is cut after the request went through the proxy.
        inner = inner.original_error
        if type(inner) is OSError and "Tunnel connection failed" in str(inner):
            return True
    if isinstance(inner, urllib3.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(inner)
    return isinstance(inner, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _reason(error: Exception, cause: BaseException | None) -> str:
    for kinds, words in _CAUSES.items():
        if isinstance(cause, kinds):
            return words
    if isinstance(error, keystone_errors.SSLError):
        return "the TLS certificate or handshake is invalid"
    for sign, words in _SIGNS.items():
        if re.search(sign, str(cause)):
            return words
    return f"the connection failed ({type(cause).__name__})"
