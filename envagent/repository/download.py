"""Download one document over HTTP.

Owns: the limits on time, size and redirects of such a request, and that it carries no credentials: no cookies, no
user name, nothing of the cloud's or the AI's. Must not: know what is in the document.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import urllib.request
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit

from envagent.errors import DocumentUnreachable, UsageError
from envagent.hints import Hint
from envagent.wire import LimitedResponse, Overrun, limited

SECONDS = 60.0
_SILENCE = 15.0
_REDIRECTS = 5
_DOWNLOAD = Hint("download it with a browser, and pass the file")
_TRY_AGAIN = Hint("check the network and try again, or download it and pass the file")


class Download(NamedTuple):
    """What a server has sent: the content, its media type, and the file name at the end of the address."""

    data: bytes
    content_type: str
    name: str


def shown(url: str) -> str:
    """Return a URL without its query and user name, which may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" + ("?..." if parts.query else "")


def download(url: str, *, most: int, seconds: float | None = None) -> Download:
    """Download a document.

    Args:
        url: `http://` or `https://`, without a user name.
        most: the largest number of bytes.
        seconds: for everything; defaults to SECONDS.

    Raises:
        UsageError: not a valid URL, or the server has no such document, or it is too large.
        DocumentUnreachable: no response, or not in time.
    """
    url = _checked(url)
    request = urllib.request.Request(_raw(url), headers={"User-Agent": "envagent", "Accept": "*/*"})  # noqa: S310
    try:
        with (
            limited(seconds or SECONDS),
            _opener(urlsplit(url).hostname or "").open(request, timeout=_SILENCE) as response,
        ):
            data = response.read(most + 1)
            if len(data) > most:
                raise UsageError(f"{shown(url)} is larger than {most >> 20} MB", hint=_DOWNLOAD)
            content_type = response.headers.get_content_type()
            return Download(data, content_type, unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))
    except HTTPError as error:
        error.close()
        raise _refused(url, error.code) from None
    except (URLError, OSError, http.client.HTTPException, UnicodeError) as error:
        reason = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
        raise _unreachable(url, reason) from None


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise UsageError("--also: not a valid URL", hint=Hint("use https://host/path, or the path of a file"))
    if "@" in parts.netloc:
        raise UsageError("--also: the URL contains a user name or a password", hint=_DOWNLOAD)
    if not url.isascii():
        raise UsageError(
            "--also: the URL contains non-ASCII letters", hint=Hint("copy the address from the browser's address bar")
        )
    return url.partition("#")[0]


def _raw(url: str) -> str:
    """Return the address of the file itself for GitHub's page about it."""
    parts = urlsplit(url)
    pieces = parts.path.split("/")
    if parts.hostname in ("github.com", "www.github.com") and len(pieces) > 5 and pieces[3] == "blob":
        return f"https://github.com{'/'.join([*pieces[:3], 'raw', *pieces[4:]])}"
    return url


def _refused(url: str, code: int) -> UsageError | DocumentUnreachable:
    if code in (401, 403, 407):
        return UsageError(f"{shown(url)} cannot be read without a login (HTTP {code})", hint=_DOWNLOAD)
    if code in (404, 410):
        return UsageError(f"There is no document at {shown(url)} (HTTP {code})", hint=Hint("check the address"))
    if 300 <= code < 400:
        return UsageError(f"{shown(url)} redirects too often, or not to http or https", hint=_DOWNLOAD)
    if code == 429 or code >= 500:
        return DocumentUnreachable(f"{shown(url)} is not available now (HTTP {code})", hint=_TRY_AGAIN)
    return UsageError(f"{shown(url)} cannot be read (HTTP {code})", hint=_DOWNLOAD)


def _unreachable(url: str, error: Exception) -> UsageError | DocumentUnreachable:
    if isinstance(error, _Elsewhere):
        return UsageError(f"{shown(url)} {error}", hint=_DOWNLOAD)
    if isinstance(error, ssl.SSLCertVerificationError):
        return DocumentUnreachable(f"The certificate of {shown(url)} is not valid", hint=_DOWNLOAD)
    if isinstance(error, TimeoutError | Overrun):
        return DocumentUnreachable(f"{shown(url)} did not respond in time", hint=_TRY_AGAIN)
    return DocumentUnreachable(f"{shown(url)} cannot be reached", hint=_TRY_AGAIN, service_said=str(error)[:300])


class _Elsewhere(OSError):
    """A redirect leads where no document of the user's may come from."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not to less security and not into the user's own network."""

    max_redirections = _REDIRECTS
    max_repeats = 2

    def __init__(self, typed: str, proxies: dict[str, str]) -> None:
        self._typed, self._proxies = typed, proxies

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request."""
        try:
            self._check(urlsplit(req.full_url), urlsplit(newurl))
        except _Elsewhere:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def _check(self, before: SplitResult, after: SplitResult) -> None:
        if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
            raise _Elsewhere("redirects to an address without https")
        if "@" in after.netloc:
            raise _Elsewhere("redirects to an address with a user name")
        host = after.hostname or ""
        if host != self._typed and not _is_public(host, resolve=after.scheme not in self._proxies):
            raise _Elsewhere("redirects to an address that is not public")


def _is_public(host: str, *, resolve: bool) -> bool:
    """Return whether all addresses of a host are public; a proxy resolves names on its own."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return False
    if not resolve:
        return True
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return True  # the connection will fail
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_global for address in found)


class _Plain(http.client.HTTPConnection):
    response_class = LimitedResponse


class _Secure(http.client.HTTPSConnection):
    response_class = LimitedResponse


class _PlainHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        """Open a connection with limits."""
        return self.do_open(_Plain, req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        """Open a connection with limits."""
        return self.do_open(_Secure, req, context=ssl.create_default_context())


def _opener(typed: str) -> urllib.request.OpenerDirector:
    """Return what opens http and https and nothing else: no files, no FTP, no netrc, no cookies."""
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(typed):
        proxies = {}
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        _PlainHandler(),
        _SecureHandler(),
        _Redirects(typed, proxies),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener
