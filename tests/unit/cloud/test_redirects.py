"""Answers that name another address: no password and no token goes there, whatever the method and the status."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from envagent.cli.render.hint_text import hint_text
from envagent.cloud.error_response import address
from envagent.cloud.port import Cloud
from envagent.errors import BadRequest, ConfigurationError, EnvagentError, OutcomeUnknown

from .stub import PROJECT, Reply, StubCloud
from .test_http_session import READS, WRITES
from .test_login import APPCRED, oidc

Connect = Callable[..., Cloud]
STATUSES = (301, 302, 303, 307, 308)


@pytest.fixture
def elsewhere() -> Iterator[StubCloud]:
    """Another host, which answers everything as a good cloud would."""
    cloud = StubCloud()
    yield cloud
    cloud.close()


def moved(elsewhere: StubCloud, status: int, path: str = "/new") -> Reply:
    target = elsewhere.url.replace("http://", "http://user:canary-user@") + f"{path}?token=canary-query#canary-fragment"
    return Reply(status, {}, {"Location": target})


def refused(call: Callable[[], object], kind: type[EnvagentError], elsewhere: StubCloud) -> EnvagentError:
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert elsewhere.seen == []
    assert f"{elsewhere.url}/new" in error.message
    assert "canary" not in repr(error.__dict__)
    return error


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("read", READS)
def test_a_token_does_not_follow_a_read(
    read: str, status: int, stub: StubCloud, elsewhere: StubCloud, connected: Connect
) -> None:
    path, call = READS[read]
    stub.on("GET", path, moved(elsewhere, status))
    cloud = connected()
    assert "sign" in hint_text(refused(lambda: call(cloud), BadRequest, elsewhere).hint)
    assert stub.count("GET", path) == 1


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("write", WRITES)
def test_a_token_does_not_follow_a_write(
    write: str, status: int, stub: StubCloud, elsewhere: StubCloud, connected: Connect
) -> None:
    """See Other, alone, says that the request was carried out: then only looking tells."""
    method, path, call = WRITES[write]
    stub.on(method, path, moved(elsewhere, status))
    cloud = connected()
    refused(lambda: call(cloud), OutcomeUnknown if status == 303 else BadRequest, elsewhere)
    assert stub.count(method, path) == 1


def logins(stub: StubCloud) -> dict[str, dict[str, object]]:
    url = {"auth_url": f"{stub.url}/v3"}
    return {
        "password": {},
        "application credential": {"auth_type": "v3applicationcredential", "auth": {**url, **APPCRED}},
        "token": {"auth_type": "token", "auth": {**url, "token": "canary-token", "project_id": PROJECT}},
    }


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", ["password", "application credential", "token"])
def test_a_password_does_not_follow_a_login(
    kind: str, status: int, stub: StubCloud, elsewhere: StubCloud, connected: Connect
) -> None:
    stub.on("POST", "/v3/auth/tokens", moved(elsewhere, status))
    cloud = connected(**logins(stub)[kind])
    error = refused(cloud.identity, ConfigurationError, elsewhere)
    assert "auth_url" in hint_text(error.hint)
    refused(cloud.servers, ConfigurationError, elsewhere)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/idp/known"), ("POST", "/idp/token"), ("POST", "/OS-FEDERATION/"), ("POST", "/v3/auth/")],
)
def test_no_step_of_a_federated_login_is_followed(
    method: str, path: str, status: int, stub: StubCloud, elsewhere: StubCloud, connected: Connect
) -> None:
    """The provider's document is read without a secret, but it says where the password goes."""
    entry = oidc(stub)
    stub.on(method, path, moved(elsewhere, status))
    refused(connected(**entry).identity, ConfigurationError, elsewhere)


def test_a_renewed_login_is_not_followed(stub: StubCloud, elsewhere: StubCloud, connected: Connect) -> None:
    cloud = connected()
    cloud.identity()
    stub.on("GET", "/servers/detail", Reply(401, {}))
    stub.on("POST", "/v3/auth/tokens", moved(elsewhere, 307))
    refused(cloud.servers, ConfigurationError, elsewhere)


@pytest.mark.parametrize("location", ["http://[::1", "//", "http://h:99999/x", "\x1b]0;x\x07", "ftp://x/y", "?", ""])
def test_an_address_that_is_none_is_an_error_all_the_same(location: str, stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/servers/detail", Reply(302, {}, {"Location": location}))
    with pytest.raises(BadRequest) as caught:
        connected().servers()
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h:5000/v3/auth/tokens?x=1#y", "https://h:5000/v3/auth/tokens"),
        ("https://h/a;session=1", "https://h/a"),
        ("https://[::1]:5000/v3", "https://[::1]:5000/v3"),
        ("https://h/\x1b[2J\x9b\u2028x", "https://h/[2Jx"),
        ("https://[::1", "an invalid address"),
        ("https://h/" + "a" * 1000, "https://h/" + "a" * 190),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert address(url) == shown
