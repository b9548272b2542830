"""Connections and bodies within the limits of `envagent.wire`, which requests and urllib3 do not have.

Their timeouts apply to single reads, so a name with many addresses, a trickling head, an endless body or one that
unpacks to gigabytes would hold a thread for as long as the other side likes.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import Any

import requests
from keystoneauth1.session import TCPKeepAliveAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from envagent.wire import BODY_BYTES, LimitedResponse, Overrun, current

_PIECE = 1 << 16


class _Limited(HTTPConnection):
    """A connection that is opened and read within the limits in force."""

    response_class = LimitedResponse

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that accepts, trying all of them within the deadline."""
        exchange = current()
        if exchange is None:
            return super()._new_conn()
        name, patience = self._dns_host, self.timeout
        failure: Exception = NewConnectionError(self, f"{name} has no address")
        try:
            for address in self._addresses():
                self._dns_host = address
                self.timeout = exchange.left() if patience is None else min(patience, exchange.left())
                try:
                    connection = super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError) as error:
                    failure = error
                    continue
                try:
                    connection.settimeout(min(self.timeout, exchange.left()))  # for the TLS handshake
                except Overrun:
                    connection.close()
                    raise
                return connection
        except Overrun as error:
            failure = ConnectTimeoutError(self, str(error))
        finally:
            self._dns_host, self.timeout = name, patience
        raise failure

    def send(self, data: Any) -> None:
        """Send bytes of a request; before them, connect and ask for permission, in this order."""
        if self.sock is None:
            self.connect()
        exchange = current()
        if exchange is not None and exchange.permit is not None:
            exchange.permit()
        super().send(data)

    def _addresses(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except UnicodeError:
            return [self._dns_host]  # urllib3 says that this is not a host name
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _LimitedTls(_Limited, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Limited


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _LimitedTls


_POOLS = {"http": _Pool, "https": _TlsPool}


class LimitedSession(requests.Session):
    """Sends every request within limits and follows no redirect."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in list(self.adapters):
            self.mount(scheme, _Adapter())

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Generator[requests.Response, None, None]:
        """Follow none: requests would resolve the target even so, and fails at an invalid address."""
        yield from ()


class _Adapter(TCPKeepAliveAdapter):
    """Sends requests and reads each response to its end, within the limits in force."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if isinstance(manager, ProxyManager):  # the one for SOCKS, an extra of urllib3, has pools of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request and read the whole response.

        Raises:
            requests.RequestException: there is none, or it exceeded a limit.
        """
        exchange = current()
        if exchange is None:
            raise AssertionError("a request without a limit")
        try:
            exchange.left()
        except Overrun as error:
            raise requests.ConnectTimeout(error, request=request) from None
        response = super().send(request, *args, **{**kwargs, "stream": True})
        pieces, size = [], 0
        try:
            for piece in response.iter_content(_PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > BODY_BYTES:
                    exchange.fail(f"the response is larger than {BODY_BYTES >> 20} MiB")
        except Overrun as error:
            raise requests.ConnectionError(error, request=request) from None
        finally:
            response.close()
        response._content, response._content_consumed = b"".join(pieces), True
        response.encoding = response.encoding or "utf-8"  # guessing it takes minutes for a large body
        return response
