"""Time in the simulated cloud: the current moment, and how long operations take.

The calendar is the wall clock in UTC (plus an offset that tests may set to reach the end of a lease); `speed` divides
only how long the cloud's operations take. Nothing sleeps: events follow from stored moments.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

EVENT_TICK = 10.0
"""Seconds between two runs of Blazar's event loop."""
LEASE_STARTING = 3.0
"""Seconds a lease spends in STARTING."""
SCHEDULING = 2.0
"""Seconds a server spends in BUILD/scheduling."""
NETWORKING = 2.0
"""Seconds a server spends in BUILD/networking."""
SERVER_DELETION = 20.0
"""Seconds between DELETE of a server and its 404."""


class Clock:
    """The sandbox's clock: wall-clock UTC plus `offset` seconds."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Return the moment as seconds since the epoch."""
        return time.time() + self.offset


@dataclass(frozen=True)
class Pace:
    """How fast the cloud works; `speed` 100 makes a ten-minute build take six seconds."""

    speed: float = 1.0

    def seconds(self, cloud_seconds: float) -> float:
        """Convert a duration on the real cloud."""
        return cloud_seconds / self.speed

    def next_tick(self, moment: float) -> float:
        """Return the first run of Blazar's event loop after `moment`."""
        step = self.seconds(EVENT_TICK)
        return (math.floor(moment / step) + 1) * step


def utc(moment: float) -> datetime:
    """Return the aware datetime of a moment."""
    return datetime.fromtimestamp(moment, UTC)


def floor_minute(moment: float) -> float:
    """Return the beginning of the minute."""
    return math.floor(moment / 60) * 60.0


def iso_z(moment: float) -> str:
    """Format as Nova, Neutron and Glance do: 2026-11-23T11:47:02Z."""
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_micro(moment: float) -> str:
    """Format as Blazar's dates and Nova's launched_at: 2026-11-23T11:46:00.000000."""
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%S.000000")


def blazar_stamp(moment: float) -> str:
    """Format as Blazar's created_at and updated_at, which differ from its dates: 2026-11-23 11:46:36."""
    return utc(moment).strftime("%Y-%m-%d %H:%M:%S")
