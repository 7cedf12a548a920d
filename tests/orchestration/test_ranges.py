"""Which hours are ready, which are missing, and which range of them comes next."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.ranges import (
    HOUR,
    HourRange,
    hour_of,
    missing_ranges,
    next_range,
    numbered_range,
    ready_hours,
    text_of,
)

_START = datetime(2024, 2, 28, tzinfo=timezone.utc)
_MINUTES = st.integers(-24 * 60, 5 * 24 * 60)
_MOMENTS = _MINUTES.map(lambda number: _START + timedelta(minutes=number))
_NUMBERS = st.sets(st.integers(0, 60))
_LENGTHS = st.integers(1, 30)


def _range(first: int, end: int) -> HourRange:
    return HourRange(_START + first * HOUR, _START + end * HOUR)


def _hours(numbers: set[int]) -> set[datetime]:
    return {_START + number * HOUR for number in numbers}


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2024-02-28T03:00:00", "2024-02-28T01"),
        ("2024-02-28T03:59:59", "2024-02-28T01"),
        ("2024-02-28T04:00:00", "2024-02-28T02"),
        ("2024-03-01T00:30:00", "2024-02-29T22"),
    ],
)
def test_an_hour_is_ready_three_hours_after_its_beginning(now: str, end: str) -> None:
    """So the tap asks for it, too: later hours give 404, which would mean that they are empty."""
    ready = ready_hours(_START, datetime.fromisoformat(now).replace(tzinfo=timezone.utc))
    assert ready == HourRange(_START, hour_of(end))


def test_no_hour_is_ready_before_its_time() -> None:
    """A range is never empty; where there is none, there is None."""
    now = _START + timedelta(hours=2, minutes=59)
    assert ready_hours(_START, now) is None


def test_a_migration_with_an_end_is_ready_up_to_it() -> None:
    """The hour that is its end is not part of it."""
    end = _START + 5 * HOUR
    assert ready_hours(_START, _START + timedelta(days=9), end) == HourRange(_START, end)


@given(now=_MOMENTS)
def test_each_ready_hour_is_three_hours_old_and_the_next_is_not(now: datetime) -> None:
    """Nothing is asked for too early, and nothing waits longer than it must."""
    ready = ready_hours(_START, now)
    if ready is None:
        assert now < _START + 3 * HOUR
    else:
        assert all(hour + 3 * HOUR <= now for hour in ready)
        assert ready.end + 3 * HOUR > now


@given(done=_NUMBERS)
def test_missing_ranges_and_what_is_done_are_all_hours_each_once(done: set[int]) -> None:
    """They are in order, and as long as can be."""
    hours = _range(10, 50)
    ranges = missing_ranges(hours, _hours(done))
    missing = [hour for one in ranges for hour in one]
    assert missing == sorted(set(hours) - _hours(done))
    assert all(before.end < after.first for before, after in pairwise(ranges))


@given(done=_NUMBERS, longest=_LENGTHS)
def test_the_next_range_begins_with_the_first_missing_hour(done: set[int], longest: int) -> None:
    """No hour is left behind, whatever failed, and none is moved twice."""
    hours = _range(0, 48)
    following = next_range(hours, _hours(done), longest)
    missing = sorted(set(hours) - _hours(done))
    if not missing:
        assert following is None
    else:
        assert following is not None
        assert following.first == missing[0]
        assert 1 <= len(following) <= longest
        assert not set(following) & _hours(done)
        assert set(following) <= set(hours)


@given(total=st.integers(1, 60), longest=_LENGTHS)
def test_range_by_range_all_hours_are_moved_in_order(total: int, longest: int) -> None:
    """A backfill and the schedule come to the same end, in as few ranges as there can be."""
    hours, done, ranges = _range(0, total), set[datetime](), list[HourRange]()
    while following := next_range(hours, done, longest):
        ranges.append(following)
        done |= set(following)
    assert done == set(hours)
    assert ranges == sorted(ranges)
    assert len(ranges) == -(-total // longest)


@given(total=st.integers(1, 60), length=_LENGTHS)
def test_numbered_ranges_are_all_hours_each_once(total: int, length: int) -> None:
    """Whatever number of pods works on them."""
    hours = _range(0, total)
    parts = [numbered_range(hours, length, number) for number in range(-(-total // length) + 2)]
    assert [hour for part in parts if part for hour in part] == list(hours)
    assert parts[-2:] == [None, None]


@given(first=st.integers(0, 99), length=st.integers(1, 99))
def test_names_of_ranges_sort_by_time_and_are_never_the_same(first: int, length: int) -> None:
    """A range's state id is its own."""
    one, other = _range(first, first + length), _range(first + 1, first + length + 1)
    assert one.name < other.name
    assert one.name != _range(first, first + length + 1).name
    assert len(one) == length


@given(hour=_MOMENTS.map(lambda moment: moment.replace(minute=0, second=0, microsecond=0)))
def test_an_hours_text_is_read_as_that_hour(hour: datetime) -> None:
    """It is the book's, too."""
    assert hour_of(text_of(hour)) == hour


def test_a_day_means_its_first_hour() -> None:
    """So `MIGRATION_START` is written as `start_date` is."""
    assert hour_of("2024-02-28") == _START


@pytest.mark.parametrize("text", ["", "soon", "2024-02-30", "2024-02-28T24", "2024-02-28T05:30"])
def test_what_is_no_hour_is_refused(text: str) -> None:
    """With the text, and what one looks like."""
    with pytest.raises(ValueError, match=r"is not an hour such as `2024-01-31T05`"):
        hour_of(text)


@pytest.mark.parametrize(
    ("first", "end"),
    [
        (_START, _START),
        (_START + HOUR, _START),
        (_START + timedelta(minutes=1), _START + HOUR),
        (_START, _START + timedelta(minutes=90)),
        (_START.replace(tzinfo=None), _START.replace(tzinfo=None) + HOUR),
        (_START.astimezone(timezone(timedelta(hours=5))), _START + HOUR),
    ],
)
def test_what_is_no_range_cannot_be_made(first: datetime, end: datetime) -> None:
    """Parts of hours, hours of other zones and nothing at all are no ranges."""
    with pytest.raises(ValueError, match=r"whole hour of UTC|There is no hour"):
        HourRange(first, end)


def test_a_range_is_named_by_its_first_and_its_last_hour() -> None:
    """As people name it."""
    assert str(_range(0, 6)) == "2024-02-28T00Z to 2024-02-28T05Z"
    assert _range(0, 6).name == "hours-20240228T00-20240228T06"
