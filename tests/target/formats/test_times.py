"""Times of any tap are read in every usual form, and a number is never guessed at."""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.posthog.times import storable_time

MOMENT = "2024-01-01T10:00:00.000000Z"


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2024-01-01T10:00:00", MOMENT),
        ("2024-01-01 12:00:00+02:00", MOMENT),
        ("2024-01-01", "2024-01-01T00:00:00.000000Z"),
        (1704103200, MOMENT),
        (1704103200.25, "2024-01-01T10:00:00.250000Z"),
        (1704103200000, MOMENT),
        (1704103200000.5, "2024-01-01T10:00:00.000500Z"),
        (1704103200000000, MOMENT),
        (1704103200000000123, MOMENT),
        (" 1704103200 ", MOMENT),
        ("1704103200123", "2024-01-01T10:00:00.123000Z"),
        ("1.7041032E9", MOMENT),
        ("1.704103200123E9", "2024-01-01T10:00:00.123000Z"),
        (10**9, "2001-09-09T01:46:40.000000Z"),
        (10**10 - 1, "2286-11-20T17:46:39.000000Z"),
    ],
)
def test_a_time_is_read(value: Any, time: str) -> None:
    """Text, a day, and numbers of each unit, to the microsecond."""
    assert storable_time(value) == time


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, "", "soon", [], {}, 0, -1, -1704103200, 17, 1e300, -0.0),
        # A day or a moment written together would be some other time as a number.
        *(20240101, "20240101", 202401011230, "20240101123000", 20240101123000),
        *(10**9 - 1, 10**10, 10**11, 10**14, 10**17, 10**19, 2**70, 10**300, "1" * 300),
        *("2024-01-01 12:00:00+02:00+00:00", "2024-01-01T12:00:00+02:00Z"),
        *("1704103200.x", "1.5E3", "1.5E99", "17041032E2"),
    ],
)
def test_what_is_no_time_is_never_taken_for_one(value: Any) -> None:
    """A count, a duration, a date without separators."""
    assert storable_time(value) is None
