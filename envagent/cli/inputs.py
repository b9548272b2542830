"""What a user gives to a command, checked before anything begins: names, a repository, a start time, a folder."""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from envagent.config import KEY_NAME
from envagent.errors import RepositoryRefused, UsageError

_SHORT = re.compile(r"(?:github\.com/)?([\w.-]+/[\w.-]+)/?")

LONGEST_NAME = 255
"""Characters; Nova's limit for servers and keypairs."""


def check_names(**flags: str | None) -> None:
    """Refuse what no service takes as a name; None and an empty text mean that the flag was not given.

    Raises:
        UsageError: a name is too long, or has characters that cannot be seen.
    """
    for flag, name in flags.items():
        option = f"--{flag.replace('_', '-')}"
        if name and (not name.isprintable() or name != name.strip()):
            raise UsageError(
                f"{option} {name!a} is no name: it begins or ends with a space, or has characters without a sign",
                hint=f"give {option} a name of letters, digits, - and _",
            )
        if name and len(name) > LONGEST_NAME:
            raise UsageError(f"{option} has {len(name)} characters, at most {LONGEST_NAME} are taken")


def check_key_name(name: str | None) -> None:
    """Refuse what is no name for a keypair, which is a file's name as well.

    Raises:
        UsageError: it is none.
    """
    if name and not re.fullmatch(KEY_NAME, name):
        raise UsageError(
            f"--key-name {name!r} is no name for a keypair", hint="use letters, digits, space, - and _ in --key-name"
        )


def stored_name(repository: str, ref: str | None) -> str:
    """Give the repository as a run stores it: a URL as it is, a path absolute.

    Raises:
        RepositoryRefused: it can be called no repository, or there is no such folder.
    """
    from envagent.repository.source import Local, parse_source

    source = parse_source(repository, ref=ref)
    if not isinstance(source, Local):
        return repository.strip()
    path = source.path.absolute()
    if not path.exists():
        short = _SHORT.fullmatch(repository.strip())
        raise RepositoryRefused(
            f"there is no repository at {path}",
            hint=f"for the one on GitHub: https://github.com/{short[1]}" if short else None,
        )
    return str(path)


def find_repository(repository: str, ref: str | None) -> None:
    """Look for the repository, and the branch or tag, before there is a run that could fail for want of it.

    Raises:
        RepositoryRefused: it is not there, or git is not installed.
    """
    from envagent.repository import fetch

    fetch.find(repository, ref=ref)


def writable_folder() -> Path:
    """Give the current folder, in which the run's file will be written.

    Raises:
        UsageError: it was removed, or cannot be written to.
    """
    try:
        folder = Path.cwd()
    except OSError:
        raise UsageError("the current folder was removed", hint="cd into one that exists") from None
    try:
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise UsageError(
            f"the current folder {folder} cannot be written to ({error.strerror}), and SERVER_info.json is to be there",
            hint="cd into another one",
        ) from None


def start_time(text: str) -> datetime:
    """Read --start; a time without offset is local.

    Raises:
        UsageError: it is no time, or has passed.
    """
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--start {text!r} is no time", hint="write it like 2026-12-01T09:00, or with Z for UTC"
        ) from None
    if moment <= datetime.now(UTC):
        raise UsageError(f"--start {text!r} has passed", hint="leave --start out to begin now")
    return moment
