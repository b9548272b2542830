"""Keystone's projects, users and domains as an ordinary user sees them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from envagent.sandbox.exchange import Call, Handler, Reply, refuse
from envagent.sandbox.inventory import Account
from envagent.sandbox.keystone_tokens import forbidden, user_of


def collection(call: Call, name: str, items: list[dict[str, Any]]) -> Reply:
    """Return a list with its links."""
    query = f"?{urlencode(call.query)}" if call.query else ""
    links = {"self": f"{call.root}{call.path}{query}", "previous": None, "next": None}
    return Reply(200, {name: items, "links": links})


def own_user(call: Call, action: str) -> Account:
    """Return the user in the path, who must be the caller."""
    if call.params["user"] != call.identity.user:
        raise forbidden(f"identity:{action}")
    return user_of(call, call.identity.user)


def nothing_in(name: str, own: str = "") -> Handler:
    """Return a handler that responds with an empty list, if `own` names an action to the user in the path alone."""

    def handle(call: Call) -> Reply:
        if own:
            own_user(call, own)
        return collection(call, name, [])

    return handle


def operators_only(action: str) -> Handler:
    """Return a handler that refuses what ordinary users may not do."""
    return refuse(forbidden, f"identity:{action}")


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
    """Handle GET /v3/auth/projects: the projects that the caller has a role in."""
    mine = user_of(call, call.identity.user).projects
    return collection(call, "projects", [_project(call, p) for p in call.site.projects.values() if p.id in mine])


def list_own_projects(call: Call) -> Reply:
    """Handle GET /v3/users/ID/projects."""
    own_user(call, "list_user_projects")
    return list_projects(call)


def show_project(call: Call) -> Reply:
    """Handle GET /v3/projects/ID for the project that the token is scoped to."""
    for project in call.site.projects.values():
        if project.id == call.params["id"] == call.identity.project:
            return Reply(200, {"project": _project(call, project)})
    raise forbidden("identity:get_project")


def show_user(call: Call) -> Reply:
    """Handle GET /v3/users/ID."""
    user = own_user(call, "get_user")
    shown = {
        "id": user.id,
        "name": user.name,
        "email": f"{user.name}@example.org",
        "domain_id": "default",
        "enabled": True,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{call.root}/v3/users/{user.id}"},
    }
    return Reply(200, {"user": shown})


def show_domain(call: Call) -> Reply:
    """Handle GET /v3/domains/ID for the domain of the caller's project."""
    if not call.identity.project or call.params["id"] != "default":
        raise forbidden("identity:get_domain")
    shown = {
        "id": "default",
        "name": "Default",
        "description": "The default domain",
        "enabled": True,
        "tags": [],
        "options": {},
        "links": {"self": f"{call.root}/v3/domains/default"},
    }
    return Reply(200, {"domain": shown})


def list_regions(call: Call) -> Reply:
    """Handle GET /v3/regions."""
    id = call.site.region
    links = {"self": f"{call.root}/v3/regions/{id}"}
    return collection(call, "regions", [{"id": id, "description": "", "parent_region_id": None, "links": links}])


def list_systems(call: Call) -> Reply:
    """Handle GET /v3/auth/system."""
    return Reply(200, {"system": [], "links": {"self": f"{call.root}/v3/auth/system"}})
