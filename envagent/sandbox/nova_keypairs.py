"""Nova's keypairs: per user, imported or (before microversion 2.92) generated."""

from __future__ import annotations

import base64
import hashlib
from operator import attrgetter
from typing import Any

from envagent.sandbox import nova_schemas
from envagent.sandbox.body_schemas import TEXT
from envagent.sandbox.cloud_time import iso_micro
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.nova_requests import (
    PAGING,
    bad_request,
    body,
    conflict,
    forbidden,
    listing,
    not_allowed,
    not_found,
    not_simulated,
    query,
    since,
)
from envagent.sandbox.nova_versions import microversion
from envagent.sandbox.records import Keypair


def fingerprint(public_key: str) -> str:
    """Return the MD5 of the key's blob with colons, as Nova computes it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        load_ssh_public_key(public_key.encode())
        blob = base64.b64decode(public_key.split(" ")[1])
    except (ValueError, IndexError, UnsupportedAlgorithm):
        raise bad_request("Keypair data is invalid: failed to generate fingerprint") from None
    return hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def certificate_fingerprint(pem: str) -> str:
    """Return the SHA-1 of a certificate with colons."""
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(pem.encode()).fingerprint(SHA1()).hex(":")  # noqa: S303
    except ValueError as error:
        message = f"Keypair data is invalid: failed to generate X509 fingerprint. Error message: {error}"
        raise bad_request(message) from None


def _generate() -> tuple[str, str]:
    """Generate a key; return the private part (PEM) and the public line."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode() + " Generated-by-Nova"


def _view(call: Call, keypair: Keypair) -> dict[str, Any]:
    view = {"name": keypair.name, "public_key": keypair.public_key, "fingerprint": keypair.fingerprint}
    return {**view, "type": keypair.type} if since(call, 2, 2) else view


def _check_user(call: Call, user: str | None, action: str) -> None:
    """Refuse access to another user's keypairs, for administrators only."""
    if user not in (None, call.identity.user):
        raise not_allowed(f"os-keypairs:{action}")


def _of_user(call: Call, action: str) -> None:
    asked = query(call, {"user_id": TEXT}) if since(call, 2, 10) else {}
    _check_user(call, asked.get("user_id"), action)


def _get(call: Call) -> Keypair:
    name = call.params["name"]
    keypair = call.world.get(Keypair, f"{call.identity.user}/{name}")
    if keypair is None:
        raise not_found(f"Keypair {name} not found for user {call.identity.user}")
    return keypair


def _material(kind: str, public: str | None) -> tuple[str, str, str | None]:
    """Return a keypair's public part, fingerprint and, if generated, private part."""
    if kind == "x509":
        if public is None:
            raise not_simulated("the generation of certificates")
        return public, certificate_fingerprint(public), None
    private = None
    if public is None:
        private, public = _generate()
    return public, fingerprint(public), private


def create(call: Call) -> Reply:
    """Handle POST /os-keypairs."""
    asked = body(call, "keypair", nova_schemas.keypair(microversion(call)))
    user, world, name = call.identity.user, call.world, asked["name"]
    _check_user(call, asked.get("user_id"), "create")
    kind = asked.get("type", "ssh")
    public, digest, private = _material(kind, asked.get("public_key"))
    mine = world.find(Keypair, user)
    if 0 <= world.quota("keypairs") <= len(mine):
        raise forbidden("Quota exceeded, too many key pairs.")
    if world.get(Keypair, f"{user}/{name}") is not None:
        raise conflict(f"Key pair '{name}' already exists.")
    keypair = Keypair(
        **world.fresh(user, name, id=f"{user}/{name}"),
        fingerprint=digest,
        public_key=public,
        type=kind,
        number=max((key.number for key in world.find(Keypair)), default=0) + 1,
    )
    world.put(keypair)
    call.wrote("keypair", name, name)
    shown = {**_view(call, keypair), "user_id": user}
    if private is not None:
        shown["private_key"] = private
    return Reply(201 if since(call, 2, 2) else 200, {"keypair": shown})


def list_all(call: Call) -> Reply:
    """Handle GET /os-keypairs: sorted by name, in pages from 2.35 on."""
    pages = since(call, 2, 35)
    asked = query(call, {"user_id": TEXT, **(PAGING if pages else {})})
    if since(call, 2, 10):
        _check_user(call, asked.get("user_id"), "index")
    found = sorted(call.world.find(Keypair, call.identity.user, call.as_of), key=lambda key: key.name.casefold())
    by_name, absent = attrgetter("name"), "Marker {} could not be found."
    return listing(call, "keypairs", found, asked, lambda key: {"keypair": _view(call, key)}, by_name, absent)


def show(call: Call) -> Reply:
    """Handle GET /os-keypairs/NAME."""
    _of_user(call, "show")
    keypair = _get(call)
    shown = {
        **_view(call, keypair),
        "created_at": iso_micro(keypair.created_at),
        "deleted": False,
        "deleted_at": None,
        "id": keypair.number,
        "updated_at": None,
        "user_id": keypair.owner,
    }
    return Reply(200, {"keypair": shown})


def delete(call: Call) -> Reply:
    """Handle DELETE /os-keypairs/NAME."""
    _of_user(call, "delete")
    keypair = _get(call)
    if "ignore_delete" not in call.effects:
        call.world.remove(keypair)
        call.wrote("keypair", keypair.name, keypair.name)
    return Reply(204 if since(call, 2, 2) else 202)
