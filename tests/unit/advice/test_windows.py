"""Free windows, against brute force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from envagent.advice.windows import CLEANING, MARGIN, by_host, first_start
from envagent.cloud.port import Occupation

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

spans = st.lists(
    st.tuples(st.integers(-300, 400), st.integers(1, 200)).map(
        lambda pair: Occupation(host_id="h", start=NOW + pair[0] * MINUTE, end=NOW + (pair[0] + pair[1]) * MINUTE)
    ),
    max_size=8,
)


def by_brute_force(busy: list[Occupation], length: timedelta) -> datetime:
    """Try every minute; keep the facts' rule literally: no reservation with start < e and end > s, margins added."""
    start = NOW
    while True:
        end = start + length
        if all(not (o.start < end + MARGIN and o.end > start - CLEANING) for o in busy):
            return start
        start += MINUTE


@settings(max_examples=300, deadline=None)
@given(busy=spans, minutes=st.integers(1, 240))
def test_the_first_start_is_the_one_brute_force_finds(busy: list[Occupation], minutes: int) -> None:
    length = minutes * MINUTE
    ordered = by_host(busy).get("h", [])
    assert first_start(ordered, NOW, length) == by_brute_force(busy, length)


def test_a_window_needs_its_margins_on_both_sides() -> None:
    hour = timedelta(hours=1)
    ended = Occupation(host_id="h", start=NOW - hour, end=NOW - 14 * MINUTE)
    follows = Occupation(host_id="h", start=NOW + hour + 4 * MINUTE, end=NOW + 3 * hour)
    assert first_start([ended], NOW, hour) == NOW + MINUTE
    assert first_start([follows], NOW, hour) == follows.end + CLEANING


def test_a_window_that_just_fits_is_taken() -> None:
    hour = timedelta(hours=1)
    before = Occupation(host_id="h", start=NOW - hour, end=NOW - CLEANING)
    after = Occupation(host_id="h", start=NOW + hour + MARGIN, end=NOW + 9 * hour)
    assert first_start([before, after], NOW, hour) == NOW
    assert first_start([before, after], NOW, hour + MINUTE) == after.end + CLEANING
    odd = NOW + timedelta(seconds=7)
    ended = Occupation(host_id="h", start=NOW - hour, end=odd - CLEANING)
    assert first_start([ended], odd, hour) == odd


def test_a_start_that_is_not_now_is_a_whole_minute() -> None:
    busy = [Occupation(host_id="h", start=NOW, end=NOW + timedelta(minutes=10, seconds=1, microseconds=5))]
    assert first_start(busy, NOW, MINUTE) == NOW + 26 * MINUTE
    odd = NOW + timedelta(seconds=30)
    assert first_start([], odd, MINUTE) == odd
