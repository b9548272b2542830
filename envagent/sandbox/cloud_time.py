"""Time in the simulated cloud: which moment it is, and how long things take.

The calendar is the wall clock in UTC (plus an offset that tests may set to reach the end of a lease); `speed` divides
only the durations of what the cloud does. Nothing here sleeps: what happens follows from stored moments.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

EVENT_TICK = 10.0
"""Seconds between two looks of Blazar's manager at its events."""
LEASE_STARTING = 3.0
"""Seconds a lease spends in STARTING."""
SCHEDULING = 2.0
"""Seconds a server spends in BUILD/scheduling."""
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
        """Return how long something takes that takes `cloud_seconds` on the real cloud."""
        return cloud_seconds / self.speed

    def next_tick(self, moment: float) -> float:
        """Return the first look of Blazar's event loop after `moment`."""
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
