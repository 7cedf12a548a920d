"""Which export hours are ready, which are missing, and which range of them comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

HOUR = timedelta(hours=1)
#: Amplitude's export has an hour some two hours after its end; the tap asks for none before.
READY_AFTER = timedelta(hours=3)


@dataclass(frozen=True, order=True)
class HourRange:
    """Export hours that follow each other.

    Attributes:
        first: the first hour.
        end: the hour behind the last one.
    """

    first: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse what is no range.

        Raises:
            ValueError: a limit is not a whole hour of UTC, or there is no hour between them.
        """
        for moment in (self.first, self.end):
            if moment.utcoffset() != timedelta() or moment != whole_hour(moment):
                raise ValueError(f"{moment.isoformat()} is not a whole hour of UTC.")
        if self.end <= self.first:
            raise ValueError(
                f"There is no hour from {text_of(self.first)} to {text_of(self.end)}, exclusive."
            )

    def __len__(self) -> int:
        """Return how many hours there are."""
        return (self.end - self.first) // HOUR

    def __iter__(self) -> Iterator[datetime]:
        """Yield the hours in order."""
        return (self.first + number * HOUR for number in range(len(self)))

    def __str__(self) -> str:
        """Return the range as messages name it, by its first and its last hour."""
        return f"{text_of(self.first)}Z to {text_of(self.end - HOUR)}Z"

    @property
    def name(self) -> str:
        """What the range's state, and its folder, are called; it sorts by time."""
        return f"hours-{self.first:%Y%m%dT%H}-{self.end:%Y%m%dT%H}"


def whole_hour(moment: datetime) -> datetime:
    """Return the hour in which a moment lies."""
    return moment.replace(minute=0, second=0, microsecond=0)


def hour_of(text: str) -> datetime:
    """Return the hour of `2024-01-31T05`, or the first one of `2024-01-31`, in UTC.

    Raises:
        ValueError: the text is neither.
    """
    form = "%Y-%m-%dT%H" if "T" in text else "%Y-%m-%d"
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        raise ValueError(
            f"`{text}` is not an hour such as `2024-01-31T05`, and not a day."
        ) from None


def text_of(hour: datetime) -> str:
    """Return an hour as `hour_of` reads it, and as the book of the ledger has it."""
    return f"{hour:%Y-%m-%dT%H}"


def ready_hours(start: datetime, now: datetime, end: datetime | None = None) -> HourRange | None:
    """Return the hours that may be exported by now; None when there is none.

    `end` is the hour behind the last of the migration; None when it goes on for ever.
    """
    ready = whole_hour(now - READY_AFTER) + HOUR
    until = ready if end is None else min(end, ready)
    return HourRange(start, until) if start < until else None


def missing_ranges(hours: HourRange, done: Collection[datetime]) -> list[HourRange]:
    """Return what is left of some hours, in order, as ranges that are as long as can be."""
    ranges: list[HourRange] = []
    for hour in hours:
        if hour in done:
            continue
        if ranges and ranges[-1].end == hour:
            ranges[-1] = HourRange(ranges[-1].first, hour + HOUR)
        else:
            ranges.append(HourRange(hour, hour + HOUR))
    return ranges


def next_range(
    hours: HourRange | None, done: Collection[datetime], longest: int
) -> HourRange | None:
    """Return the range that comes next: the first hours that are ready and missing.

    So a tick of the schedule that was missed, an hour that failed and the end of a backfill are one
    case. It ends where an hour is done already. It has at most `longest` hours.
    """
    left = missing_ranges(hours, done) if hours else []
    if not left:
        return None
    return HourRange(left[0].first, min(left[0].end, left[0].first + longest * HOUR))


def numbered_range(hours: HourRange, length: int, number: int) -> HourRange | None:
    """Return the n-th part of some hours, in parts of one length; None behind the last one.

    For engines that number the pieces of a work, such as an Indexed Job of Kubernetes. The last
    part may have fewer hours; `number` counts from 0.
    """
    first = hours.first + number * length * HOUR
    return HourRange(first, min(first + length * HOUR, hours.end)) if first < hours.end else None
