"""Keystone: tokens, the catalog, and every refused login."""

from __future__ import annotations

import copy
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from keystoneauth1.identity.base import BaseIdentityPlugin

from envagent.cloud.adapter import connect
from envagent.cloud.port import Cloud, InspectableCloud
from envagent.errors import AuthenticationError

from .target import Target, Wire, send


def login(wire: Wire, **changes: str) -> Any:
    auth = {**wire.region.config["auth"], **changes}
    domain = {"name": auth.get("user_domain_name", "Default")}
    scope: dict[str, Any] = {"id": auth["project_id"]} if "project_id" in auth else {}
    if not scope:
        scope = {"name": auth["project_name"], "domain": {"name": auth.get("project_domain_name", "Default")}}
    user = {"name": auth["username"], "domain": domain, "password": auth["password"]}
    return send("POST", f"{wire.auth_url}/auth/tokens", password_body(user, scope), {})


def password_body(user: dict[str, Any], project: dict[str, Any]) -> dict[str, Any]:
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": project}}}


def by_password(target: Target) -> None:
    if "password" not in target.wire.region.config["auth"] or "oidc" in str(target.wire.region.config["auth_type"]):
        pytest.skip("needs a login by password")


def test_a_token_has_user_project_expiry_and_catalog(target: Target, wire: Wire) -> None:
    by_password(target)
    answer = login(wire)
    assert answer.status == 201
    assert answer.headers["X-Subject-Token"]
    token = answer.body["token"]
    assert token["user"]["id"]
    assert token["project"]["id"] == wire.project_id
    assert token["expires_at"].endswith("Z")
    types = {service["type"] for service in token["catalog"]}
    assert {"identity", "image", "compute", "network", "reservation"} <= types
    endpoint = token["catalog"][0]["endpoints"][0]
    assert {"id", "interface", "region", "region_id", "url"} <= endpoint.keys()


def test_the_identity_is_the_tokens(target: Target, cloud: Cloud, wire: Wire) -> None:
    identity = cloud.identity()
    assert identity.project_id == wire.project_id
    assert identity.user_id == wire.session.get_user_id()
    assert identity.region == wire.region.get_region_name()
    assert identity.cloud == target.name
    assert identity.auth_url.rstrip("/") == wire.auth_url


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"username": "nobody-of-that-name"}, {"project_id": "0" * 32}],
    ids=["password", "user", "project"],
)
def test_what_is_wrong_is_not_told(wrong: dict[str, str], target: Target, wire: Wire) -> None:
    by_password(target)
    answer = login(wire, **wrong)
    assert answer.status == 401
    error = answer.body["error"]
    assert (error["code"], error["title"]) == (401, "Unauthorized")
    assert error["message"] == "The request you have made requires authentication."


def test_a_foreign_project_is_refused_alike(target: Target, wire: Wire) -> None:
    by_password(target)
    _, other = target.role("other")
    assert login(wire, project_id=other.project_id).status == 401


def test_a_password_login_without_domain_says_too_little(target: Target, wire: Wire) -> None:
    by_password(target)
    auth = wire.region.config["auth"]
    user = {"name": auth["username"], "password": auth["password"]}
    answer = send("POST", f"{wire.auth_url}/auth/tokens", password_body(user, {"id": wire.project_id}), {})
    assert answer.status == 400
    assert "Expecting to find domain" in answer.body["error"]["message"]


def credential(target: Target) -> dict[str, Any]:
    return dict(target.entries[target.entry("appcred-unrestricted", "appcred")])


def changed(entry: dict[str, Any], folder: Path, **auth: str) -> Cloud:
    """A cloud by a changed copy of an entry."""
    other = copy.deepcopy(entry)
    other["auth"].update(auth)
    path = folder / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {"changed": other}}))
    return connect("changed", clouds_yaml=path)


def test_an_application_credential_logs_in(target: Target, tmp_path: Path, wire: Wire) -> None:
    identity = changed(credential(target), tmp_path).identity()
    assert identity.project_id == wire.project_id


@pytest.mark.parametrize("endings", [(), ("appcred-unrestricted", "appcred")], ids=["the user", "a credential"])
def test_the_same_by_variables(endings: tuple[str, ...], target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = target.entries[target.entry(*endings) if endings else target.name]
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    settings = {key: value for key, value in entry.items() if isinstance(value, str)}
    for key, value in {**settings, **entry["auth"]}.items():
        monkeypatch.setenv(f"OS_{key.upper()}", str(value))
    identity = connect(None).identity()
    assert identity.cloud is None
    assert identity == target.cloud.identity().model_copy(update={"cloud": None})


def test_threads_share_an_adapter(target: Target) -> None:
    cloud, _ = target.open_entry(target.name)
    reads = [cloud.networks, cloud.images, cloud.leases, cloud.servers, cloud.floating_ips, cloud.keypairs] * 4
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda read: read(), reads))
    assert [len(each) for each in results[:6]] == [len(each) for each in results[-6:]]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"application_credential_secret": "wrong"}, "secret is wrong, or it has expired"),
        ({"application_credential_id": "0" * 32}, "does not exist at this site"),
        ({"project_name": "envagent", "project_domain_name": "Default"}, "belongs to one project"),
    ],
    ids=["secret", "id", "project named too"],
)
def test_a_wrong_application_credential_says_what_is_wrong(
    wrong: dict[str, str], says: str, target: Target, tmp_path: Path
) -> None:
    with pytest.raises(AuthenticationError, match=says) as caught:
        changed(credential(target), tmp_path, **wrong).identity()
    assert caught.value.request_id


def test_a_wrong_password_through_the_adapter(target: Target, tmp_path: Path) -> None:
    by_password(target)
    with pytest.raises(AuthenticationError, match="the password or the project is wrong"):
        changed(dict(target.entries[target.name]), tmp_path, password="wrong").identity()


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("compute", "/servers"),
        ("network", "/networks"),
        ("image", "/images"),
        ("reservation", "/leases"),
    ],
)
def test_a_bad_token_is_401_at_every_service(service: str, path: str, wire: Wire) -> None:
    answer = wire.ask(service, "GET", path, token="gAAAAABnonsense")
    assert answer.status == 401
    said = answer.body.get("error", answer.body)
    assert said["title"] == "Unauthorized"


def test_a_revoked_token_is_renewed_in_silence(target: Target) -> None:
    """The token has met no service before: those remember for minutes that a token was good."""
    cloud, wire = target.open_entry(target.name)
    session = cloud._session  # type: ignore[attr-defined]
    token = session.get_token()
    answer = send("DELETE", f"{wire.auth_url}/auth/tokens", None, {"X-Auth-Token": token, "X-Subject-Token": token})
    assert answer.status == 204
    assert cloud.networks()
    assert session.get_token() != token
    assert wire.ask("network", "GET", "/networks", token=token).status == 401


def test_a_token_in_clouds_yaml_works_until_it_is_revoked(target: Target, tmp_path: Path) -> None:
    _, wire = target.open_entry(target.name)
    token = str(wire.session.get_token())
    entry = copy.deepcopy(target.entries[target.name])
    entry["auth_type"] = "token"
    entry["auth"] = {"auth_url": wire.auth_url, "token": token, "project_id": wire.project_id}
    cloud = changed(entry, tmp_path)
    assert cloud.identity().project_id == wire.project_id
    send("DELETE", f"{wire.auth_url}/auth/tokens", None, {"X-Auth-Token": token, "X-Subject-Token": token})
    with pytest.raises(AuthenticationError):
        changed(entry, tmp_path).identity()


def test_who_may_make_trusts_is_told_before_the_trustee_is_looked_up(wire: Wire) -> None:
    """The adapter's proof of a refused trust rests on this order; by password it is 404."""
    trust: dict[str, Any] = {
        "trustor_user_id": wire.session.get_user_id(),
        "trustee_user_id": "0" * 32,
        "impersonation": False,
        "roles": [],
    }
    assert wire.ask("identity", "POST", "/OS-TRUST/trusts", {"trust": trust}).status == 404


def test_what_the_credentials_are_good_for(target: Target, cloud: InspectableCloud, wire: Wire) -> None:
    account = cloud.account()
    assert isinstance(wire.auth, BaseIdentityPlugin)
    assert {*account.roles} == {*(wire.auth.get_access(wire.session).role_names or ())}
    assert account.missing_services == ()
    shown = cloud.server_time()
    assert shown is not None and abs(datetime.now(UTC) - shown) < timedelta(minutes=5)
    limits = cloud.compute_limits()
    body = wire.ask("compute", "GET", "/limits").body["limits"]["absolute"]
    assert limits.servers_used == body["totalInstancesUsed"]
    assert limits.servers == (None if body["maxTotalInstances"] < 0 else body["maxTotalInstances"])
    assert limits.keypairs == body["maxTotalKeypairs"]
    with target.quota("floatingip", 33):  # Neutron refuses less than is in use
        assert cloud.floating_ip_limit() == 33


def test_an_application_credential_shows_whether_it_is_unrestricted(target: Target, cloud: InspectableCloud) -> None:
    by_password(target)
    assert cloud.can_make_trusts() is None
    for endings, unrestricted in (
        (("appcred-unrestricted", "appcred"), True),
        (("appcred-restricted", "appcred"), False),
    ):
        restrained, _ = target.open_entry(target.entry(*endings))
        assert restrained.can_make_trusts() is unrestricted
        restrained.close()
