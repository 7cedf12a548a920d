"""A few hours stand for a range: spread over it, over the day and over the week."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.preflight.samples import requests_for, sample_hours
from tap_amplitude.windows import FIRST_HOURLY_DAY, HOUR, Window, WindowSize
from tests.support.rows import START

_GB = 1024**3


def window(hours: int, start: datetime = START) -> Window:
    """Return so many hours."""
    return Window(start, start + hours * HOUR)


@given(hours=st.integers(1, 30_000), most=st.integers(1, 100), shift=st.integers(0, 200))
def test_any_range_gives_hours_of_its_own_in_order(hours: int, most: int, shift: int) -> None:
    """Each part of the range gives one; all hours of a short range."""
    whole = window(hours, START + shift * HOUR)
    chosen = sample_hours(whole, most)
    assert len(chosen) == min(hours, most)
    assert all(whole.holds(hour) for hour in chosen)
    assert all(one < other for one, other in pairwise(chosen))
    for number, hour in enumerate(chosen):
        begin, end = (one * hours // len(chosen) for one in (number, number + 1))
        assert begin <= (hour - whole.start) // HOUR < end


@pytest.mark.parametrize("years", [1, 3, 10])
def test_a_long_range_is_seen_at_each_hour_of_the_day_and_on_each_day_of_the_week(
    years: int,
) -> None:
    """Nights and weekends weigh less; without them an estimate would be too high."""
    chosen = sample_hours(window(years * 8760), 24)
    assert {hour.hour for hour in chosen} == set(range(24))
    assert {hour.weekday() for hour in chosen} == set(range(7))


def test_a_week_is_seen_by_day_and_by_night() -> None:
    """Parts of seven hours cannot give every hour, but no half of the day is left out."""
    chosen = sample_hours(window(168), 24)
    night = [hour for hour in chosen if hour.hour < 12]
    assert 8 <= len(night) <= 16
    assert {hour.weekday() for hour in chosen} == set(range(7))


def test_days_that_come_as_one_file_give_no_hour() -> None:
    """Before 2014-11-12 Amplitude has one file a day."""
    start = datetime(2014, 1, 1, tzinfo=timezone.utc)
    chosen = sample_hours(Window(start, FIRST_HOURLY_DAY + 48 * HOUR), 10)
    assert min(chosen) >= FIRST_HOURLY_DAY


@pytest.mark.parametrize(
    ("hours", "per_hour", "limit", "requests"),
    [
        (24, 1_000, 24, 5),
        (8760, 1_000, 24, 369),
        # No window grows that does not come back small.
        (48, 10**8, 24, 48),
        # Two hours are too large: each is asked for, and half of them once more.
        (4, 3 * _GB, 24, 4),
    ],
    ids=["a day", "a year", "busy", "too large"],
)
def test_requests_are_those_of_windows_that_grow(
    hours: int, per_hour: float, limit: int, requests: int
) -> None:
    """One hour first, then twice as many each time."""
    size = WindowSize.start(limit)
    assert requests_for(window(hours), per_hour, size, 4 * _GB) == requests
    assert requests_for(window(0), per_hour, size, 4 * _GB) == 0


def test_a_remembered_window_that_is_too_large_now_is_halved() -> None:
    """Each refusal is a request, too."""
    size = WindowSize.start(24, 8)
    assert requests_for(window(8), 1 * _GB, size, 4 * _GB) == 3
