"""Reading from a git daemon on this machine, which the product itself refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from envagent.repository import fetch as product
from envagent.repository.fetch import Limits
from envagent.repository.results import Snapshot
from envagent.repository.source import Local, Remote, check_ref, parse_source

_LOOPBACK = re.compile(r"git://127\.0\.0\.1(:\d{1,5})?(/[A-Za-z0-9._~+-]+)+")


class Loopback(Remote):
    """A repository behind git's own protocol, which needs no certificate."""

    transport: ClassVar[str] = "git"


def fetch(
    source: str,
    *,
    ref: str | None = None,
    limits: Limits | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Snapshot:
    """Read a repository as the product does, and also one at `git://127.0.0.1`."""
    return product.fetch(_parsed(source, ref), limits=limits, cancelled=cancelled)


def find(source: str, *, ref: str | None = None) -> None:
    """Look for a repository as the product does, and also for one at `git://127.0.0.1`."""
    product.find(_parsed(source, ref))


def _parsed(source: str, ref: str | None) -> Remote | Local:
    if _LOOPBACK.fullmatch(source):
        return Loopback(source, (check_ref(ref),) if ref is not None else ())
    return parse_source(source, ref=ref)
