"""What Neutron accepts in the body of a write: a resource's attributes, their checks, and the refusals.

The order of the checks is Neutron's: structure, project, unknown names, names that this method may not set, values,
policy.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from envagent.sandbox.cloud_time import iso_z
from envagent.sandbox.exchange import Call, ServiceError
from envagent.sandbox.records import FloatingIp, Port, SecurityGroup

Convert = Callable[[str, Any], Any]
NAME_LENGTH = 255
TRUE, FALSE = ("true", "1", "t", "yes", "on", "y"), ("false", "0", "f", "no", "off", "n")


def neutron_error(status: int, type: str, message: str) -> ServiceError:
    """Return an error with Neutron's type."""
    return ServiceError(status, message, type)


bad_request = partial(neutron_error, 400, "HTTPBadRequest")
"""Returns the 400 for a malformed body."""


def invalid_input(reason: str) -> ServiceError:
    """Return the 400 for a value that cannot be converted."""
    return neutron_error(400, "InvalidInput", f"Invalid input for operation: {reason}.")


def forbidden(rule: str) -> ServiceError:
    """Return the 403 of a policy."""
    return neutron_error(403, "PolicyNotAuthorized", f"{rule} is disallowed by policy")


def not_found(kind: str, id: str) -> ServiceError:
    """Return the 404 for a network, a subnet or a port."""
    return neutron_error(404, f"{kind}NotFound", f"{kind} {id} could not be found.")


def over_quota(resource: str) -> ServiceError:
    """Return the 409 for an exhausted quota."""
    return neutron_error(409, "OverQuota", f"Quota exceeded for resources: ['{resource}'].")


def no_more_addresses(network: str) -> ServiceError:
    """Return the 409 for a network without a free address."""
    message = f"No more IP addresses available on network {network}."
    return neutron_error(409, "IpAddressGenerationFailure", message)


def standard_view(record: FloatingIp | Port | SecurityGroup) -> dict[str, Any]:
    """Return the attributes that all of a project's resources show."""
    return {
        "description": record.description,
        "project_id": record.owner,
        "tenant_id": record.owner,
        "tags": record.tags,
        "revision_number": record.revision,
        "created_at": iso_z(record.created_at),
        "updated_at": iso_z(record.updated_at),
    }


def revise(call: Call, record: FloatingIp | Port | SecurityGroup, rule: str | None = None) -> None:
    """Store a changed resource as its next revision, and log the change: of the group's `rule` if one is named."""
    record.revision += 1
    record.updated_at = call.world.at
    call.world.put(record)
    call.wrote("security_group_rule" if rule else record.kind, rule or record.id, record.name)


def text(longest: int = NAME_LENGTH) -> Convert:
    """Return the check of a string."""

    def convert(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise bad_request(f"Invalid input for {name}. Reason: '{value}' is not a valid string.")
        if len(value) > longest:
            raise bad_request(f"Invalid input for {name}. Reason: '{value}' exceeds maximum length of {longest}.")
        return value

    return convert


def boolean(name: str, value: Any) -> bool:
    """Convert a boolean as Neutron does, from words and digits too."""
    word = str(value).lower()
    if word not in TRUE + FALSE:
        raise invalid_input(f"'{value}' cannot be converted to boolean")
    return word in TRUE


def identifier(name: str, value: Any) -> str:
    """Accept a UUID."""
    try:
        uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise bad_request(f"Invalid input for {name}. Reason: '{value}' is not a valid UUID.") from None
    return str(value)


def optional_identifier(name: str, value: Any) -> str | None:
    """Accept a UUID or null."""
    return None if value is None else identifier(name, value)


def identifiers(name: str, value: Any) -> list[str]:
    """Accept a list of UUIDs; null is an empty one."""
    if value is not None and not isinstance(value, list):
        raise bad_request(f"Invalid input for {name}. Reason: '{value}' is not a list.")
    return [identifier(name, each) for each in value or []]


def one_of(*values: Any) -> Convert:
    """Return the check of a value that must be one of a few."""

    def convert(name: str, value: Any) -> Any:
        if value not in values:
            raise bad_request(f"Invalid input for {name}. Reason: {value} is not in valid_values.")
        return value

    return convert


def mac(name: str, value: Any) -> str:
    """Accept a MAC address."""
    if not re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", str(value)):
        raise bad_request(f"Invalid input for {name}. Reason: '{value}' is not a valid MAC address.")
    return str(value)


@dataclass(frozen=True)
class Attribute:
    """One attribute: its check, whether POST and PUT may set it, and whether only administrators may."""

    convert: Convert = lambda name, value: value
    post: bool = True
    put: bool = True
    required: bool = False
    admin: bool = False


Attributes = Mapping[str, Attribute]
READ_ONLY = Attribute(post=False, put=False)
STANDARD: Attributes = {
    "id": READ_ONLY,
    "description": Attribute(text()),
    "project_id": Attribute(put=False),
    "tenant_id": Attribute(put=False),
    **dict.fromkeys(("created_at", "updated_at", "revision_number"), READ_ONLY),
}
"""The attributes of all resources."""


def accept(call: Call, resource: str, attributes: Attributes) -> dict[str, Any]:
    """Return the checked and converted attributes of a POST or PUT. Raises Neutron's refusals."""
    given = _given(call, resource)
    project = call.identity.project
    if any(given.get(key, project) != project for key in ("project_id", "tenant_id")):
        raise bad_request(
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin "
            "or advsvc privileges"
        )
    unknown = [key for key in given if key not in attributes]
    if unknown:
        raise bad_request(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    _check_names(call.method, given, attributes)
    asked = {key: attributes[key].convert(key, value) for key, value in given.items()}
    verb = "create" if call.method == "POST" else "update"
    for key in asked:
        if attributes[key].admin:
            raise forbidden(f"(rule:{verb}_{resource} and rule:{verb}_{resource}:{key})")
    return asked


def _given(call: Call, resource: str) -> dict[str, Any]:
    if not call.body:
        raise bad_request("Resource body required")
    if f"{resource}s" in call.body:
        raise neutron_error(501, "", f"The sandbox does not simulate several {resource}s in one {call.method}")
    if resource not in call.body:
        raise bad_request(f"Unable to find '{resource}' in request body")
    given = call.body[resource]
    if not isinstance(given, dict):
        raise bad_request(f"Object '{resource}' contains invalid data")
    return given


def _check_names(method: str, given: dict[str, Any], attributes: Attributes) -> None:
    for key, attribute in attributes.items():
        if method == "POST" and attribute.required and key not in given:
            raise bad_request(f"Failed to parse request. Required attribute '{key}' not specified")
        if method == "POST" and not attribute.post and key in given:
            raise bad_request(f"Attribute '{key}' not allowed in POST")
        if method == "PUT" and not attribute.put and key in given:
            raise bad_request(f"Cannot update read-only attribute {key}")
