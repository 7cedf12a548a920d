"""Which hours stand for a whole range, and how many requests the range takes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_amplitude.windows import FIRST_HOURLY_DAY, HOUR, Window, WindowSize

if TYPE_CHECKING:
    from datetime import datetime

_WEEK = 168
#: No divisor in common with the hours of a day or of a week: so many hours after each other, all
#: hours of the day come in 24 samples, and the days of the week in turn.
_STEP = 103


def sample_hours(window: Window, most: int) -> list[datetime]:
    """Return at most `most` hours in order, spread over a range, over the day and the week.

    The range is cut into equal parts, and each gives the hour that is nearest to the place in the
    week whose turn it is. So growth over years counts, and a night as much as a day.
    """
    first = window.start
    if window.end > FIRST_HOURLY_DAY:
        # Before that, a file holds a day.
        first = max(first, FIRST_HOURLY_DAY)
    hours = (window.end - first) // HOUR
    count = min(most, hours)
    offset = _hour_of_week(first)
    chosen = []
    for number in range(count):
        begin, end = number * hours // count, (number + 1) * hours // count
        wanted = (number * _STEP) % _WEEK
        chosen.append(first + _nearest(begin, end, wanted - offset) * HOUR)
    return chosen


def _hour_of_week(moment: datetime) -> int:
    return moment.weekday() * 24 + moment.hour


def _nearest(begin: int, end: int, wanted: int) -> int:
    """Return the number of a part's hour that is nearest to a place in the week.

    All are counted in hours from the first of the range; `wanted` may be in any week.
    """
    middle = (begin + end - 1) // 2
    # That of the week around the middle of the part.
    best = middle + (wanted - middle + _WEEK // 2) % _WEEK - _WEEK // 2
    if begin <= best < end:
        return best
    distances = ((_distance(hour, wanted), abs(hour - middle), hour) for hour in range(begin, end))
    return min(distances)[2]


def _distance(hour: int, other: int) -> int:
    apart = (hour - other) % _WEEK
    return min(apart, _WEEK - apart)


def requests_for(
    window: Window, bytes_per_hour: float, size: WindowSize, largest_bytes: int
) -> int:
    """Return how many requests a range takes, if all of its hours weigh the same.

    `size` is that of the first window; Amplitude sends at most `largest_bytes` at once.
    """
    requests, start = 0, window.start
    while next_window := size.next_window(start, window.end):
        requests += 1
        weight = int(next_window.hours * bytes_per_hour)
        if weight > largest_bytes and next_window.can_be_split:
            size = size.too_large(next_window)
            continue
        size = size.delivered(next_window, weight)
        start = next_window.end
    return requests
