"""Which hours of which app a run over exported files may read (pure: no clock, no I/O)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tap_amplitude.state.coverage import NAMELESS_PROJECT, Coverage, Covered
from tap_amplitude.windows import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_amplitude.settings import Settings
    from tap_amplitude.state.bookmark import Bookmark

#: Of days that are out, the last ones are listed all the same: parts that come late come soon.
_LISTED_AGAIN = 2 * DAY
_EVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Days:
    """The days whose files are wanted; None is no bound.

    Attributes:
        first: The first of them.
        last: The last of them.
        out: Days that are not, each from a first to a last one.
    """

    first: date | None = None
    last: date | None = None
    out: Sequence[tuple[date, date]] = ()

    def touch(self, first: date, last: date) -> bool:
        """Return True if any of some days is wanted."""
        return (
            not (self.first and last < self.first)
            and not (self.last and first > self.last)
            and not any(begin <= first and last <= end for begin, end in self.out)
        )

    def cover(self, first: date, last: date) -> bool:
        """Return True if all of some days are wanted."""
        return (
            not (self.first and first < self.first)
            and not (self.last and last > self.last)
            and not any(begin <= last and first <= end for begin, end in self.out)
        )


@dataclass(frozen=True)
class Reach:
    """The hours that a run may read, by app.

    Attributes:
        covered: What is out. Hours that are read again stand in it, too.
        of_all: What is out of every app there is, in a state that does not say whose hours it has.
        start: The first hour that is wanted; None is no bound.
        end: The first hour that is not wanted any more; None is no bound.
        again_from: Hours from here on are read again.
    """

    covered: Coverage
    of_all: Covered | None
    start: datetime | None
    end: datetime | None
    again_from: datetime | None

    @classmethod
    def of(cls, bookmark: Bookmark | None, settings: Settings) -> Reach:
        """Return what a state and the settings allow."""
        new = cls(Coverage(), None, settings.start, settings.end, None)
        if bookmark is None:
            return new
        again = bookmark.first_hour(settings.lookback_hours, settings.start)
        if bookmark.next_export_hour > again:
            new = replace(new, again_from=again)
        if bookmark.covered is not None:
            return replace(new, covered=bookmark.covered)
        begin = min(bookmark.export_from or _EVER, bookmark.next_export_hour)
        return replace(new, of_all=Covered(begin, bookmark.next_export_hour))

    @property
    def is_known(self) -> bool:
        """Whether any hour is out."""
        return bool(self.of_all or self.covered.apps)

    def first_of(self, app: str) -> datetime | None:
        """Return the first hour that is wanted of an app: the state wins over `start_date`."""
        end = self.of_all.end if self.of_all else self.covered.end_of(app)
        return min(self.start, end) if self.start and end else self.start

    def out(self, app: str, hour: datetime) -> Covered | None:
        """Return the range of the state that an hour of an app lies in."""
        if self.of_all and self.of_all.holds(hour):
            return self.of_all
        return self.covered.at(app, hour)

    def reads_again(self, hour: datetime) -> bool:
        """Return True if an hour that is out is read again."""
        return self.again_from is not None and hour >= self.again_from

    def wants(self, app: str, hour: datetime) -> bool:
        """Return True if an hour of an app is to be read."""
        first = self.first_of(app)
        if (first and hour < first) or (self.end and hour >= self.end):
            return False
        return self.reads_again(hour) or self.out(app, hour) is None

    def days_of(self, app: str) -> Days:
        """Return the days of an app whose files are to be listed."""
        first = self.first_of(app)
        return Days(
            first.date() if first else None,
            (self.end - HOUR).date() if self.end else None,
            tuple(filter(None, (self._whole_days(span) for span in self.covered.of(app)))),
        )

    def days_out(self) -> Sequence[str]:
        """Return the days that are not listed, with their apps; other files are always listed."""
        return [
            f"app {app} from {first} to {last}"
            for app in self.covered.apps
            if app not in {"", NAMELESS_PROJECT}
            for first, last in self.days_of(app).out
        ]

    def _whole_days(self, covered: Covered) -> tuple[date, date] | None:
        """Return the days of a range that need not be listed."""
        end = covered.end - _LISTED_AGAIN
        if self.again_from:
            end = min(end, self.again_from)
        first = (covered.start + DAY - timedelta(microseconds=1)).date()
        last = end.date() - DAY
        return (first, last) if first <= last else None
