"""Keystone's application credentials: users create, list, show and delete their own."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any

from envagent.sandbox.body_schemas import Schema, complaint, violation
from envagent.sandbox.cloud_time import iso_micro
from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.keystone_people import collection, own_user
from envagent.sandbox.keystone_tokens import MALFORMED, ROLES, application_credentials, bad_request, digest, forbidden
from envagent.sandbox.records import ApplicationCredential

OPTIONAL: Schema = {"type": ["string", "null"]}
CREDENTIAL: Schema = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": OPTIONAL,
        "secret": OPTIONAL,
        "unrestricted": {"type": ["boolean", "null"]},
    },
}
BODY: Schema = {"required": ["application_credential"], "properties": {"application_credential": CREDENTIAL}}
KNOWN_ROLES = ("admin", "manager", "member", "reader", "service")
DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z?")


def _view(call: Call, credential: ApplicationCredential) -> dict[str, Any]:
    roles = [{**role, "domain_id": None, "description": None, "options": {"immutable": True}} for role in ROLES]
    return {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "user_id": credential.owner,
        "project_id": credential.project,
        "system": None,
        "expires_at": None if credential.expires is None else iso_micro(credential.expires),
        "unrestricted": credential.unrestricted,
        "roles": roles,
        "links": {"self": f"{call.root}/v3/application_credentials/{credential.id}"},
    }


def list_all(call: Call) -> Reply:
    """Handle GET /v3/users/ID/application_credentials."""
    found = application_credentials(call, own_user(call, "list_application_credentials"))
    name = call.argument("name")
    shown = [_view(call, one) for one in found if name in (None, one.name)]
    return collection(call, "application_credentials", shown)


def _get(call: Call, action: str) -> ApplicationCredential:
    for credential in application_credentials(call, own_user(call, action)):
        if credential.id == call.params["id"]:
            return credential
    raise ServiceError(404, f"Could not find Application Credential: {call.params['id']}.")


def show(call: Call) -> Reply:
    """Handle GET /v3/users/ID/application_credentials/ID."""
    return Reply(200, {"application_credential": _view(call, _get(call, "get_application_credential"))})


def _check_caller(call: Call) -> None:
    if call.identity.restricted:
        action = "Using method 'application_credential' is not allowed for managing additional application credentials."
        raise forbidden(action)


def _expiry(call: Call, asked: Any) -> float | None:
    if asked is None:
        return None
    match = DATE.fullmatch(str(asked))
    if match is None:
        raise bad_request(f"Timestamp not in expected format.{MALFORMED}")
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
    if moment <= call.world.at:
        raise bad_request(f"The 'expires_at' must not be before now.{MALFORMED}")
    return moment


def _check_roles(roles: list[dict[str, Any]]) -> None:
    own = {value for role in ROLES for value in role.values()}
    for role in roles:
        if "id" not in role and role.get("name") not in KNOWN_ROLES:
            raise ServiceError(404, f"Role {role.get('name')} is not defined")
        if role.get("id", role.get("name")) not in own:
            message = "Cannot create an application credential with unassigned role"
            raise bad_request(f"Invalid application credential: {message}")


def create(call: Call) -> Reply:
    """Handle POST /v3/users/ID/application_credentials; the secret is only shown now."""
    user = own_user(call, "create_application_credential")
    found = violation(call.body, BODY)
    if found is not None:
        raise bad_request(complaint(found))
    asked = call.part("application_credential")
    _check_caller(call)
    expires = _expiry(call, asked.get("expires_at"))
    _check_roles(asked.get("roles") or [])
    if any(one.name == asked["name"] for one in application_credentials(call, user)):
        message = f"Duplicate entry found with name {asked['name']}"
        raise ServiceError(409, f"Conflict occurred attempting to store application_credential - {message}.")
    secret = asked.get("secret") or secrets.token_urlsafe(64)
    credential = ApplicationCredential(
        **call.world.fresh(user.id, asked["name"], id=call.world.new_id().replace("-", "")),
        project=call.identity.project,
        secret_digest=digest(secret),
        description=asked.get("description"),
        expires=expires,
        unrestricted=asked.get("unrestricted"),
    )
    call.store(credential)
    return Reply(201, {"application_credential": {**_view(call, credential), "secret": secret}})


def delete(call: Call) -> Reply:
    """Handle DELETE /v3/users/ID/application_credentials/ID."""
    credential = _get(call, "delete_application_credential")
    _check_caller(call)
    if credential.builtin:
        raise ServiceError(501, f"The sandbox does not simulate DELETE of {credential.name}, which its clouds.yaml has")
    call.remove(credential)
    return Reply(204)
