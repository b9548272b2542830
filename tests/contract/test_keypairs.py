"""Nova's keypairs: of the user, imported, with an MD5 fingerprint; and flavors."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest

from envagent.cloud.port import Cloud, Keypair
from envagent.errors import BadRequest, Conflict, QuotaExceeded
from tests.kit.by_hand import public_key

from .target import Target, Wire


@pytest.fixture(scope="module")
def keypair(target: Target) -> Iterator[Keypair]:
    name = target.label("key")
    yield target.cloud.import_keypair(name, f"{public_key()} someone@somewhere")
    target.cloud.delete_keypair(name)


def test_the_fingerprint_is_the_md5_of_the_key(keypair: Keypair) -> None:
    digest = hashlib.md5(base64.b64decode(keypair.public_key.split()[1]), usedforsecurity=False).hexdigest()
    assert keypair.fingerprint == ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def test_it_reads_the_same_alone_and_in_the_list(cloud: Cloud, keypair: Keypair) -> None:
    assert cloud.keypair(keypair.name) == keypair
    assert [each for each in cloud.keypairs() if each.name == keypair.name] == [keypair]


def test_shapes(wire: Wire, keypair: Keypair) -> None:
    assert wire.ask("compute", "GET", f"/os-keypairs/{keypair.name}").body["keypair"].keys() >= {
        "name",
        "fingerprint",
        "public_key",
        "user_id",
        "id",
        "created_at",
    }
    listed = wire.ask("compute", "GET", "/os-keypairs").body["keypairs"]
    assert all(entry.keys() == {"keypair"} for entry in listed)


def test_a_taken_name(target: Target, cloud: Cloud, wire: Wire, keypair: Keypair) -> None:
    body = {"keypair": {"name": keypair.name, "public_key": public_key()}}
    answer = wire.ask("compute", "POST", "/os-keypairs", body)
    assert answer.status == 409
    assert answer.body["conflictingRequest"]["message"] == f"Key pair '{keypair.name}' already exists."
    with pytest.raises(Conflict):
        cloud.import_keypair(keypair.name, public_key())
    assert cloud.keypair(keypair.name) == keypair


def test_no_key(target: Target, cloud: Cloud, wire: Wire) -> None:
    body = {"keypair": {"name": target.label("bad"), "public_key": "ssh-ed25519 nonsense"}}
    answer = wire.ask("compute", "POST", "/os-keypairs", body)
    assert answer.status == 400
    assert "Keypair data is invalid" in answer.body["badRequest"]["message"]
    with pytest.raises(BadRequest, match="public key"):
        cloud.import_keypair(target.label("bad"), "ssh-ed25519 nonsense")


def test_a_name_with_other_characters(target: Target, cloud: Cloud) -> None:
    with pytest.raises(BadRequest, match="or its name"):
        cloud.import_keypair(target.label("ö/1"), public_key())


def test_none_of_that_name(target: Target, cloud: Cloud, wire: Wire) -> None:
    name = target.label("none")
    answer = wire.ask("compute", "GET", f"/os-keypairs/{name}")
    assert answer.status == 404
    assert answer.body["itemNotFound"]["message"].startswith(f"Keypair {name} not found for user ")
    assert wire.ask("compute", "DELETE", f"/os-keypairs/{name}").status == 404
    assert cloud.keypair(name) is None
    cloud.delete_keypair(name)


def test_deleting_is_202_and_at_once(target: Target, cloud: Cloud, wire: Wire) -> None:
    name = target.label("short")
    cloud.import_keypair(name, public_key())
    assert wire.ask("compute", "DELETE", f"/os-keypairs/{name}").status == 202
    assert cloud.keypair(name) is None


def test_the_quota(target: Target, cloud: Cloud, wire: Wire) -> None:
    with target.quota("key_pairs", 0):
        body = {"keypair": {"name": target.label("more"), "public_key": public_key()}}
        answer = wire.ask("compute", "POST", "/os-keypairs", body)
        assert answer.status == 403
        assert answer.body["forbidden"]["message"] == "Quota exceeded, too many key pairs."
        with pytest.raises(QuotaExceeded):
            cloud.import_keypair(target.label("more"), public_key())


def test_the_flavors_come_with_their_extra_specs(target: Target, cloud: Cloud, wire: Wire) -> None:
    flavor = next(flavor for flavor in cloud.flavors() if flavor.id == target.flavor_id)
    assert flavor.ram_mb >= 0
    old = wire.ask("compute", "GET", "/flavors/detail")
    new = wire.ask("compute", "GET", "/flavors/detail", headers={"X-OpenStack-Nova-API-Version": "2.61"})
    assert "extra_specs" not in old.body["flavors"][0]
    assert all("extra_specs" in entry for entry in new.body["flavors"])
    assert all(isinstance(value, str) for value in flavor.extra_specs.values())


def test_hypervisors_are_not_for_users(wire: Wire) -> None:
    answer = wire.ask("compute", "GET", "/os-hypervisors")
    assert answer.status == 403
    assert "Policy doesn't allow" in answer.body["forbidden"]["message"]
