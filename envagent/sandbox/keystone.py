"""Keystone v3 of one site: versions, and the table of routes."""

from __future__ import annotations

from typing import Any

from envagent.sandbox import keystone_credentials, keystone_people, keystone_tokens
from envagent.sandbox.exchange import (
    Call,
    Reply,
    Route,
    Service,
    ServiceError,
    keystone_error_body,
)
from envagent.sandbox.keystone_people import nothing_in, nothing_of_mine, operators_only


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


def show_limit_model(call: Call) -> Reply:
    """Handle GET /v3/limits/model."""
    text = "Limit enforcement and validation does not take project hierarchy into consideration."
    return Reply(200, {"model": {"name": "flat", "description": text}})


SERVICE = Service(
    name="keystone",
    type="identity",
    mount="/identity",
    catalog_path="/identity/v3",
    routes=(
        Route("GET", "/", list_versions, open=True),
        Route("GET", "/v3", show_version, open=True),
        Route("POST", "/v3/auth/tokens", keystone_tokens.issue_token, open=True),
        Route("GET", "/v3/auth/tokens", keystone_tokens.validate_token),
        Route("DELETE", "/v3/auth/tokens", keystone_tokens.revoke_token),
        Route("GET", "/v3/auth/catalog", keystone_tokens.show_catalog),
        Route("GET", "/v3/auth/projects", keystone_people.list_projects),
        Route("GET", "/v3/auth/domains", nothing_in("domains")),
        Route("GET", "/v3/auth/system", keystone_people.list_systems),
        Route("GET", "/v3/OS-TRUST/trusts", operators_only("list_trusts")),
        Route("POST", "/v3/OS-TRUST/trusts", create_trust),
        Route("GET", "/v3/projects", operators_only("list_projects")),
        Route("GET", "/v3/projects/{id}", keystone_people.show_project),
        Route("DELETE", "/v3/projects/{id}", operators_only("delete_project")),
        Route("GET", "/v3/domains", operators_only("list_domains")),
        Route("GET", "/v3/domains/{id}", keystone_people.show_domain),
        Route("GET", "/v3/regions", keystone_people.list_regions),
        Route("GET", "/v3/services", operators_only("list_services")),
        Route("GET", "/v3/endpoints", operators_only("list_endpoints")),
        Route("GET", "/v3/groups", operators_only("list_groups")),
        Route("GET", "/v3/roles", operators_only("list_roles")),
        Route("GET", "/v3/role_assignments", operators_only("list_role_assignments")),
        Route("GET", "/v3/credentials", nothing_in("credentials")),
        Route("GET", "/v3/limits", nothing_in("limits")),
        Route("GET", "/v3/limits/model", show_limit_model),
        Route("GET", "/v3/users", operators_only("list_users")),
        Route("GET", "/v3/users/{user}", keystone_people.show_user),
        Route("GET", "/v3/users/{user}/projects", keystone_people.list_own_projects),
        Route("GET", "/v3/users/{user}/groups", nothing_of_mine("groups", "list_groups_for_user")),
        Route("GET", "/v3/users/{user}/access_rules", nothing_of_mine("access_rules", "list_access_rules")),
        Route("GET", "/v3/users/{user}/application_credentials", keystone_credentials.list_credentials),
        Route("POST", "/v3/users/{user}/application_credentials", keystone_credentials.create_credential),
        Route("GET", "/v3/users/{user}/application_credentials/{id}", keystone_credentials.show_credential),
        Route("DELETE", "/v3/users/{user}/application_credentials/{id}", keystone_credentials.delete_credential),
    ),
    error_body=keystone_error_body,
)
