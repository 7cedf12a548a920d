"""How many hours are asked for at once, in numbers: what a property test leaves open."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tap_amplitude.windows import HOUR, PATIENCE_WINDOWS, Window, WindowSize

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
SMALL, LARGE = 0, 64 * 1024 * 1024


def window(hours: int) -> Window:
    """A window of some hours."""
    return Window(START, START + hours * HOUR)


@pytest.mark.parametrize(
    ("limit", "remembered", "hours"), [(24, None, 1), (24, 8, 8), (4, 8, 4), (0, None, 1)]
)
def test_a_run_begins_with_the_remembered_size(
    limit: int, remembered: int | None, hours: int
) -> None:
    """Within the limit; without one, with an hour, one request at a time."""
    size = WindowSize.start(limit, remembered)

    assert (size.hours, size.limit, size.parallel) == (hours, max(1, limit), 1)
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


def at(hour: str) -> datetime:
    """An hour of UTC."""
    return datetime.fromisoformat(hour).replace(tzinfo=timezone.utc)
