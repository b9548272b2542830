"""The JSON document of `doctor`: what was checked."""

from __future__ import annotations

from typing import Literal

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document

CheckState = Literal["ok", "warn", "fail"]


class CheckPart(Document):
    """One thing that was checked."""

    name: str
    state: CheckState
    text: str
    """What was found."""
    fix: str | None
    """What to do; its commands can be pasted."""
    exit_code: int | None
    """With fail: the exit code of a command that needs this."""


class ChecksDocument(Document):
    """`doctor`: all checks, in the order in which they were made."""

    schema_version: Literal[1] = SCHEMA_VERSION
    cloud: str | None
    """The name in clouds.yaml of the cloud that was checked; null means OS_*, or that none is configured."""
    checks: list[CheckPart]
    exit_code: int
    """That of the first fail; 0 without one."""
