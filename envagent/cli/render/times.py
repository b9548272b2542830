"""Times and durations in words: local time alongside UTC, minutes and hours instead of seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def duration(seconds: float) -> str:
    """Format a duration.

    >>> [duration(one) for one in (0.04, 7.25, 65, 3600 * 5 + 60, 86400 * 2 + 3600)]
    ['0.0 s', '7.2 s', '1 min 05 s', '5 h 01 min', '2 d 1 h']
    """
    if seconds < 59.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def clock(moment: datetime) -> str:
    """Format a moment of today: local hours, minutes, seconds."""
    return moment.astimezone().strftime("%H:%M:%S")


def both(moment: datetime) -> str:
    """Format a moment in local time and in UTC, such as `Tue 24 Nov 14:10 CET (2026-11-24 13:10 UTC)`."""
    local = moment.astimezone()
    if not local.utcoffset():
        return f"{local:%a %d %b %Y %H:%M} UTC"
    return f"{local:%a %d %b %H:%M} {local.tzname()} ({moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def until(moment: datetime, since: datetime) -> str:
    """Format the time until (or since) a moment."""
    left = moment - since
    if left < timedelta(0):
        return f"{duration(-left.total_seconds())} ago"
    return f"in {duration(left.total_seconds())}"


def ago(moment: datetime, since: datetime) -> str:
    """Format the time since a moment, in its largest unit.

    >>> [ago(datetime(2026, 1, 1), datetime(2026, 1, 1) + timedelta(minutes=one)) for one in (0, 5, 59.9, 150, 4000)]
    ['just now', '5 min ago', '59 min ago', '2 h ago', '2 d ago']
    """
    minutes = int((since - moment).total_seconds() // 60)
    return "just now" if minutes < 1 else f"{_roughly(minutes)} ago"


def ahead(moment: datetime, since: datetime) -> str:
    """Format the time until a moment in its largest unit; in minutes where less than two hours are left.

    >>> [ahead(datetime(2026, 1, 1) + timedelta(minutes=one), datetime(2026, 1, 1)) for one in (0.5, 100, 150, 4000)]
    ['in 0 min', 'in 100 min', 'in 2 h', 'in 2 d']
    """
    minutes = int((moment - since).total_seconds() // 60)
    return f"in {minutes} min" if minutes < 120 else f"in {_roughly(minutes)}"


def _roughly(minutes: int) -> str:
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 24 * 60 else f"{minutes // (24 * 60)} d"


def parsed(text: str | None) -> datetime | None:
    """Parse a time as the journal stores it."""
    return None if text is None else datetime.fromisoformat(text)


def after_hours(moment: datetime, hours: int) -> datetime:
    """Return the moment some hours later."""
    return moment + timedelta(hours=hours)
