"""One service of the cloud as paths and JSON: the endpoint from the catalog, the version in the path, the pages.

Bodies are returned as they come. Where the catalog's address lacks the version (Glance and Neutron, usually), the
API's own is inserted; asking the service would cost an exchange at each start.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from keystoneauth1.adapter import Adapter
from openstack.config.cloud_region import CloudRegion

from envagent.cloud.http_session import SingleShotSession

_PAGES_LIMIT = 200
_VERSIONED = re.compile(r"/v\d+(\.\d+)?(/|$)")


class Rest:
    """Requests to one service type; safe to share among threads.

    Args:
        session: sends the requests; raises `Refused` for an error status and `NoResponse` for silence.
        region: whose service name, interface, region and endpoint override count.
        service_type: as in the catalog: compute, image, network, identity.
        version: the path segment of the API, such as "v2.1".
    """

    def __init__(self, session: SingleShotSession, region: CloudRegion, service_type: str, version: str) -> None:
        self._adapter = Adapter(
            session,
            service_type=region.get_service_type(service_type),
            service_name=region.get_service_name(service_type),
            interface=region.get_interface(service_type),
            region_name=region.get_region_name(service_type),
            endpoint_override=region.get_endpoint(service_type),
            additional_headers={"Accept": "application/json"},  # without it Glance words its errors as HTML
        )
        self.service_type = service_type
        self._version = version
        self._prefix: str | None = None

    def get(self, path: str, *, microversion: str | None = None, **query: str) -> dict[str, Any]:
        """Read one object or one page."""
        return _object(self._send("GET", path, params=query, microversion=microversion))

    def has_address(self) -> bool:
        """Return whether the catalog has an address for the service; logs in if necessary."""
        return bool(self._adapter.get_endpoint())

    def server_time(self, path: str) -> datetime | None:
        """Read the server's clock from a response."""
        date = self._send("GET", path).headers.get("Date", "")
        try:
            return parsedate_to_datetime(date).astimezone(UTC)
        except ValueError:
            return None

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return _object(self._send("POST", path, json=body))

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change an object."""
        return _object(self._send("PUT", path, json=body))

    def delete(self, path: str) -> None:
        """Ask for an object's removal."""
        self._send("DELETE", path)

    def pages(self, path: str, key: str, *, microversion: str | None = None, **query: str) -> list[dict[str, Any]]:
        """Read a whole list: the first page and those that it links to."""
        found: list[dict[str, Any]] = []
        seen: set[str] = set()
        for _ in range(_PAGES_LIMIT):
            page = self.get(path, microversion=microversion, **query)
            found.extend(listed(page[key]))
            link = _next_link(page, key)
            if link is None:
                return found
            if link in seen:
                break
            seen.add(link)
            query = {**query, **dict(parse_qsl(urlsplit(link).query))}
        raise ValueError(f"the list of {key} has no end")

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        options = {name: value for name, value in options.items() if value}
        return self._adapter.request(self._versioned(path), method, **options)

    def _versioned(self, path: str) -> str:
        if self._prefix is None:
            endpoint = self._adapter.get_endpoint() or ""
            self._prefix = "" if _VERSIONED.search(urlsplit(endpoint).path) else f"/{self._version}"
        return self._prefix + path


def listed(value: Any) -> list[Any]:
    """Return a list from a body; anything else is an error, since an empty list would say that there is nothing."""
    if not isinstance(value, list):
        raise TypeError("not a JSON list")
    return value


def _object(response: requests.Response) -> dict[str, Any]:
    body = response.json()
    if not isinstance(body, dict):
        raise TypeError("not a JSON object")
    return body


def _next_link(page: dict[str, Any], key: str) -> str | None:
    """Return the link to the next page: Glance's `next`, Nova's and Neutron's `<key>_links`."""
    if isinstance(page.get("next"), str):
        return str(page["next"])
    for link in page.get(f"{key}_links") or ():
        if link.get("rel") == "next":
            return str(link["href"])
    return None
