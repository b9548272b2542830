"""Who gets in: passwords, application credentials, tokens and their end."""

from __future__ import annotations

import json
import stat
import time

import pytest
import requests
from keystoneauth1.exceptions.http import NotFound, Unauthorized

from envagent.sandbox.files import SECRET_HEADER, Paths

from .conftest import Person, Sandbox


def with_auth(sandbox: Sandbox, cloud: str, **auth: str | None) -> Person:
    """Return somebody whose clouds.yaml entry is changed."""
    import openstack

    entry = sandbox.endpoint.clouds[cloud]
    changed = {key: value for key, value in {**entry["auth"], **auth}.items() if value is not None}
    person = Person(sandbox.endpoint, cloud)
    person.conn = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type=entry["auth_type"],
        auth=changed,
        region_name=entry["region_name"],
    )
    return person


@pytest.mark.parametrize(
    "auth",
    [
        {"password": "no"},
        {"username": "nobody"},
        {"project_id": None, "project_name": "CHI-250002"},
        {"project_id": None, "project_name": "no-such-project"},
    ],
)
def test_wrong_credentials_are_all_one_401(sandbox: Sandbox, auth: dict[str, str | None]) -> None:
    with pytest.raises(Unauthorized, match="The request you have made requires authentication") as caught:
        with_auth(sandbox, "sandbox", **auth).conn.session.get_token()
    assert str(caught.value.request_id).startswith("req-")


def test_a_project_id_of_another_site_is_no_project_here(sandbox: Sandbox) -> None:
    foreign = sandbox.endpoint.clouds["sandbox-tacc"]["auth"]["project_id"]
    with pytest.raises(Unauthorized):
        with_auth(sandbox, "sandbox", project_id=foreign).conn.session.get_token()


def test_a_token_of_another_site_is_none_here(sandbox: Sandbox, me: Person) -> None:
    token = sandbox.person("sandbox-tacc").conn.session.get_token()
    assert me.http("compute", "GET", "/servers", headers={"X-Auth-Token": token}).status_code == 401


def test_application_credentials(sandbox: Sandbox) -> None:
    free = sandbox.person("sandbox-appcred")
    assert free.lease()["status"] == "PENDING"
    bound = sandbox.person("sandbox-appcred-restricted")
    assert bound.blazar.lease.list()
    answer = bound.http(
        "reservation",
        "POST",
        "/leases",
        json={
            "name": "l",
            "start_date": "now",
            "end_date": "2099-01-01 00:00",
            "reservations": [bound.reservation()],
        },
    )
    refused = {"error_code": 500, "error_message": "Internal Server Error", "error_name": "INTERNAL_SERVER_ERROR"}
    assert (answer.status_code, answer.json()) == (500, refused)
    with pytest.raises(Unauthorized):
        wrong = with_auth(sandbox, "sandbox-appcred", application_credential_secret="x")
        wrong.conn.session.get_token()
    with pytest.raises(NotFound, match="Could not find Application Credential: 000"):
        unknown = with_auth(sandbox, "sandbox-appcred", application_credential_id="0" * 32)
        unknown.conn.session.get_token()


def test_a_token_buys_a_token(sandbox: Sandbox, me: Person) -> None:
    import openstack

    auth = sandbox.endpoint.clouds["sandbox"]["auth"]
    conn = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="v3token",
        auth={
            "auth_url": auth["auth_url"],
            "token": me.conn.session.get_token(),
            "project_id": auth["project_id"],
        },
        region_name=me.region,
    )
    assert len(list(conn.compute.flavors())) == 1


def test_an_expired_token_is_renewed_silently(sandbox: Sandbox) -> None:
    sandbox.control("settings", {"token_seconds": 0.3})
    person = sandbox.person()
    first = person.conn.session.get_token()
    time.sleep(0.4)
    assert person.http("compute", "GET", "/servers", headers={"X-Auth-Token": first}).status_code == 401
    sandbox.control("settings", {"token_seconds": 14400})
    assert list(person.conn.compute.flavors())
    assert person.conn.session.get_token() != first


def test_projects_of_the_caller(me: Person) -> None:
    answer = me.http("identity", "GET", "/auth/projects")
    assert [project["name"] for project in answer.json()["projects"]] == ["CHI-240001"]
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_control_wants_the_secret_of_the_private_state_file(sandbox: Sandbox) -> None:
    url = f"{sandbox.endpoint.url}/_sandbox/stop"
    assert requests.post(url, json={}, timeout=5).status_code == 403
    assert requests.post(url, json={}, headers={SECRET_HEADER: "guess"}, timeout=5).status_code == 403
    file = Paths(sandbox.home).server
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sandbox.endpoint.secret == json.loads(file.read_text())["secret"]
    assert sandbox.control("health")["id"] == json.loads(file.read_text())["id"]


@pytest.mark.parametrize("path", ["/uc/identity/v3", "/uc/compute/", "/uc/reservation/v1/leases", "/_sandbox/health"])
def test_a_name_that_was_made_to_point_here_is_refused(sandbox: Sandbox, path: str) -> None:
    headers = {"Host": "rebound.example", SECRET_HEADER: sandbox.endpoint.secret}
    answer = requests.get(sandbox.endpoint.url + path, headers=headers, timeout=5)
    assert answer.status_code == 400
    assert "version" not in answer.text


NOT_SIMULATED = [
    ("identity", "DELETE", "/policies/x", 501),
    ("identity", "DELETE", "/auth/catalog", 405),
    ("image", "DELETE", "/v2/metadefs/namespaces/x", 501),
    ("image", "PUT", "/v2/images/x", 405),
    ("compute", "DELETE", "/os-volumes/x", 501),
    ("compute", "PUT", "/flavors/x", 405),
    ("network", "DELETE", "/v2.0/trunks/x", 501),
    ("network", "DELETE", "/v2.0/quotas/x/details", 405),
    ("reservation", "DELETE", "/floatingips/x", 501),
    ("reservation", "DELETE", "/os-hosts/x/allocation", 405),
]


@pytest.mark.parametrize(("service", "method", "path", "status"), NOT_SIMULATED)
def test_what_is_not_simulated_never_looks_deleted(
    me: Person, service: str, method: str, path: str, status: int
) -> None:
    answer = me.http(service, method, path)
    assert answer.status_code == status
    assert f"The sandbox does not simulate {method}" in answer.text
    assert isinstance(answer.json(), dict)
