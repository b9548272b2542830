"""Credentials of every kind, from clouds.yaml and OS_*, good and bad in every known way."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from envagent.cli.render.hint_text import hint_text
from envagent.cloud.adapter import connect
from envagent.cloud.port import Cloud, HostReservation
from envagent.errors import AuthenticationError, CloudUnreachable, ConfigurationError, EnvagentError

from .stub import PROJECT, USER, Reply, StubCloud

Connect = Callable[..., Cloud]


def refusal(status: int, message: str) -> Reply:
    return Reply(status, {"error": {"code": status, "message": message, "title": "x"}}, {"x-openstack-request-id": "r"})


WRONG = refusal(401, "The request you have made requires authentication.")


def failed(call: Callable[[], object], kind: type[EnvagentError] = AuthenticationError) -> EnvagentError:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    return caught.value


# Nothing, or nothing usable, is configured


def test_nothing_configured_names_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = failed(lambda: connect(None), ConfigurationError)
    assert "--cloud sandbox" in hint_text(error.hint)
    assert error.exit_code == 2


def test_an_unknown_name_lists_the_known_ones(stub: StubCloud, tmp_path: Path) -> None:
    path = stub.clouds_yaml(tmp_path, one=stub.entry(), two=stub.entry())
    error = failed(lambda: connect("three", clouds_yaml=path), ConfigurationError)
    assert "one, two" in error.message
    assert "--cloud sandbox" in hint_text(error.hint)


def test_an_unknown_name_without_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = failed(lambda: connect("three"), ConfigurationError)
    assert error.message == "no cloud 'three' is configured; there is no clouds.yaml"


def test_several_clouds_and_no_choice(stub: StubCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stub.clouds_yaml(tmp_path, one=stub.entry(), two=stub.entry())
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    assert "one, two" in failed(lambda: connect(None), ConfigurationError).message


@pytest.mark.parametrize(
    "content", ["clouds: [", "- a", "clouds: 3", "", "clouds:\n  x: 3\n", b"\xff\xfe\x00"], ids=repr
)
@pytest.mark.parametrize("by_environment", [False, True])
def test_an_unusable_file(
    content: str | bytes, by_environment: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if by_environment:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    error = failed(lambda: connect("x", clouds_yaml=None if by_environment else path), ConfigurationError)
    assert str(path) in error.message
    assert "--cloud sandbox" in hint_text(error.hint)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    if kind == "folder":
        path.mkdir()
    assert str(path) in failed(lambda: connect("x", clouds_yaml=path), ConfigurationError).message


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ({"auth": {"username": "u", "password": "p"}}, "auth_url"),
        ({"auth": {"auth_url": "http://x/v3", "password": "p"}}, "username"),
        ({"auth": {"auth_url": "http://x/v3", "username": "u"}}, "user_domain"),
        ({"auth": {"auth_url": "http://x/v3", "username": "u", "user_domain_id": "d"}}, "password"),
        ({"auth_type": "v3applicationcredential", "auth": {"auth_url": "http://x/v3"}}, "application credential"),
        ({"auth_type": "v3chameleonoidc", "auth": {"auth_url": "http://x/v3"}}, "v3chameleonoidc"),
        ({"auth_type": "v3oidcpassword", "auth": {"auth_url": "http://x/v3"}}, "discovery-endpoint"),
        ({"auth": {"auth_url": "http://x/v3", "username": "u", "password": "p", "token": "t"}}, "token"),
        (
            {
                "auth": {
                    "auth_url": "http://x/v3",
                    "application_credential_id": "i",
                    "application_credential_secret": "s",
                }
            },
            "application_credential",
        ),
    ],
)
def test_an_incomplete_or_mixed_entry(entry: dict[str, Any], names: str, tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {"x": entry}}))
    assert names in failed(lambda: connect("x", clouds_yaml=path), ConfigurationError).message


# Where the credentials come from


def test_a_named_file_counts_alone(stub: StubCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_URL", "http://127.0.0.1:9/v3")
    monkeypatch.setenv("OS_USERNAME", "somebody-else")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/nonexistent")
    identity = connect("stub", clouds_yaml=stub.clouds_yaml(tmp_path)).identity()
    assert (identity.cloud, identity.project_id, identity.user_id) == ("stub", PROJECT, USER)
    assert identity.region == "CHI@Stub"


@pytest.mark.parametrize("by_argument", [True, False])
def test_clouds_yaml_where_openstacksdk_looks(
    by_argument: bool, stub: StubCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stub.clouds_yaml(tmp_path, stub=stub.entry(), other=stub.entry())
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    if not by_argument:
        monkeypatch.setenv("OS_CLOUD", "stub")
    assert connect("stub" if by_argument else None).identity().cloud == "stub"


def test_variables_alone(stub: StubCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "OS_AUTH_URL": f"{stub.url}/v3",
        "OS_USERNAME": "u",
        "OS_PASSWORD": "p{not a format}",
        "OS_PROJECT_ID": PROJECT,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "CHI@Stub",
        "OS_INTERFACE": "public",
        "OS_IDENTITY_API_VERSION": "3",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    identity = connect(None).identity()
    assert identity.cloud is None
    assert identity.auth_url == f"{stub.url}/v3"
    assert "p{not a format}" in stub.seen[0].body


# Each kind of login


def test_application_credential_by_variables(stub: StubCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "v3applicationcredential")
    monkeypatch.setenv("OS_AUTH_URL", f"{stub.url}/v3")
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_ID", "the-id")
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", "the-secret")
    monkeypatch.setenv("OS_REGION_NAME", "CHI@Stub")
    connect(None).identity()
    sent = json.loads(stub.seen[0].body)["auth"]
    assert sent["identity"]["application_credential"] == {"id": "the-id", "secret": "the-secret"}
    assert "scope" not in sent


def test_token(stub: StubCloud, connected: Connect) -> None:
    auth = {"auth_url": f"{stub.url}/v3", "token": "mine", "project_id": PROJECT}
    assert connected(auth_type="token", auth=auth).identity().project_id == PROJECT
    assert '"token": {"id": "mine"}' in stub.seen[0].body


def oidc(stub: StubCloud) -> dict[str, object]:
    stub.on("GET", "/idp/known", Reply(200, {"token_endpoint": f"{stub.url}/idp/token"}))
    stub.on("POST", "/idp/token", Reply(200, {"access_token": "from-idp"}))
    federated = stub.login(project=None, catalog=[])
    stub.on("POST", "/OS-FEDERATION/identity_providers/chameleon/protocols/openid/auth", federated)
    return {
        "auth_type": "v3oidcpassword",
        "auth": {
            "auth_url": f"{stub.url}/v3",
            "identity_provider": "chameleon",
            "protocol": "openid",
            "client_id": "keystone-uc-prod",
            "client_secret": "none",
            "discovery_endpoint": f"{stub.url}/idp/known",
            "access_token_type": "access_token",
            "username": "u@example.org",
            "password": "cli-password",
            "project_id": PROJECT,
        },
    }


def test_oidc_password(stub: StubCloud, connected: Connect) -> None:
    assert connected(**oidc(stub)).identity().project_id == PROJECT
    assert "password=cli-password" in stub.seen[1].body
    assert len(stub.seen) == 4


def test_oidc_password_by_variables(stub: StubCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = oidc(stub)["auth"]
    assert isinstance(auth, dict)
    monkeypatch.setenv("OS_AUTH_TYPE", "v3oidcpassword")
    monkeypatch.setenv("OS_REGION_NAME", "CHI@Stub")
    for name, value in auth.items():
        monkeypatch.setenv(f"OS_{name.upper()}", value)
    assert connect(None).identity().user_id == USER


def test_oidc_wrong_password_names_the_cli_password(stub: StubCloud, connected: Connect) -> None:
    entry = oidc(stub)
    wrong = Reply(401, {"error": "invalid_grant", "error_description": "Invalid user credentials"})
    stub.on("POST", "/idp/token", wrong)
    error = failed(connected(**entry).identity)
    assert "CLI password" in hint_text(error.hint)
    assert "Invalid user credentials" in str(error.service_said)


# Each way in which a login is refused

APPCRED = {"application_credential_id": "the-id", "application_credential_secret": "canary-secret"}


@pytest.mark.parametrize(
    ("kind", "reply", "says", "hints"),
    [
        ("password", WRONG, "the user, the password or the project is wrong", "CLI password"),
        ("v3applicationcredential", WRONG, "secret is wrong, or it has expired", "unrestricted"),
        (
            "v3applicationcredential",
            refusal(404, "Could not find Application Credential: the-id."),
            "does not exist at this site",
            "deleted",
        ),
        (
            "v3applicationcredential",
            refusal(
                401,
                "Error authenticating with application credential: Application credentials cannot request a scope.",
            ),
            "belongs to one project",
            "unset OS_PROJECT_ID",
        ),
        ("token", refusal(404, "Failed to validate token"), "revoked", "new token"),
        ("token", refusal(404, "Could not recognize Fernet token"), "belongs to another site", "its own"),
        ("token", WRONG, "has expired", "cannot renew itself"),
        ("password", refusal(400, "Expecting to find domain in project."), "are incomplete", "project_domain_name"),
        ("password", refusal(403, "You are not authorized."), "may not log in", "PI"),
        ("password", Reply(404, b"<html>nginx</html>"), "no Keystone v3 at", ":5000/v3"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_refused_login(kind: str, reply: Reply, says: str, hints: str, stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", reply)
    auths: dict[str, dict[str, object]] = {
        "password": {},
        "v3applicationcredential": {"auth": {"auth_url": f"{stub.url}/v3", **APPCRED}},
        "token": {"auth": {"auth_url": f"{stub.url}/v3", "token": "t"}},
    }
    cloud = connected(auth_type=kind, **auths[kind])
    error = failed(cloud.identity)
    assert says in error.message
    assert hints in hint_text(error.hint)
    assert error.exit_code == 4
    assert "canary" not in repr(error.__dict__)
    assert failed(cloud.servers).message == error.message


def test_a_project_beside_an_application_credential_is_sent_and_explained(stub: StubCloud, connected: Connect) -> None:
    """keystoneauth sends the scope along, and Keystone is who refuses it: the hint must not depend on our guess."""
    auth = {"auth_url": f"{stub.url}/v3", "project_id": PROJECT, **APPCRED}
    connected(auth_type="v3applicationcredential", auth=auth).identity()
    assert PROJECT in stub.seen[0].body


def test_keystone_that_fails_is_unreachable_not_wrong(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", Reply(503, b"", {"Retry-After": "9"}))
    error = failed(connected().identity, CloudUnreachable)
    assert error.retry_after == 9


def test_keystone_that_answers_nonsense(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", Reply(200, b"<html>hello</html>"))
    assert "unreadable" in failed(connected().identity, CloudUnreachable).message


def test_a_login_without_project(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", stub.login(project=None))
    assert "project_id" in hint_text(failed(connected().identity).hint)


def test_a_region_that_the_catalog_lacks(stub: StubCloud, connected: Connect) -> None:
    cloud = connected(region_name="CHI@Nowhere")
    assert "CHI@Nowhere" in failed(cloud.servers, ConfigurationError).message
    assert "region_name" in hint_text(failed(cloud.servers, ConfigurationError).hint)


def test_a_cloud_without_blazar(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", stub.login(catalog=[stub.service("compute", "/compute/v2.1")]))
    assert "Blazar" in failed(connected().leases, ConfigurationError).message


# A restricted application credential


LEASES = Reply(
    500, {"error_code": 500, "error_message": "Internal Server Error", "error_name": "INTERNAL_SERVER_ERROR"}
)


@pytest.mark.parametrize(
    ("keystone_says", "error"),
    [
        (refusal(403, "Delegated tokens cannot manage trusts."), "Forbidden"),
        (refusal(404, "Could not find user: 0000"), "OutcomeUnknown"),
        (Reply(503, b""), "OutcomeUnknown"),
        (Reply(201, {"trust": {}}), "OutcomeUnknown"),
    ],
)
def test_a_hidden_refusal_of_a_trust_is_believed_only_when_keystone_says_so(
    keystone_says: Reply, error: str, stub: StubCloud, connected: Connect
) -> None:
    stub.on("POST", "/reservation/v1/leases", LEASES)
    stub.on("POST", "/v3/OS-TRUST/trusts", keystone_says)
    auth = {"auth_url": f"{stub.url}/v3", **APPCRED}
    cloud = connected(auth_type="v3applicationcredential", auth=auth)
    with pytest.raises(EnvagentError) as caught:
        cloud.create_lease("l", None, datetime.now(UTC), HostReservation(node_type="t"))
    assert type(caught.value).__name__ == error
    assert "unrestricted" in hint_text(caught.value.hint)
    assert stub.count("POST", "/leases") == 1


def test_by_password_nobody_asks_for_trusts(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/reservation/v1/leases", LEASES)
    with pytest.raises(EnvagentError):
        connected().create_lease("l", None, datetime.now(UTC), HostReservation(node_type="t"))
    assert stub.count("POST", "/OS-TRUST") == 0
