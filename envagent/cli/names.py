"""Names that a user gives with flags, checked before a run begins: a service would refuse them after the lease."""

from __future__ import annotations

import re

from envagent.config import KEY_NAME
from envagent.errors import UsageError

LONGEST = 255
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
        if name and len(name) > LONGEST:
            raise UsageError(f"{option} has {len(name)} characters, at most {LONGEST} are taken")


def check_key_name(name: str | None) -> None:
    """Refuse what is no name for a keypair, which is a file's name as well.

    Raises:
        UsageError: it is none.
    """
    if name and not re.fullmatch(KEY_NAME, name):
        raise UsageError(
            f"--key-name {name!r} is no name for a keypair", hint="use letters, digits, space, - and _ in --key-name"
        )
