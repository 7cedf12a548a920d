"""The windows of a run tile its range, whatever happens on the way."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.windows import (
    DAY,
    FIRST_HOURLY_DAY,
    HOUR,
    LONGEST_REQUEST_HOURS,
    PATIENCE_WINDOWS,
    SMALL_ARCHIVE_BYTES,
    Window,
    WindowSize,
    ceil_to_hour,
    floor_to_hour,
    ready_until,
)
from tests.support.examples import examples

UTC = timezone.utc
MOMENTS = st.datetimes(
    # Hypothesis adds the zone itself.
    min_value=datetime(2013, 1, 1),  # noqa: DTZ001
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
HOURS = MOMENTS.map(floor_to_hour)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


class Project:
    """A project whose hours have sizes; refuses windows above a limit, as Amplitude does."""

    def __init__(self, bytes_of_hour: list[int], limit: int) -> None:
        self._bytes = bytes_of_hour
        self._limit = limit
        self.asked: list[Window] = []
        self.refused: list[Window] = []
        self.read: list[Window] = []

    def export(
        self, start: datetime, until: datetime, size: WindowSize, stop_after: int
    ) -> Bookmark:
        """Run until the range is done or the run is interrupted; give the state it leaves."""
        requests = 0
        while (window := size.next_window(start, until)) and requests < stop_after:
            requests += 1
            self.asked.append(window)
            weight = self._weight(window)
            if weight > self._limit and window.can_be_split:
                self.refused.append(window)
                size = size.too_large(window)
                continue
            self.read.append(window)
            size = size.delivered(window, weight)
            start = window.end
        return Bookmark(start, size.hours, until)

    def _weight(self, window: Window) -> int:
        return sum(
            self._bytes[int((window.start + n * HOUR).timestamp() // 3600) % len(self._bytes)]
            for n in range(window.hours)
        )


SIZES = st.lists(
    st.sampled_from([0, 1, 10**6, SMALL_ARCHIVE_BYTES // 2, SMALL_ARCHIVE_BYTES, 10**9, 5 * 10**9]),
    min_size=1,
    max_size=40,
)


@given(
    start=HOURS,
    clock=st.lists(st.integers(-50, 200), min_size=1, max_size=6),
    interruptions=st.lists(st.integers(0, 30), max_size=6),
    limit=st.integers(1, 8760),
    sizes=SIZES,
)
def test_every_hour_is_read_exactly_once(
    start: datetime, clock: list[int], interruptions: list[int], limit: int, sizes: list[int]
) -> None:
    """No gap and no overlap under refusals, growth, stops and a clock that moves either way."""
    project = Project(sizes, limit=4 * 10**9)
    state = Bookmark(start)
    now = latest = start
    for hours, stop_after in zip(clock, [*interruptions, *[10_000] * 6], strict=False):
        now += hours * HOUR
        latest = max(latest, now)
        # Through the form in which it is kept between two runs.
        again = Bookmark.from_state(state.to_state())
        assert again is not None
        size = WindowSize.start(limit, again.window_hours)
        state = project.export(again.next_export_hour, ready_until(now), size, stop_after)
    final = Bookmark.from_state(state.to_state())
    assert final is not None
    state = project.export(
        final.next_export_hour, ready_until(latest), WindowSize.start(limit, None), 10_000
    )

    assert all(one.end == next_one.start for one, next_one in pairwise(project.read))
    assert not project.read or project.read[0].start == start
    if project.read:
        end = project.read[-1].end
        assert end == state.next_export_hour
        ready = ready_until(latest)
        assert end == ready or (start < FIRST_HOURLY_DAY and ready <= end < ready + DAY)


@given(
    start=HOURS,
    length=st.integers(0, 20_000),
    hours=st.integers(1, 10**6),
    limit=st.integers(1, 10**6),
)
def test_a_window_is_never_longer_than_allowed(
    start: datetime, length: int, hours: int, limit: int
) -> None:
    """Neither than the user's bound nor than the 365 days of the API, but for one old day."""
    window = WindowSize.start(limit, hours).next_window(start, start + length * HOUR)
    if window is None:
        assert length == 0
        return

    longest = max(min(limit, LONGEST_REQUEST_HOURS), 24 if start < FIRST_HOURLY_DAY else 1)
    assert 1 <= window.hours <= longest
    assert window.start == start


@examples(50)
@given(sizes=SIZES, limit=st.integers(1, 200), start=HOURS)
def test_few_requests_are_wasted_on_sizes_that_are_refused(
    sizes: list[int], limit: int, start: datetime
) -> None:
    """After a refusal, as many windows arrive as patience asks before the size is tried again."""
    start = max(start, FIRST_HOURLY_DAY)
    project = Project(sizes, limit=4 * 10**9)
    project.export(start, start + 2000 * HOUR, WindowSize.start(limit), 100_000)

    since: dict[int, int] = {}
    for window in project.asked:
        if window in project.refused:
            for hours, arrived in since.items():
                if hours <= window.hours:
                    assert arrived >= PATIENCE_WINDOWS - 1
            since = {window.hours: 0}
        else:
            since = {hours: arrived + 1 for hours, arrived in since.items()}


@given(now=MOMENTS)
def test_only_hours_that_ended_two_hours_ago_are_ready(now: datetime) -> None:
    """Hour H is ready from H + 3 h on, to the second."""
    last = ready_until(now) - HOUR

    assert last + 3 * HOUR <= now
    assert last + 4 * HOUR > now


@given(moment=MOMENTS, zone=ZONES)
def test_rounding_to_hours_knows_no_zones(moment: datetime, zone: timezone) -> None:
    """Half-hour zones do not shift the hours: an export hour is one of UTC."""
    local = moment.astimezone(zone)

    assert floor_to_hour(local) == floor_to_hour(moment) <= moment < floor_to_hour(moment) + HOUR
    assert ceil_to_hour(local) - HOUR < moment <= ceil_to_hour(local)
    assert floor_to_hour(local).utcoffset() == timedelta()


@given(start=HOURS, hours=st.integers(1, 8760))
def test_parameters_name_the_first_and_the_last_hour(start: datetime, hours: int) -> None:
    """Both ends are inclusive at Amplitude: a window of n hours spans n - 1."""
    window = Window(start, start + hours * HOUR)
    first, last = (
        datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=UTC)
        for text in window.as_parameters().values()
    )

    assert first == start
    assert last == start + (hours - 1) * HOUR


def test_one_hour_is_asked_for_with_the_same_hour_twice() -> None:
    """The literal form of the contract."""
    start = datetime(2024, 1, 31, 5, tzinfo=UTC)

    assert Window(start, start + HOUR).as_parameters() == {
        "start": "20240131T05",
        "end": "20240131T05",
    }


@given(hour=HOURS, size=st.none() | st.integers(1, 8760), until=st.none() | HOURS)
def test_a_bookmark_survives_the_state(
    hour: datetime, size: int | None, until: datetime | None
) -> None:
    """What is written is what is read, and holds strings and integers only."""
    bookmark = Bookmark(hour, size, until)

    assert Bookmark.from_state(bookmark.to_state()) == bookmark
    assert all(type(value) in {str, int} for value in bookmark.to_state().values())


def test_a_bookmark_is_written_as_rfc_3339() -> None:
    """The literal form of the contract."""
    hour = datetime(2024, 1, 1, 3, tzinfo=UTC)

    assert Bookmark(hour, 24, hour + DAY).to_state() == {
        "next_export_hour": "2024-01-01T03:00:00Z",
        "window_hours": 24,
        "export_until": "2024-01-02T03:00:00Z",
    }


@pytest.mark.parametrize(
    "state",
    [
        {"next_export_hour": "2024-01-01T03:00:00Z", "window_hours": True},
        {"next_export_hour": "2024-01-01T03:00:00Z", "window_hours": "24"},
        {"next_export_hour": "2024-01-01T03:00:00Z", "export_until": 5},
        {"next_export_hour": None},
    ],
)
def test_a_bookmark_that_cannot_be_read_is_no_start_from_the_beginning(
    state: dict[str, object],
) -> None:
    """A silent restart would export everything again."""
    with pytest.raises(ValueError, match="`"):
        Bookmark.from_state(state)


def test_a_bookmark_inside_an_hour_reads_that_hour_again() -> None:
    """Rounded down: an hour that is read twice is de-duplicated, one that is left out is lost."""
    bookmark = Bookmark.from_state({"next_export_hour": "2024-01-01T03:59:59Z"})

    assert bookmark is not None
    assert bookmark.next_export_hour == datetime(2024, 1, 1, 3, tzinfo=UTC)
