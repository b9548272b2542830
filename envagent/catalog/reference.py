"""The Reference API: the public description of every node, as an answer to read or a page to fetch.

It tells what nodes are, never whether they are free or may be reserved. Optional: the packaged catalogue stands in
wherever it cannot be reached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from envagent.errors import CloudError, CloudUnreachable

URL = "https://api.chameleoncloud.org"
_LARGEST_BYTES = 32 << 20


@dataclass(frozen=True)
class ReferenceHost:
    """A node of the Reference API in the shape of a Blazar host: flat dotted keys, string values."""

    uid: str
    node_type: str | None
    properties: Mapping[str, str]
    reservable: bool = True


def _flatten(value: Any, prefix: str, into: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(inner, f"{prefix}.{key}" if prefix else str(key), into)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _flatten(inner, f"{prefix}.{index}", into)
    elif value is not None:
        into[prefix] = str(value)


def read_nodes(document: Mapping[str, Any]) -> list[ReferenceHost]:
    """Read an answer of `/sites/{uid}/clusters/chameleon/nodes`; entries that are no node are left out."""
    found = []
    items = document.get("items")
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict) or not item.get("uid"):
            continue
        gpu = item.get("gpu")
        node = {**item, "gpu": gpu[0] if isinstance(gpu, list) and gpu else gpu}
        properties: dict[str, str] = {}
        _flatten({key: value for key, value in node.items() if key not in ("links", "version")}, "", properties)
        kind = item.get("node_type")
        found.append(ReferenceHost(str(item["uid"]), str(kind) if kind else None, properties))
    return found


def fetch_nodes(site_uid: str, *, url: str = URL, timeout: float = 10.0) -> list[ReferenceHost]:
    """Fetch the nodes of a site (at most 500, which is every site today).

    Args:
        site_uid: such as uc.
        url: the API's root, https or http.
        timeout: seconds without any byte after which to give up.

    Raises:
        CloudUnreachable: no answer in time.
        CloudError: an answer that is no list of nodes.
    """
    address = f"{url}/sites/{quote(site_uid, safe='')}/clusters/chameleon/nodes.json?limit=500"
    if not address.startswith(("https://", "http://")):
        raise CloudError(f"not an address of the Reference API: {url}")
    request = Request(address, headers={"Accept": "application/json"})  # noqa: S310 - scheme checked above
    try:
        with urlopen(request, timeout=timeout) as response:  # noqa: S310
            document = json.loads(response.read(_LARGEST_BYTES))
    except (URLError, TimeoutError, ConnectionError) as error:
        raise CloudUnreachable(f"the Reference API does not answer: {error}") from None
    except ValueError as error:
        raise CloudError(f"the Reference API answers what is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise CloudError("the Reference API answers no list of nodes")
    return read_nodes(document)
