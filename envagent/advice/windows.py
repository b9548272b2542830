"""Find free windows on hosts, given their reservations.

A reservation keeps its host busy for some minutes before its start, since starts are minute-granular, and for longer
after its end, since its server is deleted and the node is cleaned then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from envagent.cloud.port import Occupation

MARGIN = timedelta(minutes=5)
"""Kept free before the next reservation."""

CLEANING = timedelta(minutes=15)
"""Kept free after a reservation: its server is deleted then, and a bare-metal node is cleaned."""


def ceil_minute(moment: datetime) -> datetime:
    """Round up to a whole minute: Blazar accepts no seconds."""
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(minutes=1)


def by_host(occupations: Iterable[Occupation]) -> dict[str, list[Occupation]]:
    """Group occupations by host, each list in order of start."""
    sorted_out: dict[str, list[Occupation]] = {}
    for occupation in sorted(occupations, key=lambda o: (o.start, o.end)):
        sorted_out.setdefault(occupation.host_id, []).append(occupation)
    return sorted_out


def first_start(busy: Sequence[Occupation], now: datetime, length: timedelta) -> datetime:
    """Find the earliest start, not before `now`, of a free window on one host, with a margin on both sides.

    `now` itself is returned as it is; every later start is a whole minute.

    Args:
        busy: the host's occupations in order of start; they may overlap.
        now: the earliest start allowed.
        length: how long the window must be.
    """
    start = now
    for occupation in busy:
        if occupation.start >= start + length + MARGIN:
            break
        if occupation.end > start - CLEANING:
            start = max(start, ceil_minute(occupation.end + CLEANING))
    return start


def availability(
    host_ids: Iterable[str], busy: Mapping[str, Sequence[Occupation]], now: datetime, length: timedelta
) -> tuple[int, datetime | None]:
    """Count the hosts that are free from `now` on, and find the earliest start on any of them; None without hosts.

    Args:
        host_ids: the hosts.
        busy: their occupations, as `by_host` returns them.
        now: the earliest start allowed.
        length: how long the window must be.
    """
    starts = [first_start(busy.get(host_id, ()), now, length) for host_id in host_ids]
    return starts.count(now), min(starts, default=None)
