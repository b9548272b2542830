"""Nova's version documents and microversions."""

from __future__ import annotations

import re
from typing import Any

from envagent.sandbox.exchange import Call, Reply, ServiceError

MINIMUM = (2, 1)
HEADERS = ("openstack-api-version", "x-openstack-nova-api-version")
VERSION = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)")


def _parse(text: str) -> tuple[int, int]:
    found = VERSION.fullmatch(text)
    if found is None:
        message = f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
        raise ServiceError(400, message)
    return int(found[1]), int(found[2])


def _asked(call: Call) -> str:
    """Return the text of the requested microversion."""
    named = call.headers.get(HEADERS[0], "")
    asked = named.removeprefix("compute ").strip() if named.startswith("compute ") else ""
    return asked or call.headers.get(HEADERS[1], "")


def microversion(call: Call) -> tuple[int, int]:
    """Return the requested microversion, 2.1 by default."""
    highest, asked = _parse(call.world.profile.compute_microversion), _asked(call)
    if not asked:
        return MINIMUM
    if asked == "latest":
        return highest
    wanted = _parse(asked)
    if not MINIMUM <= wanted <= highest:
        message = (
            f"Version {asked} is not supported by the API. Minimum is 2.1 and maximum is "
            f"{call.world.profile.compute_microversion}."
        )
        raise ServiceError(406, message, "computeFault")
    return wanted


def response_headers(call: Call) -> dict[str, str]:
    """Return the headers of Nova's responses, which repeat the microversion, even a refused one."""
    ids = {"x-openstack-request-id": call.request_id, "x-compute-request-id": call.request_id}
    try:
        version = "{}.{}".format(*microversion(call))
    except ServiceError as error:
        if error.status != 406:
            return ids
        version = _asked(call)
    return {
        "OpenStack-API-Version": f"compute {version}",
        "X-OpenStack-Nova-API-Version": version,
        "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
        **ids,
    }


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": call.world.profile.compute_microversion,
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{call.root}/v2.1/"}],
    }


def list_versions(call: Call) -> Reply:
    """Handle GET /."""
    return Reply(200, {"versions": [_version(call)]})


def show_version(call: Call) -> Reply:
    """Handle GET /v2.1."""
    media = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    return Reply(200, {"version": {**_version(call), "media-types": [media]}})
