"""Keystone's tokens: authentication, scopes, and the token's content."""

from __future__ import annotations

import hashlib
import secrets
from functools import partial
from typing import Any

from envagent.sandbox.body_schemas import Schema, violation
from envagent.sandbox.cloud_time import utc
from envagent.sandbox.exchange import Call, Identity, Reply, ServiceError, keystone_unauthorized
from envagent.sandbox.inventory import Account, stable_id
from envagent.sandbox.records import ApplicationCredential
from envagent.sandbox.world import World

CATALOG = {
    "identity": ("keystone", "/identity/v3"),
    "image": ("glance", "/image"),
    "compute": ("nova", "/compute/v2.1"),
    "network": ("neutron", "/network"),
    "reservation": ("blazar", "/reservation/v1"),
}
TOKEN_SECONDS = 4 * 3600
DOMAINS = {"default": "Default", "chameleon": "chameleon"}
ROLES = [{"id": stable_id("role", name).replace("-", ""), "name": name} for name in ("member", "reader")]

METHODS: Schema = {"type": "array", "items": {"type": "string"}}
IDENTITY: Schema = {"type": "object", "required": ["methods"], "properties": {"methods": METHODS}}
AUTH: Schema = {"type": "object", "required": ["identity"], "properties": {"identity": IDENTITY}}
MALFORMED = (
    " The server could not comply with the request since it is either malformed or otherwise incorrect. The client is "
    "assumed to be in error."
)
bad_request = partial(ServiceError, 400)


def application_credential_id(site: str, kind: str) -> str:
    """Return the id of the user's application credential of a kind, `unrestricted` or `restricted`."""
    return stable_id(site, "application-credential", kind).replace("-", "")


def authenticate(world: World, token: str | None) -> Identity | None:
    """Return the identity of a token, None if it is unknown or expired."""
    document = world.state.token(token, world.site.key, world.at) if token else None
    if document is None:
        return None
    return Identity(document["user"], document["project"], tuple(document["methods"]), document["restricted"])


def catalog(call: Call) -> list[dict[str, Any]]:
    """Return the site's service catalog."""
    site_root = call.root.removesuffix("/identity")
    return [
        {
            "type": type,
            "name": name,
            "id": stable_id(call.site.key, type).replace("-", ""),
            "endpoints": [
                {
                    "id": stable_id(call.site.key, type, interface).replace("-", ""),
                    "interface": interface,
                    "region": call.site.region,
                    "region_id": call.site.region,
                    "url": site_root + path,
                }
                for interface in ("public", "internal", "admin")
            ],
        }
        for type, (name, path) in CATALOG.items()
    ]


def forbidden(action: str) -> ServiceError:
    """Return Keystone's 403."""
    return ServiceError(403, f"You are not authorized to perform the requested action: {action}.")


def _expect(what: str) -> ServiceError:
    return bad_request(f"Expecting to find {what}.{MALFORMED}")


def _matches(reference: dict[str, Any], account: Account) -> bool:
    if "id" in reference:
        return bool(reference["id"] == account.id)
    domain = reference.get("domain") or {}
    known = domain.get("id") in DOMAINS or domain.get("name") in DOMAINS.values()
    return known and reference.get("name") == account.name


def _check_reference(reference: Any, what: str, where: str) -> dict[str, Any]:
    """Refuse a reference without id and name, and a name without a domain."""
    if not isinstance(reference, dict) or not {"id", "name"} & reference.keys():
        raise bad_request(f"Invalid input for field {where}: id or name must be present.")
    if "id" not in reference and not isinstance(reference.get("domain"), dict):
        raise _expect(f"domain in {what}")
    return reference


def _by_password(call: Call, method: dict[str, Any]) -> Account:
    if "user" not in method:
        raise _expect("user in None")
    reference = _check_reference(method["user"], "user", "identity/password/user")
    for user in call.site.users.values():
        password = call.world.state.setting("credentials")[user.key]
        given = str(reference.get("password"))
        if _matches(reference, user) and secrets.compare_digest(given.encode(), password.encode()):
            return user
    raise keystone_unauthorized()


def user_of(call: Call, id: str) -> Account:
    """Return the account of a user id."""
    return next(user for user in call.site.users.values() if user.id == id)


def digest(secret: str) -> str:
    """Hash an application credential's secret for the store."""
    return hashlib.sha256(secret.encode()).hexdigest()


def application_credentials(call: Call, user: Account) -> list[ApplicationCredential]:
    """Return a user's application credentials: those in clouds.yaml, and those created through the API."""
    kinds = ("unrestricted", "restricted") if user.key == "user" else ()
    builtin = [
        ApplicationCredential(
            id=application_credential_id(call.site.key, kind),
            site=call.site.key,
            owner=user.id,
            name=f"envagent-{kind}",
            created_at=0.0,
            project=user.projects[0],
            secret_digest=digest(call.world.state.setting("credentials")[kind]),
            unrestricted=kind == "unrestricted",
            builtin=True,
        )
        for kind in kinds
    ]
    return builtin + call.world.find(ApplicationCredential, user.id)


def _by_application_credential(call: Call, method: dict[str, Any]) -> Identity:
    known = [one for user in call.site.users.values() for one in application_credentials(call, user)]
    if "id" in method:
        found = next((one for one in known if one.id == method["id"]), None)
        if found is None:
            raise ServiceError(404, f"Could not find Application Credential: {method['id']}.")
    else:
        owners = [user.id for user in call.site.users.values() if _matches(method.get("user") or {}, user)]
        found = next((one for one in known if one.name == method.get("name") and one.owner in owners), None)
    right = found is not None and secrets.compare_digest(digest(str(method.get("secret"))), found.secret_digest)
    if found is None or not right or (found.expires is not None and found.expires <= call.world.at):
        raise keystone_unauthorized()
    return Identity(found.owner, found.project, ("application_credential",), restricted=not found.unrestricted)


def _scoped(call: Call, user: Account, scope: Any, methods: tuple[str, ...]) -> Identity:
    """Scope to the requested project, or to none; nobody has a role in a domain or in the system."""
    if scope is None or scope == "unscoped" or (isinstance(scope, dict) and "unscoped" in scope):
        return Identity(user.id, "", methods)
    if not isinstance(scope, dict):
        raise bad_request(f"Invalid input for field 'scope': {scope!r} is not of type 'object', 'string'")
    if not {"system", "project", "domain", "OS-TRUST:trust"} & scope.keys():
        raise _expect("system, project, domain, OS-TRUST:trust or unscoped in scope")
    if "project" in scope:
        reference = _check_reference(scope["project"], "project", "scope/project")
        for project in call.site.projects.values():
            if _matches(reference, project) and project.id in user.projects:
                return Identity(user.id, project.id, methods)
    raise keystone_unauthorized()


def _methods(call: Call) -> tuple[dict[str, Any], list[str]]:
    """Return the `identity` of a login and its methods. Raises the refusals of a malformed one."""
    if "auth" not in call.body:
        raise _expect("auth in request body")
    auth = call.body["auth"]
    _refuse_violation(auth, AUTH)
    identity = auth["identity"]
    for method in identity["methods"]:
        if method not in identity:
            raise _expect(f"{method} in identity")
        _refuse_violation(auth, {"properties": {"identity": {"properties": {method: {"type": "object"}}}}})
    return identity, identity["methods"]


def _refuse_violation(auth: Any, schema: Schema) -> None:
    found = violation(auth, schema)
    if found is not None:
        where = "/".join(str(key) for key in found.absolute_path)
        raise bad_request(f"Invalid input for field '{where}': {found.message}" if where else found.message)


def _identify(call: Call) -> tuple[Identity, dict[str, Any] | None]:
    """Authenticate; return the identity and, for the token method, the presented token."""
    identity, methods = _methods(call)
    scope = call.body["auth"].get("scope")
    if not methods:
        raise keystone_unauthorized()
    method = methods[0]
    if method == "application_credential":
        if isinstance(scope, dict):
            reason = "Application credentials cannot request a scope."
            raise ServiceError(401, f"Error authenticating with application credential: {reason}")
        return _by_application_credential(call, identity[method]), None
    if method == "password":
        return _scoped(call, _by_password(call, identity[method]), scope, ("password",)), None
    if method == "token":
        if "id" not in identity[method]:
            raise bad_request("Invalid input for field 'identity/token': 'id' is a required property")
        shown = call.world.state.token(str(identity[method]["id"]), call.site.key, call.world.at)
        if shown is None:
            raise ServiceError(404, "Could not recognize Fernet token")
        if "application_credential" in shown["methods"]:
            raise forbidden("Using a delegated token to create another token is not allowed.")
        return _scoped(call, user_of(call, shown["user"]), scope, ("password", "token")), shown
    raise ServiceError(401, f"Attempted to authenticate with an unsupported method: {method}.")


def _token_body(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    user = user_of(call, document["user"])
    domain = {"id": "default", "name": "Default"}
    body: dict[str, Any] = {
        "audit_ids": document.get("audit_ids", []),
        "methods": document["methods"],
        "expires_at": utc(document["expires"]).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "issued_at": utc(document["issued"]).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "user": {"id": user.id, "name": user.name, "domain": domain, "password_expires_at": None},
    }
    for project in call.site.projects.values():
        if project.id == document["project"]:
            body["project"] = {"id": project.id, "name": project.name, "domain": domain}
            body |= {"is_domain": False, "roles": ROLES}
            body |= {} if call.argument("nocatalog") is not None else {"catalog": catalog(call)}
    return {"token": body}


def issue_token(call: Call) -> Reply:
    """Handle POST /v3/auth/tokens; a token issued for a token expires with it."""
    identity, shown = _identify(call)
    token = "gAAAAAB" + secrets.token_urlsafe(48)
    lifetime = float(call.world.state.setting("token_seconds", TOKEN_SECONDS))
    expires: float = call.world.at + lifetime if shown is None else shown["expires"]
    document = {
        "user": identity.user,
        "project": identity.project,
        "methods": list(identity.methods),
        "restricted": identity.restricted,
        "issued": call.world.at,
        "expires": expires,
        "audit_ids": [secrets.token_urlsafe(16), *(shown.get("audit_ids", [])[-1:] if shown else [])],
    }
    call.world.state.put_token(token, call.site.key, expires, document)
    return Reply(201, _token_body(call, document), {"X-Subject-Token": token})


def _subject(call: Call, action: str) -> tuple[str, dict[str, Any]]:
    """Return the subject token, which must be the caller's own."""
    token = call.headers.get("x-subject-token", "")
    if not token:
        raise forbidden(f"identity:{action}")
    document = call.world.state.token(token, call.site.key, call.world.at)
    if document is None:
        raise ServiceError(404, "Could not recognize Fernet token")
    if document["user"] != call.identity.user:
        raise forbidden(f"identity:{action}")
    return token, document


def validate_token(call: Call) -> Reply:
    """Handle GET /v3/auth/tokens."""
    token, document = _subject(call, "validate_token")
    return Reply(200, _token_body(call, document), {"X-Subject-Token": token})


def revoke_token(call: Call) -> Reply:
    """Handle DELETE /v3/auth/tokens."""
    call.world.state.revoke_token(_subject(call, "revoke_token")[0])
    return Reply(204)


def show_catalog(call: Call) -> Reply:
    """Handle GET /v3/auth/catalog; unscoped tokens have none."""
    if not call.identity.project:
        raise ServiceError(403, "You are not authorized to perform the requested action.")
    return Reply(200, {"catalog": catalog(call), "links": {"self": f"{call.root}/v3/auth/catalog"}})
