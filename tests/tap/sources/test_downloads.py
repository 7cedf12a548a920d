"""Windows that are under way at once come out as one row of hours, whatever arrives first."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from threading import Condition, Thread
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.api.results import NoEvents, TooLarge
from tap_amplitude.errors import RunAgain
from tap_amplitude.sources.download_plan import LARGEST_ARCHIVE_BYTES
from tap_amplitude.sources.downloads import Downloads
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.windows import (
    FIRST_HOURLY_DAY,
    HOUR,
    SMALL_ARCHIVE_BYTES,
    Window,
    WindowSize,
    ready_until,
)
from tests.support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from tap_amplitude.api.results import DownloadSlot

#: Amplitude refuses more; some hours of a project are near to it.
_LIMIT = 4 * 10**9
#: What one hour may have: of two of the largest, Amplitude refuses both together.
_SIZES = (0, 1, SMALL_ARCHIVE_BYTES // 2, SMALL_ARCHIVE_BYTES, 10**9, 3 * 10**9)
#: So long must nothing new come before somebody is chosen to go on: then all who can are waiting.
_CALM_SECONDS = 0.0005


class Turns:
    """Lets threads go on one at a time, in an order that is drawn; a context manager.

    Args:
        choices: which of those that wait goes on next, over and over.
    """

    def __init__(self, choices: list[int]) -> None:
        self._choices, self._turn = choices, 0
        self._waiting: list[object] = []
        self._changed = Condition()
        self._over = False
        self._thread = Thread(target=self._choose)

    def __enter__(self) -> Self:
        """Begin to choose."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let everybody go."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._thread.join()

    def wait(self) -> None:
        """Wait for one's turn."""
        me = object()
        with self._changed:
            self._waiting.append(me)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over or me not in self._waiting)

    def _choose(self) -> None:
        with self._changed:
            while not self._over:
                self._changed.wait_for(lambda: self._waiting or self._over)
                while self._changed.wait(_CALM_SECONDS):
                    pass
                if self._waiting:
                    choice = self._choices[self._turn % len(self._choices)]
                    self._waiting.pop(choice % len(self._waiting))
                    self._turn += 1
                    self._changed.notify_all()


@dataclass(frozen=True)
class Kept(NoEvents):
    """An answer that has a file, which takes room until it is removed."""

    files: dict[int, int] = field(default_factory=dict)

    def discard(self) -> None:
        """Remove the file; as with a real one, a second time does nothing."""
        self.files.pop(id(self), None)


class Project:
    """A project whose hours have sizes, one of which may be impossible to get.

    Args:
        sizes: bytes of its hours, over and over.
        broken: the hour that cannot be had, or None.
        turns: the order in which requests are answered.
    """

    def __init__(self, sizes: list[int], broken: datetime | None, turns: Turns) -> None:
        self._sizes, self._broken, self._turns = sizes, broken, turns
        self._counted = Condition()
        self.under_way = self.most_under_way = self.most_on_disk = 0
        self.files: dict[int, int] = {}

    def fetch(self, window: Window, slot: DownloadSlot) -> Kept | TooLarge:
        """Answer as the Export API does, after some while."""
        with self._counted:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self._turns.wait()
            size = self.size_of(window)
            if size > _LIMIT and window.can_be_split:
                return TooLarge("4 GB.")
            slot.reserve(size)
            self._turns.wait()
            if self._broken and window.holds(self._broken):
                raise RunAgain("It broke.", remedy="Run again.")
            kept = Kept(size, self.files)
            with self._counted:
                self.files[id(kept)] = size
                self.most_on_disk = max(self.most_on_disk, sum(self.files.values()))
            return kept
        finally:
            with self._counted:
                self.under_way -= 1

    def size_of(self, window: Window) -> int:
        """Return the bytes of a window; a day of before 2014 is one file, and never too large."""
        hours = (window.start + number * HOUR for number in range(window.hours))
        total = sum(self._sizes[int(h.timestamp() // 3600) % len(self._sizes)] for h in hours)
        return min(total, _LIMIT) if window.start < FIRST_HOURLY_DAY else total


@dataclass(frozen=True)
class Circumstances:
    """How one run goes.

    Attributes:
        clock: by how many hours the clock moved since the last run; it may have been set back.
        parallel: how many windows are asked for at once.
        limit: `max_window_hours`.
        room: bytes of the spool.
        stop_after: after so many windows the run is interrupted.
        broken: how many hours ahead lies one that cannot be had, or None.
    """

    clock: int
    parallel: int
    limit: int
    room: int
    stop_after: int
    broken: int | None


_RUNS = st.lists(
    st.builds(
        Circumstances,
        clock=st.integers(-40, 120),
        parallel=st.integers(1, 4),
        limit=st.integers(1, 48),
        room=st.integers(LARGEST_ARCHIVE_BYTES, 5 * LARGEST_ARCHIVE_BYTES),
        stop_after=st.integers(0, 12) | st.just(10**6),
        broken=st.none() | st.integers(0, 60),
    ),
    min_size=1,
    max_size=4,
)
_STARTS = st.integers(0, 48).map(
    lambda hours: datetime(2024, 2, 28, tzinfo=timezone.utc) + hours * HOUR
) | st.integers(-72, 24).map(lambda hours: FIRST_HOURLY_DAY + hours * HOUR)


def exported(
    run: Circumstances, project: Project, turns: Turns, state: Bookmark, until: datetime
) -> Iterator[Window]:
    """Yield the windows of one run, read at their own pace."""
    downloads = Downloads(
        project.fetch,
        WindowSize.start(run.limit, state.window_hours, run.parallel),
        state.next_export_hour,
        until,
        parallel=run.parallel,
        max_bytes=run.room,
    )
    arrivals = iter(downloads)
    try:
        for _, arrival in zip(range(run.stop_after), arrivals, strict=False):
            assert arrival.result.size == project.size_of(arrival.window)
            yield arrival.window
            turns.wait()
    finally:
        downloads.close()


@examples(60)
@given(
    start=_STARTS,
    runs=_RUNS,
    sizes=st.lists(st.sampled_from(_SIZES), min_size=1, max_size=30),
    choices=st.lists(st.integers(0, 4), min_size=1, max_size=20),
)
def test_hours_come_out_once_and_in_order(
    start: datetime, runs: list[Circumstances], sizes: list[int], choices: list[int]
) -> None:
    """Under splits, growth, failures, interruptions, a full disk and a clock that is set back."""
    state, now = Bookmark(start), start + timedelta(minutes=30)
    read: list[Window] = []
    for run in runs:
        now += run.clock * HOUR
        until = ready_until(now)
        before = state.next_export_hour
        broken = None if run.broken is None else before + run.broken * HOUR
        with Turns(choices) as turns:
            project = Project(sizes, broken, turns)
            failed = False
            try:
                for window in exported(run, project, turns, state, until):
                    read.append(window)
                    moved = state.moved_to(window.end, until, None)
                    # Through the form in which it is kept between two runs.
                    state = Bookmark.from_state(moved.to_state()) or state
            except RunAgain:
                failed = True
        assert project.under_way == len(project.files) == 0
        assert project.most_under_way <= run.parallel
        assert project.most_on_disk <= run.room
        assert state.next_export_hour >= before
        if broken and before <= broken:
            assert state.next_export_hour <= max(broken, before)
        if failed:
            assert broken is not None
        elif run.stop_after == 10**6:
            assert state.next_export_hour >= until
    assert not read or read[0].start == start
    assert all(one.end == following.start for one, following in pairwise(read))
    hours = Counter(one.start + n * HOUR for one in read for n in range(one.hours))
    assert set(hours.values()) <= {1}
    with suppress(IndexError):
        assert state.next_export_hour == read[-1].end
