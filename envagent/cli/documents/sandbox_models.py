"""What `sandbox log` prints: the writes that the simulated cloud has committed."""

from __future__ import annotations

from pydantic import RootModel

from envagent.cli.documents.json_models import Document


class WritePart(Document):
    """A write that the simulated cloud has committed."""

    seq: int
    time: str
    service: str
    method: str
    path: str
    status: int
    request_id: str | None
    kind: str | None
    id: str | None
    name: str | None


class LogDocument(RootModel[list[WritePart]]):
    """`sandbox log`: a list, oldest first."""
