"""The tag by which an object in the cloud shows which run made it.

The tag is part of the request that makes the object, so that the object never exists without it: in the name of a
lease and of a keypair (which have nothing else), in a server's metadata (its name is the user's), in a floating IP's
description.
"""

from __future__ import annotations

import re

PREFIX = "envagent"
RUN_KEY = "envagent_run"
TRY_KEY = "envagent_try"
LONGEST_NAME = 63
"""Characters: a server's name becomes its host name; Blazar's limit is higher (80)."""

_ID = "[a-z0-9]{10}"
_LEASE = re.compile(rf"{PREFIX}-({_ID})-(\d+)-.*")
_DESCRIPTION = re.compile(rf"{PREFIX} run ({_ID}) try (\d+)")
_KEYPAIR = re.compile(rf"{PREFIX}-({_ID})")


def lease_name(run_id: str, number: int, slug: str) -> str:
    """Name a lease.

    >>> lease_name("k3j9x2m4qa", 1, "mingpt")
    'envagent-k3j9x2m4qa-1-mingpt'
    """
    return f"{PREFIX}-{run_id}-{number}-{slug}"[:LONGEST_NAME].rstrip("-")


def server_name(run_id: str, slug: str) -> str:
    """Name a server for which the user gives no name."""
    return f"{PREFIX}-{run_id}-{slug}"[:LONGEST_NAME].rstrip("-")


def server_metadata(run_id: str, number: int) -> dict[str, str]:
    """Return the metadata that tags a server."""
    return {RUN_KEY: run_id, TRY_KEY: str(number)}


def description(run_id: str, number: int) -> str:
    """Return the description that tags a floating IP."""
    return f"{PREFIX} run {run_id} try {number}"


def keypair_name(run_id: str) -> str:
    """Name a keypair for which the user gives no name."""
    return f"{PREFIX}-{run_id}"


def read_lease_name(name: str) -> tuple[str, int] | None:
    """Read run id and number from a lease's name."""
    return _pair(_LEASE.fullmatch(name))


def read_metadata(metadata: dict[str, str]) -> tuple[str, int] | None:
    """Read run id and number from a server's metadata."""
    run_id, number = metadata.get(RUN_KEY, ""), metadata.get(TRY_KEY, "")
    return (run_id, int(number)) if re.fullmatch(_ID, run_id) and number.isascii() and number.isdigit() else None


def read_description(text: str) -> tuple[str, int] | None:
    """Read run id and number from a floating IP's description."""
    return _pair(_DESCRIPTION.fullmatch(text))


def read_keypair_name(name: str) -> tuple[str, int] | None:
    """Read the run id from a keypair's name; the number is 1."""
    match = _KEYPAIR.fullmatch(name)
    return (match[1], 1) if match else None


def slug(repository: str) -> str:
    """Shorten a repository's name to what a host name may contain.

    >>> slug("https://github.com/karpathy/minGPT.git")
    'mingpt'
    """
    last = re.sub(r"(\.git)?/*$", "", repository.split("?")[0]).rsplit("/", 1)[-1]
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:24].strip("-") or "repository"


def _pair(match: re.Match[str] | None) -> tuple[str, int] | None:
    return (match[1], int(match[2])) if match else None
