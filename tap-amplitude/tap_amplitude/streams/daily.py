"""Figures of a project, day by day: complete days only, each one once.

They are off until they are selected.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, ClassVar

from tap_amplitude.errors import FixConfiguration
from tap_amplitude.sdk import DaysStream
from tap_amplitude.state.given_state import CORRECT_IT
from tap_amplitude.streams.lists import ProjectStream
from tap_amplitude.windows import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Context, Record


#: A day is one of the project's time zone, which no endpoint tells. The last zone of the world to
#: finish a day is UTC-12; three hours later its events are loaded, as in the Export API.
_COMPLETE_AFTER = timedelta(hours=12 + 3)

#: A quarter of a year, so that one request costs less than half of the points.
DAYS_AT_ONCE = 90


class DailyStream(ProjectStream, DaysStream):
    """Figures of each day, in the time zone of the project."""

    primary_keys = ("date",)
    replication_key = "date"
    is_sorted = True
    needs = ("api_key", "secret_key", "start_date")
    path: ClassVar[str]
    #: What a day of one figure costs, of `POINTS` of the API.
    points: ClassVar[int] = 1
    #: The field of each figure, and what to ask for to get it.
    figures: ClassVar[Mapping[str, Mapping[str, str]]]
    _saved_day: date | None = None

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yield a record for each complete day; a STATE goes out for all days of one response."""
        for days in spans(self._first_day(context), self._last_day()):
            columns = {
                field: self.project.api.daily(
                    self.path,
                    parameters,
                    days,
                    finished=complete_at(days[-1]),
                    points=self.points,
                    what=field,
                )
                for field, parameters in self.figures.items()
            }
            for number, day in enumerate(days):
                values = {field: column[number] for field, column in columns.items()}
                yield {"date": day.isoformat(), **values}
            self.write_state()
            self._saved_day = days[-1]

    def probe(self) -> str:
        """Ask for the figures of one day; see `ProjectStream.probe`."""
        start = self.settings.start
        assert start is not None  # noqa: S101 - `check_needs`
        day = min(start.date(), last_complete_day(datetime.now(timezone.utc)))
        for field, parameters in self.figures.items():
            self.project.api.daily(
                self.path,
                parameters,
                [day],
                finished=complete_at(day),
                points=self.points,
                what=field,
            )
        return f"its figures of {day} can be read"

    def saved(self) -> str:
        """Return what is safe when the run fails now."""
        if self._saved_day is None:
            return f"No days of `{self.name}` were finished in this run; its state is as it was."
        return (
            f"The days of `{self.name}` up to {self._saved_day} are out; the state keeps those "
            "that the target has taken."
        )

    def _first_day(self, context: Context | None) -> date:
        settings = self.settings
        assert settings.start is not None  # noqa: S101 - `check_needs`
        start = settings.start.date()
        done = self.get_starting_replication_key_value(context)
        if done is None:
            return start
        try:
            following = date.fromisoformat(str(done)[:10]) + DAY
        except ValueError as error:
            raise FixConfiguration(
                f"The state cannot be read: {done!r} is not a date (bookmark of `{self.name}`).",
                remedy=CORRECT_IT,
            ) from error
        # Never further back than `start_date`, and never ahead of the next day.
        return min(following, max(start, first_day_again(following, settings.lookback_hours)))

    def _last_day(self) -> date:
        last, end = last_complete_day(datetime.now(timezone.utc)), self.settings.end
        return min(last, last_day_before(end)) if end else last


class ActiveUsersStream(DailyStream):
    """How many users were active on a day, and how many were new."""

    name = "active_users"
    path = "/api/2/users"
    figures: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "active_users": {"m": "active", "i": "1"},
        "new_users": {"m": "new", "i": "1"},
    }


class AverageSessionLengthStream(DailyStream):
    """How long a session of a day took on average."""

    name = "average_session_length"
    path = "/api/2/sessions/average"
    #: The cost of Amplitude's chart "User Sessions".
    points = 4
    figures: ClassVar[Mapping[str, Mapping[str, str]]] = {"average_session_length": {}}


FIGURES: Sequence[type[DailyStream]] = (ActiveUsersStream, AverageSessionLengthStream)


def last_complete_day(now: datetime) -> date:
    """Return the last day that is over, and loaded, in every time zone."""
    return (now - _COMPLETE_AFTER).date() - DAY


def complete_at(day: date) -> datetime:
    """Return when a day is over, and loaded, in every time zone."""
    return datetime.combine(day + DAY, time.min, timezone.utc) + _COMPLETE_AFTER


def last_day_before(end: datetime) -> date:
    """Return the last day that is whole before a moment (UTC)."""
    return end.date() - DAY


def first_day_again(following: date, hours: int) -> date:
    """Return where to begin when some hours before a day are wanted again, rounded up to days."""
    return following - timedelta(days=-(-hours // 24))


def spans(first: date, last: date) -> Iterator[list[date]]:
    """Yield the days of each request, so that each day from the first to the last comes once."""
    days = [first + number * DAY for number in range((last - first).days + 1)]
    for start in range(0, len(days), DAYS_AT_ONCE):
        yield days[start : start + DAYS_AT_ONCE]
