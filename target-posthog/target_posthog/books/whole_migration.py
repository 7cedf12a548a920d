"""Whether all ranges of a migration stand in one book: of each source and app, none missing. Pure.

An hour is read for an app when a line tells of it: one of the app, or one without an app, which
stands for an hour in which no app had a record. `whole_migration.sql` asks the same of a database.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_posthog.books.whole import Gap, gaps_between, overlaps_by_app, totals_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from target_posthog.books.lines import Unit
    from target_posthog.books.tables import WrittenLine
    from target_posthog.progress.counts import Counts

#: The source of lines of whole export hours; that of others is their stream.
HOURS_OF = "tap-amplitude"
_BEFORE = "before "


@dataclass(frozen=True)
class Part:
    """What the book says of one source and app.

    Attributes:
        source: `tap-amplitude`, or the stream of another tap.
        app: Amplitude's number of the project; empty for records that name none.
        first, last: the first and the last hour that it has, `2024-01-31T05`; empty without any.
        hours: how many hours between them were read.
        gaps: those that were not; other taps have no hours that could be missing.
        overlaps: hours that came from another tap, too: their records are counted twice.
        unsettled: hours with records that have no fate, empty for records without an hour.
    """

    source: str
    app: str
    first: str
    last: str
    hours: int
    gaps: tuple[Gap, ...]
    overlaps: tuple[str, ...]
    unsettled: tuple[str, ...]
    totals: Counts

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, double or without a fate."""
        return not (self.gaps or self.overlaps or self.unsettled)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "source": self.source,
            "app": self.app,
            "first": self.first or None,
            "last": self.last or None,
            "hours": self.hours,
            "gap_hours": sum(gap.hours for gap in self.gaps),
            "overlap_hours": len(self.overlaps),
            **_sums(self.totals),
            "is_whole": self.is_whole,
            "gaps": [_gap_as_json(gap) for gap in self.gaps],
            "overlaps": list(self.overlaps),
            "unsettled": list(self.unsettled),
        }


@dataclass(frozen=True)
class WholeMigration:
    """What the book says of a migration, or of a range of it.

    Attributes:
        parts: by source and app.
        ends: hours that nobody has read and no part tells of: at the ends of the range, or between
            two apps.
        totals: the sums of all parts.
        lines: those that it is about.
    """

    parts: tuple[Part, ...]
    ends: tuple[Gap, ...]
    totals: Counts
    lines: Sequence[WrittenLine]

    @property
    def is_whole(self) -> bool:
        """Whether there is something, and nothing is missing, double or without a fate."""
        return bool(self.parts) and not self.ends and all(part.is_whole for part in self.parts)

    @property
    def by_hour(self) -> Mapping[str, Counts]:
        """The sums of each export hour, `2024-01-31T05`, in order."""
        found: defaultdict[str, list[WrittenLine]] = defaultdict(list)
        for line in self.lines:
            if line.unit.hour:
                found[line.unit.hour].append(line)
        return {hour: totals_of(found[hour]) for hour in sorted(found)}

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Every stretch of hours that is missing of some app, in order."""
        found = {*self.ends, *(gap for part in self.parts for gap in part.gaps)}
        return tuple(sorted(found, key=lambda gap: (gap.first, gap.last)))

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "is_whole": self.is_whole,
            **_sums(self.totals),
            "gaps": [_gap_as_json(gap) for gap in self.gaps],
            "parts": [part.as_json() for part in self.parts],
        }

    def hours_as_json(self) -> dict[str, dict[str, int]]:
        """Return the sums of each hour for a program."""
        return {hour: _sums(totals) for hour, totals in self.by_hour.items()}


def whole_migration(
    lines: Iterable[WrittenLine], *, start: str = "", end: str = "", app: str | None = None
) -> WholeMigration:
    """Judge the lines of a book.

    `start` is the first hour that has to be there, `2024-01-31T05`, and `end` the hour behind the
    last; empty, they are those of the book. With either, records without an hour are left out. With
    an `app`, only it and hours without any are looked at.
    """
    wanted = [line for line in lines if _is_wanted(line.unit, start, end, app)]
    hours = _hours_by_app(wanted)
    of_part: defaultdict[tuple[str, str], list[WrittenLine]] = defaultdict(list)
    for line in wanted:
        of_part[source_of(line.unit), line.unit.app].append(line)
    names_apps = any(source == HOURS_OF and name for source, name in of_part)
    if names_apps and not totals_of(of_part.get((HOURS_OF, ""), ())).exported:
        # Only hours without records: they are no app of their own.
        of_part.pop((HOURS_OF, ""), None)
    overlaps = overlaps_by_app(line.unit for line in wanted)
    parts = tuple(_part(*key, of_part[key], hours, overlaps) for key in sorted(of_part))
    known = {hour for part in parts for gap in part.gaps for hour in gap}
    ends = gaps_between(set().union(*hours.values(), known), start, end)
    return WholeMigration(parts, tuple(ends), totals_of(wanted), wanted)


def source_of(unit: Unit) -> str:
    """Return where the records of a line are from."""
    is_of_hours = not unit.stretch or unit.stretch.startswith(_BEFORE)
    return HOURS_OF if is_of_hours else unit.stream


def _part(
    source: str,
    app: str,
    lines: Sequence[WrittenLine],
    hours: Mapping[str, Collection[str]],
    overlaps: Sequence[tuple[str, str]],
) -> Part:
    own = sorted({line.unit.hour for line in lines if line.unit.hour})
    first, last = (own[0], own[-1]) if own else ("", "")
    read: set[str] = set(own)
    gaps: list[Gap] = []
    if source == HOURS_OF and own:
        # Records that name no app may be of any.
        found = [*hours.values()] if not app else [hours.get(app, ()), hours.get("", ())]
        read = {hour for those in found for hour in those if first <= hour <= last}
        gaps = gaps_between(read)
    unsettled = sorted({line.unit.hour for line in lines if line.open})
    double = [hour for name, hour in overlaps if name == app] if source == HOURS_OF else []
    return Part(
        source,
        app,
        first,
        last,
        len(read),
        tuple(gaps),
        tuple(double),
        tuple(unsettled),
        totals_of(lines),
    )


def _hours_by_app(lines: Iterable[WrittenLine]) -> dict[str, set[str]]:
    """Return the hours that were read whole."""
    hours: defaultdict[str, set[str]] = defaultdict(set)
    for line in lines:
        if line.unit.hour and not line.unit.stretch:
            hours[line.unit.app].add(line.unit.hour)
    return dict(hours)


def _is_wanted(unit: Unit, start: str, end: str, app: str | None) -> bool:
    if app is not None and unit.app not in {app, ""}:
        return False
    if not (start or end):
        return True
    if unit.hour:
        return unit.hour >= start and (not end or unit.hour < end)
    # Of an hour before this one.
    before = unit.stretch.removeprefix(_BEFORE) if unit.stretch.startswith(_BEFORE) else ""
    return bool(before) and before > start and (not end or before <= end)


def _sums(totals: Counts) -> dict[str, int]:
    return {
        "exported": totals.exported,
        "accepted": totals.accepted,
        "superseded": totals.superseded,
        "skipped": totals.skipped.total(),
        "rejected": totals.rejected.total(),
        "open": totals.open,
        "links": totals.links,
        "group_updates": totals.groups,
    }


def _gap_as_json(gap: Gap) -> dict[str, Any]:
    return {"first": gap.first, "last": gap.last, "hours": gap.hours}
