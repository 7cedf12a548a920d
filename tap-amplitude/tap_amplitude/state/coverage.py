"""Which export hours of which Amplitude project are out (pure: no clock, no I/O, no randomness).

Projects come to a state one by one: a second archive, an app that appears later in the bucket of
an organisation, April after May. One hour for all of them would call hours exported that nobody
has read. So the state has a few ranges for each app.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tap_amplitude.times import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The state stays short. More ranges of one app than this are joined where the least is between:
#: a night without events is the rule, a day that nobody has read yet the exception.
_MOST_RANGES = 100
#: Stands for the app of an API key until a file tells it: Amplitude has not said it yet.
NAMELESS_PROJECT = "api"
#: How an app is written that the names of its files do not tell.
_NAMELESS = "?"
_ENTRY = re.compile(
    r"(?P<app>\S+) (?P<start>[^\s/]+)/(?P<end>[^\s/,]+)"
    r"(?:, (?P<files>\d+) files)?(?:, newest (?P<newest>\S+))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Covered:
    """A range of hours of one app, all of which are out.

    Attributes:
        start: First hour.
        end: First hour after it.
        files: How many files it had; None when they were not counted, as with the API.
        newest: When the newest file came to lie where they were read from: what came later was
            not read. Their own clock tells, not that of the run. None when nothing tells, as in
            a .zip or with the API.
    """

    start: datetime
    end: datetime
    files: int | None = None
    newest: datetime | None = None

    @property
    def is_uncounted(self) -> bool:
        """Whether nothing tells of its files, as with the API."""
        return self.files is None and self.newest is None

    def holds(self, hour: datetime) -> bool:
        """Return True if an hour lies in the range."""
        return self.start <= hour < self.end


@dataclass(frozen=True)
class Coverage:
    """The hours that are out, by app.

    Attributes:
        ranges: The ranges of each app, in order; no two of an app overlap.
    """

    ranges: Mapping[str, tuple[Covered, ...]] = field(default_factory=dict)

    @property
    def apps(self) -> tuple[str, ...]:
        """The apps of which an hour is out, in order."""
        return tuple(sorted(self.ranges))

    def of(self, app: str) -> tuple[Covered, ...]:
        """Return the ranges of an app, in order."""
        return self.ranges.get(app, ())

    def at(self, app: str, hour: datetime) -> Covered | None:
        """Return the range of an app that an hour lies in."""
        return next((span for span in self.of(app) if span.holds(hour)), None)

    def before(self, app: str, hour: datetime) -> Covered | None:
        """Return the last range of an app that ends before an hour, or with its beginning."""
        return next((span for span in reversed(self.of(app)) if span.end <= hour), None)

    def last_of(self, app: str) -> Covered | None:
        """Return the last range of an app."""
        return self.of(app)[-1] if self.of(app) else None

    def end_of(self, app: str) -> datetime | None:
        """Return the first hour after the last range of an app."""
        return self.of(app)[-1].end if self.of(app) else None

    def with_range(self, app: str, new: Covered) -> Coverage:
        """Return the coverage with one more range; what it overlaps gives way to it."""
        kept = [piece for old in self.of(app) for piece in _outside(old, new)]
        ranges = sorted([*kept, new], key=lambda span: span.start)
        while len(ranges) > _MOST_RANGES:
            at = min(range(_MOST_RANGES), key=lambda n: ranges[n + 1].start - ranges[n].end)
            ranges[at : at + 2] = [_joined(*ranges[at : at + 2])]
        return Coverage({**self.ranges, app: tuple(ranges)})

    def reaching(self, app: str, start: datetime, end: datetime) -> Coverage:
        """Return the coverage after hours of an app were read from Amplitude's API."""
        last = self.before(app, start)
        if last and last.end == start and last.is_uncounted:
            start = last.start
        return self.with_range(app, Covered(start, end))

    def renamed(self, old: str, new: str) -> Coverage:
        """Return the coverage with the ranges of an app under another name, or under its own."""
        if old == new or old not in self.ranges:
            return self
        found = Coverage({app: ranges for app, ranges in self.ranges.items() if app != old})
        for span in self.ranges[old]:
            found = found.with_range(new, span)
        return found

    def until(self, hour: datetime) -> Coverage:
        """Return the coverage with its newest hour just before a given one.

        A user who moves the state's hour by hand means all that it knows of.
        """
        ends = [span[-1].end for span in self.ranges.values()]
        if not ends or max(ends) == hour:
            return self
        if max(ends) < hour:
            front = [app for app in self.ranges if self.end_of(app) == max(ends)]
            moved = {
                app: (*self.of(app)[:-1], replace(self.of(app)[-1], end=hour)) for app in front
            }
            return Coverage({**self.ranges, **moved})
        gone = Covered(hour, max(ends))
        cut = {
            app: tuple(piece for old in ranges for piece in _outside(old, gone))
            for app, ranges in self.ranges.items()
        }
        return Coverage({app: ranges for app, ranges in cut.items() if ranges})

    def to_text(self) -> str:
        """Write it for the state: one text, because Meltano merges the keys of objects."""
        return "; ".join(
            f"{app or _NAMELESS} {_entry(span)}" for app in self.apps for span in self.of(app)
        )

    @classmethod
    def from_text(cls, text: str) -> Coverage:
        """Read what `to_text` wrote.

        Raises:
            ValueError: It cannot be read; the text names the part.
        """
        found = cls()
        for entry in filter(None, (part.strip() for part in text.split(";"))):
            match = _ENTRY.fullmatch(entry)
            start, end = (parse(match[name]) if match else None for name in ("start", "end"))
            if match is None or start is None or end is None or start >= end:
                raise ValueError(f"`apps` has {entry!r}, which is not an app and its hours")
            new = Covered(
                start,
                end,
                int(match["files"]) if match["files"] else None,
                parse(match["newest"]) if match["newest"] else None,
            )
            app = "" if match["app"] == _NAMELESS else match["app"]
            found = found.with_range(app, new)
        return found


def _outside(old: Covered, new: Covered) -> Iterable[Covered]:
    """Yield what of a range a new one leaves; how many files a part has is not known."""
    if old.end <= new.start or old.start >= new.end:
        yield old
        return
    if old.start < new.start:
        yield replace(old, end=new.start, files=None)
    if old.end > new.end:
        yield replace(old, start=new.end, files=None)


def _joined(first: Covered, second: Covered) -> Covered:
    files = None if None in (first.files, second.files) else first.files + second.files  # type: ignore[operator]
    newest = max((span.newest for span in (first, second) if span.newest), default=None)
    return Covered(first.start, second.end, files, newest)


def _entry(span: Covered) -> str:
    parts = [f"{_text(span.start)}/{_text(span.end)}"]
    if span.files is not None:
        parts.append(f"{span.files} files")
    if span.newest is not None:
        parts.append(f"newest {_text(span.newest)}")
    return ", ".join(parts)


def _text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
