"""The schemas of Nova's request bodies by microversion: servers, keypairs, metadata, tags and actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envagent.sandbox.body_schemas import ADDRESS, ANYTHING, NAME, NULL, POSITIVE, TEXT, UUID, Schema, closed, list_of

Version = tuple[int, int]

BOOLEAN_WORDS = ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"]
BOOLEAN_DENIALS = ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]
BOOLEAN: Schema = {"type": ["boolean", "string"], "enum": [True, *BOOLEAN_WORDS, False, *BOOLEAN_DENIALS]}
LABEL: Schema = {"type": "string", "maxLength": 255}
DESCRIPTION: Schema = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
HOSTNAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"}
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}
MAX_TAGS = 50
METADATA: Schema = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
META: Schema = {**METADATA, "minProperties": 1, "maxProperties": 1}
USER_DATA: Schema = {"type": "string", "maxLength": 65535}
OPTIONAL_USER_DATA: Schema = {"oneOf": [USER_DATA, NULL]}
PERSONALITY: Schema = list_of(closed({"path": TEXT, "contents": TEXT}))
CERTIFICATES: Schema = {"type": ["array", "null"], "minItems": 1, "maxItems": 50, "items": {**TEXT, "minLength": 1}}
DISK_CONFIG: Schema = {"type": "string", "enum": ["AUTO", "MANUAL"]}
IPV4: Schema = {"type": "string", "format": "ipv4"}
IPV6: Schema = {"type": "string", "format": "ipv6"}
FLAVOR: Schema = {"type": ["string", "integer"], "minLength": 1}
SOURCES = ["volume", "image", "snapshot", "blank"]
DEVICES: Schema = list_of(
    closed(
        {
            "virtual_name": LABEL,
            "volume_id": UUID,
            "snapshot_id": UUID,
            "volume_size": ANYTHING,
            "device_name": {**LABEL, "minLength": 1, "pattern": "^[a-zA-Z0-9._/-]*$"},
            "delete_on_termination": BOOLEAN,
            "no_device": ANYTHING,
            "connection_info": TEXT,
            "source_type": {"type": "string", "enum": SOURCES},
            "uuid": {**LABEL, "minLength": 1, "pattern": "^[a-zA-Z0-9._-]*$"},
            "image_id": UUID,
            "destination_type": {"type": "string", "enum": ["local", "volume"]},
            "guest_format": LABEL,
            "device_type": LABEL,
            "disk_bus": LABEL,
            "boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"},
            "tag": TAG,
            "volume_type": {"type": ["string", "null"], "minLength": 0, "maxLength": 255},
        }
    )
)
HINTS: Schema = {"type": "object", "properties": {"group": UUID, "query": {"type": ["string", "object"]}}}
HINT_NAMES = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")


def _fields(
    version: Version, always: Mapping[str, Schema], *table: tuple[Version, Version | None, Mapping[str, Schema]]
) -> dict[str, Schema]:
    """Merge the fields of all versions with the rows (first version, first without, fields) that apply to one."""
    known = dict(always)
    for first, gone, fields in table:
        if first <= version and (gone is None or version < gone):
            known.update(fields)
    return known


def _networks(version: Version) -> Schema:
    port: Schema = {"oneOf": [UUID, NULL]}
    uuid: Schema = UUID if version >= (2, 37) else TEXT
    tag = {"tag": TAG} if version == (2, 32) or version >= (2, 42) else {}
    listed = list_of(closed({"fixed_ip": ADDRESS, "port": port, "uuid": uuid, **tag}))
    return {"oneOf": [listed, {"type": "string", "enum": ["none", "auto"]}]} if version >= (2, 37) else listed


def server(version: Version) -> Schema:
    """Return the schema of a server to create."""
    fields = _fields(
        version,
        {
            "name": NAME,
            "imageRef": {"oneOf": [UUID, {"type": "string", "maxLength": 0}]},
            "flavorRef": FLAVOR,
            "adminPass": TEXT,
            "metadata": METADATA,
            "networks": _networks(version),
            "OS-DCF:diskConfig": DISK_CONFIG,
            "accessIPv4": IPV4,
            "accessIPv6": IPV6,
            "availability_zone": NAME,
            "block_device_mapping": list_of({"type": "object"}),
            "block_device_mapping_v2": DEVICES,
            "config_drive": BOOLEAN,
            "key_name": NAME,
            "min_count": POSITIVE,
            "max_count": POSITIVE,
            "return_reservation_id": BOOLEAN,
            "security_groups": list_of(closed({"name": NAME})),
            "user_data": USER_DATA,
        },
        ((2, 1), (2, 57), {"personality": PERSONALITY}),
        ((2, 19), None, {"description": DESCRIPTION}),
        ((2, 52), None, {"tags": list_of(TAG, MAX_TAGS)}),
        ((2, 63), None, {"trusted_image_certificates": CERTIFICATES}),
        ((2, 74), None, {"host": HOSTNAME, "hypervisor_hostname": HOSTNAME}),
        ((2, 90), None, {"hostname": HOSTNAME}),
    )
    return closed(fields, "name", "flavorRef", *(["networks"] if version >= (2, 37) else []))


def _changeable(version: Version) -> dict[str, Schema]:
    """Return the fields that a rename and a rebuild have in common."""
    common = {"name": NAME, "OS-DCF:diskConfig": DISK_CONFIG, "accessIPv4": IPV4, "accessIPv6": IPV6}
    return _fields(
        version,
        common,
        ((2, 19), None, {"description": DESCRIPTION}),
        ((2, 90), None, {"hostname": HOSTNAME}),
    )


def update(version: Version) -> Schema:
    """Return the schema of a server's PUT."""
    return closed(_changeable(version))


def rebuild(version: Version) -> Schema:
    """Return the schema of a rebuild."""
    own = {"imageRef": UUID, "adminPass": TEXT, "metadata": METADATA, "preserve_ephemeral": BOOLEAN}
    fields = _fields(
        version,
        own,
        ((2, 1), (2, 57), {"personality": PERSONALITY}),
        ((2, 54), None, {"key_name": {"oneOf": [{"type": "string", "minLength": 1, "maxLength": 255}, NULL]}}),
        ((2, 57), None, {"user_data": OPTIONAL_USER_DATA}),
        ((2, 63), None, {"trusted_image_certificates": CERTIFICATES}),
    )
    return closed({**_changeable(version), **fields}, "imageRef")


def keypair(version: Version) -> Schema:
    """Return the schema of a keypair; 2.92 allows more characters in its name."""
    allowed = "@._- " if version >= (2, 92) else "_- "
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def fits(name: str) -> bool:
        return set(name) <= set(allowed + letters)

    characters: Schema = {"name": (fits, f"Only expected characters: [{allowed}{letters}]")}
    fields = _fields(
        version,
        {"name": {"allOf": [NAME, characters]}, "public_key": TEXT},
        ((2, 2), None, {"type": {"type": "string", "enum": ["ssh", "x509"]}}),
        ((2, 10), None, {"user_id": TEXT}),
    )
    return closed(fields, "name", *(["public_key"] if version >= (2, 92) else []))


GROUP: Schema = closed({"name": {"type": "string", "minLength": 1}}, "name")
REBOOT: Schema = closed({"type": {"type": "string", "enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}}, "type")
CONSOLE: Schema = closed({"length": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "minimum": -1}})
TAGS: Schema = list_of(TAG, MAX_TAGS)


def lock(version: Version) -> Schema:
    """Return the schema of a lock, which may have a reason from 2.73 on."""
    if version < (2, 73):
        return ANYTHING
    reason: dict[str, Any] = {"locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}}
    return {**closed(reason), "type": ["object", "null"]}
