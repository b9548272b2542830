"""The JSON document of `share`: whose keys a server admits, apart from the run's own."""

from __future__ import annotations

from typing import Literal

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document


class SharedKeyPart(Document):
    """A public key that was added to the server."""

    who: str
    """`gh:USER`, or the key's own comment (untrusted)."""
    fingerprint: str
    since: str
    state: Literal["admitted", "unknown"]
    """unknown: the change was requested, and the server has not confirmed it."""


class SharedDocument(Document):
    """`share RUN_ID`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    keys: list[SharedKeyPart]
    login: str
    """The command with which their owners log in, with a key of their own."""
    until: str | None
    """When the lease ends, and the server with it."""
