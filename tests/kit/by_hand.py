"""What tests ask the cloud for without envagent: bodies of requests, dates and public keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def date(hours: float = 0.0) -> str:
    """Return a date as Blazar writes it, so many hours from now."""
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M")


def host_reservation(node_type: str | None, **more: Any) -> dict[str, Any]:
    """Return a request for one host, of a type or of any."""
    properties = "" if node_type is None else json.dumps(["=", "$node_type", node_type])
    asked = {"resource_type": "physical:host", "min": 1, "max": 1, "hypervisor_properties": ""}
    return {**asked, "resource_properties": properties, **more}


def host_lease(name: str, end: str, *, start: str = "now", node_type: str | None = None) -> dict[str, Any]:
    """Return a request for a lease of one host; start and end as Blazar writes them."""
    reservations = [host_reservation(node_type)]
    return {"name": name, "start_date": start, "end_date": end, "reservations": reservations, "events": []}


def public_key() -> str:
    """Return a fresh public key as an OpenSSH line; nobody keeps its private half."""
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
