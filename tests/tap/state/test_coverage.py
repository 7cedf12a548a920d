"""Whose hours are out, in ranges."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tap_amplitude.state.coverage import Coverage, Covered


def hours(start: int, end: int, files: int | None = None) -> Covered:
    """A range of hours of the first day of 2024."""
    first, last = (datetime(2024, 1, 1, hour, tzinfo=timezone.utc) for hour in (start, end))
    return Covered(first, last, files)


@pytest.mark.parametrize(
    ("ranges", "renamed"),
    [
        ({}, {}),
        ({"7": (hours(0, 3),)}, {"7": (hours(0, 3),)}),
        ({"": (hours(0, 3), hours(5, 6))}, {"7": (hours(0, 3), hours(5, 6))}),
        # What they overlap gives way to them; other apps stay.
        (
            {"": (hours(1, 2),), "7": (hours(0, 1, 4), hours(1, 2, 5)), "8": (hours(0, 9),)},
            {"7": (hours(0, 1, 4), hours(1, 2)), "8": (hours(0, 9),)},
        ),
    ],
)
def test_the_hours_of_a_project_get_the_name_of_its_app(
    ranges: dict[str, tuple[Covered, ...]], renamed: dict[str, tuple[Covered, ...]]
) -> None:
    """Once a file of it has shown the app's number."""
    assert Coverage(ranges).renamed("", "7") == Coverage(renamed)
    assert Coverage(ranges).renamed("7", "7") == Coverage(ranges)


def test_a_day_that_is_missing_stays_missing_however_many_ranges_there_are() -> None:
    """Daily archives of a project without nights: the state stays short, and claims no day."""
    first = datetime(2024, 1, 1, 8, tzinfo=timezone.utc)
    covered = Coverage()
    for day in range(300):
        begin = first + timedelta(days=day)
        if day != 5:
            covered = covered.with_range("7", Covered(begin, begin + timedelta(hours=12), 1))

    assert len(covered.of("7")) == 100
    assert covered.at("7", first + timedelta(days=5)) is None
    assert covered.at("7", first + timedelta(days=4))
    assert covered.at("7", first + timedelta(days=299))
    assert sum(span.files or 0 for span in covered.of("7")) == 299
