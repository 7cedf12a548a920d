"""Days of the Dashboard API: which are complete, how many to ask for, and how soon (pure)."""

from __future__ import annotations

from collections import deque
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = timedelta(days=1)

#: A day is one of the project's time zone, which no endpoint tells. The last zone of the world to
#: finish a day is UTC-12; three hours later its events are loaded, as in the Export API.
_COMPLETE_AFTER = timedelta(hours=12 + 3)

#: A project has 1,000 points in five minutes, and shares them with everybody who uses its keys
#: (https://amplitude.com/docs/apis/analytics/dashboard-rest, "Endpoint costs"): the tap leaves a
#: fifth to others. It never gets near the other limit, 108,000 points in an hour.
POINTS = 800
POINTS_SECONDS = 5 * 60

#: A quarter of a year, so that one request costs less than half of the points.
DAYS_AT_ONCE = 90


class Budget:
    """The points that this process spent lately, to stay below the limit."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()

    def seconds_until(self, points: int, now: float) -> float:
        """Say how long to wait before some points can be spent.

        Args:
            points: What a request costs, at most `POINTS`.
            now: Seconds of a clock that never goes back.

        Returns:
            Seconds; 0 when there are enough points.
        """
        while self._spent and self._spent[0][0] <= now - POINTS_SECONDS:
            self._spent.popleft()
        over = points + sum(cost for _, cost in self._spent) - POINTS
        wait = 0.0
        for moment, cost in self._spent:
            if over <= 0:
                break
            over -= cost
            wait = moment + POINTS_SECONDS - now
        return wait

    def spend(self, points: int, now: float) -> None:
        """Remember a request.

        Args:
            points: What it costs.
            now: When it is sent, by the same clock.
        """
        self._spent.append((now, points))


def last_complete_day(now: datetime) -> date:
    """Say which day is over, and loaded, in every time zone.

    Args:
        now: The present moment, in UTC.

    Returns:
        The last such day.
    """
    return (now - _COMPLETE_AFTER).date() - DAY


def last_day_before(end: datetime) -> date:
    """Say which day is the last one that is whole before a moment (UTC)."""
    return end.date() - DAY


def first_day_again(following: date, hours: int) -> date:
    """Say where to begin when some hours before a day are wanted again, rounded up to days."""
    return following - timedelta(days=-(-hours // 24))


def spans(first: date, last: date) -> Iterator[list[date]]:
    """Cut a range of days into what one request asks for.

    Args:
        first: The first day.
        last: The last day, included; before `first` there is nothing to ask for.

    Yields:
        The days of a request, in order: each day of the range once.
    """
    days = [first + number * DAY for number in range((last - first).days + 1)]
    for start in range(0, len(days), DAYS_AT_ONCE):
        yield days[start : start + DAYS_AT_ONCE]
