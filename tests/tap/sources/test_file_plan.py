"""Files that come in any order, over runs that stop anywhere, are read once or named."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.files.left_out import Why
from tap_amplitude.settings import Settings
from tap_amplitude.sources.file_plan import FilePlan, Listing, plan_files
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.state.coverage import Coverage, Covered
from tap_amplitude.state.reach import Reach
from tap_amplitude.tap import TapAmplitude
from tap_amplitude.windows import DAY, HOUR
from tests.support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_amplitude.files.member import Member

START = datetime(2024, 1, 31, 18, tzinfo=timezone.utc)
READY = START + 400 * HOUR
SETTINGS = Settings.read(TapAmplitude(config={"archive_path": "s3://bucket/x"}).config)


@dataclass(frozen=True)
class File:
    """A file of an archive, as far as planning looks at it."""

    app: str
    hour: datetime
    part: int
    modified: datetime | None

    @property
    def name(self) -> str:
        """Its name, as Amplitude gives it."""
        return f"{self.app}_{self.hour:%Y-%m-%d}_{self.hour.hour}#{self.part}.json.gz"


@dataclass(frozen=True)
class RunOfTap:
    """A run: what came before it, what it may read, and after how many hours it stops."""

    came: frozenset[tuple[str, int, int]]
    stop_after: int
    start: int | None
    end: int | None
    lookback: int


HOURS = st.integers(0, 14)
PARTS = st.tuples(st.sampled_from(["111", "222", "333"]), HOURS, st.integers(1, 2))
RUNS = st.lists(
    st.builds(
        RunOfTap,
        came=st.frozensets(PARTS, max_size=8),
        stop_after=st.integers(0, 6),
        start=st.none() | HOURS,
        end=st.none() | HOURS,
        lookback=st.just(0) | st.integers(0, 4),
    ),
    min_size=1,
    max_size=7,
)
OPEN = RunOfTap(frozenset(), 10**6, None, None, 0)


class World:
    """An archive that grows, and the state of the runs over it.

    Args:
        tells_times: Its files tell when they came, as in a folder; those of a .zip do not.
    """

    def __init__(self, *, tells_times: bool) -> None:
        self._tells_times = tells_times
        self._now = datetime(2024, 6, 1, tzinfo=timezone.utc)
        self.files: dict[tuple[str, int, int], File] = {}
        self.state: dict[str, str | int] | None = None
        self.read: Counter[tuple[str, int, int]] = Counter()

    def run(self, run: RunOfTap) -> FilePlan:
        """Let files come, and run until the hours are read or the run is stopped."""
        self._now += timedelta(minutes=1)
        for app, hour, part in run.came - self.files.keys():
            came = self._now if self._tells_times else None
            self.files[app, hour, part] = File(app, START + hour * HOUR, part, came)
        # Through the form in which it is kept between two runs.
        bookmark = Bookmark.from_state(self.state) if self.state else None
        reach = Reach.of(bookmark, self._bounds(run))
        plan = plan_files(bookmark, reach, self._listing())
        state = plan.bookmark
        for _, step in zip(range(run.stop_after), plan.steps, strict=False):
            assert state is not None
            state = plan.after(state, step)
            self.state = state.to_state()
            for one in cast("Sequence[File]", step.files):
                self.read[one.app, (one.hour - START) // HOUR, one.part] += 1
        return plan

    def unread(self) -> set[tuple[str, int, int]]:
        """The files that no run has read."""
        return self.files.keys() - self.read.keys()

    def _listing(self) -> Listing:
        files = sorted(self.files.values(), key=lambda one: (one.hour, one.name))
        newest = max((one.modified for one in files if one.modified), default=None)
        return Listing(cast("Sequence[Member]", files), newest, is_complete=True, ready=READY)

    def _bounds(self, run: RunOfTap) -> Settings:
        start, end = (None if n is None else START + n * HOUR for n in (run.start, run.end))
        return replace(SETTINGS, start_date=start, end_date=end, lookback_hours=run.lookback)


def late_in(plan: FilePlan) -> set[tuple[str, int, int]]:
    """The files that a plan names as late."""
    return {
        (one.app, (one.hour - START) // HOUR, one.part)
        for why, one, _ in cast("Sequence[tuple[Why, File, str]]", plan.left_out)
        if why is Why.LATE
    }


@examples(200)
@given(runs=RUNS)
def test_a_file_is_read_once_or_named_as_late(runs: list[RunOfTap]) -> None:
    """Under interruptions, bounds and any order of coming; none is lost, none comes twice."""
    world = World(tells_times=True)
    for run in runs:
        world.run(run)
    world.run(OPEN)
    plan = world.run(OPEN)

    assert plan.steps == ()
    assert world.unread() == late_in(plan)
    assert not any("nothing tells which" in note.text for note in plan.notes)
    if not any(run.lookback for run in runs):
        assert set(world.read.values()) <= {1}


@examples(200)
@given(runs=RUNS)
def test_files_that_tell_no_time_are_counted(runs: list[RunOfTap]) -> None:
    """Of a .zip nobody knows which part is new, but how many there are more."""
    runs = [replace(run, lookback=0) for run in runs]
    world = World(tells_times=False)
    for run in runs:
        world.run(run)
    world.run(OPEN)
    plan = world.run(OPEN)

    assert plan.steps == ()
    assert set(world.read.values()) <= {1}
    told = [note for note in plan.notes if "nothing tells which" in note.text]
    assert bool(told) == bool(world.unread())


@given(runs=RUNS)
def test_hours_come_in_ascending_order(runs: list[RunOfTap]) -> None:
    """Of a run, and a part that comes late only when no later hour of its app is out."""
    world = World(tells_times=True)
    for run in runs:
        before = Bookmark.from_state(world.state) if world.state else None
        plan = world.run(replace(run, lookback=0))
        hours = [step.hour for step in plan.steps]
        assert hours == sorted(set(hours))
        covered = (before and before.covered) or Coverage()
        for one in (one for step in plan.steps for one in step.files):
            if covered.at(one.app, one.hour):
                assert covered.end_of(one.app) == one.hour + HOUR


def test_hours_that_were_not_wanted_are_not_taken_as_empty() -> None:
    """A later run without the bound finds the file between two ranges still to be read."""
    world = World(tells_times=True)
    hours = frozenset({("111", 0, 1), ("111", 5, 1), ("111", 8, 1)})
    world.run(RunOfTap(hours, 10, 8, None, 0))
    world.run(RunOfTap(frozenset(), 1, None, None, 0))
    world.run(RunOfTap(frozenset({("111", 7, 1)}), 10, 6, None, 0))
    assert world.unread() == {("111", 5, 1)}
    world.run(OPEN)

    assert world.unread() == set()


RANGES = st.lists(
    st.builds(
        lambda start, hours, files, newest: Covered(
            START + start * HOUR,
            START + (start + hours) * HOUR,
            files,
            None if newest is None else START + newest * timedelta(microseconds=1),
        ),
        st.integers(0, 2000),
        st.integers(1, 30),
        st.none() | st.integers(0, 10**6),
        st.none() | st.integers(0, 10**9),
    ),
    max_size=130,
)


@given(ranges=RANGES, app=st.sampled_from(["", "111", "-9"]))
def test_a_coverage_survives_the_state_and_stays_short(ranges: list[Covered], app: str) -> None:
    """What is written is what is read; ranges never overlap, and no hour that was out is lost."""
    covered = Coverage()
    for one in ranges:
        covered = covered.with_range(app, one)
        assert all(
            covered.at(app, one.start + n * HOUR) for n in range(int((one.end - one.start) / HOUR))
        )

    assert Coverage.from_text(covered.to_text()) == covered
    kept = covered.of(app)
    assert len(kept) <= 100
    assert all(one.end <= other.start for one, other in pairwise(kept))


@given(
    first=st.integers(0, 20 * 24),
    hours=st.integers(1, 60 * 24),
    lookback=st.integers(0, 100),
)
def test_no_day_with_an_hour_that_is_wanted_stays_unlisted(
    first: int, hours: int, lookback: int
) -> None:
    """Days of a bucket are left unlisted only when all their hours are out."""
    begin, end = START + first * HOUR, START + (first + hours) * HOUR
    bookmark = Bookmark(
        end, export_from=begin, covered=Coverage({"111": (Covered(begin, end, 1),)})
    )
    reach = Reach.of(bookmark, replace(SETTINGS, lookback_hours=lookback))

    for day in (START.date() + n * DAY for n in range(90)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        if not reach.days_of("111").touch(day, day):
            assert not any(reach.wants("111", midnight + n * HOUR) for n in range(24))
        assert reach.days_of("222").cover(day, day)


def test_a_range_without_any_file_is_read_if_there_are_later_ones() -> None:
    """Amplitude writes no file for an hour without events, and the export went on."""
    world = World(tells_times=True)
    came = frozenset({("111", 1, 1), ("111", 9, 1)})
    (step,) = world.run(RunOfTap(came, 10, start=3, end=7, lookback=0)).steps
    assert (step.since, step.hour, step.files) == (START + 3 * HOUR, START + 6 * HOUR, ())
    assert world.state is not None
    bookmark = Bookmark.from_state(world.state)
    assert bookmark is not None
    assert (bookmark.export_from, bookmark.next_export_hour) == (START + 3 * HOUR, START + 7 * HOUR)
    assert world.run(RunOfTap(frozenset(), 10, start=3, end=7, lookback=0)).steps == ()
    # A file that comes late is not one of an hour that nobody has looked at.
    late = world.run(RunOfTap(frozenset({("111", 4, 1)}), 10, start=3, end=7, lookback=0))
    assert [why for why, *_ in late.left_out if why is Why.LATE] == [Why.LATE]


def test_a_range_behind_the_last_file_may_lack_one() -> None:
    """Nothing tells whether the export has come so far."""
    world = World(tells_times=True)
    came = frozenset({("111", 1, 1)})
    assert world.run(RunOfTap(came, 10, start=3, end=7, lookback=0)).steps == ()
    assert world.state is None
