"""The file in which a run moves from one journal to another: written whole, for its owner alone; never trusted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envagent import __version__
from envagent.config import KEY_NAME
from envagent.engine.exported import ExportedRun, Time
from envagent.errors import UsageError, first_problem
from envagent.hints import Hint, Option, Shell

LARGEST = 128 << 20
"""Bytes of a file that is read."""

CARRIED = ("known_hosts", "log.jsonl", "log.1.jsonl")
"""What the run's folder has for other commands: the host key that was seen, and the exchanges with the cloud."""

LARGEST_CARRIED = 4 << 20
LARGEST_KEY = 64 << 10


class PrivateKeyPart(BaseModel):
    """The private key that envagent created for the run."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=f"^{KEY_NAME}$")]
    content: Annotated[str, Field(max_length=LARGEST_KEY, repr=False)]


class RunFile(BaseModel):
    """What the file contains."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    format: Literal["envagent-run"] = "envagent-run"
    schema_version: Literal[1] = 1
    envagent: Annotated[str, Field(max_length=100)] = __version__
    exported_at: Time
    moved: bool
    """Whether the journal it comes from has given the run up; if not, this is a copy to look at."""
    run: ExportedRun
    files: dict[
        Literal["known_hosts", "log.jsonl", "log.1.jsonl"], Annotated[str, Field(max_length=LARGEST_CARRIED)]
    ] = Field(max_length=len(CARRIED))
    private_key: PrivateKeyPart | None = None


def check_target(path: Path) -> None:
    """Refuse a file that exists, and what is not a file, such as stdout: it may hold a private key.

    Raises:
        UsageError: it is refused.
    """
    other = Hint("choose another file with", Option("output"))
    if str(path) == "-" or (os.path.lexists(path) and not path.is_file()):
        raise UsageError(f"a run is exported to a file, and {path} is not one", hint=other)
    if path.exists():
        raise UsageError(f"{path} exists already, and may be the only record of a run", hint=other)


@contextmanager
def written(path: Path, content: RunFile) -> Iterator[None]:
    """Write a run to a draft, on disk before the block runs, which gets its name once the block has ended.

    If the block fails, nothing is left.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(".part", f".{path.name}-", path.parent)  # created 0600
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content.model_dump_json(indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", hint=Hint("choose another file with", Option("output"))
        ) from None
    try:
        yield
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    try:
        draft.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise UsageError(
            f"the run is exported to {draft}, which cannot be renamed: {error.strerror}",
            hint=Hint("rename it:", Shell("mv", str(draft), str(path))),
        ) from None


def read_run_file(path: Path) -> RunFile:
    """Read a file that `written` made; it may come from anybody.

    Raises:
        UsageError: it cannot be read, or is not an export.
    """
    try:
        if not path.is_file():
            raise UsageError(f"{path} is not a file", hint=_NEW)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UsageError(f"{path} is not an exported run: it is larger than {LARGEST >> 20} MiB", hint=_NEW)
    try:
        return RunFile.model_validate_json(content)
    except ValidationError as error:
        raise refused(path, first_problem(error)) from None


def refused(path: Path, why: str) -> UsageError:
    """Return the error for a file that is not a run that this version can work on."""
    return UsageError(f"{path} is not a run that this version of envagent can import ({why:.300})", hint=_NEW)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_NEW = Hint("export the run again, with the same version of envagent, and copy the whole file")
