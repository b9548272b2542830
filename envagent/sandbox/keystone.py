"""Keystone v3 of one site: versions, and the table of routes."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import keystone_credentials as credentials
from envagent.sandbox import keystone_people as people
from envagent.sandbox import keystone_tokens as tokens
from envagent.sandbox.exchange import Call, Reply, Route, Service, ServiceError, keystone_error_body, respond, routes
from envagent.sandbox.keystone_people import nothing_in, operators_only

LIMIT_MODEL = {
    "model": {
        "name": "flat",
        "description": "Limit enforcement and validation does not take project hierarchy into consideration.",
    }
}


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{call.root}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def list_versions(call: Call) -> Reply:
    """Handle GET /."""
    return Reply(300, {"versions": {"values": [_version(call)]}}, {"Location": f"{call.root}/v3/"})


def show_version(call: Call) -> Reply:
    """Handle GET /v3."""
    return Reply(200, {"version": _version(call)})


def create_trust(call: Call) -> Reply:
    """Handle POST /v3/OS-TRUST/trusts, of which only the refusals are simulated.

    Keystone checks the credentials before it looks up the trustee.
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
        Route("POST", "/v3/auth/tokens", tokens.issue_token, open=True),
        *routes("/v3/auth/tokens", GET=tokens.validate_token, DELETE=tokens.revoke_token),
        *routes("/v3/auth/catalog", GET=tokens.show_catalog),
        *routes("/v3/auth/projects", GET=people.list_projects),
        *routes("/v3/auth/domains", GET=nothing_in("domains")),
        *routes("/v3/auth/system", GET=people.list_systems),
        *routes("/v3/OS-TRUST/trusts", GET=operators_only("list_trusts"), POST=create_trust),
        *routes("/v3/projects", GET=operators_only("list_projects")),
        *routes("/v3/projects/{id}", GET=people.show_project, DELETE=operators_only("delete_project")),
        *routes("/v3/domains", GET=operators_only("list_domains")),
        *routes("/v3/domains/{id}", GET=people.show_domain),
        *routes("/v3/regions", GET=people.list_regions),
        *routes("/v3/services", GET=operators_only("list_services")),
        *routes("/v3/endpoints", GET=operators_only("list_endpoints")),
        *routes("/v3/groups", GET=operators_only("list_groups")),
        *routes("/v3/roles", GET=operators_only("list_roles")),
        *routes("/v3/role_assignments", GET=operators_only("list_role_assignments")),
        *routes("/v3/credentials", GET=nothing_in("credentials")),
        *routes("/v3/limits", GET=nothing_in("limits")),
        *routes("/v3/limits/model", GET=respond(LIMIT_MODEL)),
        *routes("/v3/users", GET=operators_only("list_users")),
        *routes("/v3/users/{user}", GET=people.show_user),
        *routes("/v3/users/{user}/projects", GET=people.list_own_projects),
        *routes("/v3/users/{user}/groups", GET=nothing_in("groups", "list_groups_for_user")),
        *routes("/v3/users/{user}/access_rules", GET=nothing_in("access_rules", "list_access_rules")),
        *routes("/v3/users/{user}/application_credentials", GET=credentials.list_all, POST=credentials.create),
        *routes("/v3/users/{user}/application_credentials/{id}", GET=credentials.show, DELETE=credentials.delete),
    ),
    error_body=keystone_error_body,
)
