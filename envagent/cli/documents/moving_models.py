"""The JSON documents of `export`, `import` and `migrate`."""

from __future__ import annotations

from typing import Literal

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document, RunStateName


class ExportedDocument(Document):
    """`export`: the file, and which journal acts on the run from now on."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    file: str
    moved: bool
    """Whether the run is given up here; false with --copy."""
    private_key: bool
    """Whether the file contains the run's private key."""
    next: list[str]
    """The command that continues, on the other machine."""


class ImportedDocument(Document):
    """`import`: the run as it is now in this journal."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    state: RunStateName
    """`moved` for a copy, on which another journal acts."""
    private_key: str | None
    """Where the private key of the run is on this machine."""
    next: list[str]
    """The commands that make sense now, likeliest first."""


class MigratedDocument(Document):
    """`migrate`: the schema of the journal before and after."""

    schema_version: Literal[1] = SCHEMA_VERSION
    journal: str
    """Its file, or the URL of its database."""
    found: str | None
    """The schema that it had; null where there was no journal."""
    head: str
    """The schema of this version."""
    upgraded: bool
    """Whether it was created or upgraded now; false with --dry-run."""
    copy_kept: str | None
    """The file with the journal as it was before."""
