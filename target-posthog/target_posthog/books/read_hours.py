"""Which export hours a state of `tap-amplitude` says are read, and of which app. Pure.

An hour without records leaves no trace but in the state: it names ranges of hours of each app.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_posthog.books.whole import hours_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: How the tap writes one range (`tap_amplitude/state/coverage.py`): an app, its first hour, and the
#: hour behind the last. `?` and `api` stand for an app that is not known.
_RANGE = re.compile(
    r"(?P<app>\S+) (?P<first>\d{4}-\d\d-\d\dT\d\d):00:00Z/(?P<end>\d{4}-\d\d-\d\dT\d\d):00:00Z",
    re.ASCII,
)
_NAMELESS = frozenset({"?", "api"})


@dataclass(frozen=True)
class ReadHours:
    """What is read.

    Attributes:
        begin: the first hour of the state's whole range; empty when it does not say.
        next_hour: the first hour that is not read.
        ranges: of each app whose number is known, the first hour and the one behind the last.
    """

    begin: str
    next_hour: str
    ranges: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of_state(cls, state: Any, next_hour: str) -> ReadHours:
        """Read what a state says; what it does not say is left out."""
        bookmark = state["bookmarks"]["events"]
        begin, apps = bookmark.get("export_from"), bookmark.get("apps")
        ranges: dict[str, list[tuple[str, str]]] = {}
        for found in _RANGE.finditer(apps) if isinstance(apps, str) else ():
            if found["app"] not in _NAMELESS:
                ranges.setdefault(found["app"], []).append((found["first"], found["end"]))
        return cls(begin[: len(next_hour)] if isinstance(begin, str) else "", next_hour, ranges)

    def has(self, app: str, hour: str, *, is_nobodys: bool) -> bool:
        """Return True if an hour of an app is read.

        Rows may name no app. `is_nobodys`: where the state names no app, its hours may be those of
        this one.
        """
        if app in self.ranges:
            return any(first <= hour < end for first, end in self.ranges[app])
        is_read = bool(self.begin) and self.begin <= hour < self.next_hour
        return is_read and is_nobodys and not (app and self.ranges)

    def since(self, before: ReadHours | None) -> Iterator[tuple[str, str]]:
        """Yield what was read behind an earlier state, if any: apps, and their hours in order.

        An hour of which no range tells is of an app that is not known.
        """
        first = (before.next_hour if before else self.begin) or self.next_hour
        for app, ranges in self.ranges.items():
            known = [] if before is None else before.ranges.get(app, ())
            for begin, end in ranges:
                # Until a file named the app, its hours belonged to no known app.
                after = max(begin, first) if before and not known else begin
                for piece in _outside((after, end), known):
                    for hour in hours_between(*piece):
                        yield app, hour
        covered = [hours for ranges in self.ranges.values() for hours in ranges]
        for piece in _outside((first, self.next_hour), covered):
            for hour in hours_between(*piece):
                yield "", hour


def _outside(new: tuple[str, str], known: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield what of a range lies in no known one."""
    begin, end = new
    for first, behind in sorted(known):
        if begin < min(first, end):
            yield begin, min(first, end)
        begin = max(begin, behind)
    if begin < end:
        yield begin, end
