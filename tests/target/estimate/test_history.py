"""What the book tells: how fast a run was, and how much is left."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.books.tables import WrittenLine
from target_posthog.errors import FixConfiguration
from target_posthog.estimate.history import rest_of, speed_of
from tests.support.book_lines import book_line

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2024, 1, 3, 12, 34, tzinfo=timezone.utc)


def line(
    hour: str, exported: int, written: str = "", run: str = "one", app: str = "1"
) -> WrittenLine:
    """Return a line of the book."""
    sums: dict[str, Any] = {"exported": exported, "accepted": exported, "skipped": 0, "rejected": 0}
    return book_line(hour, app=app, run=run, written_at=written, **sums)


def at(seconds: int) -> str:
    """Return a time."""
    moment = datetime(2024, 1, 2, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_the_speed_is_that_of_the_last_run_that_was_long_enough() -> None:
    """What was sent before its first line is not counted."""
    lines = [
        line("2024-01-01T00", 10_000, at(0), "old"),
        line("2024-01-01T01", 10_000, at(100), "old"),
        line("2024-01-01T02", 50_000, at(1000), "one"),
        line("2024-01-01T03", 60_000, at(1030), "one"),
        line("2024-01-01T04", 60_000, at(1060), "one"),
        line("2024-01-01T05", 99_000, at(2000), "short"),
        line("2024-01-01T06", 99_000, at(2001), "short"),
    ]
    assert speed_of(lines) == 2000
    assert speed_of(lines[:2]) == 100
    assert speed_of(lines[5:]) is None
    assert speed_of([]) is None


def test_a_year_of_short_runs_is_looked_through_once() -> None:
    """A schedule makes a run of one line each hour, and the long one lies before them all."""

    class Looked(list[WrittenLine]):
        times = 0

        def __iter__(self) -> Iterator[WrittenLine]:
            self.times += 1
            return super().__iter__()

    lines = Looked(line("2024-01-01T00", 1_000, at(60 * run), f"{run}") for run in range(1, 50))
    lines += [line("2024-01-01T00", 3_000, at(second), "long") for second in (0, 30)]
    assert speed_of(lines) == 100
    assert lines.times == 1


def test_the_rest_is_what_lies_between_the_book_and_now() -> None:
    """The hours of the book stand for it; apps of one hour are one hour."""
    lines = [line(f"2024-01-01T{hour:02}", 100) for hour in range(24)]
    lines += [line(f"2024-01-01T{hour:02}", 20, app="2") for hour in range(24)]
    rest = rest_of(lines, NOW)
    assert rest is not None
    assert (rest.source, rest.first, rest.end) == (
        "book",
        "2024-01-02T00:00:00Z",
        "2024-01-03T12:00:00Z",
    )
    assert (rest.hours, rest.young_hours) == (36, 36)
    assert {one.rows for one in rest.samples} == {120}
    assert len(rest.samples) == 24


def test_only_the_latest_weeks_stand_for_what_comes() -> None:
    """A project of years ago was another one."""
    begin = datetime(2023, 1, 1, tzinfo=timezone.utc)
    hours = [begin + timedelta(hours=number) for number in range(5000)]
    lines = [line(f"{hour:%Y-%m-%dT%H}", number) for number, hour in enumerate(hours)]
    rest = rest_of(lines, NOW)
    assert rest is not None
    assert len(rest.samples) == 672
    assert min(one.rows for one in rest.samples) == 5000 - 672


def test_nothing_is_left_of_a_book_that_has_the_last_hour() -> None:
    """None, and no error."""
    assert rest_of([line("2024-01-03T11", 5)], NOW) is None


@pytest.mark.parametrize("lines", [[], [line("", 5)]], ids=["empty", "of another tap"])
def test_a_book_without_hours_is_told(lines: list[WrittenLine]) -> None:
    """With what tells more."""
    with pytest.raises(FixConfiguration, match="no export hours"):
        rest_of(lines, NOW)
