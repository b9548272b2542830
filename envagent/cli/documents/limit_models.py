"""The document of `limits`."""

from __future__ import annotations

from typing import Literal

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document


class LimitPart(Document):
    """A limit, and what of it is in use."""

    name: Literal["builds", "lease_requests", "su"]
    """Builds at once, lease requests a minute, or service units."""
    site: str | None
    owner: str | None
    """Whose service units; null for those of all owners together."""
    limit: float
    used: float


class LimitsDocument(Document):
    """`limits`: those of a shared journal."""

    schema_version: Literal[1] = SCHEMA_VERSION
    limits: list[LimitPart]
