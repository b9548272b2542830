"""Settings as people paste them: addresses of Keystone and entries of clouds.yaml that are nearly right."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from envagent.cli.render.hint_text import hint_text
from envagent.cloud.adapter import connect
from envagent.cloud.port import Cloud
from envagent.errors import CloudUnreachable, ConfigurationError, EnvagentError

from .stub import PROJECT, Reply, StubCloud, half_an_answer
from .test_login import APPCRED, WRONG, oidc

Connect = Callable[..., Cloud]


def outcome(call: Callable[[], object]) -> object:
    """What a call returns or raises, in a thread of its own: a login that waits for itself must not hold the tests."""
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(call())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert ended, "it hangs"
    return ended[0]


AS_GOOD = [
    "{}/v3",
    "{}/v3/",
    " {}/v3 ",
    "\t{}/v3\n",
    "{}",
    "{}/",
    "{}//v3//",
    "{}/v3/auth/tokens",
    "{}/v3/auth/tokens/",
    " {}/v3/auth/tokens ",
    "{}/auth/tokens",
    "{}/v3/auth",
    "{}/v3/v3",
    "{}/v3/v3/auth/tokens",
]
KINDS = ("password", "token", "application credential", "federated", "password by default domain")


def entry(kind: str, stub: StubCloud, auth_url: str) -> dict[str, Any]:
    password = {"username": "u", "password": "canary-password", "project_id": PROJECT}
    entries: dict[str, dict[str, Any]] = {
        "password": {"auth": {**password, "user_domain_name": "Default"}},
        "token": {"auth_type": "token", "auth": {"token": "t", "project_id": PROJECT}},
        "application credential": {"auth_type": "v3applicationcredential", "auth": dict(APPCRED)},
        "federated": oidc(stub),
        "password by default domain": {"auth": {**password, "default_domain_id": "default"}},
    }
    chosen = entries[kind]
    chosen["auth"]["auth_url"] = auth_url
    return chosen


@pytest.mark.parametrize("form", AS_GOOD, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_an_address_that_means_one_thing_is_understood(
    kind: str, form: str, stub: StubCloud, connected: Connect
) -> None:
    """Where discovery is refused a token that nobody has yet, keystoneauth would wait for itself."""
    stub.on("GET", r"^/(v3.*)?$", WRONG)
    identity = outcome(connected(**entry(kind, stub, form.format(stub.url))).identity)
    assert not isinstance(identity, Exception), identity
    assert getattr(identity, "auth_url") == f"{stub.url}/v3"  # noqa: B009 - an object so far
    if kind == "password":
        assert [(one.method, one.path) for one in stub.seen] == [("POST", "/v3/auth/tokens")]


REFUSED = [
    ("HOST/v3", "does not begin with https://"),
    ("//HOST/v3", "does not begin with https://"),
    ("http:/HOST/v3", "does not begin with https://"),
    ("ftp://HOST/v3", "does not begin with https://"),
    ('"http://HOST/v3"', "does not begin with https://"),
    ("http://", "not a valid address"),
    ("http:///v3", "not a valid address"),
    ("http://HOST/v3 http://HOST/v3", "not a valid address"),
    ("http://HOST/v3\nx", "not a valid address"),
    ("http://127.0.0.1:port/v3", "not a valid address"),
    ("http://127.0.0.1:99999/v3", "not a valid address"),
    ("http://[::1/v3", "not a valid address"),
    ("http://me:canary-password@HOST/v3", "contains a user name or a password"),
    ("http://HOST/v3?password=canary-password", "has a query or a fragment"),
    ("http://HOST/v3#/canary-password", "has a query or a fragment"),
    ("http://HOST/v2.0", "version 2.0"),
    ("http://HOST/v2.0/", "version 2.0"),
    ("http://HOST/v2.0/tokens", "version 2.0"),
    (" http://HOST/identity/v2.0 ", "version 2.0"),
]


@pytest.mark.parametrize(("address", "words"), REFUSED, ids=[repr(one) for one, _ in REFUSED])
@pytest.mark.parametrize("kind", ["password", "federated"])
def test_an_address_that_cannot_be_meant_has_its_own_sentence(
    kind: str, address: str, words: str, stub: StubCloud, connected: Connect
) -> None:
    settings = entry(kind, stub, address.replace("HOST", stub.url.removeprefix("http://")))
    error = outcome(lambda: connected(**settings).identity())
    assert type(error) is ConfigurationError
    assert words in error.message
    assert "\n" not in error.message
    assert "canary" not in repr(error.__dict__)
    assert stub.seen == []
    if "v2.0" in address:
        assert f"{stub.url}" in hint_text(error.hint)


@pytest.mark.parametrize(
    "reply", [WRONG, Reply(503, b""), Reply(200, b"<html>"), Reply(200, []), Reply(act=half_an_answer)]
)
def test_a_discovery_that_fails_never_hangs(reply: Reply, stub: StubCloud, connected: Connect) -> None:
    """Below a folder keystoneauth cannot do without discovery: it fails like a login, and may be tried again."""
    stub.on("GET", "/identity/v3", reply)
    error = outcome(connected(**entry(KINDS[-1], stub, f"{stub.url}/identity/v3")).identity)
    assert isinstance(error, CloudUnreachable)
    assert error.retryable
    assert stub.count("POST", "") == 0


@pytest.mark.parametrize("status", [403, 405])
def test_a_dashboard_is_no_keystone(status: int, stub: StubCloud, connected: Connect) -> None:
    """Horizon refuses the login's POST for want of its own cookie."""
    stub.on("POST", "/project/v3/auth/tokens", Reply(status, b"<html>CSRF verification failed</html>"))
    error = outcome(connected(**entry("password", stub, f"{stub.url}/project/")).identity)
    assert isinstance(error, EnvagentError)
    assert f"there is no Keystone v3 at {stub.url}/project/v3" in error.message


# Entries of clouds.yaml


GOOD = {
    "auth_url": "http://127.0.0.1:9/v3",
    "username": "u",
    "password": "canary-password",
    "project_id": PROJECT,
    "user_domain_name": "Default",
}


def with_auth(**more: object) -> dict[str, object]:
    return {"auth": {**GOOD, **more}}


SHAPES: list[tuple[object, str]] = [
    ({"x": {"auth": None}}, "`auth` must be a mapping"),
    ({"x": {"auth": [1]}}, "`auth` must be a mapping"),
    ({"x": {"auth": [GOOD]}}, "`auth` must be a mapping"),
    ({"x": {"auth": "canary-password"}}, "`auth` must be a mapping"),
    ({"x": {"auth": 5}}, "`auth` must be a mapping"),
    ({"x": None}, "cloud 'x' must be a mapping"),
    ({"x": [1]}, "cloud 'x' must be a mapping"),
    ({1: {"auth": GOOD}, "x": {"auth": GOOD}}, "must be a string"),
    ([], "no mapping of clouds"),
    ([{"x": {"auth": GOOD}}], "no mapping of clouds"),
    (None, "no mapping of clouds"),
    ("x", "no mapping of clouds"),
    ({"x": with_auth(auth_url=5)}, "`auth.auth_url` must be a string"),
    ({"x": with_auth(auth_url=["http://h/v3"])}, "`auth.auth_url` must be a string"),
    ({"x": with_auth(auth_url=None)}, "`auth.auth_url` must be a string"),
    ({"x": with_auth(auth_url={})}, "`auth.auth_url` must be a string"),
    ({"x": with_auth(username=["u"])}, "`auth.username` must be a string"),
    ({"x": with_auth(password=12345)}, "`auth.password` must be a string"),
    ({"x": with_auth(password=True)}, "`auth.password` must be a string"),
    ({"x": with_auth(password={"canary": 1})}, "`auth.password` must be a string"),
    ({"x": with_auth(project_id=[PROJECT])}, "`auth.project_id` must be a string"),
    ({"x": {**with_auth(), "region_name": ["CHI@UC"]}}, "`region_name` must be a string"),
    ({"x": {**with_auth(), "region_name": None}}, "`region_name` must be a string"),
    ({"x": {**with_auth(), "auth_type": None}}, "`auth_type` must be a string"),
    ({"x": {**with_auth(), "auth_type": ["password"]}}, "`auth_type` must be a string"),
    ({"x": {**with_auth(), "profile": 5}}, "`profile` must be a string"),
    ({"x": {**with_auth(), "regions": "CHI@UC"}}, "`regions` must be a list"),
    ({"x": {**with_auth(), "regions": None}}, "`regions` must be a list"),
    ({"x": {**with_auth(), "networks": 5}}, "`networks` must be a list"),
    ({"x": {**with_auth(), "region_name": "{nope}"}}, "wrong type"),
    ({"x": {**with_auth(), "region_name": "{"}}, "wrong type"),
    ({"x": {"auth": {1: "canary", **GOOD}}}, "wrong type"),
    ({"x": {**with_auth(), "cacert": "/nonexistent/ca.pem"}}, "no certificate or key file /nonexistent/ca.pem"),
    ({"x": {**with_auth(), "cert": "/nonexistent/me.pem"}}, "no certificate or key file /nonexistent/me.pem"),
]


@pytest.mark.parametrize(("clouds", "words"), SHAPES, ids=[repr(one)[:70] for one, _ in SHAPES])
@pytest.mark.parametrize("by_environment", [False, True])
def test_a_malformed_entry_has_its_own_sentence(
    clouds: object, words: str, by_environment: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": clouds}))
    if by_environment:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    with pytest.raises(ConfigurationError) as caught:
        connect("x", clouds_yaml=None if by_environment else path)
    assert words in caught.value.message
    assert "canary" not in repr(caught.value.__dict__)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"clouds: [", "secure.yaml is not valid YAML"),
        (b"\xff\xfe\x00", "secure.yaml is not valid YAML"),
        (b"- a", "secure.yaml has no map"),
        (b"clouds: {x: 5}", "cloud 'x' must be a mapping"),
        (b"clouds: {x: {auth: canary}}", "`auth` must be a mapping"),
    ],
)
def test_a_malformed_file_of_secrets_is_said(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {"x": {"auth": GOOD}}}))
    path.with_name("secure.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        connect("x", clouds_yaml=path)
    assert words in caught.value.message
    assert "canary" not in repr(caught.value.__dict__)
