"""Answers that say success and are none: to a read the cloud is out of reach for now, after a write all is open."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envagent.cloud.port import Cloud
from envagent.errors import CloudUnreachable, OutcomeUnknown

from .stub import Reply, StubCloud
from .test_http_session import SERVER, WRITES

Connect = Callable[..., Cloud]

READS: dict[str, tuple[str, str, Callable[[Cloud], object]]] = {
    "images": ("/v2/images", "images", lambda cloud: cloud.images()),
    "image": ("/v2/images/x", "", lambda cloud: cloud.image("x")),
    "flavors": ("/flavors/detail", "flavors", lambda cloud: cloud.flavors()),
    "keypair": ("/os-keypairs/x", "keypair", lambda cloud: cloud.keypair("x")),
    "keypairs": ("/os-keypairs", "keypairs", lambda cloud: cloud.keypairs()),
    "servers": ("/servers/detail", "servers", lambda cloud: cloud.servers()),
    "server": ("/servers/x", "server", lambda cloud: cloud.server("x")),
    "networks": ("/v2.0/networks", "networks", lambda cloud: cloud.networks()),
    "ports": ("/v2.0/ports", "ports", lambda cloud: cloud.ports("x")),
    "floating ips": ("/v2.0/floatingips", "floatingips", lambda cloud: cloud.floating_ips()),
    "floating ip": ("/v2.0/floatingips/x", "floatingip", lambda cloud: cloud.floating_ip("x")),
    "hosts": ("/v1/os-hosts", "hosts", lambda cloud: cloud.hosts()),
    "occupations": ("/v1/os-hosts/allocations", "allocations", lambda cloud: cloud.occupations()),
    "leases": ("/v1/leases", "leases", lambda cloud: cloud.leases()),
    "lease": ("/v1/leases/x", "lease", lambda cloud: cloud.lease("x")),
}
CHANGES: dict[str, Callable[[Cloud], object]] = {
    name: call for name, (method, _, call) in WRITES.items() if method != "DELETE"
}


def raised(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def answers(key: str) -> dict[str, Reply]:
    html = b"<html><body>Please sign in</body></html>"
    return {
        "nothing": Reply(200, b""),
        "no content": Reply(204, b""),
        "cut": Reply(200, b'{"%b": [{"id": "1", "na' % key.encode()),
        "HTML": Reply(200, html, {"Content-Type": "text/html"}),
        "HTML that calls itself JSON": Reply(200, html),
        "binary": Reply(200, bytes(range(256))),
        "a list": Reply(200, [1]),
        "an empty list": Reply(200, []),
        "null": Reply(200, b"null"),
        "text": Reply(200, b'"welcome"'),
        "an empty object": Reply(200, {}),
        "something else": Reply(200, {"status": "ok"}),
        "null inside": Reply(200, {key: None}),
        "text inside": Reply(200, {key: "x"}),
        "number inside": Reply(200, {key: 5}),
        "half an object": Reply(200, {key: {"name": "x"}}),
        "a list of nothing": Reply(200, {key: [None]}),
        "a list of lists": Reply(200, {key: [[]]}),
        "a list of halves": Reply(200, {key: [{"name": "x"}]}),
        "other types": Reply(200, {key: [{"id": {}, "name": [], "status": 5}]}),
        "too deep": Reply(200, b'{"%b": %b' % (key.encode(), b"[" * 200_000)),
        "a number without end": Reply(200, b'{"%b": %b}' % (key.encode(), b"9" * 10_000)),
        "half a character": Reply(200, b'{"%b": [{"id": "\\ud800"}]}' % key.encode()),
    }


@pytest.mark.parametrize("read", READS)
def test_a_read_may_be_tried_again(read: str, stub: StubCloud, connected: Connect) -> None:
    """An empty object where a list is due would say that there is nothing, and a teardown would believe it."""
    path, key, call = READS[read]
    cloud = connected()
    for name, reply in answers(key or "image").items():
        stub.on("GET", path, reply)
        error = raised(lambda: call(cloud))
        assert isinstance(error, CloudUnreachable), (name, error)
        assert error.retryable
        assert "unreadable" in error.message, name


@pytest.mark.parametrize("read", [name for name, (_, key, _) in READS.items() if key.endswith("s")])
def test_an_object_is_no_empty_list(read: str, stub: StubCloud, connected: Connect) -> None:
    path, key, call = READS[read]
    empties: tuple[object, ...] = ({}, "", None, 0, False)
    for empty in empties:
        stub.on("GET", path, Reply(200, {key: empty}))
        with pytest.raises(CloudUnreachable, match="unreadable"):
            call(connected())


def test_a_year_that_no_calendar_has(stub: StubCloud, connected: Connect) -> None:
    server = {"id": "1", "name": "n", "status": "s", "created": "0001-01-01T00:00:00+14:00"}
    stub.on("GET", "/servers/detail", Reply(200, {"servers": [server]}))
    with pytest.raises(CloudUnreachable, match="unreadable"):
        connected().servers()


def test_whole_characters_of_any_script_are_read(stub: StubCloud, connected: Connect) -> None:
    body = b'{"servers": [{"id": "1", "name": "\\ud83d\\ude80 \\\\ud800", "status": "s"}]}'
    stub.on("GET", "/servers/detail", Reply(200, body))
    assert [one.name for one in connected().servers()] == ["\U0001f680 \\ud800"]


@pytest.mark.parametrize("write", CHANGES)
def test_a_write_stays_open(write: str, stub: StubCloud, connected: Connect) -> None:
    method, path, call = WRITES[write]
    keys = {"lease": "lease", "server": "server", "keypair": "keypair", "ip": "floatingip"}
    cloud = connected()
    for number, (name, reply) in enumerate(answers(keys[write.rpartition("_")[2]]).items(), 1):
        stub.on(method, path, reply)
        error = raised(lambda: call(cloud))
        assert isinstance(error, OutcomeUnknown), (name, error)
        assert "unreadable" in error.message, name
        assert stub.count(method, path) == number


LOGINS = {
    "nothing": Reply(201, b""),
    "HTML": Reply(200, b"<html>hello</html>", {"Content-Type": "text/html"}),
    "cut": Reply(201, b'{"token": {"meth', {"X-Subject-Token": "t"}),
    "a list": Reply(201, [], {"X-Subject-Token": "t"}),
    "null": Reply(201, b"null", {"X-Subject-Token": "t"}),
    "an empty object": Reply(201, {}, {"X-Subject-Token": "t"}),
    "no token": Reply(201, {"token": {}}),
    "too deep": Reply(201, b"[" * 200_000, {"X-Subject-Token": "t"}),
}


@pytest.mark.parametrize("answer", LOGINS)
def test_a_login_may_be_tried_again(answer: str, stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", LOGINS[answer])
    with pytest.raises(CloudUnreachable, match="unreadable"):
        connected().identity()


def test_a_login_that_is_unreadable_before_a_write_leaves_nothing_open(stub: StubCloud, connected: Connect) -> None:
    stub.on("POST", "/v3/auth/tokens", LOGINS["no token"])
    with pytest.raises(CloudUnreachable):
        connected().create_server(SERVER)
    assert stub.count("POST", "/servers") == 0


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"x": ' * 50_000, b"\xff\xfe", b'{"message": "\\ud800\\u009b"}'])
def test_a_refusal_that_is_unreadable_is_judged_by_its_status(body: bytes, stub: StubCloud, connected: Connect) -> None:
    stub.on("GET", "/servers/detail", Reply(500, body))
    with pytest.raises(CloudUnreachable) as caught:
        connected().servers()
    (caught.value.service_said or "").encode()
