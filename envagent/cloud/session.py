"""The wire: one keystoneauth session through which every request of every client goes.

It owns the rules of sending (a time limit on each request, writes sent exactly once, no redirect of a write) and
turns each refusal and each silence into plain facts: `Refused` and `NoAnswer`. It does not say what they mean
(`envagent.cloud.classify` does) and never retries, except that after a 401 it fetches a new token and sends the
refused request again, once: what was refused was not written.

The facts are taken here, below the clients, because python-blazarclient drops the request id, always says code 500
and crashes on a body that is no JSON object.
"""

from __future__ import annotations

import logging
import threading
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session

from envagent.cloud.answer import Answer

_LOGGERS = ("keystoneauth", "keystoneauth1", "openstack", "blazarclient", "urllib3", "requests", "stevedore", "oslo")
_READS = frozenset({"GET", "HEAD"})


class Refused(Exception):
    """A service answered with a status that is no success."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.service} {answer.status}")
        self.answer = answer


class NoAnswer(Exception):
    """No whole answer came.

    `service` is None where the request was for a token or a version document; `sent` is False when it is certain
    that no byte of the request left; `reason` is in words for a user and holds no secret.
    """

    def __init__(self, service: str | None, host: str, *, sent: bool, reason: str) -> None:
        super().__init__(reason)
        self.service = service
        self.host = host
        self.sent = sent
        self.reason = reason


class SingleShotSession(Session):
    """A keystoneauth session in which nothing is sent twice and nothing waits for ever.

    Args:
        read_timeout: seconds without a byte before a read or a login is given up; also for making a connection.
        write_timeout: the same for writes; Blazar's DELETE blocks until the servers of the lease are gone.
        options: keystoneauth's own (auth, verify, cert).
    """

    def __init__(self, *, read_timeout: float, write_timeout: float, **options: Any) -> None:
        super().__init__(app_name="envagent", **options)
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._renewing = threading.Lock()

    def request(self, url: str, method: str, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; `Refused` or `NoAnswer` for a service's, keystoneauth's own errors for a login's."""
        service = (kwargs.get("endpoint_filter") or {}).get("service_type")
        write = service is not None and method not in _READS
        kwargs["connect_retries"] = 0
        kwargs["status_code_retries"] = 0
        kwargs["timeout"] = (self._read_timeout, self._write_timeout if write else self._read_timeout)
        if service is not None:
            kwargs["raise_exc"] = False
            kwargs["allow_reauth"] = False
        if write:
            kwargs["redirect"] = False
        try:
            response = super().request(url, method, *args, **kwargs)
            if service is not None and response.status_code == 401 and self._renew(_token_of(response)):
                response = super().request(url, method, *args, **kwargs)
        except keystone_errors.ConnectionError as error:
            cause = error.__context__
            request = getattr(cause, "request", None)
            host = urlsplit(request.url if request is not None else url).hostname or "the cloud"
            raise NoAnswer(service, host, sent=not _never_left(cause), reason=_reason(error, cause)) from None
        if service is not None and response.status_code >= 300:
            raise Refused(Answer.read(service, method, response))
        return response

    def _renew(self, refused: str) -> bool:
        """Replace a refused token, unless another thread has; False where the login brings none.

        keystoneauth's own way forgets the token first: a second thread that was refused as well then gives up, and a
        third that is about to use it stumbles.
        """
        auth = self.auth
        if not isinstance(auth, BaseIdentityPlugin):
            return False
        with self._renewing:
            if auth.auth_ref is None or auth.auth_ref.auth_token == refused:
                auth.auth_ref = auth.get_auth_ref(self)
        return True


def quiet_loggers() -> None:
    """Silence the clients' own loggers at every level: at DEBUG they print requests with user names and tokens' hashes.

    What matters of them reaches the user as an error of ours.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


def _token_of(response: requests.Response) -> str:
    token = response.request.headers.get("X-Auth-Token", "")
    return token.decode() if isinstance(token, bytes) else token


def _never_left(cause: BaseException | None) -> bool:
    """Whether the request certainly did not leave: no connection, no TLS session, or no way through a proxy."""
    if isinstance(cause, requests.ConnectTimeout):
        return True
    if not isinstance(cause, requests.ConnectionError) or not cause.args:
        return isinstance(cause, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema)
    failure = cause.args[0]
    inner = failure.reason if isinstance(failure, urllib3.exceptions.MaxRetryError) else failure
    if isinstance(inner, urllib3.exceptions.ProxyError):
        # urllib3 calls it a proxy's failure, too, when the connection is cut after the request went through the proxy.
        inner = inner.original_error
        if type(inner) is OSError and "Tunnel connection failed" in str(inner):
            return True
    if isinstance(inner, urllib3.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(inner)
    return isinstance(inner, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _reason(error: Exception, cause: BaseException | None) -> str:
    if isinstance(cause, requests.ConnectTimeout):
        return "no connection within the time limit"
    if isinstance(cause, requests.Timeout):
        return "no answer within the time limit"
    if isinstance(error, keystone_errors.SSLError):
        return "the TLS certificate or handshake is not valid"
    text = str(cause)
    for sign, words in (
        ("NameResolutionError", "the host name is not known"),
        ("Name or service not known", "the host name is not known"),
        ("Connection refused", "connection refused"),
        ("Connection reset", "the connection was cut before the answer was complete"),
        ("Remote end closed", "the connection was cut before the answer was complete"),
        ("IncompleteRead", "the connection was cut before the answer was complete"),
        ("Network is unreachable", "the network is unreachable"),
        ("No route to host", "there is no route to the host"),
    ):
        if sign in text:
            return words
    return f"the connection failed ({type(cause).__name__})"
