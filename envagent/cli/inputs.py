"""What a user passes to a command, checked before anything starts: names, a repository, a start time, a folder."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.config import KEY_NAME
from envagent.errors import RepositoryRefused, UsageError
from envagent.hints import Hint, Option

if TYPE_CHECKING:
    from envagent.repository.results import Document

_SHORT = re.compile(r"(?:github\.com/)?([\w.-]+/[\w.-]+)/?")

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}

LONGEST_NAME = 255
"""Characters; Nova's limit for servers and keypairs."""


def check_names(**flags: str | None) -> None:
    """Refuse names that no service accepts; None and an empty string mean that the option was not given.

    Raises:
        UsageError: a name is too long, or has invisible characters.
    """
    for flag, name in flags.items():
        option = f"--{flag.replace('_', '-')}"
        if name and (not name.isprintable() or name != name.strip()):
            raise UsageError(
                f"{option} {name!a} is not a valid name: it starts or ends with a space, or has invisible characters",
                hint=Hint("use letters, digits, - and _ in", Option(flag)),
            )
        if name and len(name) > LONGEST_NAME:
            raise UsageError(f"{option} has {len(name)} characters; maximum length is {LONGEST_NAME}")


def check_key_name(name: str | None) -> None:
    """Refuse an invalid name for a keypair, which names a file as well.

    Raises:
        UsageError: the name is not valid.
    """
    if name and not re.fullmatch(KEY_NAME, name):
        raise UsageError(
            f"--key-name {name!r} is not a valid name for a keypair",
            hint=Hint("use letters, digits, space, - and _ in", Option("key_name")),
        )


def check_run_name(name: str | None) -> None:
    """Refuse a name for a run that could be mistaken for something else.

    Raises:
        UsageError: it is too long, has other characters, or could be the start of a run id.
    """
    from envagent.engine.tables import ID_ALPHABET, ID_LENGTH, RUN_NAME

    if name is None:
        return
    if not re.fullmatch(RUN_NAME, name):
        raise UsageError(
            f"--name {name!a} is not a valid name for a run",
            hint=Hint("use 2 to 32 lower-case letters, digits and -, a letter first, in", Option("name")),
        )
    if name == "last" or (len(name) <= ID_LENGTH and set(name) <= set(ID_ALPHABET)):
        what = "means the newest run" if name == "last" else "could be the start of a run id"
        raise UsageError(f"--name {name} {what}", hint=Hint("add a word:", Option("name", f"{name}-run")))


def check_for_file(**flags: object) -> None:
    """Refuse options that only mean something for a file of repositories.

    Raises:
        UsageError: one of them is given.
    """
    for flag, value in flags.items():
        if value is not None:
            raise UsageError(f"--{flag.replace('_', '-')} needs a file of repositories", hint=Hint(Option("file")))


def stored_name(repository: str, ref: str | None) -> str:
    """Return the repository as a run stores it: a URL unchanged, a path absolute.

    Raises:
        RepositoryRefused: it is neither a URL nor an existing folder.
    """
    from envagent.repository.source import Local, parse_source

    source = parse_source(repository, ref=ref)
    if not isinstance(source, Local):
        return repository.strip()
    path = source.path.absolute()
    if not path.exists():
        short = _SHORT.fullmatch(repository.strip())
        raise RepositoryRefused(
            f"no such repository: {path}",
            hint=Hint(f"for the one on GitHub: https://github.com/{short[1]}") if short else None,
        )
    return str(path)


def find_repository(repository: str, ref: str | None) -> None:
    """Check that the repository and its branch or tag exist, before a run is created.

    Raises:
        RepositoryRefused: it does not exist, or git is not installed.
    """
    from envagent.repository import fetch

    fetch.find(repository, ref=ref)


def given_documents(sources: Sequence[str] | None) -> tuple[Document, ...]:
    """Read the documents that are given along with a repository.

    Raises:
        UsageError: one does not exist, or cannot be read.
        DocumentUnreachable: one cannot be downloaded.
    """
    if not sources:
        return ()
    from envagent.repository.also import read_documents

    return read_documents(sources)


def writable_folder() -> Path:
    """Return the current folder, where the run's info file will be written.

    Raises:
        UsageError: it was removed, or cannot be written to.
    """
    try:
        folder = Path.cwd()
    except OSError:
        raise UsageError("the current folder was removed", hint=Hint("cd into one that exists")) from None
    try:
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise UsageError(
            f"cannot write SERVER_info.json into the current folder {folder}: {error.strerror}",
            hint=Hint("cd into another folder"),
        ) from None


def length_of_time(text: str) -> timedelta:
    """Parse a length of time, such as 6h, 90m or 2d; a number alone means hours.

    Raises:
        UsageError: it is none, or not between a minute and a week.
    """
    found = re.fullmatch(r"(\d{1,5})([mhd]?)", text.strip().lower(), re.ASCII)
    length = timedelta() if found is None else int(found[1]) * _UNITS[found[2] or "h"]
    if not timedelta(0) < length <= timedelta(days=7):
        raise UsageError(f"{text!r} is not a length of time up to 7 days", hint=Hint("write it like 6h, 90m or 2d"))
    return length


def start_time(text: str) -> datetime:
    """Parse --start.

    Raises:
        UsageError: it is not a valid time, or has passed.
    """
    start = moment(text, "--start")
    if start <= datetime.now(UTC):
        raise UsageError(f"--start {text!r} has passed", hint=Hint("to start now, leave out", Option("start")))
    return start


def moment(text: str, flag: str) -> datetime:
    """Parse the value of an option; a time without an offset is local.

    Raises:
        UsageError: it is not a valid time.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{flag} {text!r} is not a valid time", hint=Hint("write it like 2026-12-01T09:00, or with Z for UTC")
        ) from None
