"""Which export hours to ask for (pure: no clock, no I/O, no randomness).

An export hour is the hour of `server_upload_time`, in UTC. Amplitude's Export API takes a first
and a last hour, both inclusive (https://amplitude.com/docs/apis/analytics/export), so one hour H
is `start=H&end=H`. Everywhere else in the tap a range is half-open: `end` is the first hour that
is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import MAXYEAR, datetime, timedelta, timezone

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

#: Older exports come in files of whole days (same page, "Response"). Such a day is read as one: it
#: is asked for, read and remembered as a whole.
FIRST_HOURLY_DAY = datetime(2014, 11, 12, tzinfo=timezone.utc)

#: An hour H may be read from H + 3 h on. Amplitude: "data sent between 8 and 9 PM begins loading
#: at 9 PM and is available via the Export API at 11 PM". Asked earlier, a missing hour would look
#: just like an hour without events.
READY_AFTER = timedelta(hours=3)

#: The API refuses a longer range.
LONGEST_REQUEST_HOURS = 365 * 24

#: The first request of the first run. One hour is the only size that no busy project finds too
#: large, and doubling brings a small project to a day in five requests.
FIRST_WINDOW_HOURS = 1

#: An archive below this size is small: the next window may be twice as long. Far below the 4 GB at
#: which Amplitude refuses, because a cut download starts again from its first byte, and because
#: traffic differs from hour to hour.
SMALL_ARCHIVE_BYTES = 64 * 1024 * 1024

#: After a refusal, so many windows must arrive before the refused size is tried again: the
#: requests that are wasted on probing stay below one in thirty.
PATIENCE_WINDOWS = 32


def floor_to_hour(moment: datetime) -> datetime:
    """Return the whole UTC hour that a moment lies in."""
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


def ceil_to_hour(moment: datetime) -> datetime:
    """Return the first whole UTC hour that is not before a moment; there is none after the last."""
    hour = floor_to_hour(moment)
    return hour if hour == moment or hour.year == MAXYEAR else hour + HOUR


def ready_until(now: datetime) -> datetime:
    """Return the first hour that Amplitude may not have finished loading by a moment."""
    return floor_to_hour(now - READY_AFTER) + HOUR


@dataclass(frozen=True)
class Window:
    """A run of whole export hours.

    Attributes:
        start: First hour.
        end: First hour after it.
    """

    start: datetime
    end: datetime

    @property
    def hours(self) -> int:
        """How many hours it has."""
        return (self.end - self.start) // HOUR

    @property
    def finished(self) -> datetime:
        """From when on all of it may be read."""
        return self.end - HOUR + READY_AFTER

    def holds(self, hour: datetime) -> bool:
        """Whether an hour lies in it."""
        return self.start <= hour < self.end

    @property
    def can_be_split(self) -> bool:
        """Whether Amplitude can be asked for a part of it."""
        in_one_day = self.end <= _day_of(self.start) + DAY
        return self.hours > 1 and not (self.start < FIRST_HOURLY_DAY and in_one_day)

    def as_parameters(self) -> dict[str, str]:
        """Write it as the query of the Export API, where both ends are inclusive."""
        return {"start": f"{self.start:%Y%m%dT%H}", "end": f"{self.end - HOUR:%Y%m%dT%H}"}

    def __str__(self) -> str:
        """Name it for a log line."""
        first, last = f"{self.start:%Y-%m-%dT%HZ}", f"{self.end - HOUR:%Y-%m-%dT%HZ}"
        return f"hour {first}" if self.hours == 1 else f"hours {first} to {last}"


@dataclass(frozen=True)
class WindowSize:
    """How many hours to ask for at once, learned from what came back.

    Attributes:
        hours: The size of the next window.
        limit: The user's upper bound (`max_window_hours`).
        refused: The smallest size that was refused lately, or None.
        patience: How many windows must arrive before `refused` is forgotten.
        parallel: How many windows are asked for at once, and so refused at once.
    """

    hours: int
    limit: int
    refused: int | None = None
    patience: int = 0
    parallel: int = 1

    @classmethod
    def start(cls, limit: int, remembered: int | None = None, parallel: int = 1) -> WindowSize:
        """Begin a run with the size that the last one ended with, or with one hour."""
        limit = max(1, min(limit, LONGEST_REQUEST_HOURS))
        hours = max(1, min(remembered or FIRST_WINDOW_HOURS, limit))
        return cls(hours=hours, limit=limit, parallel=parallel)

    def next_window(self, start: datetime, until: datetime) -> Window | None:
        """Cut the next window off what is left.

        Returns:
            The window, or None when nothing is left. It reaches beyond `until` only to the end of
            a day whose events lie in one file.
        """
        if start >= until:
            return None
        end = min(start + self.hours * HOUR, until)
        if start < FIRST_HOURLY_DAY:
            end = max(_day_of(end), _day_of(start) + DAY)
        return Window(start, end)

    def delivered(self, window: Window, archive_bytes: int) -> WindowSize:
        """Learn from a window that arrived; `archive_bytes` is 0 when there were no events.

        Returns:
            The size to use next: doubled after a small archive of a full window, but not up to a
            size that was refused lately.
        """
        patience = max(0, self.patience - 1)
        refused = self.refused if patience else None
        learned = replace(self, refused=refused, patience=patience)
        doubled = min(self.hours * 2, self.limit)
        # The last window before `until` may be shorter: it says nothing about a longer one.
        if window.hours < self.hours or archive_bytes >= SMALL_ARCHIVE_BYTES:
            return learned
        return learned if refused and doubled >= refused else replace(learned, hours=doubled)

    def too_large(self, window: Window) -> WindowSize:
        """Learn from a window that was refused: ask for half of it.

        Windows that were asked for at once may be refused in any order, so that a longer one
        teaches nothing after a shorter one.
        """
        return replace(
            self,
            hours=min(self.hours, max(1, window.hours // 2)),
            refused=min(self.refused or window.hours, window.hours),
            patience=PATIENCE_WINDOWS * self.parallel,
        )


def _day_of(hour: datetime) -> datetime:
    return hour.replace(hour=0)


def hour_text(hour: datetime) -> str:
    """Write a whole hour as it stands in the state: `2024-01-01T03:00:00Z`."""
    return hour.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
