"""The tokens with which people log in to the page: made once, shown once, and stored as hashes.

A token is 32 random bytes, so that a plain hash of it cannot be reversed by trying.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from envagent.drafts import write_whole
from envagent.engine.lock import file_lock
from envagent.errors import ConfigurationError
from envagent.hints import Hint, Shell

PREFIX = "envagent_"
"""What a token begins with: scanners for leaked secrets recognize it."""

LONGEST_TOKEN = 200
LOCK_SECONDS = 10


class StoredToken(BaseModel):
    """What is stored of a token."""

    sha256: str
    owner: str
    operator: bool
    """Whether it shows the runs of all owners."""
    made_at: AwareDatetime
    expires_at: AwareDatetime


class _Contents(BaseModel):
    tokens: list[StoredToken] = []


@dataclass(frozen=True)
class Visitor:
    """Somebody who has shown a valid token.

    Attributes:
        owner: who it is.
        operator: whether all runs are shown, not only this owner's.
    """

    owner: str
    operator: bool

    def may_see(self, owner: str | None) -> bool:
        """Return whether runs of an owner are shown to this visitor."""
        return self.operator or owner == self.owner


class TokenFile:
    """The file with the hashes of all tokens; mode 0600.

    Args:
        path: the file. It is read again whenever it has changed, so a token is revoked at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[tuple[int, int, int], list[StoredToken]] | None = None

    def make(self, owner: str, *, operator: bool, days: int) -> str:
        """Make a token, store its hash, and return it.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        token, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        added = StoredToken(
            sha256=digest(token), owner=owner, operator=operator, made_at=now, expires_at=now + timedelta(days=days)
        )
        self._change(lambda tokens: [*(one for one in tokens if one.expires_at > now), added])
        return token

    def revoke(self, owner: str) -> int:
        """Remove all tokens of an owner; return how many there were.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        before = len(self.tokens())
        self._change(lambda tokens: [one for one in tokens if one.owner != owner])
        return before - len(self.tokens())

    def visitor(self, hashed: str) -> Visitor | None:
        """Return who has the token with this hash; None for one that is unknown or has expired."""
        found = None
        for one in self.tokens():  # all of them, so that the time says nothing
            if hmac.compare_digest(one.sha256, hashed):
                found = one
        if found is None or found.expires_at <= datetime.now(UTC):
            return None
        return Visitor(found.owner, found.operator)

    def tokens(self) -> list[StoredToken]:
        """Return what is stored.

        Raises:
            ConfigurationError: the file cannot be read, or others can read it.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                version = (status.st_ino, status.st_mtime_ns, status.st_size)
                if status.st_mode & 0o077:
                    raise ConfigurationError(
                        f"other users can use the file {self.path}, which says who may log in",
                        hint=Hint(Shell("chmod", "600", str(self.path))),
                    )
                if self._read is None or self._read[0] != version:
                    self._read = version, _Contents.model_validate_json(file.read()).tokens
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(f"cannot read {self.path}: {error.strerror}") from None
        except ValidationError:
            raise ConfigurationError(
                f"cannot read {self.path}: it is damaged", hint=Hint("remove it, and make new tokens")
            ) from None
        return self._read[1]

    def _change(self, changed: Callable[[list[StoredToken]], list[StoredToken]]) -> None:
        """Replace the file as a whole: whoever reads it sees the old one or the new one."""
        try:
            with file_lock(self.path.with_suffix(".lock")).acquire(timeout=LOCK_SECONDS):
                text = _Contents(tokens=changed(self.tokens())).model_dump_json(indent=2)
                write_whole(self.path, text + "\n")
        except OSError as error:  # a lock that is not given is one, too
            raise ConfigurationError(f"cannot write {self.path}: {error.strerror or error}") from None


def digest(token: str) -> str:
    """Return the hash under which a token is stored."""
    return hashlib.sha256(token[:LONGEST_TOKEN].encode("utf-8", "surrogatepass")).hexdigest()
