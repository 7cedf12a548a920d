"""Whether the book is whole: every hour there, each once, and no record without a fate. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from target_posthog.progress.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from target_posthog.books.lines import Unit
    from target_posthog.books.tables import WrittenLine

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Gap:
    """Hours that no line is about: the first, and the last, `2024-01-31T05`."""

    first: str
    last: str

    def __iter__(self) -> Iterator[str]:
        """Yield the hours."""
        return hours_between(self.first, hour_after(self.last))

    @property
    def hours(self) -> int:
        """How many they are."""
        return (_moment(self.last) - _moment(self.first)) // _HOUR + 1


def totals_of(lines: Iterable[WrittenLine]) -> Counts:
    """Return the sums of some lines, of which no record is open in a complete book."""
    sums = Counts()
    for line in lines:
        for name in ("exported", "accepted", "superseded", "links", "groups"):
            setattr(sums, name, getattr(sums, name) + getattr(line, name))
        sums.skipped.update(line.skipped_by_rule)
        sums.rejected.update(line.rejected_by_code)
    return sums


def gaps_of(units: Iterable[Unit]) -> list[Gap]:
    """Return the stretches of hours, between the first and the last, that no line is about."""
    return gaps_between({unit.hour for unit in units if unit.hour})


def gaps_between(hours: Collection[str], start: str = "", end: str = "") -> list[Gap]:
    """Return the stretches of hours that are not among some.

    `end` is the hour behind the last that has to be there. An empty `start` is the first hour that
    is there, an empty `end` the last.
    """
    known = sorted(hours)
    if not (known or (start and end)):
        return []
    # The hour before each stretch that may be missing, and the one behind it.
    ahead = ([_hour_before(start)] if start else []) + known
    behind = (known if start else known[1:]) + ([end] if end else [])
    pairs = zip(ahead, behind, strict=False)
    return [
        Gap(hour_after(before), _hour_before(after))
        for before, after in pairs
        if hour_after(before) < after
    ]


def overlaps_of(units: Iterable[Unit]) -> list[str]:
    """Return the hours of which both whole hours and stretches of another tap tell."""
    return sorted({hour for _, hour in overlaps_by_app(units)})


def overlaps_by_app(units: Iterable[Unit]) -> list[tuple[str, str]]:
    """Return the same with their apps, each app before its hour."""
    kinds: defaultdict[tuple[str, str], set[bool]] = defaultdict(set)
    for unit in units:
        if unit.hour:
            kinds[unit.app, unit.hour].add(bool(unit.stretch))
    return sorted(key for key, found in kinds.items() if len(found) > 1)


def hours_between(first: str, end: str) -> Iterator[str]:
    """Yield the hours from the first on, as `2024-01-31T05`, without the end."""
    moment, last = _moment(first), _moment(end)
    while moment < last:
        yield f"{moment:%Y-%m-%dT%H}"
        moment += _HOUR


def hour_after(hour: str) -> str:
    """Return the hour behind another."""
    return f"{_moment(hour) + _HOUR:%Y-%m-%dT%H}"


def _hour_before(hour: str) -> str:
    return f"{_moment(hour) - _HOUR:%Y-%m-%dT%H}"


def _moment(hour: str) -> datetime:
    return datetime.strptime(hour, "%Y-%m-%dT%H")  # noqa: DTZ007 - all are UTC
