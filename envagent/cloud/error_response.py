"""A service's error response: its message, taken out of its envelope.

Each service wraps its message differently (Keystone `error`, Nova one key named after the fault, Neutron
`NeutronError`, Glance `message` with HTML breaks, Blazar `error_message`), and a proxy in front of any of them responds
in HTML. This module unwraps and does not judge. The messages are untrusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from envagent.wire import seconds_to_wait

if TYPE_CHECKING:
    import requests

_TEXT_LIMIT = 2000
_BREAK = re.compile(r"<br\s*/?>", re.I)
_PAGE = re.compile(r"<(!doctype|html|head|body|title)\b", re.I)
_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.S | re.I)
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ADDRESS_LIMIT = 200


@dataclass(frozen=True)
class ErrorResponse:
    """A response with an error status.

    Attributes:
        service: its type in the catalog, such as `compute`.
        text: the service's message.
        kind: the service's own name for the error where it has one (Neutron's `type`, Nova's key).
        retry_after: in seconds.
        enveloped: whether the message came in a JSON object, as every service's does and a proxy's does not.
    """

    service: str
    method: str
    path: str
    status: int
    text: str
    kind: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    enveloped: bool = True

    @classmethod
    def read(cls, service: str, method: str, response: requests.Response) -> ErrorResponse:
        """Unwrap a response of any service."""
        kind, text = unwrap(response.text)
        headers = response.headers
        return cls(
            service=service,
            method=method,
            path=urlsplit(response.url).path,
            status=response.status_code,
            text=text,
            kind=kind,
            request_id=request_id(headers),
            retry_after=seconds_to_wait(headers.get("retry-after")),
            enveloped=_object(response.text) is not None,
        )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id under which the service logs the request."""
    return headers.get("x-openstack-request-id") or headers.get("x-compute-request-id")


def unwrap(body: str) -> tuple[str | None, str]:
    """Return the kind and the message in an error body of any service, or of a proxy in front of it."""
    document = _object(body)
    if document is None:
        return None, _plain(body)
    if "error_message" in document:
        name = document.get("error_name")
        return (name if isinstance(name, str) else None), _plain(document["error_message"])
    if "message" in document:
        return None, _plain(document["message"])
    for key, value in document.items():
        if isinstance(value, dict) and "message" in value:
            kind = value.get("type", key)
            return (kind if isinstance(kind, str) else key), _plain(value["message"])
        if len(document) == 1 and isinstance(value, str):
            return key, _plain(value)
    return None, _plain(body)


def address(url: str, base: str = "") -> str:
    """Return a URL, perhaps relative, as a message may show it: without the parts that may hold secrets."""
    try:
        parts = urlsplit(urljoin(base, url))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an invalid address"
    shown = urlunsplit((parts.scheme, host, parts.path.partition(";")[0], "", ""))
    return re.sub(r"\s", "", _UNSEEN.sub("", shown))[:_ADDRESS_LIMIT]


def _object(body: str) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _plain(message: Any) -> str:
    text = message if isinstance(message, str) else json.dumps(message)
    text = _TAG.sub(" ", text) if _PAGE.search(text) else _BREAK.sub("\n", text)
    return re.sub(r"\s*\n\s*", "\n", _UNSEEN.sub("", text)).strip()[:_TEXT_LIMIT]
