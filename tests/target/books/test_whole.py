"""Whether a book is whole: gaps, overlaps and records without a fate are found."""

from __future__ import annotations

import pytest

from target_posthog.books.whole import Gap, gaps_of, overlaps_of, totals_of
from tests.support.book_lines import book_line as line


def test_totals_are_the_sums_of_all_lines() -> None:
    """By rule and by code, too."""
    totals = totals_of([line("2024-01-31T05"), line("2024-01-31T06")])
    assert (totals.exported, totals.accepted, totals.links, totals.open) == (6, 2, 4, 0)
    assert totals.skipped == {"skip_events": 2}
    assert totals.rejected == {"bad_time": 2}
    assert totals_of([]).exported == 0


def test_records_without_a_fate_are_told() -> None:
    """There are none in a sound book."""
    assert totals_of([line("2024-01-31T05", exported=9)]).open == 6


@pytest.mark.parametrize(
    ("hours", "gaps"),
    [
        ([], []),
        (["2024-01-31T05"], []),
        (["2024-01-31T23", "2024-02-01T00"], []),
        (["2024-02-28T22", "2024-02-29T01"], [Gap("2024-02-28T23", "2024-02-29T00")]),
        (
            ["2024-01-01T03", "2024-01-01T00", "2024-01-01T01", "2024-01-01T05"],
            [Gap("2024-01-01T02", "2024-01-01T02"), Gap("2024-01-01T04", "2024-01-01T04")],
        ),
        (["", "2024-01-01T03", ""], []),
    ],
)
def test_hours_that_no_line_is_about_are_gaps(hours: list[str], gaps: list[Gap]) -> None:
    """Between the first hour and the last one, over days and leap years."""
    assert gaps_of(line(hour).unit for hour in hours) == gaps


def test_an_hour_that_came_in_two_ways_is_an_overlap() -> None:
    """Whole, and as a stretch of another tap: its sum would count records twice."""
    units = [line("2024-01-31T05").unit, line("2024-01-31T05", app="8").unit]
    assert overlaps_of(units) == []
    stretch = line("2024-01-31T05", stretch="a").unit
    assert overlaps_of([*units, stretch]) == ["2024-01-31T05"]
