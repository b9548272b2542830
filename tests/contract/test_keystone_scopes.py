"""Keystone's scopes, tokens for tokens, application credentials, and what an ordinary user may look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .target import Exchange, Target, Wire, send

Body = dict[str, Any]
MALFORMED = (
    " The server could not comply with the request since it is either malformed or otherwise incorrect. The client is "
    "assumed to be in error."
)
NOT_AUTHENTICATED = "The request you have made requires authentication."


def refused(answer: Exchange) -> tuple[int, str]:
    """The status and message of a refusal."""
    return answer.status, answer.body["error"]["message"]


def log_in(wire: Wire, identity: Body, scope: Any = None, query: str = "") -> Exchange:
    auth = {"identity": identity} if scope is None else {"identity": identity, "scope": scope}
    return send("POST", f"{wire.auth_url}/auth/tokens{query}", {"auth": auth}, {})


@pytest.fixture
def password(wire: Wire) -> Body:
    """The user's own way in."""
    auth = wire.region.config["auth"]
    domain = {"name": auth.get("user_domain_name", "Default")}
    user = {"name": auth["username"], "domain": domain, "password": auth["password"]}
    return {"methods": ["password"], "password": {"user": user}}


def by_token(token: str) -> Body:
    return {"methods": ["token"], "token": {"id": token}}


@pytest.mark.parametrize("scope", [None, "unscoped", {"unscoped": {}}])
def test_a_token_without_a_project(wire: Wire, password: Body, scope: Any) -> None:
    answer = log_in(wire, password, scope)
    assert answer.status == 201
    assert not {"project", "catalog", "roles"} & answer.body["token"].keys()
    token = answer.headers["X-Subject-Token"]
    assert wire.ask("identity", "GET", "/auth/projects", token=token).body["projects"][0]["id"] == wire.project_id
    assert wire.ask("identity", "GET", "/auth/catalog", token=token).status == 403


def test_a_token_for_a_token_has_its_end_and_its_history(wire: Wire, password: Body) -> None:
    first = log_in(wire, password)
    scope = {"project": {"id": wire.project_id}}
    second = log_in(wire, by_token(first.headers["X-Subject-Token"]), scope)
    third = log_in(wire, by_token(second.headers["X-Subject-Token"]), scope)
    old, new = first.body["token"], third.body["token"]
    assert sorted(new["methods"]) == ["password", "token"]
    assert new["expires_at"] == old["expires_at"]
    assert new["audit_ids"][1:] == old["audit_ids"]
    assert new["project"]["id"] == wire.project_id
    assert refused(log_in(wire, by_token("x"), scope)) == (404, "Could not recognize Fernet token")


def test_a_token_without_its_catalog(wire: Wire, password: Body) -> None:
    scope = {"project": {"id": wire.project_id}}
    assert "catalog" in log_in(wire, password, scope).body["token"]
    assert "catalog" not in log_in(wire, password, scope, "?nocatalog").body["token"]


BAD_SCOPES = [
    ({"domain": {"id": "default"}}, 401, NOT_AUTHENTICATED),
    ({"system": {"all": True}}, 401, NOT_AUTHENTICATED),
    ({"project": {"id": "x"}}, 401, NOT_AUTHENTICATED),
    ({}, 400, f"Expecting to find system, project, domain, OS-TRUST:trust or unscoped in scope.{MALFORMED}"),
    ({"project": {}}, 400, "Invalid input for field scope/project: id or name must be present."),
    ({"project": {"name": "x"}}, 400, f"Expecting to find domain in project.{MALFORMED}"),
]


@pytest.mark.parametrize(("scope", "status", "message"), BAD_SCOPES)
def test_scopes_that_are_refused(wire: Wire, password: Body, scope: Any, status: int, message: str) -> None:
    assert refused(log_in(wire, password, scope)) == (status, message)


BAD_LOGINS = [
    ({"methods": []}, 401, NOT_AUTHENTICATED),
    ({"methods": ["password"]}, 400, f"Expecting to find password in identity.{MALFORMED}"),
    ({"methods": ["password"], "password": {}}, 400, f"Expecting to find user in None.{MALFORMED}"),
    (
        {"methods": ["password"], "password": {"user": {}}},
        400,
        "Invalid input for field identity/password/user: id or name must be present.",
    ),
]


@pytest.mark.parametrize(("identity", "status", "message"), BAD_LOGINS)
def test_logins_that_are_refused(wire: Wire, identity: Body, status: int, message: str) -> None:
    assert refused(log_in(wire, identity)) == (status, message)


@pytest.fixture
def credentials(wire: Wire) -> str:
    return f"/users/{wire.session.get_user_id()}/application_credentials"


@pytest.fixture
def credential(target: Target, wire: Wire, credentials: str) -> Iterator[Body]:
    body = {"application_credential": {"name": target.label("credential")}}
    made: Body = wire.ask("identity", "POST", credentials, body).body["application_credential"]
    yield made
    wire.ask("identity", "DELETE", f"{credentials}/{made['id']}")


def by_credential(credential: Body) -> Body:
    shown = {"id": credential["id"], "secret": credential["secret"]}
    return {"methods": ["application_credential"], "application_credential": shown}


def test_an_application_credential_logs_in_until_it_is_deleted(wire: Wire, credentials: str, credential: Body) -> None:
    answer = log_in(wire, by_credential(credential))
    assert answer.body["token"]["project"]["id"] == wire.project_id
    path = f"{credentials}/{credential['id']}"
    shown = wire.ask("identity", "GET", path).body["application_credential"]
    assert "secret" not in shown and shown["name"] == credential["name"]
    assert wire.ask("identity", "DELETE", path).status == 204
    absent = (404, f"Could not find Application Credential: {credential['id']}.")
    assert refused(wire.ask("identity", "DELETE", path)) == absent
    assert refused(log_in(wire, by_credential(credential))) == absent


def test_a_restricted_credential_makes_neither_tokens_nor_credentials(
    target: Target, wire: Wire, credentials: str, credential: Body
) -> None:
    token = log_in(wire, by_credential(credential)).headers["X-Subject-Token"]
    assert refused(log_in(wire, by_token(token)))[0] == 403
    body = {"application_credential": {"name": target.label("second")}}
    assert refused(wire.ask("identity", "POST", credentials, body, token=token))[0] == 403


BAD_CREDENTIALS = [
    ({}, "Invalid input for field/attribute application_credential. Value: {}. 'name' is a required property"),
    ({"name": 5}, "Invalid input for field/attribute name. Value: 5. 5 is not of type 'string'"),
    ({"name": ""}, "Invalid input for field/attribute name. Value: . '' should be non-empty"),
    ({"name": "x", "expires_at": "2001-01-01T00:00:00"}, f"The 'expires_at' must not be before now.{MALFORMED}"),
    (
        {"name": "x", "roles": [{"name": "admin"}]},
        "Invalid application credential: Cannot create an application credential with unassigned role",
    ),
]


@pytest.mark.parametrize(("asked", "message"), BAD_CREDENTIALS)
def test_credentials_that_are_refused(wire: Wire, credentials: str, asked: Body, message: str) -> None:
    assert refused(wire.ask("identity", "POST", credentials, {"application_credential": asked})) == (400, message)


def test_credentials_have_names_of_their_own(wire: Wire, credentials: str, credential: Body) -> None:
    body = {"application_credential": {"name": credential["name"]}}
    assert refused(wire.ask("identity", "POST", credentials, body))[0] == 409


def test_a_user_sees_what_is_theirs_and_no_more(wire: Wire) -> None:
    user = wire.session.get_user_id()
    assert [one["id"] for one in wire.ask("identity", "GET", f"/users/{user}/projects").body["projects"]]
    assert wire.ask("identity", "GET", f"/users/{user}").body["user"]["id"] == user
    for path, action in (
        ("/users/x/projects", "list_user_projects"),
        ("/users", "list_users"),
        ("/projects", "list_projects"),
        ("/projects/x", "get_project"),
        ("/domains", "list_domains"),
    ):
        message = f"You are not authorized to perform the requested action: identity:{action}."
        assert refused(wire.ask("identity", "GET", path)) == (403, message)
