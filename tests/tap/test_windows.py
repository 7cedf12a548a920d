"""How many hours are asked for at once, in numbers: what a property test leaves open."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tap_amplitude.windows import (
    HOUR,
    PATIENCE_WINDOWS,
    Window,
    WindowSize,
    ceil_to_hour,
    floor_to_hour,
    hour_text,
    ready_until,
)

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
SMALL, LARGE = 0, 64 * 1024 * 1024


def window(hours: int) -> Window:
    """A window of some hours."""
    return Window(START, START + hours * HOUR)


@pytest.mark.parametrize(
    ("limit", "remembered", "hours", "held"),
    [(24, None, 1, 24), (24, 8, 8, 24), (4, 8, 4, 4), (0, None, 1, 1), (9000, 9000, 8760, 8760)],
)
def test_a_run_begins_with_the_remembered_size(
    limit: int, remembered: int | None, hours: int, held: int
) -> None:
    """Within the limit, and that of Amplitude; without one, with an hour, one request at a time."""
    size = WindowSize.start(limit, remembered)

    assert (size.hours, size.limit, size.parallel) == (hours, held, 1)
    assert (size.refused, size.patience) == (None, 0)


@pytest.mark.parametrize(
    ("asked", "archive_bytes", "hours"),
    [(8, SMALL, 16), (8, LARGE - 1, 16), (8, LARGE, 8), (7, SMALL, 8)],
)
def test_a_small_archive_of_a_full_window_doubles_the_next(
    asked: int, archive_bytes: int, hours: int
) -> None:
    """Below 64 MiB is small; a shorter window says nothing of a longer one."""
    assert WindowSize(8, limit=24).delivered(window(asked), archive_bytes).hours == hours


@pytest.mark.parametrize(("asked", "hours"), [(16, 8), (9, 4), (3, 1), (1, 1)])
def test_a_refusal_halves_the_window(asked: int, hours: int) -> None:
    """And is remembered, for as many windows as are asked for at once, times 32."""
    size = WindowSize(asked, limit=24, parallel=2).too_large(window(asked))

    assert (size.hours, size.refused, size.patience) == (hours, asked, 64)


def test_a_refused_size_is_tried_again_after_32_windows() -> None:
    """Until then the window does not grow up to it."""
    size = WindowSize(8, limit=24).too_large(window(8))
    assert PATIENCE_WINDOWS == 32
    for left in range(31, 0, -1):
        size = size.delivered(window(4), SMALL)
        assert (size.hours, size.refused, size.patience) == (4, 8, left)
    size = size.delivered(window(4), SMALL)
    assert (size.hours, size.refused, size.patience) == (8, None, 0)
    size = size.delivered(window(8), SMALL)
    assert (size.hours, size.refused, size.patience) == (16, None, 0)


@pytest.mark.parametrize(
    ("start", "until", "end"),
    [
        # Days before 2014-11-12 come in one file, and so to their end.
        ("2014-11-10T05", "2014-11-10T09", "2014-11-11T00"),
        ("2014-11-11T23", "2014-11-13T00", "2014-11-12T00"),
        ("2014-11-12T00", "2014-11-13T00", "2014-11-12T06"),
        ("2024-01-01T00", "2024-01-01T03", "2024-01-01T03"),
    ],
)
def test_a_window_ends_where_its_hours_or_the_run_end(start: str, until: str, end: str) -> None:
    """Six hours from a start on; none is left at the end."""
    size = WindowSize(6, limit=24)

    assert size.next_window(at(start), at(until)) == Window(at(start), at(end))
    assert size.next_window(at(until), at(until)) is None


@pytest.mark.parametrize(
    ("start", "end", "hours", "can_be_split", "named"),
    [
        ("2024-01-01T05", "2024-01-01T06", 1, False, "hour 2024-01-01T05Z"),
        ("2024-01-01T05", "2024-01-01T07", 2, True, "hours 2024-01-01T05Z to 2024-01-01T06Z"),
        # A day of one file cannot be split, two can.
        ("2014-11-11T00", "2014-11-12T00", 24, False, "hours 2014-11-11T00Z to 2014-11-11T23Z"),
        ("2014-11-10T00", "2014-11-12T00", 48, True, "hours 2014-11-10T00Z to 2014-11-11T23Z"),
        ("2014-11-12T00", "2014-11-13T00", 24, True, "hours 2014-11-12T00Z to 2014-11-12T23Z"),
    ],
)
def test_what_is_known_of_a_window(
    start: str, end: str, hours: int, *, can_be_split: bool, named: str
) -> None:
    """Both ends are inclusive in words and for Amplitude."""
    window = Window(at(start), at(end))
    first, last = start.replace("-", ""), f"{at(end) - HOUR:%Y%m%dT%H}"

    assert (window.hours, window.can_be_split, str(window)) == (hours, can_be_split, named)
    assert isinstance(window.hours, int)  # it goes into the state
    assert window.as_parameters() == {"start": first, "end": last}
    assert [window.holds(at(hour)) for hour in (start, end)] == [True, False]
    assert [window.holds(at(hour) - HOUR) for hour in (start, end)] == [False, True]


@pytest.mark.parametrize(
    ("moment", "floor", "ceiling", "ready"),
    [
        ("2024-01-01T12:00:00+00:00", "12", "12", "10"),
        ("2024-01-01T12:00:00.000001+00:00", "12", "13", "10"),
        ("2024-01-01T12:59:59.999999+00:00", "12", "13", "10"),
        ("2024-01-01T14:30:00+01:30", "13", "13", "11"),
    ],
)
def test_a_moment_lies_in_a_whole_hour_of_utc(
    moment: str, floor: str, ceiling: str, ready: str
) -> None:
    """Amplitude has loaded an hour three hours after its start."""
    now = datetime.fromisoformat(moment)
    found = [hour_text(hour) for hour in (floor_to_hour(now), ceil_to_hour(now), ready_until(now))]

    assert found == [f"2024-01-01T{hour}:00:00Z" for hour in (floor, ceiling, ready)]


def at(hour: str) -> datetime:
    """An hour of UTC."""
    return datetime.fromisoformat(hour).replace(tzinfo=timezone.utc)
