"""Keystone v3: version discovery, tokens, catalog and projects of one site."""

from __future__ import annotations

import secrets
from typing import Any

from envagent.sandbox.clock import utc
from envagent.sandbox.exchange import (
    Call,
    Identity,
    Reply,
    Route,
    Service,
    ServiceError,
    keystone_error_body,
    keystone_unauthorized,
    request_id_header,
)
from envagent.sandbox.inventory import Account, stable_id
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


def credentials(world: World) -> dict[str, str]:
    """Return the secrets of this sandbox, made at first use: a password per user, a secret per credential."""
    stored: dict[str, str] = world.state.setting("credentials")
    return stored


def application_credential_id(site: str, kind: str) -> str:
    """Return the id of the user's application credential, `kind` being unrestricted or restricted."""
    return stable_id(site, "application-credential", kind).replace("-", "")


def authenticate(world: World, token: str | None) -> Identity | None:
    """Return whom a token stands for, None when it is unknown or expired."""
    document = world.state.token(token, world.site.key, world.at) if token else None
    if document is None:
        return None
    return Identity(document["user"], document["project"], tuple(document["methods"]), document["restricted"])


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{call.root}/v3/"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"},
        ],
    }


def list_versions(call: Call) -> Reply:
    """Answer GET /."""
    return Reply(300, {"versions": {"values": [_version(call)]}}, {"Location": f"{call.root}/v3/"})


def show_version(call: Call) -> Reply:
    """Answer GET /v3."""
    return Reply(200, {"version": _version(call)})


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


def _matches(reference: dict[str, Any], account: Account) -> bool:
    if "id" in reference:
        return bool(reference["id"] == account.id)
    domain = reference.get("domain") or {}
    known = domain.get("id") in DOMAINS or domain.get("name") in DOMAINS.values()
    return known and reference.get("name") == account.name


def _check_domain(reference: dict[str, Any], what: str) -> None:
    """Refuse a name without a domain, which would not say whose name it is."""
    if "name" in reference and "id" not in reference and not reference.get("domain"):
        raise ServiceError(
            400,
            f"Expecting to find domain in {what}. The server could not comply with the request since it is either "
            "malformed or otherwise incorrect. The client is assumed to be in error.",
        )


def _password_user(call: Call, method: dict[str, Any]) -> Account:
    reference = method.get("user") or {}
    _check_domain(reference, "user")
    for user in call.site.users.values():
        password = credentials(call.world)[user.key]
        if _matches(reference, user) and secrets.compare_digest(str(reference.get("password")), password):
            return user
    raise keystone_unauthorized()


def _user(call: Call, id: str) -> Account:
    return next(user for user in call.site.users.values() if user.id == id)


def _by_application_credential(call: Call, method: dict[str, Any]) -> Identity:
    user = call.site.users["user"]
    for kind in ("unrestricted", "restricted"):
        by_id = method.get("id") == application_credential_id(call.site.key, kind)
        by_name = method.get("name") == f"envagent-{kind}" and _matches(method.get("user") or {}, user)
        if not (by_id or by_name):
            continue
        if not secrets.compare_digest(str(method.get("secret")), credentials(call.world)[kind]):
            raise keystone_unauthorized()
        return Identity(user.id, user.projects[0], ("application_credential",), restricted=kind == "restricted")
    name = method.get("id") or method.get("name")
    raise ServiceError(404, f"Could not find Application Credential: {name}.")


def _scoped(call: Call, user: Account, scope: Any, methods: tuple[str, ...]) -> Identity:
    """Scope to the project asked for, or to none."""
    reference = (scope or {}).get("project") if isinstance(scope, dict) else None
    if reference is None:
        return Identity(user.id, "", methods)
    _check_domain(reference, "project")
    for project in call.site.projects.values():
        if _matches(reference, project) and project.id in user.projects:
            return Identity(user.id, project.id, methods)
    raise keystone_unauthorized()


def _identify(call: Call) -> Identity:
    try:
        auth = call.body["auth"]
        identity = auth["identity"]
        method = identity["methods"][0]
        detail = identity[method]
    except (KeyError, TypeError, IndexError):
        raise ServiceError(400, "Expecting to find auth in request body.") from None
    if method == "application_credential":
        if isinstance(auth.get("scope"), dict):
            reason = "Application credentials cannot request a scope."
            raise ServiceError(401, f"Error authenticating with application credential: {reason}")
        return _by_application_credential(call, detail)
    if method == "password":
        return _scoped(call, _password_user(call, detail), auth.get("scope"), ("password",))
    if method == "token":
        known = authenticate(call.world, detail.get("id"))
        if known is None:
            raise keystone_unauthorized()
        return _scoped(call, _user(call, known.user), auth.get("scope"), ("token", "password"))
    raise ServiceError(401, f"Attempted to authenticate with an unsupported method: {method}.")


def _token_body(call: Call, identity: Identity, expires: float, issued: float) -> dict[str, Any]:
    user = _user(call, identity.user)
    domain = {"id": "default", "name": "Default"}
    body: dict[str, Any] = {
        "audit_ids": [secrets.token_urlsafe(16)],
        "methods": list(identity.methods),
        "expires_at": utc(expires).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "issued_at": utc(issued).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "user": {"id": user.id, "name": user.name, "domain": domain, "password_expires_at": None},
    }
    for project in call.site.projects.values():
        if project.id == identity.project:
            body["project"] = {"id": project.id, "name": project.name, "domain": domain}
            body |= {"is_domain": False, "roles": ROLES, "catalog": catalog(call)}
    return {"token": body}


def issue_token(call: Call) -> Reply:
    """Answer POST /v3/auth/tokens."""
    identity = _identify(call)
    token = "gAAAAAB" + secrets.token_urlsafe(48)
    expires = call.world.at + float(call.world.state.setting("token_seconds", TOKEN_SECONDS))
    document = {
        "user": identity.user,
        "project": identity.project,
        "methods": list(identity.methods),
        "restricted": identity.restricted,
        "issued": call.world.at,
        "expires": expires,
    }
    call.world.state.put_token(token, call.site.key, expires, document)
    return Reply(201, _token_body(call, identity, expires, call.world.at), {"X-Subject-Token": token})


def _subject(call: Call) -> str:
    return call.headers.get("x-subject-token", "")


def validate_token(call: Call) -> Reply:
    """Answer GET /v3/auth/tokens."""
    document = call.world.state.token(_subject(call), call.site.key, call.world.at)
    if document is None:
        raise ServiceError(404, "Could not recognize Fernet token")
    identity = Identity(document["user"], document["project"], tuple(document["methods"]))
    body = _token_body(call, identity, document["expires"], document["issued"])
    return Reply(200, body, {"X-Subject-Token": _subject(call)})


def revoke_token(call: Call) -> Reply:
    """Answer DELETE /v3/auth/tokens."""
    call.world.state.revoke_token(_subject(call))
    return Reply(204)


def show_catalog(call: Call) -> Reply:
    """Answer GET /v3/auth/catalog."""
    return Reply(200, {"catalog": catalog(call), "links": {"self": f"{call.root}/v3/auth/catalog"}})


def _project(call: Call, account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "domain_id": "default",
        "description": "",
        "enabled": True,
        "parent_id": "default",
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{call.root}/v3/projects/{account.id}"},
    }


def list_projects(call: Call) -> Reply:
    """Answer GET /v3/auth/projects: the projects that the caller has a role in."""
    mine = _user(call, call.identity.user).projects
    projects = [_project(call, p) for p in call.site.projects.values() if p.id in mine]
    links = {"self": f"{call.root}/v3/auth/projects", "previous": None, "next": None}
    return Reply(200, {"projects": projects, "links": links})


def show_project(call: Call) -> Reply:
    """Answer GET /v3/projects/ID."""
    for project in call.site.projects.values():
        if project.id == call.params["id"] and project.id in _user(call, call.identity.user).projects:
            return Reply(200, {"project": _project(call, project)})
    raise ServiceError(403, "You are not authorized to perform the requested action: identity:get_project.")


def create_trust(call: Call) -> Reply:
    """Answer POST /v3/OS-TRUST/trusts, of which only the refusals are simulated.

    Whether the credentials may make trusts is told before the trustee is looked up.
    """
    if call.identity.restricted and not call.world.profile.restricted_credentials_lease:
        action = "Using method 'application_credential' is not allowed for managing trusts."
        raise ServiceError(403, f"You are not authorized to perform the requested action: {action}")
    trustee = call.part("trust").get("trustee_user_id")
    raise ServiceError(404, f"Could not find user: {trustee}.")


SERVICE = Service(
    name="keystone",
    type="identity",
    mount="/identity",
    catalog_path="/identity/v3",
    routes=(
        Route("GET", "/", list_versions, open=True),
        Route("GET", "/v3", show_version, open=True),
        Route("GET", "/v3/", show_version, open=True),
        Route("POST", "/v3/auth/tokens", issue_token, open=True),
        Route("GET", "/v3/auth/tokens", validate_token),
        Route("DELETE", "/v3/auth/tokens", revoke_token),
        Route("GET", "/v3/auth/catalog", show_catalog),
        Route("GET", "/v3/auth/projects", list_projects),
        Route("POST", "/v3/OS-TRUST/trusts", create_trust),
        Route("GET", "/v3/projects", list_projects),
        Route("GET", "/v3/projects/{id}", show_project),
    ),
    error_body=keystone_error_body,
    unauthorized=keystone_unauthorized,
    headers=request_id_header,
)
