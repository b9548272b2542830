"""Free windows on hosts, from who occupies them when.

Margins: a reservation keeps its host busy for some minutes before its start and after its end, since servers of
an ended lease are deleted asynchronously and starts are minute-granular.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from envagent.cloud.port import Occupation

MARGIN = timedelta(minutes=5)


def ceil_minute(moment: datetime) -> datetime:
    """Round up to a whole minute: Blazar takes no seconds."""
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(minutes=1)


def by_host(occupations: Iterable[Occupation]) -> dict[str, list[Occupation]]:
    """Sort occupations to their hosts, each list in order of start."""
    sorted_out: dict[str, list[Occupation]] = {}
    for occupation in sorted(occupations, key=lambda o: (o.start, o.end)):
        sorted_out.setdefault(occupation.host_id, []).append(occupation)
    return sorted_out


def is_free(busy: Sequence[Occupation], start: datetime, end: datetime, margin: timedelta = MARGIN) -> bool:
    """Whether a host with these occupations is free in [start, end), margins kept on both sides."""
    return not any(o.start < end + margin and o.end > start - margin for o in busy)


def first_start(busy: Sequence[Occupation], now: datetime, length: timedelta, margin: timedelta = MARGIN) -> datetime:
    """The earliest start, not before `now`, of a free window of `length` on one host.

    `now` itself is returned as it is; every later start is a whole minute.

    Args:
        busy: the host's occupations in order of start; they may overlap.
        now: the earliest start allowed.
        length: how long the window must be.
        margin: kept free before and after.
    """
    start = now
    for occupation in busy:
        if occupation.start >= start + length + margin:
            break
        if occupation.end > start - margin:
            start = max(start, ceil_minute(occupation.end + margin))
    return start


def earliest_window(
    hosts: Iterable[str],
    busy: Mapping[str, Sequence[Occupation]],
    now: datetime,
    length: timedelta,
    margin: timedelta = MARGIN,
) -> tuple[str, datetime] | None:
    """The host that is first free for `length`, and when; the first of equals. None without hosts."""
    starts = ((host, first_start(busy.get(host, ()), now, length, margin)) for host in hosts)
    return min(starts, key=lambda found: found[1], default=None)
