"""Nova's keypairs: per user, imported or (below microversion 2.92) generated."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from envagent.sandbox.clock import iso_micro
from envagent.sandbox.exchange import Call, Reply, ServiceError
from envagent.sandbox.listing import page
from envagent.sandbox.nova_versions import microversion
from envagent.sandbox.records import Keypair

NAME = re.compile(r"[\w\- ]{1,255}", re.ASCII)
BAD_NAME = (
    "An invalid 'name' value was provided. The name must be: Only expected characters: "
    "[_- 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ]"
)
KEY_TYPES = ("ssh-ed25519", "ssh-rsa", "ssh-dss", "ecdsa-sha2-")


def fingerprint(public_key: str) -> str:
    """Return the MD5 of the key's blob with colons, as Nova computes it."""
    fields = public_key.split()
    try:
        if len(fields) < 2 or not fields[0].startswith(KEY_TYPES):
            raise ValueError
        blob = base64.b64decode(fields[1], validate=True)
        length = int.from_bytes(blob[:4], "big")
        if blob[4 : 4 + length].decode() != fields[0] or len(blob) <= 4 + length:
            raise ValueError
    except (ValueError, binascii.Error, UnicodeDecodeError):
        message = "Keypair data is invalid: failed to generate fingerprint"
        raise ServiceError(400, message, "badRequest") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def _generate() -> tuple[str, str]:
    """Return a fresh private key (PEM) and its public line."""
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
    view = {
        "name": keypair.name,
        "public_key": keypair.public_key,
        "fingerprint": keypair.fingerprint,
    }
    return {**view, "type": keypair.type} if microversion(call) >= (2, 2) else view


def _get(call: Call) -> Keypair:
    name = call.params["name"]
    keypair = call.world.get(Keypair, f"{call.identity.user}/{name}")
    if keypair is None:
        message = f"Keypair {name} not found for user {call.identity.user}"
        raise ServiceError(404, message, "itemNotFound")
    return keypair


def create(call: Call) -> Reply:
    """Answer POST /os-keypairs."""
    asked = call.part("keypair")
    name = asked.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ServiceError(400, BAD_NAME, "badRequest")
    public, private = asked.get("public_key"), None
    if public is None:
        if microversion(call) >= (2, 92):
            message = f"Invalid input for field/attribute keypair. Value: {asked}. 'public_key' is a required property"
            raise ServiceError(400, message, "badRequest")
        private, public = _generate()
    user, world = call.identity.user, call.world
    if world.get(Keypair, f"{user}/{name}") is not None:
        raise ServiceError(409, f"Key pair '{name}' already exists.", "conflictingRequest")
    mine = world.find(Keypair, user)
    if 0 <= world.quota("keypairs") <= len(mine):
        raise ServiceError(403, "Quota exceeded, too many key pairs.", "forbidden")
    keypair = Keypair(
        id=f"{user}/{name}",
        site=world.site.key,
        owner=user,
        name=name,
        created_at=world.at,
        fingerprint=fingerprint(public),
        public_key=public,
        type="ssh",
        number=max((key.number for key in world.find(Keypair)), default=0) + 1,
    )
    world.put(keypair)
    call.wrote("keypair", name, name)
    body = {**_view(call, keypair), "user_id": user}
    if private is not None:
        body["private_key"] = private
    return Reply(201 if microversion(call) >= (2, 2) else 200, {"keypair": body})


def list_all(call: Call) -> Reply:
    """Answer GET /os-keypairs."""
    found = call.world.find(Keypair, call.identity.user, call.as_of)
    items = [{"id": key.name, "keypair": _view(call, key)} for key in found]
    shown: list[dict[str, Any]] | None = items
    limit = call.argument("limit")
    if microversion(call) >= (2, 35):
        shown = page(items, int(limit) if limit else None, call.argument("marker"))
    if shown is None:
        raise ServiceError(400, f"marker [{call.argument('marker')}] not found", "badRequest")
    return Reply(200, {"keypairs": [{"keypair": item["keypair"]} for item in shown]})


def show(call: Call) -> Reply:
    """Answer GET /os-keypairs/NAME."""
    keypair = _get(call)
    body = {
        **_view(call, keypair),
        "created_at": iso_micro(keypair.created_at),
        "deleted": False,
        "deleted_at": None,
        "id": keypair.number,
        "updated_at": None,
        "user_id": keypair.owner,
    }
    return Reply(200, {"keypair": body})


def delete(call: Call) -> Reply:
    """Answer DELETE /os-keypairs/NAME."""
    keypair = _get(call)
    if "ignore_delete" not in call.effects:
        call.world.remove(keypair)
        call.wrote("keypair", keypair.name, keypair.name)
    return Reply(204 if microversion(call) >= (2, 2) else 202)
