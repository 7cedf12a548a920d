"""The numbers of a report, collected in one pass over the book. Pure.

Only sums stay: six years of hours and hundreds of names end in a few thousand numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from target_posthog.books.whole import gaps_of, overlaps_of, totals_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.books.lines import Unit
    from target_posthog.books.sums import Held, KindSum
    from target_posthog.books.tables import WrittenLine
    from target_posthog.books.whole import Gap
    from target_posthog.identity.sums import PeopleSums
    from target_posthog.progress.counts import Counts
    from target_posthog.rejects.listing import Example

#: So many names stand in the table; the others are one row.
MOST_NAMES = 500
#: How many seconds one bar of the speed may stand for: the first that makes few enough bars.
_STEPS = (60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600, 28 * 24 * 3600)
_MOST_BARS = 80
#: Of lists of gaps and the like.
MOST_SHOWN = 100


@dataclass(frozen=True)
class Day:
    """One UTC day of events.

    Attributes:
        exported, accepted, superseded: records that became events, and what became of those.
        held: what PostHog was found to hold; None when it was not asked.
        compared: of how many of the accepted events it was asked.
        missing: of those, the events that it lacks, by name.
        extra: events that it holds beyond those, by name.
    """

    day: str
    exported: int = 0
    accepted: int = 0
    superseded: int = 0
    held: int | None = None
    compared: int = 0
    missing: int = 0
    extra: int = 0


@dataclass(frozen=True)
class Pace:
    """How much was settled in a stretch of time.

    Attributes:
        start: its start, RFC 3339 in UTC.
        seconds: how long it is.
        exported: records of the lines that were written in it.
    """

    start: str
    seconds: int
    exported: int

    @property
    def per_second(self) -> float:
        """Events a second, over the whole stretch."""
        return self.exported / self.seconds


@dataclass(frozen=True)
class Hours:
    """Which hours the book has.

    Attributes:
        first, last: the first and the last, `2024-01-31T05`; empty when there are none.
        lines: how many lines are about hours.
        stretches: how many lines are about what lies between two states of another tap.
        gaps, overlaps: see `books.whole`.
        attempts: how many lines were written how many times.
    """

    first: str
    last: str
    lines: int
    stretches: int
    gaps: list[Gap]
    overlaps: list[str]
    attempts: Counter[int]


@dataclass
class Rejects:
    """What the rejects files hold beside what the book says of them.

    Attributes:
        in_files: how many lines of each code there are.
        examples: one of each code.
    """

    in_files: Counter[str] = field(default_factory=Counter)
    examples: Mapping[str, Example] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """All numbers of a report.

    Attributes:
        project: what names the PostHog project in the ledger.
        host: where events go.
        made_at: when the report was made.
        hours: which hours there are.
        asked_at: when PostHog was asked first and last; None when it was not.
        names: the most frequent events.
        other_names: how many names are not among them.
        rejects: what the rejects files hold.
        people: what the ledger knows of devices.
        paces: the speed over time.
        summary: what the last run wrote about itself; None when there is none.
    """

    project: str
    host: str
    made_at: datetime
    totals: Counts
    hours: Hours
    days: list[Day]
    asked_at: tuple[str, str] | None
    names: list[KindSum]
    other_names: int
    rejects: Rejects
    people: PeopleSums
    paces: list[Pace]
    summary: Mapping[str, Any] | None = None


class LinesRead:
    """What one pass over the book's lines comes to.

    Attributes:
        totals, hours, paces: see `Figures`.
    """

    def __init__(self, lines: Iterable[WrittenLine]) -> None:
        self._units: list[Unit] = []
        self._stretches = 0
        self._attempts: Counter[int] = Counter()
        self._written: Counter[int] = Counter()
        self.totals = totals_of(self._noted(lines))
        self.hours = self._hours_read()
        self.paces = paces_of(self._written)

    def _noted(self, lines: Iterable[WrittenLine]) -> Iterable[WrittenLine]:
        for line in lines:
            if line.unit.hour:
                self._units.append(line.unit)
            else:
                self._stretches += 1
            self._attempts[line.attempt] += 1
            self._written[_minute_of(line.written_at)] += line.exported
            yield line

    def _hours_read(self) -> Hours:
        hours = [unit.hour for unit in self._units]
        return Hours(
            min(hours, default=""),
            max(hours, default=""),
            len(hours),
            self._stretches,
            gaps_of(self._units),
            overlaps_of(self._units),
            self._attempts,
        )


def days_with(days: Iterable[KindSum], held: Mapping[str, Held]) -> list[Day]:
    """Return the days of the book and of PostHog, in order."""
    booked = {day.name: day for day in days}
    return [_day(name, booked.get(name), held.get(name)) for name in sorted({*booked, *held})]


def _day(name: str, booked: KindSum | None, held: Held | None) -> Day:
    day = Day(name, booked.exported, booked.accepted, booked.superseded) if booked else Day(name)
    if held is None:
        return day
    return replace(
        day, held=held.events, compared=held.compared, missing=held.missing, extra=held.extra
    )


def paces_of(written: Mapping[int, int]) -> list[Pace]:
    """Return the speed over time, in stretches of one length.

    Args:
        written: how many records the lines had that were written in each minute since 1970.
    """
    if not written:
        return []
    first, last = min(written), max(written)
    span = (last - first + 1) * 60
    step = next((seconds for seconds in _STEPS if span <= seconds * _MOST_BARS), _STEPS[-1])
    bars: Counter[int] = Counter()
    for minute, exported in written.items():
        bars[minute * 60 // step] += exported
    return [Pace(_time_of(bar * step), step, bars[bar]) for bar in sorted(bars)]


def _minute_of(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()) // 60


def _time_of(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%MZ}"
