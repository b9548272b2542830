"""What a user may name as a repository: refused before anything begins, so that no run and no key come of a slip."""

from __future__ import annotations

import re

_SHORT = re.compile(r"(?:github\.com/)?([\w.-]+/[\w.-]+)/?")


def checked(repository: str, ref: str | None) -> str:
    """Give the repository as a run stores it: a URL as it is, a path absolute.

    Raises:
        RepositoryRefused: it can be called no repository, or there is no such folder.
    """
    from envagent.errors import RepositoryRefused
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


def find(repository: str, ref: str | None) -> None:
    """Look for the repository, and the branch or tag, before there is a run that could fail for want of it.

    Raises:
        RepositoryRefused: it is not there, or git is not installed.
    """
    from envagent.repository import fetch

    fetch.find(repository, ref=ref)
